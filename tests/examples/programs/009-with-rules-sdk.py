# Create a model response: With Rules
from freddy import FreddyClient
with FreddyClient(api_key="your-api-key") as client:
    response = client.responses.create(
        model="gpt-4o",
        rules=["rule_formal_tone", "rule_fact_check"],
        inputs=[
            {
                "role": "user",
                "texts": [
                    {"text": "Write a product description for our new AI assistant"}
                ]
            }
        ]
    )
    print(response.output[0].content[0].text)
