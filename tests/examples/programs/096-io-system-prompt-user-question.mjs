// Inputs and outputs
const response = await fetch(process.env.FREDDY_BASE_URL + '/v1/model/response', {
  method: 'POST',
  body: JSON.stringify({
    model: 'gpt-4.1',
    inputs: [
      {
        role: 'system',
        texts: [{ text: 'You are a helpful coding assistant' }]
      },
      {
        role: 'user',
        texts: [{ text: 'Write a function to reverse a string' }]
      }
    ]
  })
});
