# Create a model response: Conversation
# --- what the example takes as given ---
import os
BASE = os.environ["FREDDY_BASE_URL"]
api_key = os.environ.get("FREDDY_API_KEY", "your-api-key")
# --- the example ---
import requests
# Build conversation history
conversation = [
    {
        "role": "user",
        "texts": [{"text": "Hello!"}]
    },
    {
        "role": "assistant",
        "texts": [
            {"text": "Hi! How can I help you today?"}
        ]
    },
    {
        "role": "user",
        "texts": [{"text": "Tell me about Python"}]
    }
]
response = requests.post(
    BASE + "/v1/model/response",
    headers={"Authorization": f"Bearer {api_key}"},
    json={"model": "gpt-4o", "inputs": conversation}
)
