#!/usr/bin/env bash
# Create a model response: Reasoning (Unified)
: "${FREDDY_BASE_URL:?}" "${FREDDY_API_KEY:=your-api-key}"

# Works with both GPT-5 and Claude - automatic provider mapping
curl $FREDDY_BASE_URL/v1/model/response \
  -H "Authorization: Bearer $FREDDY_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
  "organization_id": "org_abc123",
  "model": "gpt-5",
  "inputs": [
    {
      "role": "user",
      "texts": [
        {
          "text": "Solve this complex problem: How can Switzerland achieve net-zero emissions by 2040?"
        }
      ]
    }
  ],
  "reasoning": {
    "effort": "high",
    "summary": "detailed"
  }
}'
# Same request works with Claude
curl $FREDDY_BASE_URL/v1/model/response \
  -H "Authorization: Bearer $FREDDY_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
  "organization_id": "org_abc123",
  "model": "claude-sonnet-4",
  "inputs": [
    {
      "role": "user",
      "texts": [
        {
          "text": "Solve this complex problem: How can Switzerland achieve net-zero emissions by 2040?"
        }
      ]
    }
  ],
  "reasoning": {
    "effort": "high"
  }
}'
