"""The server-sent events of both dialects: what each says, and when."""

from msgspec import Struct


class Told(Struct, frozen=True):
    """`members` are those beside `type` and `sequence_number`."""

    name: str
    when: str
    members: str = ""


_PLACE = "index, output_index, item_id"
_TOLD = "item_id, output_index"

FREDDY = (
    Told("response.created", "First.", "id, object, created_at, status, model, thread, thread_id"),
    Told("response.output_item.added", "A message or a call begins.", "index, output_index, item"),
    Told("response.output_text.delta", "Some text more.", f"{_PLACE}, content_index, delta"),
    Told(
        "response.output_text.annotation.added",
        "A remark on the text.",
        f"{_PLACE}, content_index, annotation_index, annotation",
    ),
    Told("response.output_text.done", "The text is whole.", f"{_PLACE}, content_index, text"),
    Told("response.refusal.delta", "Some of a refusal more.", f"{_PLACE}, content_index, delta"),
    Told("response.refusal.done", "The refusal is whole.", f"{_PLACE}, content_index, refusal"),
    Told("response.function_call_arguments.delta", "Some of a call's arguments more.", f"{_PLACE}, delta"),
    Told("response.function_call_arguments.done", "The arguments are whole.", f"{_PLACE}, name, arguments"),
    Told("response.mcp_list_tools.in_progress", "An MCP server is asked what it can do.", _PLACE),
    Told("response.mcp_list_tools.completed", "It has told.", _PLACE),
    Told("response.mcp_list_tools.failed", "It could not be asked; the item says why.", _PLACE),
    Told("response.mcp_call.in_progress", "A tool of an MCP server is about to be called.", _PLACE),
    Told("response.mcp_call_arguments.delta", "Its arguments, all at once.", f"{_PLACE}, delta"),
    Told("response.mcp_call_arguments.done", "The arguments are whole.", f"{_PLACE}, name, arguments"),
    Told("response.mcp_call.completed", "The tool has answered.", _PLACE),
    Told("response.mcp_call.failed", "It has not; the item says why.", _PLACE),
    Told("response.file_search_call.in_progress", "A search of files is about to begin.", _PLACE),
    Told("response.file_search_call.searching", "It has begun.", _PLACE),
    Told("response.file_search_call.completed", "It is over.", _PLACE),
    Told("response.output_item.done", "The message or call is whole.", "index, output_index, item"),
    Told("thinking.started", "The model begins to think.", "provider, item_id"),
    Told("thinking.delta", "Some of the thinking more.", "provider, item_id, delta"),
    Told("thinking.completed", "The thinking is over.", "provider, item_id, text"),
    Told("reasoning.started", "As `thinking.started`, where the provider hides the text.", "provider, item_id"),
    Told("reasoning.delta", "Some of the text, where a provider shows it after all.", "provider, item_id, delta"),
    Told("reasoning.completed", "The reasoning is over.", "provider, item_id, summary where there is one"),
    Told("error", "Something went wrong; `response.failed` follows.", "error, message, code"),
    Told(
        "response.completed",
        "Last, when all went well.",
        "id, object, created_at, status, model, thread, thread_id, usage, response",
    ),
    Told("response.incomplete", "Last, when a limit cut the answer short.", "as `response.completed`"),
    Told("response.failed", "Last, after an `error`.", "as `response.completed`, and error"),
    Told("response.cancelled", "Last, when somebody cancelled it.", "as `response.completed`"),
)

OPENAI = (
    Told("response.created", "First.", "response"),
    Told("response.queued", "Second, of one in the background.", "response"),
    Told("response.in_progress", "It is being made.", "response"),
    Told("response.output_item.added", "An item begins.", "output_index, item"),
    Told(
        "response.content_part.added",
        "A part of a message, or of open reasoning, begins.",
        f"{_TOLD}, content_index, part",
    ),
    Told(
        "response.output_text.delta",
        "Some text more.",
        f"{_TOLD}, content_index, delta, logprobs, obfuscation",
    ),
    Told(
        "response.output_text.annotation.added",
        "A remark on the text.",
        f"{_TOLD}, content_index, annotation_index, annotation",
    ),
    Told("response.output_text.done", "The text is whole.", f"{_TOLD}, content_index, text, logprobs"),
    Told("response.refusal.delta", "Some of a refusal more.", f"{_TOLD}, content_index, delta, obfuscation"),
    Told("response.refusal.done", "The refusal is whole.", f"{_TOLD}, content_index, refusal"),
    Told("response.content_part.done", "The part is whole.", f"{_TOLD}, content_index, part"),
    Told(
        "response.reasoning_text.delta",
        "Some of the open reasoning more.",
        f"{_TOLD}, content_index, delta, obfuscation",
    ),
    Told("response.reasoning_text.done", "The open reasoning is whole.", f"{_TOLD}, content_index, text"),
    Told(
        "response.reasoning_summary_part.added",
        "A summary of reasoning begins.",
        f"{_TOLD}, summary_index, part",
    ),
    Told(
        "response.reasoning_summary_text.delta",
        "Some of the summary more.",
        f"{_TOLD}, summary_index, delta, obfuscation",
    ),
    Told(
        "response.reasoning_summary_text.done",
        "The summary's text is whole.",
        f"{_TOLD}, summary_index, text",
    ),
    Told("response.reasoning_summary_part.done", "The summary is whole.", f"{_TOLD}, summary_index, part"),
    Told(
        "response.function_call_arguments.delta",
        "Some of a call's arguments more.",
        f"{_TOLD}, delta, obfuscation",
    ),
    Told("response.function_call_arguments.done", "The arguments are whole.", f"{_TOLD}, arguments"),
    Told(
        "response.custom_tool_call_input.delta",
        "Some of a custom tool's input more.",
        f"{_TOLD}, delta, obfuscation",
    ),
    Told("response.custom_tool_call_input.done", "The input is whole.", f"{_TOLD}, input"),
    Told("response.mcp_list_tools.in_progress", "An MCP server is asked what it can do.", _TOLD),
    Told("response.mcp_list_tools.completed", "It has told.", _TOLD),
    Told("response.mcp_list_tools.failed", "It could not be asked; the item says why.", _TOLD),
    Told("response.mcp_call.in_progress", "A tool of an MCP server is about to be called.", _TOLD),
    Told("response.mcp_call_arguments.delta", "Its arguments, all at once.", f"{_TOLD}, delta, obfuscation"),
    Told("response.mcp_call_arguments.done", "The arguments are whole.", f"{_TOLD}, arguments"),
    Told("response.mcp_call.completed", "The tool has answered.", _TOLD),
    Told("response.mcp_call.failed", "It has not; the item says why.", _TOLD),
    Told("response.compaction.compacting", "A summary of the conversation is being written.", _TOLD),
    Told("response.file_search_call.in_progress", "A search of files is about to begin.", _TOLD),
    Told("response.file_search_call.searching", "It has begun.", _TOLD),
    Told("response.file_search_call.completed", "It is over.", _TOLD),
    Told("response.output_item.done", "The item is whole.", "output_index, item"),
    Told("error", "Something went wrong; `response.failed` follows.", "code, message, param, error"),
    Told("response.completed", "Last, when all went well.", "response"),
    Told("response.incomplete", "Last, when a limit cut the answer short.", "response"),
    Told("response.failed", "Last, after an `error`, or when it was cancelled.", "response"),
)
