# Create a model response: File Search
from freddy import FreddyClient
with FreddyClient(api_key="your-api-key") as client:
    response = client.responses.create(
        model="gpt-4o",
        inputs=[
            {
                "role": "user",
                "texts": [
                    {"text": "What does our documentation say about authentication?"}
                ]
            }
        ],
        tools=[
            {
                "type": "fileSearch",
                "vector_store_ids": ["vs_abc123"],
                "max_num_results": 5,
                "ranking_options": { "ranker": "hybrid", "score_threshold": 0.7 }
            }
        ]
    )
    print(response.output[0].content[0].text)
