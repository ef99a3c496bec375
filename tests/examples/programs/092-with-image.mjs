// Create a model response: With Image
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
    model: 'gpt-4.1-vision',
    inputs: [{
      role: 'user',
      texts: [{ text: 'What is in this image?' }],
      images: [{ fileId: 'file_abc123' }]
    }]
  })
});
