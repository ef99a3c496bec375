#!/usr/bin/env bash
# Create a model response: With Tools
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
          "text": "Search for recent AI research papers"
        }
      ]
    }
  ],
  "tools": [
    {
      "type": "web_search",
      "search_context_size": "medium"
    },
    {
      "type": "function",
      "name": "save_to_database",
      "description": "Save findings to database",
      "parameters": {
        "type": "object",
        "properties": {
          "title": {
            "type": "string"
          },
          "summary": {
            "type": "string"
          }
        }
      }
    }
  ]
}'
