"""The schemas of /v1/responses and /v1/models."""

from freddy.server.dialects.openai.compaction import Compacted
from freddy.server.dialects.openai.errors import Error
from freddy.server.dialects.openai.errors import _Body as ErrorBody
from freddy.server.dialects.openai.input import (
    _ApprovalAnswer,
    _ApprovalRequest,
    _Call,
    _Compaction,
    _FileSearch,
    _McpCall,
    _McpTools,
    _Message,
    _Output,
    _Reasoning,
)
from freddy.server.dialects.openai.items import _Deleted, _InputTokens, _List
from freddy.server.dialects.openai.request import INCLUDABLE, _Body
from freddy.server.dialects.openai.response import _Echo, _Head
from freddy.server.dialects.openai.response import _Reasoning as ReasoningEcho
from freddy.server.dialects.openai.tools import _FileSearch as FileSearchTool
from freddy.server.dialects.openai.tools import _Mcp as McpTool
from freddy.server.http.openapi.schemas import (
    METADATA,
    Schema,
    Types,
    either,
    many,
    number,
    ref,
    text,
    whole,
    word,
)

_PASSED_ON = "Kept and handed back; has no effect yet."
_NONE_YET = "There are none yet: answers 404."
_TEXT: Schema = {"type": "string"}
_OBJECT: Schema = {"type": "object"}


_HANDED_BACK: dict[type, tuple[str, str]] = {
    _ApprovalAnswer: ("OpenAIInputApprovalAnswer", "mcp_approval_response"),
    _ApprovalRequest: ("OpenAIInputApprovalRequest", "mcp_approval_request"),
    _McpCall: ("OpenAIInputMcpCall", "mcp_call"),
    _McpTools: ("OpenAIInputMcpTools", "mcp_list_tools"),
    _FileSearch: ("OpenAIInputFileSearch", "file_search_call"),
    _Compaction: ("OpenAIInputCompaction", "compaction"),
}
"""The items that this server makes sense of when they are handed back: their components, and their types."""


def components() -> dict[str, Schema]:
    """The Structs are private to the dialect: only the description of its wire looks at them from outside."""
    found: dict[str, Schema] = {}
    names: dict[type, str] = {
        _Body: "OpenAIRequest",
        ErrorBody: "OpenAIError",
        Error: "OpenAIErrorDetail",
        _Head: "OpenAIResponseHead",
        _Echo: "OpenAIResponseEcho",
        _List: "OpenAIItemList",
        _Message: "OpenAIInputMessage",
        _Call: "OpenAIInputCall",
        _Output: "OpenAIInputOutput",
        _Reasoning: "OpenAIInputReasoning",
        ReasoningEcho: "OpenAIReasoningEcho",
        McpTool: "OpenAIMcpServer",
        FileSearchTool: "OpenAIFileSearch",
        **{kind: name for kind, (name, _) in _HANDED_BACK.items()},
    }
    sent = Types(found, "OpenAISent", words=_WORDS, names=names, sent=True)
    items = [sent.add(kind) for kind in (_Message, _Call, _Output, _Reasoning, *_HANDED_BACK)]
    for asked in (McpTool, FileSearchTool, _Body):
        sent.add(asked)
    for name, word_ in (*_HANDED_BACK.values(), ("OpenAIMcpServer", "mcp"), ("OpenAIFileSearch", "file_search")):
        found[name]["properties"] = {"type": {"const": word_}, **found[name]["properties"]}
        found[name]["required"] = ["type", *found[name].get("required", ())]
    found["OpenAIRequest"]["required"] = ["model"]
    written = Types(found, "OpenAI", words=_WORDS, names=names)
    for kind in (_Head, _Echo, _List, _Deleted, _InputTokens, Compacted, ErrorBody):
        written.add(kind)
    found["OpenAIInputItem"] = {
        "description": "An item of the input; a message needs no `type`. Other kinds are kept and "
        "handed back, and "
        "`item_reference` stands for the kept item with that id.",
        "anyOf": [*items, _OBJECT],
    }
    found["OpenAIResponse"] = {
        "description": "The response: what it has become, and what was asked.",
        "allOf": [ref("OpenAIResponseHead"), ref("OpenAIResponseEcho")],
    }
    return found


