#!/usr/bin/env bash
# Create a model response: With Image
: "${FREDDY_BASE_URL:?}" "${FREDDY_API_KEY:=your-api-key}"

curl $FREDDY_BASE_URL/v1/model/response \
  -H "Authorization: Bearer $FREDDY_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
  "organization_id": "org_abc123",
  "model": "gpt-4.1-vision",
  "inputs": [
    {
      "role": "user",
      "texts": [
        {
          "text": "What is in this image?"
        }
      ],
      "images": [
        {
          "fileId": "file_abc123"
        }
      ]
    }
  ]
}'
