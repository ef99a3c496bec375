# Create a model response: Minimal
from freddy import FreddyClient
with FreddyClient(api_key="your-api-key") as client:
    response = client.responses.create(
        model="ftg-3.0",
        inputs=[
            {
                "role": "user",
                "texts": [{"text": "Hello!"}]
            }
        ]
    )
    print(response.output[0].content[0].text)
