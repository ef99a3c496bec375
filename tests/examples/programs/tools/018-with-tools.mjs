// Create a model response: With Tools
const response = await fetch(process.env.FREDDY_BASE_URL + '/v1/model/response', {
  method: 'POST',
  headers: {
    'Authorization': `Bearer ${process.env.FREDDY_API_KEY}`,
    'Content-Type': 'application/json'
  },
  body: JSON.stringify({
    organization_id: 'org_abc123',
    model: 'gpt-4o',
    inputs: [{
      role: 'user',
      texts: [
        { text: 'Search for recent AI research papers' }
      ]
    }],
    tools: [{
      type: 'web_search',
      search_context_size: 'medium'
    }, {
      type: 'function',
      name: 'save_to_database',
      description: 'Save findings to database',
      parameters: {
        type: 'object',
        properties: {
          title: { type: 'string' },
          summary: { type: 'string' }
        }
      }
    }]
  })
});
const data = await response.json();
console.log(data);
