// Inputs and outputs
const previousMessages = [], newMessage = {}; const sendMessage = async (m) => m; // what the example takes as given
{
// ✅ Good - preserves context
const messages = [...previousMessages, newMessage];
const response = await sendMessage(messages);
}
{
// ❌ Bad - loses context
const response = await sendMessage(newMessage);
}
