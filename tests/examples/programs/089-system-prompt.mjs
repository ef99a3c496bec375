// Create a model response: System Prompt
// --- what the example takes as given ---
const apiKey = process.env.FREDDY_API_KEY ?? 'your-api-key';
// --- the example ---
const response = await fetch(process.env.FREDDY_BASE_URL + '/v1/model/response', {
  method: 'POST',
  headers: {
    'Authorization': `Bearer ${apiKey}`,
    'Content-Type': 'application/json'
  },
  body: JSON.stringify({
    model: 'gpt-4o',
    inputs: [{
      role: 'system',
      texts: [{
        text: 'You are a helpful Python expert. Always include code examples.'
      }]
    }, {
      role: 'user',
      texts: [{ text: 'How do I sort a list?' }]
    }]
  })
});
