# Create a model response: MCP (Saved Config)
# --- what the example takes as given ---
import os
BASE = os.environ["FREDDY_BASE_URL"]
api_key = os.environ.get("FREDDY_API_KEY", "your-api-key")
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
                    {"text": "Find the latest product roadmap document"}
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
    }
)
