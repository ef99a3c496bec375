#!/usr/bin/env bash
# Create a model response: MCP (Custom Server)
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
          "text": "Query our internal database for user analytics"
        }
      ]
    }
  ],
  "tools": [
    {
      "type": "mcp",
      "server_label": "internal_db",
      "server_url": "https://mcp.example.com/v1",
      "server_description": "Internal analytics database",
      "headers": {
        "X-API-Key": "sk_custom_..."
      },
      "allowed_tools": [
        "query_users",
        "get_analytics"
      ],
      "require_approval": "never"
    }
  ]
}'
