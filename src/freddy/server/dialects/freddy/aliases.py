"""Owns every spelling that callers may use, and the one each stands for."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from freddy.server.core.request import Effort

Names: TypeAlias = Mapping[str, str]
"""Accepted spelling to canonical name, for the keys of one kind of object."""


def camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _names(*canonical: str, **aliases: tuple[str, ...]) -> Names:
    """Each name in snake_case and camelCase, and so each of its aliases."""
    every = {name: (name,) for name in canonical} | {name: (name, *more) for name, more in aliases.items()}
    return {
        spelling: name for name, spellings in every.items() for alias in spellings for spelling in (alias, camel(alias))
    }


REQUEST: Final = _names(
    "organization_id",
    "assistant_id",
    "rules",
    "disable_rules",
    "rule_context",
    "model",
    "inputs",
    "instructions",
    "prompt",
    "thread_context_mode",
    "previous_response_id",
    "truncation",
    "context_management",
    "stream",
    "background",
    "store",
    "include",
    "metadata",
    "max_tool_calls",
    "reasoning",
    "tools",
    "functions",
    "tool_choice",
    "parallel_tool_calls",
    "personal_connectors_enabled",
    "output_mode",
    "json_schema",
    "response_format",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "verbosity",
    "seed",
    "stop",
    # What the published client sends besides.
    "skill_ids",
    "system_tools",
    "vector_store_ids",
    "workflow_id",
    "space_id",
    "edit_message_id",
    "previous_message_id",
    thread=("thread_id",),
    max_output_synapses=("max_output_tokens", "max_tokens"),
)
INPUT: Final = _names(
    "type",
    "id",
    "role",
    "content",
    "texts",
    "images",
    "audio",
    "files",
    "name",
    "function_call",
    "tool_calls",
    "arguments",
    "output",
    "function",
    # What our own items carry when they are sent back.
    "object",
    "status",
    "require_approval",
    "phase",
    "source",
    "logs",
    call_id=("tool_call_id",),
)
APPROVAL_RESPONSE: Final = _names("type", "id", "object", "approval_request_id", "approve", "reason")
APPROVAL_REQUEST: Final = _names(
    "type", "id", "object", "status", "tool_type", "server_label", "name", "arguments", "call_id", "expires_at"
)
MCP_CALL: Final = _names(
    "type",
    "id",
    "object",
    "status",
    "call_id",
    "server_label",
    "name",
    "tool_name",
    "arguments",
    "output",
    "result",
    "error",
    "approval_request_id",
    "logs",
)
MCP_LIST_TOOLS: Final = _names("type", "id", "object", "status", "server_label", "tools", "error")
MCP_LISTED_TOOL: Final = _names("name", "description", "input_schema", "annotations")
FILE_SEARCH_CALL: Final = _names(
    "type",
    "id",
    "object",
    "status",
    "call_id",
    "tool_name",
    "queries",
    "query",
    "results",
    "result",
    "error",
    "logs",
)
FOUND: Final = _names("file_id", "filename", "score", "text", "attributes", "vector_store_id")
PART: Final = _names(
    "type",
    "text",
    "refusal",
    "file_id",
    "detail",
    "input_audio",
    "format",
    "file",
    "filename",
    "annotations",
    "logprobs",
    url=("image_url", "file_url"),
    data=("file_data",),
)
CALL: Final = _names("type", "name", "arguments", "function", id=("call_id",))
FUNCTION: Final = _names("name", "description", "parameters", "strict", "require_approval")
FUNCTION_TOOL: Final = _names("type", "name", "description", "parameters", "strict", "require_approval", "function")
MCP_TOOL: Final = _names(
    "type",
    "server_label",
    "server_url",
    "connector_id",
    "configuration_id",
    "server_description",
    "authorization",
    "headers",
    "allowed_tools",
    "require_approval",
)
FILE_SEARCH_TOOL: Final = _names("type", "vector_store_ids", "filters", "max_num_results", "ranking_options")
RANKING_OPTIONS: Final = _names("ranker", "score_threshold", "hybrid_search")
HYBRID_SEARCH: Final = _names("embedding_weight", "text_weight")
TOOL_CHOICE: Final = _names("type", "name", "function", "mode", "tools", "server_label")
THREAD_REF: Final = _names("id", "metadata")
REASONING: Final = _names("effort", "summary")
RECALLED: Final = _names("type", "id", "effort", "summary", "content", "encrypted_content")
"""The `reasoning` of a response, handed back among the inputs."""
SCHEMA: Final = _names("description", "schema", "strict", id=("name",))
RESPONSE_FORMAT: Final = _names("type", "description", "schema", "strict", "json_schema", id=("name",))
PROMPT: Final = _names("id", "variables", "version")
RULE_CONTEXT: Final = _names("request_type", "user_expertise", "output_format", "target_audience")
RULE: Final = _names(
    "name",
    "content",
    "organization_id",
    "description",
    "category",
    "rule_type",
    "scope",
    "apply_mode",
    "priority",
    "character_limit",
    "keywords",
    "conditions",
    "is_public",
    "is_active",
    "metadata",
    "attachments",
    "expected_version",
)
RULE_ATTACHMENT: Final = _names("entity_type", "entity_id", "priority", "character_limit", "is_active")
THREAD: Final = _names(
    "id",
    "title",
    "metadata",
    "organization_id",
    "assistant_id",
    "user_id",
    "visible_in_ui",
    "space_ids",
)
TEMPLATE: Final = _names(
    "name",
    "description",
    "content",
    "variables",
    "tags",
    "is_public",
    "metadata",
    "model",
    "organization_id",
    "expected_version",
    # What our own answers carry when they are sent back.
    "id",
    "object",
    "version",
    "required_variables",
    "created_at",
    "updated_at",
    "created_by",
)
TEMPLATE_VARIABLE: Final = _names("type", "description", "required", "default", "enum")
MCP_CONFIGURATION: Final = _names(
    "name",
    "description",
    "server_url",
    "program",
    "auth_type",
    "credentials",
    "headers",
    "metadata",
    "organization_id",
    "expected_version",
    # What our own answers carry when they are sent back.
    "id",
    "object",
    "type",
    "user_id",
    "version",
    "connection_status",
    "last_connected_at",
    "error_message",
    "created_at",
    "updated_at",
    "created_by",
    transport_type=("transport",),
    tool_configuration=("tools",),
    enabled=("is_active",),
)
REGISTERED_FUNCTION: Final = _names(
    "name",
    "description",
    "parameters",
    "url",
    "headers",
    "timeout_seconds",
    "require_approval",
    "idempotent",
    "enabled",
    "metadata",
    "organization_id",
    "expected_version",
    # What our own answers carry when they are sent back.
    "id",
    "object",
    "secret",
    "previous_secret_until",
    "version",
    "created_at",
    "updated_at",
    "created_by",
)
WEBHOOK: Final = _names(
    "name",
    "url",
    "enabled",
    "organization_id",
    "expected_version",
    # What our own answers carry when they are sent back.
    "id",
    "object",
    "disabled_because",
    "signing_secret",
    "signing_secret_hint",
    "previous_secret_until",
    "version",
    "created_at",
    "updated_at",
    "created_by",
    event_types=("events",),
)
WEBHOOK_TEST: Final = _names("event_type", "organization_id")
WEBHOOK_ROTATION: Final = _names("overlap_seconds", "keep_old_secret_active_for_24_hours", "organization_id")
CONTEXT_MANAGEMENT: Final = _names("type", "compact_threshold")
FUNCTION_TEST: Final = _names("arguments", "organization_id")
FUNCTION_ROTATION: Final = _names("overlap_seconds", "organization_id")
MCP_CREDENTIALS: Final = _names("api_key", "header_name", "headers", token=("access_token", "bearer_token"))
MCP_TOOLS: Final = _names("enabled", "allowed_tools", "require_approval")
MCP_ALLOWED: Final = _names("include", "exclude", "tool_names", "read_only")
MCP_APPROVAL: Final = _names("require", "allow", "always", "never")
NEW_THREAD: Final = {**THREAD, "messages": "messages"}
THREAD_MESSAGE: Final = _names("content", "metadata")
THREAD_NAME: Final = _names("messages")
NAMED_MESSAGE: Final = _names("role", "content")
SETTINGS: Final = (
    "instructions",
    "system_message",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "seed",
    "verbosity",
    "max_tool_calls",
    "parallel_tool_calls",
    "output_mode",
    "response_format",
    "reasoning",
    "truncation",
)
"""Of assistants, and of organizations as their defaults; those of `MORE_SETTINGS` besides."""
MORE_SETTINGS: Final = {
    "default_model_key": ("model",),
    "stop": ("stop_sequences",),
    "max_output_synapses": ("max_completion_tokens", "max_output_tokens", "max_tokens"),
    "json_schema": ("json_schemas",),
    "thread_context_mode": ("context_strategy",),
    "store": ("store_responses",),
}
DEFAULTS: Final = _names(*SETTINGS, **MORE_SETTINGS)
"""The settings of an organization."""
ASSISTANT: Final = _names(
    *SETTINGS,
    "name",
    "organization_id",
    "description",
    "rule_ids",
    "vector_store_ids",
    "allowed_model_providers",
    "is_active",
    "api_enabled",
    "access_mode",
    "access_users",
    "editable_by_users",
    "expected_version",
    # Kept and handed back.
    "access_departments",
    "avatar_id",
    "context_window",
    "editable_by_roles",
    "icon_data",
    "icon_id",
    "icon_type",
    "instructions_thread_id",
    "is_default",
    "logit_bias",
    "memory_enabled",
    "moderation_enabled",
    "preset_prompts",
    "public_enabled",
    "safety_level",
    "service_tier",
    "streaming",
    "text_config",
    "tool_configurations",
    "visible_in_chat_to_users",
    "visible_to_roles",
    metadata=("assistant_metadata",),
    **MORE_SETTINGS,
)
SYSTEM_MESSAGE: Final = _names("role", "type", content=("text",))

TABLES: Final[Mapping[str, Names]] = {
    "request": REQUEST,
    "input": INPUT,
    "part": PART,
    "call": CALL,
    "function": FUNCTION,
    "function_tool": FUNCTION_TOOL,
    "mcp_tool": MCP_TOOL,
    "file_search_tool": FILE_SEARCH_TOOL,
    "ranking_options": RANKING_OPTIONS,
    "tool_choice": TOOL_CHOICE,
    "thread_ref": THREAD_REF,
    "reasoning": REASONING,
    "recalled": RECALLED,
    "schema": SCHEMA,
    "response_format": RESPONSE_FORMAT,
    "prompt": PROMPT,
    "rule_context": RULE_CONTEXT,
    "thread": THREAD,
}

TOOL_TYPES: Final[Mapping[str, str]] = {
    spelling: name
    for name, more in {
        "function": (),
        "file_search": (),
        "web_search": ("web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"),
        "code_interpreter": (),
        "image_generation": (),
        "computer_use_preview": ("computer_use",),
        "personal_connector": ("personal_connectors",),
        "streamline": (),
        "mcp": (),
    }.items()
    for alias in (name, *more)
    for spelling in (alias, camel(alias))
}
PART_TYPES: Final[Mapping[str, str]] = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
    "image": "image",
    "input_image": "image",
    "image_url": "image",
    "audio": "audio",
    "input_audio": "audio",
    "file": "file",
    "input_file": "file",
}
EFFORTS: Final[Mapping[str, Effort]] = {
    "off": "off",
    "none": "off",
    "low": "minimal",
    "minimal": "minimal",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "maximum": "maximum",
    "max": "maximum",
}
"""The core has OpenAI's words, and `low` is here what OpenAI calls `minimal`."""
EFFORT_NAMES: Final[Mapping[Effort, str]] = {"minimal": "low", "max": "maximum"}
"""What an effort is called here, where that is not the core's word."""
INCLUDE: Final[tuple[str, ...]] = (
    "all",
    "web_search.sources",
    "code_interpreter.outputs",
    "computer_use.screenshots",
    "file_search.results",
    "function_calls.logs",
    "function_calls.sources",
    "message.input_images",
    "message.output_images",
    "message.logprobs",
    "reasoning.encrypted",
    "request.logs",
    "usage.detailed",
    "rules.debug",
    "tools.available",
    "tools.used",
    "rules",
)
