#!/usr/bin/env bash
# Create a model response: Conversation
: "${FREDDY_BASE_URL:?}" "${FREDDY_API_KEY:=your-api-key}"

curl $FREDDY_BASE_URL/v1/model/response \
  -H "Authorization: Bearer $FREDDY_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
  "organization_id": "org_abc123",
  "model": "gpt-4o",
  "inputs": [
    {
      "role": "user",
      "texts": [
        {
          "text": "Hello!"
        }
      ]
    },
    {
      "role": "assistant",
      "texts": [
        {
          "text": "Hi! How can I help you today?"
        }
      ]
    },
    {
      "role": "user",
      "texts": [
        {
          "text": "Tell me about Python"
        }
      ]
    }
  ]
}'
