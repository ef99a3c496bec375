# Create a model response: With Tools
# --- what the example takes as given ---
import os
BASE = os.environ["FREDDY_BASE_URL"]
# --- the example ---
import os
import requests
response = requests.post(
    BASE + "/v1/model/response",
    headers={
        "Authorization": f"Bearer {os.environ['FREDDY_API_KEY']}",
        "Content-Type": "application/json"
    },
    json={
        "organization_id": "org_abc123",
        "model": "gpt-4o",
        "inputs": [
            {
                "role": "user",
                "texts": [
                    {"text": "Search for recent AI research papers"}
                ]
            }
        ],
        "tools": [
            { "type": "web_search", "search_context_size": "medium" },
            {
                "type": "function",
                "name": "save_to_database",
                "description": "Save findings to database",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "title": {"type": "string"},
                        "summary": {"type": "string"}
                    }
                }
            }
        ]
    }
)
print(response.json())
