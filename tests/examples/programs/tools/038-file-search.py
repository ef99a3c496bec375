# Create a model response: File Search
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
                    {"text": "What does our documentation say about authentication?"}
                ]
            }
        ],
        "tools": [
            {
                "type": "fileSearch",
                "vector_store_ids": ["vs_abc123"],
                "max_num_results": 5,
                "ranking_options": { "ranker": "hybrid", "score_threshold": 0.7 }
            }
        ]
    }
)
print(response.json())
