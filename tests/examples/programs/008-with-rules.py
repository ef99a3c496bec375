# Create a model response: With Rules
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
        "rules": ["rule_formal_tone", "rule_fact_check"],
        "inputs": [
            {
                "role": "user",
                "texts": [
                    {"text": "Write a product description for our new AI assistant"}
                ]
            }
        ]
    }
)
print(response.json())
