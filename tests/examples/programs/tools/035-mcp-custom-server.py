# Create a model response: MCP (Custom Server)
# --- what the example takes as given ---
import os
BASE = os.environ["FREDDY_BASE_URL"]
api_key = os.environ.get("FREDDY_API_KEY", "your-api-key")
custom_api_key = "sk_custom_test"
# --- the example ---
import requests
response = requests.post(
    BASE + "/v1/model/response",
    headers={ "Authorization": f"Bearer {api_key}", "Content-Type": "application/json" },
    json={
        "organization_id": "org_abc123",
        "model": "gpt-4o",
        "inputs": [
            {
                "role": "user",
                "texts": [
                    {"text": "Query our internal database for user analytics"}
                ]
            }
        ],
        "tools": [
            {
                "type": "mcp",
                "server_label": "internal_db",
                "server_url": "https://mcp.example.com/v1",
                "server_description": "Internal analytics database",
                "headers": { "X-API-Key": custom_api_key },
                "allowed_tools": ["query_users", "get_analytics"],
                "require_approval": "never"
            }
        ]
    }
)
