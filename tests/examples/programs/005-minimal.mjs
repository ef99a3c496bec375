// Create a model response: Minimal
const response = await fetch(process.env.FREDDY_BASE_URL + '/v1/model/response', {
  method: 'POST',
  headers: {
    'Authorization': `Bearer ${process.env.FREDDY_API_KEY}`,
    'Content-Type': 'application/json'
  },
  body: JSON.stringify({
    organization_id: 'org_abc123',
    model: 'ftg-3.0',
    inputs: [
      { role: 'user', texts: [{ text: 'Hello!' }] }
    ]
  })
});
const data = await response.json();
console.log(data);
