// Create a model response: Agentic Tool Calling
// --- what the example takes as given ---
const apiKey = process.env.FREDDY_API_KEY ?? 'your-api-key';
// --- the example ---
// Single API call - backend handles the entire agentic loop
const response = await fetch(process.env.FREDDY_BASE_URL + '/v1/model/response', {
  method: 'POST',
  headers: {
    'Authorization': `Bearer ${apiKey}`,
    'Content-Type': 'application/json'
  },
  body: JSON.stringify({
    organization_id: 'org_abc123',
    model: 'gpt-5',
    inputs: [{
      role: 'user',
      texts: [{
        text: 'Get weather information for major European cities and provide a comprehensive report'
      }]
    }],
    functions: [{
      type: 'function',
      name: 'get_cities',
      description: 'Get a list of 5 cities for a specific region',
      parameters: {
        type: 'object',
        properties: {
          region: {
            type: 'string',
            enum: ['asia', 'europe', 'americas', 'global']
          }
        },
        required: ['region']
      }
    }, {
      type: 'function',
      name: 'get_temperature',
      description: 'Get current temperature for a city',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string' } },
        required: ['city']
      }
    }],
    parallel_tool_calls: false
  })
});
const result = await response.json();
// Backend automatically:

// 1. Calls get_cities("europe") → ["Paris", "London", "Berlin", "Rome", "Madrid"]

// 2. Calls get_temperature for each city (5 calls)

// 3. Generates final comprehensive report
console.log(result.response);
// Output: "Here's a comprehensive weather report for major European cities:

// Paris: 18°C, London: 15°C, Berlin: 10°C, Rome: 20°C, Madrid: 22°C..."
