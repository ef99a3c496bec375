#!/usr/bin/env bash
# Create a model response: File Search
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
          "text": "What does our documentation say about authentication?"
        }
      ]
    }
  ],
  "tools": [
    {
      "type": "fileSearch",
      "vector_store_ids": [
        "vs_abc123"
      ],
      "max_num_results": 5,
      "ranking_options": {
        "ranker": "hybrid",
        "score_threshold": 0.7
      }
    }
  ]
}'
