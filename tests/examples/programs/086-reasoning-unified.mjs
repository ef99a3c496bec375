// Create a model response: Reasoning (Unified)
const apiKey = process.env.FREDDY_API_KEY;
// Works with both GPT-5 and Claude using the same parameter
async function queryWithReasoning(model, question, effortLevel = 'medium') {
  const response = await fetch(process.env.FREDDY_BASE_URL + '/v1/model/response', {
    method: 'POST',
    headers: {
      'Authorization': `Bearer ${apiKey}`,
      'Content-Type': 'application/json'
    },
    body: JSON.stringify({
      organization_id: 'org_abc123',
      model: model,
      inputs: [
        { role: 'user', texts: [{ text: question }] }
      ],
      reasoning: {
        effort: effortLevel,
        summary: 'detailed' // OpenAI only, ignored by Claude
      }
    })
  });
  return await response.json();
}
// Use with GPT-5 (maps to OpenAI reasoning)
const gpt5Result = await queryWithReasoning('gpt-5', 'What are the economic implications of quantum computing?', 'high');
// Use with Claude (maps to Anthropic thinking with 25,000 tokens)
const claudeResult = await queryWithReasoning('claude-sonnet-4', 'What are the economic implications of quantum computing?', 'high');
