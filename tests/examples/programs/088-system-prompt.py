# Create a model response: System Prompt
# --- what the example takes as given ---
import os
BASE = os.environ["FREDDY_BASE_URL"]
api_key = os.environ.get("FREDDY_API_KEY", "your-api-key")
# --- the example ---
import requests
response = requests.post(
    BASE + "/v1/model/response",
    headers={"Authorization": f"Bearer {api_key}"},
    json={
        "organization_id": "org_abc123",
        "model": "gpt-4o",
        "inputs": [
            {
                "role": "system",
                "texts": [
                    {
                        "text": "You are a helpful Python expert. Always include code examples."
                    }
                ]
            },
            {
                "role": "user",
                "texts": [{"text": "How do I sort a list?"}]
            }
        ]
    }
)
