# Create a model response: Reasoning (Unified)
# --- what the example takes as given ---
import os
BASE = os.environ["FREDDY_BASE_URL"]
# --- the example ---
import requests
import os
api_key = os.environ.get("FREDDY_API_KEY")
# Works with both GPT-5 and Claude using the same parameter
def query_with_reasoning(model, question, effort_level="medium"):
    response = requests.post(
        BASE + "/v1/model/response",
        headers={
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/json"
        },
        json={
            "organization_id": "org_abc123",
            "model": model,
            "inputs": [
                {
                    "role": "user",
                    "texts": [{"text": question}]
                }
            ],
            "reasoning": {
                "effort": effort_level,
                "summary": "detailed" # OpenAI only, ignored by Claude
            }
        }
    )
    return response.json()
# Use with GPT-5 (maps to OpenAI reasoning)
gpt5_result = query_with_reasoning(
    "gpt-5",
    "What are the economic implications of quantum computing?",
    effort_level="high"
)
# Use with Claude (maps to Anthropic thinking with 25,000 tokens)
claude_result = query_with_reasoning(
    "claude-sonnet-4",
    "What are the economic implications of quantum computing?",
    effort_level="high"
)
