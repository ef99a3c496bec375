#!/usr/bin/env bash
# Create a model response: MCP (Saved Config)
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
          "text": "Find the latest product roadmap document"
        }
      ]
    }
  ],
  "tools": [
    {
      "type": "mcp",
      "server_label": "google_drive",
      "configuration_id": "mcp_config_abc123"
    }
  ]
}'
