# Create a model response: Disable Rules
from freddy import FreddyClient
with FreddyClient(api_key="your-api-key") as client:
    response = client.responses.create(
        model="gpt-4o",
        disable_rules=True,
        inputs=[
            {
                "role": "user",
                "texts": [
                    {"text": "Write a response without any rule modifications"}
                ]
            }
        ]
    )
    print(response.output[0].content[0].text)
