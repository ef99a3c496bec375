# Create a model response: Streaming
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
        "stream": True,
        "inputs": [
            {
                "role": "user",
                "texts": [{"text": "Tell me a story"}]
            }
        ]
    },
    stream=True
)
for line in response.iter_lines():
    if line:
        print(line.decode('utf-8'))
