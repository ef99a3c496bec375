"""What the API promises, numbered, and the mark of the tests that hold it to its word."""

from collections.abc import Callable
from typing import Final, TypeVar

Test = TypeVar("Test", bound=Callable[..., object])


def promise(*numbers: int) -> Callable[[Test], Test]:
    """Says which promises a test proves. `test_promises` reads it from the test's source."""
    unknown = set(numbers) - PROMISES.keys()
    if unknown:
        raise ValueError(f"there is no promise {sorted(unknown)}")

    def keep(test: Test) -> Test:
        return test

    return keep


PROMISES: Final[dict[int, str]] = {
    # Endpoints
    1: "`POST /v1/model/response` answers with a model's response as JSON.",
    2: "`stream: true` in its body turns the answer into server-sent events.",
    3: "`POST /v1/model/response/stream` streams without being asked to in the body.",
    4: "`POST /v1/responses` speaks the OpenAI Responses API, whole and streamed.",
    5: "The name by which the server was called makes no difference to a caller with a key.",
    6: "A page that the server's own address serves may call it by a relative path.",
    7: "Without a credential only this machine gets in, and only in local development mode.",
    10: "`GET /v1/models` lists the models that can be asked.",
    11: "A response can be fetched by its id, and cancelled while it runs.",
    12: "The reference is served with the version it describes.",
    # Headers and authentication
    13: "A key is taken from `X-API-Key`.",
    14: "The same key is taken from `Authorization: Bearer`.",
    15: "`/v1/responses` wants its key as a bearer token.",
    16: "The body of a request is JSON; what is none is refused.",
    17: "A bearer token of a signed-in user is told apart from a key by its form, and leads to that user.",
    18: "The Python client takes its key as `FreddyClient(api_key=…)`.",
    19: "Without one it reads `FREDDY_API_KEY`.",
    20: "A missing or unknown key is 401 `invalid_api_key`.",
    21: "An organization that the key does not reach is 403, and `organization_id` is named.",
    # Core parameters
    22: "`organization_id` says for which organization a response is made.",
    23: "It may be left out: the key implies one.",
    24: "With `assistant_id` a request gets the assistant's instructions, settings and rules.",
    25: "With `assistant_id` neither model nor system message is needed.",
    26: "`rules` names rules for one response.",
    27: "Rules are told to the model behind its instructions.",
    28: "Rules are chosen by what a request names and by what they are attached to, and nothing else.",
    29: "A rule id that nothing has is an error that names `rules`.",
    30: "`disable_rules` makes the server look at no rule at all.",
    31: "`disable_rules` is for keys; a user's token is refused.",
    32: "`model` may be left out: `ftg-3.0` answers.",
    33: "Fast, reasoning and vision models are chosen by name.",
    34: "The model names of the documentation lead to a model.",
    35: "The reply names the model that really answered.",
    36: "`inputs` is a list of messages.",
    37: "A text alone, or in the list, is a message of the user.",
    38: "Every message has a role; one that is not known is refused.",
    39: "Role `function` carries what a function gave back.",
    40: "A message of the assistant may carry a `functionCall` instead of text.",
    41: "Role `system` instructs the model.",
    42: "Role `assistant` repeats what the model said before.",
    43: "`content` may be a plain string.",
    44: "`texts` is a list of objects with a `text`.",
    45: "All texts of a message are sent, in their order.",
    46: "`images` name an uploaded file or an address.",
    47: "A message may hold several images.",
    48: "`audio` names an uploaded sound.",
    49: "`files` name uploaded documents, which reach every model: as text where it reads no documents.",
    50: "Texts, images, sounds and files go together in one message, in their order.",
    51: "An input may carry an id, and keeps it.",
    52: "The server itself sees to context and form.",
    53: "Without any message a request is 400 `invalid_input`.",
    54: "An unknown model is 404 `model_not_found`.",
    # Threads and context
    55: "`thread` is a string or an object, or absent.",
    56: "A thread that is not there is made under the id the caller chose.",
    57: "Without a thread one is made, and its id is told.",
    58: "What a thread holds is put before the inputs.",
    59: "Inputs and output are added to it when the response is complete.",
    60: "The id that was told continues the thread in the next request.",
    61: "A thread may also be named as `threadId` or `thread_id`.",
    62: "`previous_response_id` continues from a response, its calls and outputs included.",
    63: "It cannot be used together with a thread.",
    64: "`instructions` hold for one response and take the place of earlier system messages.",
    # Response delivery
    65: "`thread_context_mode` says what of a long thread is told: the newest, both ends, or all.",
    66: "A mode does something only where the history is more than the model can read.",
    67: "`rule_context` decides which rules fit, and fills their places.",
    68: "Its `request_type` is any word, and is told to the model.",
    69: "Its `user_expertise` is one of four words.",
    70: "Its `output_format` is any word.",
    71: "Its `target_audience` is any word.",
    72: "Nothing is streamed unless `stream` is true.",
    73: "`background` answers at once with an id while the work goes on.",
    74: "`include` is a list of names for more detail.",
    82: "The images of a request are told with where their content is.",
    84: "Logprobs are in the answer for those who ask for them.",
    85: "Thoughts come back sealed, for those who keep the conversation themselves.",
    86: "`request.logs` tells who was asked, how each try ended, and what was not done as asked.",
    87: "`usage.detailed` splits usage into neurons and synapses.",
    88: "`rules.debug` tells which rules were considered, applied, compressed and filtered, and why.",
    89: "An unknown name in `include` is 422.",
    # Limits and controls
    90: "`max_output_synapses` bounds what the model generates.",
    91: "A response that reached its limit is `incomplete` and says why.",
    92: "Metadata has at most 16 pairs, keys of 64 and values of 512 characters.",
    93: "Metadata is told with the response, and threads and responses are found by it.",
    97: "A conversation over the context is an error, or loses its oldest exchanges where `truncation` is `auto`.",
    # Reasoning
    98: "A prompt is filled with its variables, in the version named or the newest.",
    99: "Values of variables are strings, numbers, images and files.",
    100: "`reasoning` is asked for in one way, whatever the provider.",
    101: "Its effort is one of off, low, medium, high and maximum.",
    102: "`off` turns reasoning off with OpenAI and Anthropic.",
    103: "`low` is OpenAI's `minimal`, and 2,500 tokens of thinking with Anthropic.",
    104: "`medium` is OpenAI's `medium`, and 10,000 tokens.",
    105: "`high` is OpenAI's `high`, and 25,000 tokens.",
    106: "`maximum` is OpenAI's `high`, and 50,000 tokens.",
    107: "Its summary is one of auto, concise and detailed.",
    108: "A summary is OpenAI's alone, and no error with Claude.",
    109: "The same body works with GPT-5 and Claude.",
    110: "Hidden reasoning is told as `reasoning.started` and `reasoning.completed`, without its text.",
    111: "Open thinking is streamed as `thinking.*` while it comes.",
    # Tools
    113: "Top-level `functions` are function tools.",
    114: "The choice among tools is auto, none, required or one of them.",
    115: "`none` keeps all tools from the model, `required` makes it use one.",
    116: "`/v1/responses` takes `tool_choice` as a string or an object.",
    117: "`parallel_tool_calls` is off unless it is asked for.",
    124: "`response` holds the final text.",
    201: "A tool of type `function` describes a function of the caller.",
    202: "It has a name of letters, digits and underscores.",
    203: "Two functions of one name are refused.",
    204: "It may have a description.",
    205: "Its parameters are a JSON Schema.",
    206: "`strict` is on unless it is turned off.",
    209: "A call is an item `function_call` with the function's name and arguments.",
    210: "The arguments are JSON text of an object.",
    211: "They come in the order of the schema's properties.",
    212: "One response may hold several calls.",
    213: "A call that was answered leads to a message.",
    214: "The same tools may be sent again with the answer.",
    # Output format
    215: "`output_mode` is text, json or json_schema.",
    216: "`json_schema` is required with that mode.",
    217: "A schema has an id.",
    218: "A schema may have a description, which helps the model to choose.",
    219: "A schema is a JSON Schema object.",
    220: "`strict` is on by default: a completed answer fits its schema; without it, best effort.",
    221: "One of several schemas can be asked for.",
    # Sampling
    222: "`temperature` is between 0 and 2.",
    223: "`top_p` is between 0 and 1.",
    224: "`logprobs` is off unless it is asked for.",
    225: "`top_logprobs` is between 0 and 20, and needs `logprobs`.",
    226: "`presence_penalty` is between -2 and 2.",
    227: "`frequency_penalty` is between -2 and 2.",
    228: "`verbosity` reaches the models that take it; elsewhere `warnings` names it.",
    # Response object
    229: "A response has id, object, status, model, output and usage.",
    230: "Its time is in Unix seconds, as `created_at` and `createdAt`.",
    231: "It names its thread.",
    232: "A message has type, id, status, role and content.",
    233: "Role and content of an item are always there.",
    234: "A text is a part `output_text` with its annotations.",
    237: "`response` is the final text as a string.",
    238: "Usage is told in input, output and total tokens.",
    239: "The total is the sum of both.",
    240: "What is returned is a response object.",
    # Streaming
    241: "A frame is a line `event:` and a line `data:` with JSON.",
    242: "The first event is `response.created`, with the id and the status in_progress.",
    243: "`response.output_item.added` announces an item at an index.",
    244: "`response.output_text.delta` holds a piece of the text and its index.",
    245: "The pieces of the text are in `delta`.",
    246: "`response.output_text.done` holds the whole text.",
    247: "`response.completed` is the end.",
    250: "Every `data:` line of the Freddy API is one JSON object.",
    251: "An event is sent whole, and stays small.",
    252: "Words are sent as the model says them.",
    253: "Reasoning is part of the stream.",
    254: "`/v1/responses` streams OpenAI's events up to a terminal one.",
    # Errors
    255: "An error is `{error: {message, type, code}}`, with param and details where they help.",
    256: "401 is an `authentication_error`.",
    257: "400 `invalid_input` names the parameter.",
    258: "403 is a `permission_error` that names the parameter.",
    259: "404 `model_not_found` names the parameter.",
    260: "422 `invalid_value` names the parameter and says what would be right.",
    261: "429 is a `rate_limit_error` that says when to come back.",
    262: "500 `internal_error` tells nothing of the inside.",
    263: "503 `provider_unavailable` says that the provider is away.",
    264: "Errors of `/v1/responses` are OpenAI's: for bad JSON, model, values, keys, and upstreams.",
    # /v1/responses
    265: "`model` is required.",
    266: "`input` is required: a string or a list.",
    267: "`instructions` is a string.",
    268: "`stream` is true or false.",
    269: "`temperature` and `top_p` are numbers.",
    270: "`max_output_tokens` is an integer.",
    271: "`tools` and `tool_choice` are taken.",
    272: "`metadata` is taken.",
    273: "The listed model names are served.",
    274: "A response has id, object, created_at, status, model, output and usage.",
    275: "The official OpenAI client works unmodified.",
    # SDK
    276: "`from freddy import FreddyClient` is the way in.",
    277: "A client is a context manager.",
    278: "`responses.create` takes every documented field by its name.",
    279: "It needs no organization.",
    280: "`response.output[0].content[0].text` is the answer.",
    281: "Items are read by attributes, images and files too.",
    282: "Every error status is an exception of its own.",
    # Units
    283: "What a model writes is measured in synapses, reasoning included.",
    284: "What it reads is measured in neurons.",
    285: "Usage is priced by a table per model; `usage.detailed` tells the cost, null where a price is not known.",
    286: "What a response uses is accounted to its organization, and told to it alone.",
}

LATER: Final[frozenset[int]] = frozenset(
    {
        8,  # pages for keys and organizations
        9,  # files, vector stores, assistants, rules, prompts, connectors and containers as resources
        *(75, 76, 77, 78, 79, 80, 81, 83),  # details of what the server does not do yet
        *(94, 95, 96),  # limits of the server's own tools
        112,  # tools beside functions
        *range(118, 124),  # the server's own tool loop
        *range(125, 201),  # search, code, images, computer, connectors, scripts, MCP
        *(207, 208),  # approval, and functions that the server runs
        *(235, 236),  # items of the server's own tools
        *(248, 249),  # images in a stream
    }
)
"""Numbers that nothing can be promised for yet."""
