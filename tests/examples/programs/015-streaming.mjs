// Create a model response: Streaming
const response = await fetch(process.env.FREDDY_BASE_URL + '/v1/model/response', {
  method: 'POST',
  headers: {
    'Authorization': `Bearer ${process.env.FREDDY_API_KEY}`,
    'Content-Type': 'application/json'
  },
  body: JSON.stringify({
    organization_id: 'org_abc123',
    model: 'gpt-4o',
    stream: true,
    inputs: [{
      role: 'user',
      texts: [{ text: 'Tell me a story' }]
    }]
  })
});
const reader = response.body.getReader();
while (true) {
  const { done, value } = await reader.read();
  if (done) break;
  console.log(new TextDecoder().decode(value));
}
