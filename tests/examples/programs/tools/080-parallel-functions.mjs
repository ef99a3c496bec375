// Create a model response: Parallel Functions
// --- what the example takes as given ---
const apiKey = process.env.FREDDY_API_KEY ?? 'your-api-key';
// --- the example ---
async function getWeather(city) {

  // Simulate API call
  return { city, temp: 72, conditions: 'sunny' };
}
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
      texts: [
        { text: 'Get weather for NYC, LA, and Chicago' }
      ]
    }],
    tools: [{
      type: 'function',
      name: 'get_weather',
      description: 'Get weather for a city',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string' } },
        required: ['city']
      },
      strict: true,
      require_approval: false
    }],
    parallel_tool_calls: true
  })
});
const result = await response.json();
// Execute multiple function calls in parallel
const functionCalls = result.outputs?.filter(o => o.type === 'function_call') || [];
const results = await Promise.all(functionCalls.map(async (call) => {
  const funcArgs = JSON.parse(call.function.arguments);
  const result = await getWeather(funcArgs.city);
  return { call, result };
}));
results.forEach(({ call, result }) => {
  console.log(`${call.function.name}(${call.function.arguments}) =`, result);
});
