// Create a model response: MCP (Saved Config)
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
      role: 'user',
      texts: [{
        text: 'Find the latest product roadmap document'
      }]
    }],
    tools: [{
      type: 'mcp',
      server_label: 'google_drive',
      configuration_id: 'mcp_config_abc123'
    }]
  })
});
