"""Owns how assistants are written and read: the bodies of /v1/assistants, and an organization's defaults."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import errors, toolspec
from freddy.server.core.assistants import Access, AccessMode, Assistant, Settings
from freddy.server.core.request import DEFAULT_MODEL, ContextMode, Output, Reasoning
from freddy.server.dialects import hosted
from freddy.server.dialects.freddy import aliases, tools
from freddy.server.dialects.freddy.fields import Fields, raw, read, too_deep
from freddy.server.dialects.freddy.request import (
    CONTEXT_MODES,
    STOPS,
    TRUNCATIONS,
    VERBOSITIES,
    decode_output,
    decode_reasoning,
)
from freddy.server.resources.base import Kept

INSTRUCTIONS: Final = 5_000
"""Characters of the instructions, and of each system message. Longer texts are rules."""
DESCRIPTION: Final = 2_000
MANY: Final = 100
"""Entries of any list."""
_MODEL_NAME: Final = 255
ANONYMOUS: Final = "anonymous"
"""Who makes changes without a credential, in local development mode."""
TEMPERATURE: Final = 1.0
"""What lists tell where an assistant says none: that of models which are not told any."""

_Form: TypeAlias = Literal["text", "flag", "count", "texts", "object"]
KEPT: Final[dict[str, _Form]] = {
    "access_departments": "texts",
    "avatar_id": "text",
    "context_window": "count",
    "editable_by_roles": "texts",
    "icon_data": "text",
    "icon_id": "text",
    "icon_type": "text",
    "instructions_thread_id": "text",
    "is_default": "flag",
    "logit_bias": "object",
    "memory_enabled": "flag",
    "moderation_enabled": "flag",
    "preset_prompts": "texts",
    "public_enabled": "flag",
    "safety_level": "text",
    "service_tier": "text",
    "streaming": "flag",
    "text_config": "object",
    "tool_configurations": "object",
    "visible_to_roles": "texts",
}
"""Fields that are handed back as they came, without effect here but for the MCP servers of `tool_configurations`."""

ACCESS: Final[dict[str, AccessMode]] = {
    "private": "private",
    "restricted": "restricted",
    "department": "department",
    "organization": "organization",
    "global": "global",
    "public": "public",
}
_STRATEGIES: Final[dict[str, ContextMode | Literal["auto"]]] = {"auto": "auto", **CONTEXT_MODES}
_OUTPUT: Final = frozenset(("output_mode", "json_schema", "response_format"))
_TOOL_CONFIGURATIONS: Final = dict.fromkeys(("mcp_tools", "mcpTools"), "mcp_tools")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class NewAssistant(Struct, frozen=True):
    name: str
    assistant: Assistant
    organization_id: str | None


class AssistantChange(Struct, frozen=True):
    """`fields` are as the caller sent them, known ones all: those that are not there stay as they are."""

    fields: dict[str, object]
    rules: tuple[str, ...]
    organization_id: str | None
    expected_version: int | None

    def apply(self, name: str, assistant: Assistant) -> tuple[str, Assistant]:
        """The name and the assistant after the change. Raises `errors.InvalidValue`."""
        goes = {aliases.ASSISTANT[key] for key in self.fields}
        if goes & _OUTPUT:
            # An answer has one form. Its schemas stay where the change leaves it at `json_schema`.
            forms = [value for key, value in self.fields.items() if aliases.ASSISTANT[key] in _OUTPUT - {"json_schema"}]
            goes |= _OUTPUT if any(form != "json_schema" for form in forms) else _OUTPUT - {"json_schema"}
        before: dict[str, object] = _decode(_encode(_written(name, assistant)))
        stays = {key: value for key, value in before.items() if aliases.ASSISTANT[key] not in goes}
        fields = Fields(stays | self.fields, aliases.ASSISTANT)
        return _name(fields), _assistant(fields)


class ReasoningView(Struct):
    effort: str | None
    summary: str | None


class SchemaView(Struct):
    id: str
    schema: Raw
    description: str | None
    strict: bool


class SystemMessage(Struct):
    content: str
    role: Literal["system"] = "system"


class SettingsView(Struct, kw_only=True):
    """What an organization's defaults are, and a part of every assistant."""

    default_model_key: str | None = None
    instructions: str | None = None
    system_message: tuple[SystemMessage, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_logprobs: int | None = None
    seed: int | None = None
    stop_sequences: tuple[str, ...] = ()
    verbosity: str | None = None
    max_completion_tokens: int | None = None
    output_mode: str | None = None
    json_schemas: tuple[SchemaView, ...] = ()
    reasoning: ReasoningView | None = None
    max_tool_calls: int | None = None
    parallel_tool_calls: bool | None = None
    context_strategy: str = "auto"
    truncation: bool | None = None
    store_responses: bool | None = None


class AssistantSummary(Struct, kw_only=True):
    id: str
    object: Literal["assistant"] = "assistant"
    name: str
    description: str | None
    icon_id: str | None
    icon_url: None = None
    icon_type: str | None
    icon_data: str | None
    is_default: bool
    created_at: int
    updated_at: int
    version: int
    access_mode: AccessMode
    api_enabled: bool
    is_active: bool
    temperature: float
    user_access_level: Access
    workflow_id: None = None
    workflow_version: None = None
    workflow_based: Literal[False] = False


class AssistantStandard(AssistantSummary, kw_only=True):
    default_model_key: str
    allowed_model_providers: tuple[str, ...]
    context_strategy: str


class AssistantView(SettingsView, kw_only=True):
    id: str
    object: Literal["assistant"] = "assistant"
    organization_id: str
    name: str
    description: str | None = None
    version: int
    created_by: str
    created_at: int
    updated_at: int
    deleted_at: None = None
    is_active: bool
    api_enabled: bool
    access_mode: AccessMode
    access_users: tuple[str, ...]
    editable_by_users: tuple[str, ...]
    visible_in_chat_to_users: tuple[str, ...]
    user_access_level: Access
    rule_ids: tuple[str, ...]
    vector_store_ids: tuple[str, ...]
    allowed_model_providers: tuple[str, ...]
    metadata: dict[str, str]
    response_format: None = None
    access_departments: tuple[str, ...] | None = None
    avatar_id: str | None = None
    context_window: int | None = None
    editable_by_roles: tuple[str, ...] | None = None
    icon_data: str | None = None
    icon_id: str | None = None
    icon_type: str | None = None
    icon_url: None = None
    instructions_thread_id: str | None = None
    is_default: bool | None = None
    logit_bias: dict[str, Raw] | None = None
    memory_enabled: bool | None = None
    moderation_enabled: bool | None = None
    preset_prompts: tuple[str, ...] | None = None
    public_enabled: bool | None = None
    safety_level: str | None = None
    service_tier: str | None = None
    streaming: bool | None = None
    text_config: dict[str, Raw] | None = None
    tool_capabilities: None = None
    tool_configurations: dict[str, Raw] | None = None
    visible_to_roles: tuple[str, ...] | None = None
    workflow_id: None = None
    workflow_version: None = None
    workflow_based: Literal[False] = False


class Pagination(Struct, kw_only=True):
    total: int
    limit: int
    offset: int
    has_more: bool


class AssistantFilters(Struct, kw_only=True):
    search: str | None
    access_mode: str | None
    include_inactive: bool
    sort_by: str
    sort_order: str


class AssistantUser(Struct, kw_only=True):
    user_id: str
    organization_count: int


class AssistantList(Struct, kw_only=True):
    assistants: tuple[AssistantSummary | AssistantStandard | AssistantView, ...]
    total: int
    organization_id: str
    pagination: Pagination
    filters_applied: AssistantFilters
    user_context: AssistantUser


class AssistantChanged(Struct, kw_only=True):
    field: str
    old_value: Raw | None
    new_value: Raw | None


class AssistantHistoryMetadata(Struct):
    version: int


class AssistantHistoryEntry(Struct, kw_only=True):
    id: str
    timestamp: int
    resource_type: Literal["assistant"] = "assistant"
    resource_id: str
    resource_name: str
    action: Literal["created", "updated"]
    user_id: str
    user_name: str = ""
    user_email: str = ""
    changes: tuple[AssistantChanged, ...]
    metadata: AssistantHistoryMetadata


class AssistantHistory(Struct, kw_only=True):
    audit_logs: tuple[AssistantHistoryEntry, ...]
    pagination: Pagination


class AssistantDeleted(Struct):
    id: str
    object: Literal["assistant.deleted"] = "assistant.deleted"
    deleted: bool = True


Detail: TypeAlias = Literal["summary", "standard", "full"]
DETAILS: Final[dict[str, Detail]] = {"summary": "summary", "standard": "standard", "full": "full"}


class Told(Struct, frozen=True):
    """An assistant, and what the one who is told may do with it."""

    kept: Kept[Assistant]
    access: Access


def decode_new(body: bytes) -> NewAssistant:
    fields = _read(body)
    return NewAssistant(_name(fields), _assistant(fields), fields.identifier("organization_id"))


def decode_change(body: bytes) -> AssistantChange:
    fields = _read(body)
    rules = _texts(fields, "rule_ids")
    expected = fields.integer("expected_version", 1)
    sent = {
        key: value
        for key, value in read(body).items()
        if aliases.ASSISTANT[key] not in ("organization_id", "expected_version")
    }
    return AssistantChange(sent, rules, fields.identifier("organization_id"), expected)


def decode_defaults(value: object, place: str) -> Settings:
    """An organization's defaults, from the object that stands at `place`. Raises `errors.InvalidValue`."""
    return _settings(Fields(value, aliases.DEFAULTS, place))


def view_defaults(settings: Settings) -> SettingsView:
    return SettingsView(**_told(settings))


def encode_defaults(settings: Settings) -> bytes:
    return _encode(view_defaults(settings))


def encode_assistant(told: Told) -> bytes:
    return _encode(_view(told))


def encode_list(
    found: Sequence[Told],
    *,
    detail: Detail,
    pagination: Pagination,
    filters: AssistantFilters,
    user: AssistantUser,
    organization_id: str,
) -> bytes:
    return _encode(
        AssistantList(
            assistants=tuple(_detailed(told, detail) for told in found),
            total=pagination.total,
            organization_id=organization_id,
            pagination=pagination,
            filters_applied=filters,
            user_context=user,
        )
    )


def encode_history(entries: Sequence[AssistantHistoryEntry], *, pagination: Pagination) -> bytes:
    return _encode(AssistantHistory(audit_logs=tuple(entries), pagination=pagination))


def encode_deleted(assistant_id: str) -> bytes:
    return _encode(AssistantDeleted(assistant_id))


def entry(kept: Kept[Assistant], before: Kept[Assistant] | None) -> AssistantHistoryEntry:
    """What this version changed of the one before."""
    return AssistantHistoryEntry(
        id=f"{kept.id}:{kept.version}",
        timestamp=kept.updated_at,
        resource_id=kept.id,
        resource_name=kept.name,
        action="created" if before is None else "updated",
        user_id=kept.created_by or ANONYMOUS,
        changes=() if before is None else _changes(before, kept),
        metadata=AssistantHistoryMetadata(kept.version),
    )


def _read(body: bytes) -> Fields:
    try:
        return Fields(read(body), aliases.ASSISTANT)
    except RecursionError:
        raise too_deep() from None


def _name(fields: Fields) -> str:
    name = fields.string("name", least=1)
    if name is None:
        raise fields.wrong("name", "is needed")
    return name


def _assistant(fields: Fields) -> Assistant:
    return Assistant(
        description=fields.string("description", most=DESCRIPTION),
        settings=_settings(fields),
        rules=_texts(fields, "rule_ids"),
        vector_store_ids=_texts(fields, "vector_store_ids"),
        providers=_texts(fields, "allowed_model_providers"),
        active=fields.flag("is_active", default=True),
        api_enabled=fields.flag("api_enabled", default=True),
        access=fields.choice("access_mode", ACCESS) or "organization",
        users=_texts(fields, "access_users"),
        editors=_texts(fields, "editable_by_users"),
        chatters=_texts(fields, "visible_in_chat_to_users"),
        metadata=fields.metadata() or {},
        servers=_servers(fields),
        kept={name: _kept(fields, name) for name in KEPT if name in fields},
    )


def _settings(fields: Fields) -> Settings:
    strategy = fields.choice("thread_context_mode", _STRATEGIES)
    return Settings(
        model=fields.string("default_model_key", least=1, most=_MODEL_NAME),
        instructions=fields.string("instructions", most=INSTRUCTIONS),
        system_message=_system_message(fields),
        temperature=fields.number("temperature", 0, 2),
        top_p=fields.number("top_p", 0, 1),
        presence_penalty=fields.number("presence_penalty", -2, 2),
        frequency_penalty=fields.number("frequency_penalty", -2, 2),
        top_logprobs=fields.integer("top_logprobs", 0, 20),
        seed=fields.integer("seed", -(2**63), 2**63 - 1),
        stop=_stop(fields),
        verbosity=fields.choice("verbosity", VERBOSITIES),
        max_output_tokens=fields.integer("max_output_synapses", 1),
        output=_output(fields),
        reasoning=_reasoning(fields),
        max_tool_calls=fields.integer("max_tool_calls", 0),
        parallel_tool_calls=fields.boolean("parallel_tool_calls"),
        context_mode=None if strategy == "auto" else strategy,
        truncation=_truncation(fields),
        store=fields.boolean("store"),
    )


def _system_message(fields: Fields) -> tuple[str, ...]:
    value = fields.get("system_message")
    if type(value) is str:
        return (fields.string("system_message", most=INSTRUCTIONS) or "",) if value else ()
    texts = []
    for place, each in _many(fields, "system_message"):
        if type(each) is dict:
            message = Fields(each, aliases.SYSTEM_MESSAGE, place)
            message.choice("role", {"system": "system", "developer": "developer"})
            text, place = message.string("content"), message.place("content")
        else:
            text = each if type(each) is str else None
        if not text or len(text) > INSTRUCTIONS:
            raise errors.InvalidValue(place, f"must be a text of 1 to {INSTRUCTIONS} characters")
        texts.append(text)
    return tuple(texts)


def _stop(fields: Fields) -> tuple[str, ...]:
    value = fields.get("stop")
    stops = (value,) if type(value) is str else fields.strings("stop")
    if len(stops) > STOPS or not all(stops):
        raise fields.wrong("stop", f"must be at most {STOPS} strings, none of them empty")
    return stops


def _output(fields: Fields) -> Output | None:
    if not fields.get("json_schema") and fields.get("output_mode") is None and fields.get("response_format") is None:
        return None
    return decode_output(fields)


def _reasoning(fields: Fields) -> Reasoning | None:
    return None if fields.get("reasoning") is None else decode_reasoning(fields)


def _truncation(fields: Fields) -> Literal["auto", "disabled"] | None:
    value = fields.get("truncation")
    if type(value) is bool:
        return "auto" if value else "disabled"
    return fields.choice("truncation", TRUNCATIONS)


def _kept(fields: Fields, name: str) -> Raw:
    match KEPT[name]:
        case "text":
            fields.string(name)
        case "flag":
            fields.boolean(name)
        case "count":
            fields.integer(name, 0)
        case "texts":
            _texts(fields, name)
        case "object":
            fields.mapping(name)
    return raw(fields.get(name))


def _servers(fields: Fields) -> tuple[toolspec.Mcp, ...]:
    """The MCP servers among the tools. What would be told them in confidence cannot be kept here, and is refused."""
    value = fields.mapping("tool_configurations")
    if value is None:
        return ()
    configured = Fields(value, _TOOL_CONFIGURATIONS, fields.place("tool_configurations"), open_=True)
    found: dict[str, toolspec.Mcp] = {}
    for place, each in _many(configured, "mcp_tools"):
        entry = Fields(each, aliases.MCP_TOOL, place)
        if entry.string("type") not in (None, "mcp"):
            raise entry.wrong("type", "must be mcp")
        if secret := next((name for name in hosted.SECRETS if entry.get(name)), None):
            raise entry.wrong(secret, "is not kept here: save the server as a configuration, and name configuration_id")
        server = tools.mcp(entry)
        hosted.check_label(server.server_label, entry.place("server_label"), found)
        found[server.server_label] = server
    return tuple(found.values())


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    _many(fields, name)
    texts = fields.strings(name)
    if not all(texts):
        raise fields.wrong(name, "must have no empty strings")
    return tuple(dict.fromkeys(texts))


def _many(fields: Fields, name: str) -> Sequence[tuple[str, object]]:
    entries = fields.array(name)
    if len(entries) > MANY:
        raise fields.wrong(name, f"must have at most {MANY} entries")
    return entries


def _told(settings: Settings) -> dict[str, Any]:
    """The fields of `SettingsView`."""
    output, reasoning = settings.output, settings.reasoning
    return {
        "default_model_key": settings.model,
        "instructions": settings.instructions,
        "system_message": tuple(SystemMessage(text) for text in settings.system_message),
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "presence_penalty": settings.presence_penalty,
        "frequency_penalty": settings.frequency_penalty,
        "top_logprobs": settings.top_logprobs,
        "seed": settings.seed,
        "stop_sequences": settings.stop,
        "verbosity": settings.verbosity,
        "max_completion_tokens": settings.max_output_tokens,
        "output_mode": None if output is None else output.mode,
        "json_schemas": tuple(
            SchemaView(schema.name, schema.schema, schema.description, schema.strict)
            for schema in (() if output is None else output.schemas)
        ),
        "reasoning": None
        if reasoning is None
        else ReasoningView(
            aliases.EFFORT_NAMES.get(reasoning.effort, reasoning.effort) if reasoning.effort else None,
            reasoning.summary,
        ),
        "max_tool_calls": settings.max_tool_calls,
        "parallel_tool_calls": settings.parallel_tool_calls,
        "context_strategy": settings.context_mode or "auto",
        "truncation": None if settings.truncation is None else settings.truncation == "auto",
        "store_responses": settings.store,
    }


def _written(name: str, assistant: Assistant) -> dict[str, object]:
    """Everything that a caller can say of an assistant, in one spelling."""
    return _told(assistant.settings) | {
        "name": name,
        "description": assistant.description,
        "rule_ids": assistant.rules,
        "vector_store_ids": assistant.vector_store_ids,
        "allowed_model_providers": assistant.providers,
        "is_active": assistant.active,
        "api_enabled": assistant.api_enabled,
        "access_mode": assistant.access,
        "access_users": assistant.users,
        "editable_by_users": assistant.editors,
        "visible_in_chat_to_users": assistant.chatters,
        "metadata": assistant.metadata,
        **assistant.kept,
    }


def _view(told: Told) -> AssistantView:
    thing, assistant = told.kept, told.kept.value
    others: Mapping[str, Any] = assistant.kept
    return AssistantView(
        **_told(assistant.settings),
        id=thing.id,
        organization_id=thing.organization_id,
        name=thing.name,
        description=assistant.description,
        version=thing.version,
        created_by=thing.created_by or ANONYMOUS,
        created_at=thing.created_at,
        updated_at=thing.updated_at,
        is_active=assistant.active,
        api_enabled=assistant.api_enabled,
        access_mode=assistant.access,
        access_users=assistant.users,
        editable_by_users=assistant.editors,
        visible_in_chat_to_users=assistant.chatters,
        user_access_level=told.access,
        rule_ids=assistant.rules,
        vector_store_ids=assistant.vector_store_ids,
        allowed_model_providers=assistant.providers,
        metadata=assistant.metadata,
        **others,
    )


def _detailed(told: Told, detail: Detail) -> AssistantSummary | AssistantView:
    match detail:
        case "full":
            return _view(told)
        case "summary":
            return AssistantSummary(**_summary(told))
        case "standard":
            settings = told.kept.value.settings
            return AssistantStandard(
                **_summary(told),
                default_model_key=settings.model or DEFAULT_MODEL,
                allowed_model_providers=told.kept.value.providers,
                context_strategy=settings.context_mode or "auto",
            )


def _summary(told: Told) -> dict[str, Any]:
    thing, assistant = told.kept, told.kept.value
    others: Mapping[str, Any] = assistant.kept
    return {
        "id": thing.id,
        "name": thing.name,
        "description": assistant.description,
        "icon_id": others.get("icon_id"),
        "icon_type": others.get("icon_type"),
        "icon_data": others.get("icon_data"),
        "is_default": others.get("is_default", False),
        "created_at": thing.created_at,
        "updated_at": thing.updated_at,
        "version": thing.version,
        "access_mode": assistant.access,
        "api_enabled": assistant.api_enabled,
        "is_active": assistant.active,
        "temperature": TEMPERATURE if assistant.settings.temperature is None else assistant.settings.temperature,
        "user_access_level": told.access,
    }


def _changes(before: Kept[Assistant], after: Kept[Assistant]) -> tuple[AssistantChanged, ...]:
    old, new = (
        {key: _encode(value) for key, value in _written(kept.name, kept.value).items()} for kept in (before, after)
    )
    return tuple(
        AssistantChanged(
            field=key,
            old_value=Raw(old[key]) if key in old else None,
            new_value=Raw(new[key]) if key in new else None,
        )
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )
