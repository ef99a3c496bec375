# Create a model response: Parallel Functions
# --- what the example takes as given ---
import os
BASE = os.environ["FREDDY_BASE_URL"]
api_key = os.environ.get("FREDDY_API_KEY", "your-api-key")
# --- the example ---
import requests
import json
from concurrent.futures import ThreadPoolExecutor
def get_weather(city):
    # Simulate API call
    return {"city": city, "temp": 72, "conditions": "sunny"}
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
                    {"text": "Get weather for NYC, LA, and Chicago"}
                ]
            }
        ],
        "tools": [
            {
                "type": "function",
                "name": "get_weather",
                "description": "Get weather for a city",
                "parameters": {
                    "type": "object",
                    "properties": { "city": {"type": "string"} },
                    "required": ["city"]
                },
                "strict": True,
                "require_approval": False
            }
        ],
        "parallel_tool_calls": True
    }
)
result = response.json()
# Execute multiple function calls in parallel
function_calls = [
    output for output in result.get('outputs', []) if output.get('type') == 'function_call'
]
with ThreadPoolExecutor() as executor:
    futures = []
    for call in function_calls:
        func_args = json.loads(call['function']['arguments'])
        future = executor.submit(get_weather, **func_args)
        futures.append((call, future))
    # Collect results
    for call, future in futures:
        result = future.result()
        print(f"{call['function']['name']}({call['function']['arguments']}) = {result}")
