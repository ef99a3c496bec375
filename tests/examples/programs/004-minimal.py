# Create a model response: Minimal
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
        "model": "ftg-3.0",
        "inputs": [
            {
                "role": "user",
                "texts": [{"text": "Hello!"}]
            }
        ]
    }
)
print(response.json())
