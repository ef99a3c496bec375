// Create a model response: MCP (Custom Server)
// --- what the example takes as given ---
const apiKey = process.env.FREDDY_API_KEY ?? 'your-api-key';
const customApiKey = 'sk_custom_test';
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
      role: 'user',
      texts: [{
        text: 'Query our internal database for user analytics'
      }]
    }],
    tools: [{
      type: 'mcp',
      server_label: 'internal_db',
      server_url: 'https://mcp.example.com/v1',
      server_description: 'Internal analytics database',
      headers: { 'X-API-Key': customApiKey },
      allowed_tools: ['query_users', 'get_analytics'],
      require_approval: 'never'
    }]
  })
});
