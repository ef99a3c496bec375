# Create a model response: Function Calling
# --- what the example takes as given ---
import os
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
from freddy import FreddyClient
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
with FreddyClient(api_key="your-api-key") as client:
    # Initial API call
    response = client.responses.create(
        model="gpt-4o",
        inputs=[
            {
                "role": "user",
                "texts": [
                    {"text": "What's the weather like in San Francisco?"}
                ]
            }
        ],
        tools=[
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
        toolChoice="auto"
    )
    # Check if model wants to call a function
    for output in response.output:
        if output.type == 'function_call':
            function_name = output.function.name
            function_args = json.loads(output.function.arguments)
            # Execute the function
            if function_name == "get_current_weather":
                function_response = get_current_weather(**function_args)
            # Send function result back to model
            follow_up = client.responses.create(
                model="gpt-4o",
                inputs=[
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
                tools=TOOLS
            )
            print(follow_up.output[0].content[0].text)
