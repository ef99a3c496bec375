"""The schemas of /v1/model/response and /v1/threads, whose requests are read key by key."""

from freddy.server.core.request import DEFAULT_MODEL
from freddy.server.dialects import hosted
from freddy.server.dialects.freddy import aliases, errors, mcp_filters, provider_keys, response, threads
from freddy.server.dialects.freddy.request import MAX_TOOL_CALLS
from freddy.server.http.openapi.schemas import (
    METADATA,
    Schema,
    Types,
    either,
    flag,
    many,
    number,
    ref,
    text,
    thing,
    whole,
    word,
)

_LATER = "Kept and handed back; has no effect yet."
_STRINGS: Schema = {"type": "string"}


def components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    names: dict[type, str] = {errors.ErrorBody: "FreddyError", errors.ErrorView: "FreddyErrorDetail"}
    answered = Types(found, "Freddy", words=_WORDS, names=names)
    answered.add(response.ResponseView)
    answered.add(errors.ErrorBody)
    written = Types(found, "Thread", words=_WORDS)
    for kind in (threads.ThreadView, threads.ThreadList, threads.MessageList, threads.Deleted, threads.Pin):
        written.add(kind)
    brought = Types(found, "ProviderKey", words=_WORDS)
    for answer in (provider_keys.ProviderKeyView, provider_keys.ProviderKeyList, provider_keys.ProviderKeyDeleted):
        brought.add(answer)
    return found | _REQUESTS


_FUNCTION = thing(
    "A function of yours. The model answers with a `function_call`; you run it and send its output back. "
    "Also accepted with its fields nested in `function`.",
    {
        "type": {"const": "function"},
        "name": text(
            "1 to 64 letters, digits, `_` or `-`; unique in the request.",
            pattern="^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$",
        ),
        "description": text("What it does and when to call it.", maxLength=1024),
        "parameters": thing("JSON Schema (2020-12) of the arguments.", {}),
        "strict": flag("Whether the arguments must match the schema exactly.", default=True),
        "require_approval": flag(
            "Whether a call needs a yes, where the server runs the function. Handed back with the call.", default=False
        ),
    },
    required=("type", "name"),
)
_NAMES = many("Names, in which `*` stands for anything.", _STRINGS, maxItems=mcp_filters.NAMES)
_TOOLS: dict[str, Schema] = {
    "FreddyInputMcp": thing(
        "Tools of an MCP server: exactly one of `server_url` and `configuration_id`.",
        {
            "type": {"const": "mcp"},
            "server_label": text("What you call it; unique in the request.", pattern="^[a-zA-Z][a-zA-Z0-9_-]{0,63}$"),
            "server_url": text("Where it is."),
            "configuration_id": text("One that was saved: /v1/mcp-configurations."),
            "connector_id": text("There are none yet: answers 400."),
            "server_description": text("What it is for, for the model."),
            "authorization": text("A token for the server. Told to it alone: it is neither kept nor handed back."),
            "headers": thing("Headers for the server, treated as `authorization` is.", {}),
            "allowed_tools": either(
                "The tools that the model may see; all if it is not said.",
                _NAMES,
                thing("Patterns.", {"include": _NAMES, "exclude": _NAMES, "read_only": {"type": "boolean"}}),
            ),
            "require_approval": either(
                "Which calls need a yes. What no pattern fits does. If it is not said, the configuration says it; "
                "otherwise all do.",
                word("All calls, or none.", ("always", "never")),
                thing("Patterns.", {"require": _NAMES, "allow": _NAMES}),
            ),
        },
        required=("type", "server_label"),
    ),
    "FreddyInputFileSearch": thing(
        "A search in vector stores.",
        {
            "type": word("", ("file_search", "fileSearch")),
            "vector_store_ids": many("The stores to search.", _STRINGS, minItems=1),
            "filters": thing(
                "Which files to look at: attributes that each must be equal (or one of several), or `{type, key, "
                "value}`, or `and` and `or` of these.",
                {},
            ),
            "max_num_results": whole("The most passages to find.", 1, hosted.MOST_RESULTS),
            "ranking_options": thing(
                "How passages are ranked.",
                {
                    "ranker": word("`default` leaves it to the server.", hosted.RANKERS),
                    "score_threshold": number("The least score of a passage.", 0, 1, default=0),
                    "hybrid_search": thing(
                        "What meaning and words count.",
                        {"embedding_weight": {"type": "number"}, "text_weight": {"type": "number"}},
                    ),
                },
            ),
        },
        required=("type", "vector_store_ids"),
    ),
}

