# Create a model response: With Image
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
        "model": "gpt-4.1-vision",
        "inputs": [
            {
                "role": "user",
                "texts": [{"text": "What is in this image?"}],
                "images": [{"fileId": "file_abc123"}]
            }
        ]
    }
)
