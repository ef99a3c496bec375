#!/usr/bin/env bash
# Create a model response: Agentic Tool Calling
: "${FREDDY_BASE_URL:?}" "${FREDDY_API_KEY:=your-api-key}"

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
          "text": "Get weather information for major European cities and provide a comprehensive report"
        }
      ]
    }
  ],
  "functions": [
    {
      "type": "function",
      "name": "get_cities",
      "description": "Get a list of 5 cities for a specific region",
      "parameters": {
        "type": "object",
        "properties": {
          "region": {
            "type": "string",
            "enum": [
              "asia",
              "europe",
              "americas",
              "global"
            ]
          }
        },
        "required": [
          "region"
        ]
      }
    },
    {
      "type": "function",
      "name": "get_temperature",
      "description": "Get current temperature for a city",
      "parameters": {
        "type": "object",
        "properties": {
          "city": {
            "type": "string"
          }
        },
        "required": [
          "city"
        ]
      }
    }
  ],
  "parallel_tool_calls": false
}'
