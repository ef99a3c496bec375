# Create a model response: Function Calling
# --- what the example takes as given ---
import os
BASE = os.environ["FREDDY_BASE_URL"]
api_key = os.environ.get("FREDDY_API_KEY", "your-api-key")
TOOLS = [
            {
                "type": "function",
                "name": "get_current_weather",
                "description": "Get the current weather in a given location",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "location": {
                            "type": "string",
                            "description": "The city and state, e.g. San Francisco, CA"
                        },
                        "unit": {
                            "type": "string",
                            "enum": ["celsius", "fahrenheit"],
                            "description": "Temperature unit"
                        }
                    },
                    "required": ["location"]
                },
                "strict": True,
                "require_approval": False
            }
        ]
# --- the example ---
import requests
import json
# Define available functions
def get_current_weather(location, unit="fahrenheit"):
    """Get the current weather for a location"""
    # In production, call a real weather API
    return {
        "location": location,
        "temperature": 72,
        "unit": unit,
        "conditions": "sunny"
    }
# Initial API call
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
                    {"text": "What's the weather like in San Francisco?"}
                ]
            }
        ],
        "tools": [
            {
                "type": "function",
                "name": "get_current_weather",
                "description": "Get the current weather in a given location",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "location": {
                            "type": "string",
                            "description": "The city and state, e.g. San Francisco, CA"
                        },
                        "unit": {
                            "type": "string",
                            "enum": ["celsius", "fahrenheit"],
                            "description": "Temperature unit"
                        }
                    },
                    "required": ["location"]
                },
                "strict": True,
                "require_approval": False
            }
        ],
        "toolChoice": "auto"
    }
)
result = response.json()
# Check if model wants to call a function
for output in result.get('outputs', []):
    if output.get('type') == 'function_call':
        function_name = output['function']['name']
        function_args = json.loads(output['function']['arguments'])
        # Execute the function
        if function_name == "get_current_weather":
            function_response = get_current_weather(**function_args)
        # Send function result back to model
        follow_up = requests.post(
            BASE + "/v1/model/response",
            headers={
                "Authorization": f"Bearer {api_key}",
                "Content-Type": "application/json"
            },
            json={
                "organization_id": "org_abc123",
                "model": "gpt-4o",
                "inputs": [
                    {
                        "role": "user",
                        "texts": [
                            {"text": "What's the weather like in San Francisco?"}
                        ]
                    },
                    {
                        "role": "assistant",
                        "functionCall": {
                            "name": function_name,
                            "arguments": json.dumps(function_args)
                        }
                    },
                    {
                        "role": "function",
                        "name": function_name,
                        "content": json.dumps(function_response)
                    }
                ],
                "tools": TOOLS
            }
        )
        final_result = follow_up.json()
        print(final_result['outputs'][0]['texts'][0]['text'])
