// Create a model response: Function Calling
// --- what the example takes as given ---
const apiKey = process.env.FREDDY_API_KEY ?? 'your-api-key';
const TOOLS = [{
      type: 'function',
      name: 'get_current_weather',
      description: 'Get the current weather in a given location',
      parameters: {
        type: 'object',
        properties: {
          location: {
            type: 'string',
            description: 'The city and state, e.g. San Francisco, CA'
          },
          unit: {
            type: 'string',
            enum: ['celsius', 'fahrenheit'],
            description: 'Temperature unit'
          }
        },
        required: ['location']
      },
      strict: true,
      require_approval: false
    }];
// --- the example ---
// Define available functions
function getCurrentWeather(location, unit = 'fahrenheit') {

  // In production, call a real weather API
  return {
    location: location,
    temperature: 72,
    unit: unit,
    conditions: 'sunny'
  };
}
// Initial API call
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
        text: "What's the weather like in San Francisco?"
      }]
    }],
    tools: [{
      type: 'function',
      name: 'get_current_weather',
      description: 'Get the current weather in a given location',
      parameters: {
        type: 'object',
        properties: {
          location: {
            type: 'string',
            description: 'The city and state, e.g. San Francisco, CA'
          },
          unit: {
            type: 'string',
            enum: ['celsius', 'fahrenheit'],
            description: 'Temperature unit'
          }
        },
        required: ['location']
      },
      strict: true,
      require_approval: false
    }],
    toolChoice: 'auto'
  })
});
const result = await response.json();
// Check if model wants to call a function
for (const output of result.outputs || []) {
  if (output.type === 'function_call') {
    const functionName = output.function.name;
    const functionArgs = JSON.parse(output.function.arguments);
    // Execute the function
    let functionResponse;
    if (functionName === 'get_current_weather') {
      functionResponse = getCurrentWeather(functionArgs.location, functionArgs.unit);
    }
    // Send function result back to model
    const followUp = await fetch(process.env.FREDDY_BASE_URL + '/v1/model/response', {
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
            text: "What's the weather like in San Francisco?"
          }]
        }, {
          role: 'assistant',
          functionCall: {
            name: functionName,
            arguments: JSON.stringify(functionArgs)
          }
        }, {
          role: 'function',
          name: functionName,
          content: JSON.stringify(functionResponse)
        }],
        tools: TOOLS
      })
    });
    const finalResult = await followUp.json();
    console.log(finalResult.outputs[0].texts[0].text);
  }
}
