# Inputs and outputs
# --- what the example takes as given ---
import os, requests
BASE = os.environ["FREDDY_BASE_URL"]
# --- the example ---
conversation = [
    {'role': 'user', 'texts': [{'text': 'Hello'}]},
    {'role': 'assistant', 'texts': [{'text': 'Hi! How can I help?'}]},
    {'role': 'user', 'texts': [{'text': 'Tell me about Python'}]}
]

response = requests.post(
    BASE + '/v1/model/response',
    json={'model': 'gpt-4.1', 'inputs': conversation}
)
