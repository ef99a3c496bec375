// Create a model response: File Search
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
    organization_id: 'org_abc123',
    model: 'gpt-4o',
    inputs: [{
      role: 'user',
      texts: [{
        text: 'What does our documentation say about authentication?'
      }]
    }],
    tools: [{
      type: 'fileSearch',
      vector_store_ids: ['vs_abc123'],
      max_num_results: 5,
      ranking_options: { ranker: 'hybrid', score_threshold: 0.7 }
    }]
  })
});
const data = await response.json();
console.log(data);