_WORDS: dict[str, dict[str, Schema]] = {
    "OpenAIRequest": {
        "model": text("Who answers; required. GET /v1/models lists the names."),
        "input": either(
            "What to answer: a text, or a list of items. May be left out with `previous_response_id` or "
            "`conversation`.",
            _TEXT,
            {"type": "array", "items": ref("OpenAIInputItem")},
        ),
        "instructions": either(
            "Instructions for the model. They are not carried on by `previous_response_id`.",
            _TEXT,
            {"type": "array", "items": ref("OpenAIInputItem")},
        ),
        "stream": {"description": "Answer with server-sent events.", "default": False},
        "store": {
            "description": "`false` keeps nothing: nothing to retrieve, nothing to go on from.",
            "default": True,
        },
        "background": {"description": "Answer at once with `queued`. Needs `store`.", "default": False},
        "temperature": number("More is more varied.", 0, 2),
        "top_p": number("Only the likeliest tokens that make up this share.", 0, 1),
        "presence_penalty": number("More speaks of new things.", -2, 2),
        "frequency_penalty": number("More repeats less.", -2, 2),
        "top_logprobs": whole("How many other tokens to tell at each place.", 0, 20),
        "seed": {"description": "The same seed and request make the same answer, where the model can."},
        "max_output_tokens": whole("The most to write, thinking included; then the response is `incomplete`.", 1),
        "max_tool_calls": whole("The most calls of tools that the server runs, all together; 20 if it is not said.", 1),
        "tools": many(
            "Functions (`function`, `custom`, and those inside a `namespace`) are offered to the model "
            "and come back as calls for you to run. `mcp` and `file_search` are run here. "
            "Tools of other types are handed back and not run.",
            {"anyOf": [ref("OpenAIMcpServer"), ref("OpenAIFileSearch"), _OBJECT]},
        ),
        "tool_choice": either(
            "`auto`, `none`, `required`, one function, `mcp` with its `server_label`, `file_search`, or "
            "`allowed_tools`.",
            _TEXT,
            _OBJECT,
        ),
        "parallel_tool_calls": {"description": "Whether one answer may hold several calls.", "default": True},
        "text": {"description": "Form of the answer: `format` is text, json_object or json_schema."},
        "reasoning": {"description": "How much a model that can think thinks first. Others ignore it."},
        "include": many("What else to tell.", {"type": "string", "enum": list(INCLUDABLE)}),
        "metadata": METADATA,
        "truncation": word(
            "An input that is too long fails, or loses its oldest exchanges (`auto`).", ("disabled", "auto")
        ),
        "context_management": many(
            "How a long conversation is kept short. At most one entry.", ref("OpenAISentContextManagement")
        ),
        "previous_response_id": {"description": "The response to go on from. Not together with `conversation`."},
        "conversation": {"description": "The thread to go on with: one of /v1/threads, there already. Another is 404."},
        "prompt": {"type": "object", "description": "A prompt template. " + _NONE_YET},
        "stream_options": {"description": "`include_obfuscation: false` leaves out the padding of deltas."},
        **{name: {"description": _PASSED_ON} for name in ("user", "safety_identifier", "prompt_cache_retention")},
        "prompt_cache_key": {"description": "Requests that have it in common begin alike: one upstream answers them."},
        "access_programs": {"type": "object", "description": _PASSED_ON},
    },
    "OpenAISentContextManagement": {
        "type": word("", ("compaction",)),
        "compact_threshold": whole("Tokens; three quarters of what the model reads by itself.", 1000),
    },
    "OpenAIInputCompaction": {
        "encrypted_content": {"description": "As it was given out."},
    },
    "OpenAICompacted": {
        "id": {"description": "What `previous_response_id` may name to go on from it."},
        "object": {"const": "response.compaction"},
        "created_at": {"description": "Unix seconds."},
        "output": {"description": "The user's messages that are kept, then one compaction: pass them on as they are."},
        "usage": {"description": "What the summary took."},
    },
    "OpenAIMcpServer": {
        "server_label": text("What you call the server; unique in the request.", pattern="^[a-zA-Z][a-zA-Z0-9_-]*$"),
        "server_url": text("Where it is. Exactly one of this and the next two."),
        "configuration_id": text("A configuration that was saved."),
        "connector_id": text("There are none yet: answers 400."),
        "server_description": text("What it is for, for the model."),
        "authorization": text("A token for the server. Told to it alone: it is neither kept nor handed back."),
        "headers": {"description": "Headers for the server, treated as `authorization` is."},
        "allowed_tools": {"description": "The tools that the model may see: names, or a filter. Else all."},
        "require_approval": {
            "description": "Which calls need a yes of yours: `always`, `never`, or which of each. Those of neither do."
        },
    },
    "OpenAIFileSearch": {
        "vector_store_ids": many("The stores to search.", _TEXT, minItems=1),
        "filters": {"description": "Which files to look at: `{type, key, value}`, or `and` and `or` of these."},
        "max_num_results": whole("The most passages to find.", 1, 50),
    },
    "OpenAISentRanking": {
        "ranker": text("`auto`, a name of OpenAI's, or `semantic`, `lexical`, `hybrid`."),
        "score_threshold": number("The least score of a passage.", 0, 1),
    },
    "OpenAIInputApprovalAnswer": {
        "approval_request_id": {"description": "The request that this answers."},
        "approve": {"description": "Whether the call is to be made."},
        "reason": {"description": "Why not, for the model."},
    },
    "OpenAIMcpCall": {
        "output": {"description": "What the tool gave back, as text; null where it gave nothing back."},
        "status": word("", ("in_progress", "completed", "incomplete", "failed")),
    },
    "OpenAIFileSearchCall": {
        "results": {"description": "With `include: [file_search_call.results]`; otherwise null."},
        "status": word("", ("in_progress", "completed", "incomplete", "failed")),
    },
    "OpenAIMcpApprovalRequest": {
        "server_label": {"description": "The server; `functions` for a function that this server runs."},
    },
    "OpenAISentFormat": {
        "type": word("", ("text", "json_object", "json_schema")),
        "schema": {"type": "object", "description": "JSON Schema (2020-12); required with `json_schema`."},
    },
    "OpenAISentText": {"verbosity": word("How long the answer should be. " + _PASSED_ON, ("low", "medium", "high"))},
    "OpenAIInputMessage": {"role": word("Who speaks.", ("user", "assistant", "system", "developer"))},
    "OpenAISentPart": {
        "type": word(
            "What kind of part it is.",
            ("input_text", "output_text", "text", "refusal", "input_image", "input_file", "input_audio"),
        ),
        "annotations": many("Remarks on the text, kept as they are.", _OBJECT),
    },
    "OpenAIResponseHead": {
        "id": {"description": "Begins with `resp_`; the same for the whole life of the response."},
        "object": {"const": "response"},
        "created_at": {"description": "Unix seconds."},
        "completed_at": {"description": "Unix seconds; null until it has ended."},
        "status": word("How far it is.", ("queued", "in_progress", "completed", "incomplete", "failed", "cancelled")),
        "error": {"description": "Why a `failed` response failed."},
        "incomplete_details": {"description": "Why an `incomplete` response ends early."},
        "model": {"description": "The model that answers."},
        "output": {"description": "Messages, calls and reasoning in the order in which they were made."},
        "usage": {"description": "Null until it has ended."},
        "conversation": {"description": "The thread; left out without one."},
    },
    "OpenAIResponseEcho": {
        "metadata": METADATA,
        **{name: {"type": ["string", "null"]} for name in ("prompt_cache_key", "safety_identifier")},
        **{name: {"type": "string"} for name in ("user", "prompt_cache_retention")},
        "prompt": _OBJECT,
        "access_programs": _OBJECT,
        "tool_choice": {"description": "As asked."},
        "tools": {"description": "As asked, without what was told in confidence."},
    },
    "OpenAIItemList": {
        "object": {"const": "list"},
        "first_id": {"description": "The first item of the page."},
        "last_id": {"description": "The `after` of the page that follows."},
        "has_more": {"description": "Whether a page follows."},
    },
    "OpenAIDeleted": {"object": {"const": "response"}, "deleted": {"const": True}},
    "OpenAIInputTokens": {"object": {"const": "response.input_tokens"}},
    "OpenAIErrorDetail": {
        "message": {"description": "What was wrong, and what would be right."},
        "param": {"description": "The parameter that was wrong."},
    },
}
