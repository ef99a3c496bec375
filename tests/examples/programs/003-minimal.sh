#!/usr/bin/env bash
# Create a model response: Minimal
: "${FREDDY_BASE_URL:?}" "${FREDDY_API_KEY:=your-api-key}"

curl $FREDDY_BASE_URL/v1/model/response \
  -H "Authorization: Bearer $FREDDY_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
  "organization_id": "org_abc123",
  "model": "ftg-3.0",
  "inputs": [
    {
      "role": "user",
      "texts": [
        {
          "text": "Hello!"
        }
      ]
    }
  ]
}'