_PARTS: dict[str, Schema] = {
    "FreddyInputText": thing("A text.", {"text": text("What is said.")}, required=("text",)),
    "FreddyInputImage": thing(
        "An image: exactly one of `url` and `file_id`. Needs a model that reads images.",
        {
            "url": text("An http, https or data URL."),
            "file_id": text("Id of a file. There are no files yet: answers 404."),
            "detail": word("How closely to look.", ("auto", "low", "high", "original"), default="auto"),
        },
    ),
    "FreddyInputAudio": thing(
        "A sound: exactly one of `data` and `file_id`. Needs a model that hears.",
        {
            "data": text("The sound in base64."),
            "format": text("What `data` is, such as `wav` or `mp3`; required with it."),
            "file_id": text("Id of a file. There are no files yet: answers 404."),
        },
    ),
    "FreddyInputFile": thing(
        "A document: exactly one of `data`, `url` and `file_id`. Needs a model that reads files.",
        {
            "data": text("The file as a data URL."),
            "url": text("Its address. Not fetched yet: answers 404."),
            "file_id": text("Id of a file. There are no files yet: answers 404."),
            "filename": text("Its name."),
        },
    ),
}

_INPUT: dict[str, Schema] = {
    "FreddyInput": {
        "anyOf": [
            ref("FreddyInputMessage"),
            ref("FreddyInputCall"),
            ref("FreddyInputOutput"),
            ref("FreddyInputReasoning"),
            ref("FreddyInputApproval"),
            ref("FreddyInputHandedBack"),
            _STRINGS,
        ]
    },
    "FreddyInputMessage": thing(
        "A message. What it says may stand in `content`, in the four arrays, or in both; `content` "
        "comes first. "
        "A message that says nothing is left out.",
        {
            "type": {"const": "message"},
            "id": text("An id of your own; one is given where there is none."),
            "role": word(
                "Who speaks. `function` and `tool` bring the output of a function.",
                ("user", "assistant", "system", "developer", "function", "tool"),
            ),
            "content": either(
                "A text, or a list of parts with a `type`: `text`, `image`, `audio`, `file` (also "
                "`input_text`, "
                "`input_image`, …).",
                _STRINGS,
                {"type": "array", "items": {"type": ["object", "string"]}},
            ),
            "texts": many("Texts, in order.", ref("FreddyInputText")),
            "images": many("Images.", ref("FreddyInputImage")),
            "audio": many("Sounds.", ref("FreddyInputAudio")),
            "files": many("Documents.", ref("FreddyInputFile")),
            "function_call": thing(
                "Role `assistant`: the call the model made, handed back. Also `functionCall`.",
                {"name": _STRINGS, "arguments": {"type": ["string", "object"]}, "id": _STRINGS},
                required=("name",),
            ),
            "tool_calls": many("Role `assistant`: several calls.", {"type": "object"}),
            "name": text("Roles `function` and `tool`: the function that was called."),
            "call_id": text(
                "Which call this answers. Without it, the oldest open call of that name. Also `tool_call_id`."
            ),
        },
        required=("role",),
    ),
    "FreddyInputCall": thing(
        "A function call, as it stood in `output`.",
        {
            "type": {"const": "function_call"},
            "id": _STRINGS,
            "call_id": text("Joins the call to its output."),
            "name": text("The function."),
            "arguments": either("JSON, as text or as an object.", _STRINGS, {"type": "object"}),
        },
        required=("type", "name"),
    ),
    "FreddyInputOutput": thing(
        "What a function gave back.",
        {
            "type": {"const": "function_call_output"},
            "id": _STRINGS,
            "call_id": text("The call that it answers."),
            "name": text("The function, where there is no `call_id`."),
            "output": either("A text, parts, or any JSON value.", _STRINGS, {"type": ["array", "object"]}),
        },
        required=("type",),
    ),
    "FreddyInputApproval": thing(
        "Your answer to an `approval_request`. Together with the thread or the response that asked.",
        {
            "type": word("", ("approval_response", "mcp_approval_response")),
            "approval_request_id": text("The `id` of the request."),
            "approve": {"type": "boolean", "description": "Whether the call is to be made."},
            "reason": text("Why not, for the model."),
        },
        required=("type", "approval_request_id", "approve"),
    ),
    "FreddyInputHandedBack": thing(
        "What a tool of this server did, as it stood in `output`.",
        {"type": word("", ("mcp_call", "mcp_list_tools", "file_search_call", "approval_request"))},
        required=("type",),
    ),
    "FreddyInputReasoning": thing(
        "The `reasoning` of a response, handed back before its `output`. Only `encrypted_content` counts.",
        {
            "type": {"const": "reasoning"},
            "encrypted_content": text("As it was told with `include: [reasoning.encrypted]`."),
        },
        required=("type",),
    ),
}

