// Create a model response: Multiple Functions
// --- what the example takes as given ---
const apiKey = process.env.FREDDY_API_KEY ?? 'your-api-key';
// --- the example ---
// Define available functions
const availableFunctions = {
  send_email: (to, subject, body) => {
    console.log(`Sending email to ${to}: ${subject}`);
    return { status: 'sent', message_id: 'msg_123' };
  },
  get_document: (document_name) => {
    console.log(`Retrieving document: ${document_name}`);
    return {
      name: document_name,
      content: 'Q4 Report Summary...'
    };
  },
  create_calendar_event: (title, date, duration_minutes = 60) => {
    console.log(`Creating event: ${title} on ${date}`);
    return { event_id: 'evt_456', status: 'created' };
  }
};
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
        text: 'Send an email to john@example.com about the Q4 report'
      }]
    }],
    tools: [{
      type: 'function',
      name: 'send_email',
      description: 'Send an email to a recipient',
      parameters: {
        type: 'object',
        properties: {
          to: { type: 'string' },
          subject: { type: 'string' },
          body: { type: 'string' }
        },
        required: ['to', 'subject', 'body']
      },
      strict: true,
      require_approval: true
    }, {
      type: 'function',
      name: 'get_document',
      description: 'Retrieve a document by name',
      parameters: {
        type: 'object',
        properties: { document_name: { type: 'string' } },
        required: ['document_name']
      },
      strict: true,
      require_approval: false
    }]
  })
});
const result = await response.json();
// Handle function calls
for (const output of result.outputs || []) {
  if (output.type === 'function_call') {
    const funcName = output.function.name;
    const funcArgs = JSON.parse(output.function.arguments);
    // Execute the function
    if (funcName in availableFunctions) {
      const funcResult = availableFunctions[funcName](...Object.values(funcArgs));
      console.log(`Function ${funcName} returned:`, funcResult);
    }
  }
}
