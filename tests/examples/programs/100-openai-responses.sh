#!/usr/bin/env bash
# OpenAI-compatible responses
: "${FREDDY_BASE_URL:?}" "${FREDDY_API_KEY:=your-api-key}"

curl $FREDDY_BASE_URL/v1/responses \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
  "model": "gpt-4.1-mini",
  "input": "Write three taglines for a multimodal AI API platform.",
  "stream": false
}'
