#!/usr/bin/env bash
# Create a model response: With Rules
: "${FREDDY_BASE_URL:?}" "${FREDDY_API_KEY:=your-api-key}"

curl $FREDDY_BASE_URL/v1/model/response \
  -H "Authorization: Bearer $FREDDY_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
  "organization_id": "org_abc123",
  "model": "gpt-4o",
  "rules": [
    "rule_formal_tone",
    "rule_fact_check"
  ],
  "inputs": [
    {
      "role": "user",
      "texts": [
        {
          "text": "Write a product description for our new AI assistant"
        }
      ]
    }
  ]
}'