_SCHEMA = thing(
    "A form for the answer.",
    {
        "id": text("1 to 64 letters, digits, `_` or `-`. Also `name`.", pattern="^[A-Za-z0-9_-]{1,64}$"),
        "description": text("What it is for; helps the model to choose among several."),
        "schema": thing("JSON Schema (2020-12).", {}),
        "strict": flag("Whether the answer must fit.", default=True),
    },
    required=("id", "schema"),
)

_REQUEST = thing(
    "The body of a request. Every key is accepted in snake_case and in camelCase; null reads as absent; "
    "a key that is "
    "not listed answers 400 `unknown_parameter`.",
    {
        "inputs": either(
            "What to answer: a text, or a list of messages, calls and outputs.",
            _STRINGS,
            {"type": "array", "items": ref("FreddyInput")},
        ),
        "model": text("Who answers. GET /v1/models lists the names.", default=DEFAULT_MODEL),
        "instructions": text("Instructions for the model; they take the place of system messages of the history."),
        "organization_id": text("The organization that is charged; the key implies one. Out of the key's reach: 403."),
        "thread": either(
            "The conversation to go on with. It is made when it does not exist, under the id you chose; "
            "without it a new "
            "one is made. Also `thread_id`. Not together with `previous_response_id`.",
            text("The thread's id.", pattern="^[A-Za-z0-9_.:-]{1,128}$"),
            thing("The same, with metadata for a new thread.", {"id": _STRINGS, "metadata": METADATA}),
        ),
        "thread_context_mode": word(
            "What is told of a thread that is longer than the model can read: the newest, both ends, or all.",
            ("recent", "smart", "full"),
            default="recent",
        ),
        "previous_response_id": text(
            "The response to go on from, with all that led to it. Not together with `thread`."
        ),
        "truncation": word(
            "`auto` leaves the oldest exchanges out when the input is too long for the model; `disabled` fails then.",
            ("disabled", "auto"),
            default="disabled",
        ),
        "context_management": many(
            "`compaction` has a longer conversation shortened to a summary before it is answered. At most one entry.",
            {
                "type": "object",
                "properties": {
                    "type": {"const": "compaction"},
                    "compact_threshold": whole("Tokens; three quarters of what the model reads by itself.", 1000),
                },
                "required": ["type"],
            },
        ),
        "stream": flag("Answer with server-sent events.", default=False),
        "background": flag("Answer at once with `queued`; the response is made while nobody listens.", default=False),
        "store": flag("`false` keeps nothing: no response to get, no thread, nothing to go on from.", default=True),
        "include": many(
            "What else to tell. `usage.detailed`, `request.logs`, `rules.debug`, `message.logprobs`, "
            "`message.input_images`, `reasoning.encrypted`, `file_search.results`, `function_calls.logs` and "
            "`function_calls.sources` have an effect today.",
            {"type": "string", "enum": list(aliases.INCLUDE)},
        ),
        "metadata": METADATA,
        "max_output_synapses": whole(
            "The most to write, thinking included; a synapse is one token. When it is reached the "
            "response is "
            "`incomplete`. Also `max_output_tokens`, `max_tokens`.",
            1,
        ),
        "max_tool_calls": whole(
            "The most calls of tools that the server runs, all together.", 0, default=MAX_TOOL_CALLS
        ),
        "reasoning": thing(
            "How much a model that can think thinks first. Others ignore it.",
            {
                "effort": word("`off` (or `none`) to `maximum` (or `max`).", aliases.EFFORTS),
                "summary": word("Form of the summary of what was thought.", ("auto", "concise", "detailed", "off")),
            },
        ),
        "tools": many(
            "Tools the model may use, at most 128. The server runs `mcp`, `file_search` and the functions that it "
            "has; other functions are yours to run. The others (web_search, code_interpreter, image_generation, "
            "computer_use_preview, personal_connector, streamline) are accepted and not run; the response's "
            "`warnings` say so.",
            {
                "anyOf": [
                    ref("FreddyInputFunction"),
                    ref("FreddyInputMcp"),
                    ref("FreddyInputFileSearch"),
                    thing("A tool that is not run yet.", {"type": _STRINGS}, required=("type",)),
                ]
            },
        ),
        "functions": many("More functions; as in `tools`, `type` may be left out.", ref("FreddyInputFunction")),
        "tool_choice": either(
            "`auto`, `none`, `required`, the name of one tool, `{type: function, name}`, `{type: mcp, server_label, "
            "name}`, `{type: file_search}` or `{type: allowed_tools, mode, tools}`. Also `toolChoice`.",
            _STRINGS,
            {"type": "object"},
        ),
        "parallel_tool_calls": flag("Whether one answer may hold several calls.", default=False),
        "personal_connectors_enabled": {
            "type": "boolean",
            "description": "Adds the personal connectors, or takes them away. " + _LATER,
        },
        "output_mode": word(
            "Form of the answer: text, any JSON object, or JSON that fits `json_schema`.",
            ("text", "json", "json_schema", "plain", "json_object"),
            default="text",
        ),
        "json_schema": either(
            "The schema of `output_mode: json_schema`, or several to choose from.",
            ref("FreddyInputSchema"),
            {"type": "array", "items": ref("FreddyInputSchema")},
        ),
        "response_format": either("Another spelling of `output_mode` and `json_schema`.", _STRINGS, {"type": "object"}),
        "temperature": number("More is more varied. Lowered, with a warning, to the model's highest.", 0, 2),
        "top_p": number("Only the likeliest tokens that make up this share.", 0, 1),
        "presence_penalty": number("More speaks of new things.", -2, 2),
        "frequency_penalty": number("More repeats less.", -2, 2),
        "logprobs": flag("Tell how probable each token was.", default=False),
        "top_logprobs": whole("How many other tokens to tell at each place; needs `logprobs`.", 0, 20),
        "verbosity": word("How long the answer should be.", ("low", "medium", "high")),
        "seed": {
            "type": "integer",
            "description": "The same seed and request make the same answer, where the model can.",
        },
        "stop": either(
            "Up to 4 texts at which the answer ends.",
            _STRINGS,
            {"type": "array", "items": _STRINGS, "maxItems": 4},
        ),
        "assistant_id": text("An assistant: what it says holds where the request says nothing."),
        "rules": many("Ids of rules that the model is told, beside those that are attached.", _STRINGS),
        "disable_rules": flag("Apply no rule, whatever is attached. Not for users.", default=False),
        "rule_context": thing(
            "What rules look at: which of them fit, and what they say.",
            {
                "request_type": _STRINGS,
                "user_expertise": word("", ("beginner", "intermediate", "expert", "professional")),
                "output_format": _STRINGS,
                "target_audience": _STRINGS,
            },
        ),
        "prompt": thing(
            "A prompt template. There are none yet: answers 404.",
            {"id": _STRINGS, "variables": {"type": "object"}, "version": _STRINGS},
            required=("id",),
        ),
        "skill_ids": many(_LATER, _STRINGS),
        "system_tools": thing(_LATER, {}),
        "vector_store_ids": many("Stores to search, where `tools` has no `file_search`.", _STRINGS),
        "space_id": text(_LATER),
        "workflow_id": text("Not supported: answers 422."),
        "edit_message_id": text(
            "A message of `thread`: the input takes its place, and that of all that follow it, once it is answered."
        ),
        "previous_message_id": text(
            "A message of `thread`: the input follows it, in the place of what follows it now. "
            "Not together with `edit_message_id` or `previous_response_id`."
        ),
    },
    required=("inputs",),
)

