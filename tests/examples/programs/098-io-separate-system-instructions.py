# Inputs and outputs
# ✅ Good - clear separation
inputs = [
    {'role': 'system', 'texts': [{'text': 'Be concise'}]},
    {'role': 'user', 'texts': [{'text': 'Explain AI'}]}
]

# ❌ Bad - mixing in user message
inputs = [{
    'role': 'user',
    'texts': [{'text': 'Be concise. Explain AI'}]
}]
