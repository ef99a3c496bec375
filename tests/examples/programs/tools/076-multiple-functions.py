# Create a model response: Multiple Functions
# --- what the example takes as given ---
import os
BASE = os.environ["FREDDY_BASE_URL"]
api_key = os.environ.get("FREDDY_API_KEY", "your-api-key")
# --- the example ---
import requests
import json
# Define available functions
def send_email(to, subject, body):
    print(f"Sending email to {to}: {subject}")
    return {"status": "sent", "message_id": "msg_123"}
def get_document(document_name):
    print(f"Retrieving document: {document_name}")
    return {"name": document_name, "content": "Q4 Report Summary..."}
def create_calendar_event(title, date, duration_minutes=60):
    print(f"Creating event: {title} on {date}")
    return {"event_id": "evt_456", "status": "created"}
# Function registry
available_functions = {
    "send_email": send_email,
    "get_document": get_document,
    "create_calendar_event": create_calendar_event
}
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
                    {"text": "Send an email to john@example.com about the Q4 report"}
                ]
            }
        ],
        "tools": [
            {
                "type": "function",
                "name": "send_email",
                "description": "Send an email to a recipient",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "to": {"type": "string"},
                        "subject": {"type": "string"},
                        "body": {"type": "string"}
                    },
                    "required": ["to", "subject", "body"]
                },
                "strict": True,
                "require_approval": True
            },
            {
                "type": "function",
                "name": "get_document",
                "description": "Retrieve a document by name",
                "parameters": {
                    "type": "object",
                    "properties": { "document_name": {"type": "string"} },
                    "required": ["document_name"]
                },
                "strict": True,
                "require_approval": False
            }
        ]
    }
)
result = response.json()
# Handle function calls
for output in result.get('outputs', []):
    if output.get('type') == 'function_call':
        func_name = output['function']['name']
        func_args = json.loads(output['function']['arguments'])
        # Execute the function
        if func_name in available_functions:
            func_result = available_functions[func_name](**func_args)
            print(f"Function {func_name} returned: {func_result}")
