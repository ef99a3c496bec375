#!/usr/bin/env bash
# Text generation
: "${FREDDY_BASE_URL:?}" "${FREDDY_API_KEY:=your-api-key}"

curl $FREDDY_BASE_URL/v1/model/response/stream \
  -H "X-API-Key: $FREDDY_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
  "organization_id": "org_your_org_id",
  "model": "gpt-4o",
  "inputs": [
    {
      "role": "user",
      "content": "Write a haiku."
    }
  ]
}'