_REQUESTS: dict[str, Schema] = {
    "FreddyRequest": _REQUEST,
    **_INPUT,
    **_PARTS,
    "FreddyInputFunction": _FUNCTION,
    **_TOOLS,
    "FreddyInputSchema": _SCHEMA,
    "ThreadCreate": thing(
        "A new thread. An empty body makes one with an id of the server's choice.",
        {
            "id": text("An id of your own.", pattern="^[A-Za-z0-9_.:-]{1,128}$"),
            "title": text("Its title.", maxLength=200),
            "metadata": METADATA,
            "organization_id": text("Whose it is; the key implies one."),
            "assistant_id": text("The assistant that it is bound to."),
            "visible_in_ui": flag("Whether people should be shown it in lists.", default=True),
            "messages": many("What it begins with, as `inputs` of a request.", ref("FreddyInput")),
            **{name: {"description": "Accepted, without effect."} for name in ("user_id", "space_ids")},
        },
    ),
    "ThreadUpdate": thing(
        "What is to be different. What is left out stays; null takes a title or an assistant away.",
        {
            "title": {"type": ["string", "null"], "maxLength": 200},
            "metadata": METADATA,
            "assistant_id": {"type": ["string", "null"], "description": "Only until the thread has a message."},
            "visible_in_ui": {"type": "boolean", "description": "Whether people should be shown it in lists."},
        },
    ),
    "ProviderKeyPut": thing(
        "A key to bring.",
        {"key": text("As the vendor gave it. It is kept sealed and never shown again.", minLength=1, maxLength=4096)},
        required=("key",),
    ),
}

