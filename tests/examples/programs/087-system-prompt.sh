#!/usr/bin/env bash
# Create a model response: System Prompt
: "${FREDDY_BASE_URL:?}" "${FREDDY_API_KEY:=your-api-key}"

curl $FREDDY_BASE_URL/v1/model/response \
  -H "Authorization: Bearer $FREDDY_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
  "organization_id": "org_abc123",
  "model": "gpt-4o",
  "inputs": [
    {
      "role": "system",
      "texts": [
        {
          "text": "You are a helpful Python expert. Always include code examples."
        }
      ]
    },
    {
      "role": "user",
      "texts": [
        {
          "text": "How do I sort a list?"
        }
      ]
    }
  ]
}'
