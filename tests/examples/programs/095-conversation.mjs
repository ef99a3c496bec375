// Create a model response: Conversation
// --- what the example takes as given ---
const apiKey = process.env.FREDDY_API_KEY ?? 'your-api-key';
// --- the example ---
const conversation = [
  { role: 'user', texts: [{ text: 'Hello!' }] }, {
    role: 'assistant',
    texts: [{ text: 'Hi! How can I help you today?' }]
  }, {
    role: 'user',
    texts: [{ text: 'Tell me about Python' }]
  }
];
const response = await fetch(process.env.FREDDY_BASE_URL + '/v1/model/response', {
  method: 'POST',
  headers: {
    'Authorization': `Bearer ${apiKey}`,
    'Content-Type': 'application/json'
  },
  body: JSON.stringify({ model: 'gpt-4o', inputs: conversation })
});