_CURSORS: dict[str, Schema] = {
    "first_id": {"description": "The `before` of the page before this one."},
    "last_id": {"description": "The `after` of the page that follows."},
    "has_more": {"description": "Whether a page follows."},
}

_WORDS: dict[str, dict[str, Schema]] = {
    "FreddyResponse": {
        "id": {"description": "Begins with `resp_`."},
        "object": {"const": "response"},
        "created_at": {"description": "Unix seconds."},
        "createdAt": {"description": "The same as `created_at`."},
        "completed_at": {"description": "Unix seconds; null until it has ended."},
        "status": word(
            "How far it is.",
            ("queued", "in_progress", "requires_action", "completed", "incomplete", "failed", "cancelled"),
        ),
        "model": {"description": "The model that answers, which may not be the name that was asked for."},
        "output": {"description": "Messages and calls in the order in which they were made."},
        "outputs": {"description": "The same with the last message first, and `texts` in each message."},
        "response": {"description": "The text of the last message."},
        "thread": {"description": "The conversation; null without one."},
        "thread_id": {"description": "The same as `thread`."},
        "usage": {"description": "Null until it has ended."},
        "reasoning": {"description": "What was thought, beside the output; null where nothing was."},
        "incomplete_details": {"description": "Why an `incomplete` response ends early."},
        "error": {"description": "Why a `failed` response failed."},
        "warnings": {"description": "What was not done as asked."},
        "tool_choice": {"description": "As asked."},
        "max_output_synapses": {"description": "As asked. So are the members below, but for the last."},
        "request_logs": {"description": "With `include: [request.logs]`: who was asked, and what was not done."},
        "input_images": {"description": "With `include: [message.input_images]`: the images of the request."},
        "rules_debug": {"description": "With `include: [rules.debug]`: what became of each rule, and why."},
    },
    "FreddyUsage": {
        "input_tokens": {"description": "Tokens read."},
        "output_tokens": {"description": "Tokens written, thinking included."},
        "neurons": {"description": "With `include: [usage.detailed]`: what was read, by part."},
        "synapses": {"description": "With `include: [usage.detailed]`: what was written, by part."},
        "cost": {"description": "With `include: [usage.detailed]`: null where a price is not known."},
        "estimated": {"description": "With `include: [usage.detailed]`: whether nobody counted, and this is a guess."},
    },
    "FreddyIncompleteDetails": {"reason": word("", ("max_output_tokens", "content_filter"))},
    "FreddyFunctionCall": {
        "call_id": {"description": "Send the output with this id."},
        "arguments": {"description": "JSON text, its keys in the order of the function's schema."},
        "function": {"description": "Name and arguments once more, in an older form."},
    },
    "FreddyFunctionOutput": {
        "output": {"description": "What the function gave back, as text."},
        "source": {"description": "With `include: [function_calls.sources]`: what answered, where the server did."},
        "logs": {"description": "With `include: [function_calls.logs]`: how it went, where the server answered."},
    },
    "FreddyMcpCall": {
        "status": word("", ("in_progress", "completed", "incomplete", "failed")),
        "output": {"description": "What the tool gave back, as text; null where it gave nothing back."},
        "result": {"description": "The same as `output`."},
        "tool_name": {"description": "The same as `name`."},
    },
    "FreddyMcpListTools": {"error": {"description": "Why the server could not be asked."}},
    "FreddyFileSearchCall": {
        "status": word("", ("in_progress", "completed", "incomplete", "failed")),
        "query": {"description": "The first of `queries`."},
        "result": {"description": "How much was found, and where, in a sentence."},
        "results": {"description": "With `include: [file_search.results]`: the passages, best first."},
    },
    "FreddyApprovalRequest": {
        "expires_at": {"description": "Unix seconds: until then it can be answered."},
        "server_label": {"description": "The MCP server; null for a function."},
    },
    "ThreadList": _CURSORS,
    "ThreadMessageList": _CURSORS,
    "Thread": {
        "created_at": {"description": "ISO 8601, in UTC. So are the other times."},
        "metadata": METADATA,
        "title": {"description": "Null without one."},
        "assistant_id": {"description": "The assistant that it is bound to; null where it is bound to none."},
        "user_id": {"description": "The user who made it; null for keys."},
        "status": {"description": "`streaming` while a response is being made for it."},
        "message_count": {"description": "Its messages, without calls and their outputs."},
        "visible_in_ui": {"description": "Whether people should be shown it in lists."},
        "last_model_used": {"description": "Null until a response succeeded in it."},
    },
    "ThreadMessage": {
        "created_at": {"description": "ISO 8601, in UTC."},
        "response_id": {"description": "The response that it belongs to; null where it was put there by hand."},
        "content": {"description": "Its texts; several are paragraphs."},
    },
    "ProviderKey": {
        "upstream": {"description": "The name of the upstream in the server's settings."},
        "hint": {"description": "The key's last four characters; null where it is too short to show any."},
        "created_at": {"description": "When the first key was brought: ISO 8601, in UTC."},
        "updated_at": {"description": "When this key was brought."},
    },
    "ProviderKeyList": {"has_more": {"description": "Always false: the list is whole."}},
}
