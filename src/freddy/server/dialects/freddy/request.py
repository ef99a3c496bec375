"""Owns how callers spell a request: the body of POST /v1/model/response becomes a `Request`."""

import re
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from freddy.server.core import compaction, errors, ids
from freddy.server.core.request import (
    Compaction,
    ContextMode,
    Given,
    Output,
    PromptRef,
    Reasoning,
    Request,
    Sampling,
    Schema,
    ThreadRef,
)
from freddy.server.dialects.freddy import aliases, inputs, tools
from freddy.server.dialects.freddy.fields import Fields, check_thread_id, raw, read, too_deep

MAX_TOOL_CALLS: Final = 20
DEFAULT_EFFORT: Final = "medium"
"""Of those who ask for reasoning. Who does not speak of it gets what the model does by itself."""

ECHOED: Final = (
    "skill_ids",
    "system_tools",
    "vector_store_ids",
    "space_id",
    "personal_connectors_enabled",
    "prompt",
)
"""Accepted, without effect here, and handed back with the response."""

_UNSUPPORTED: Final = ("workflow_id",)
_SAMPLING: Final = frozenset(Sampling.__struct_fields__)
_MERELY_ACCEPTED: Final = frozenset(ECHOED + _UNSUPPORTED)
_GIVEN: Final[dict[str, Given]] = {
    "thread_context_mode": "context_mode",
    "logprobs": "logprobs",
    "max_tool_calls": "max_tool_calls",
    "output_mode": "output",
    "json_schema": "output",
    "response_format": "output",
    "parallel_tool_calls": "parallel_tool_calls",
    "stop": "stop",
    "store": "store",
    "truncation": "truncation",
}
_HAS_DEFAULT: Final = frozenset(_GIVEN)
STOPS: Final = 4
_SCHEMA_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)

_Mode = Literal["text", "json", "json_schema"]
_MODES: Final[dict[str, _Mode]] = {
    "text": "text",
    "json": "json",
    "json_schema": "json_schema",
    "plain": "text",
    "json_object": "json",
}
CONTEXT_MODES: Final[dict[str, ContextMode]] = {"recent": "recent", "smart": "smart", "full": "full"}
TRUNCATIONS: Final[dict[str, Literal["auto", "disabled"]]] = {"auto": "auto", "disabled": "disabled"}
VERBOSITIES: Final[dict[str, Literal["low", "medium", "high"]]] = {
    "low": "low",
    "medium": "medium",
    "high": "high",
}
_SUMMARIES: Final[dict[str, Literal["auto", "concise", "detailed", "off"]]] = {
    "auto": "auto",
    "concise": "concise",
    "detailed": "detailed",
    "off": "off",
}
_EXPERTISE: Final = dict.fromkeys(("beginner", "intermediate", "expert", "professional"))


def decode_request(body: bytes, new_id: ids.NewId) -> Request:
    try:
        return _request(Fields(read(body), aliases.REQUEST), new_id)
    except RecursionError:
        raise too_deep() from None


def _request(body: Fields, new_id: ids.NewId) -> Request:
    specs = tools.decode(body)
    tool_choice, hosted_choice = tools.choose(body, specs)
    include = decode_include((place, each) for place, each in body.array("include"))
    store = body.flag("store", default=True)
    previous = body.identifier("previous_response_id")
    max_tool_calls = body.integer("max_tool_calls", 0)
    edited, followed = _edit(body, previous=previous)
    return Request(
        model=body.string("model", least=1) or "",
        input=inputs.decode(body, new_id),
        instructions=body.string("instructions"),
        sampling=_sampling(body, include),
        output=decode_output(body),
        reasoning=decode_reasoning(body),
        max_output_tokens=body.integer("max_output_synapses", 1),
        tools=specs,
        tool_choice=tool_choice,
        parallel_tool_calls=body.flag("parallel_tool_calls", default=False),
        max_tool_calls=MAX_TOOL_CALLS if max_tool_calls is None else max_tool_calls,
        thread=_thread(body, previous=previous, store=store),
        previous_response_id=previous,
        context_mode=body.choice("thread_context_mode", CONTEXT_MODES) or "recent",
        truncation=body.choice("truncation", TRUNCATIONS) or "disabled",
        compaction=_compaction(body),
        store=store,
        stream=body.flag("stream", default=False),
        background=body.flag("background", default=False),
        include=include,
        metadata=body.metadata() or {},
        organization_id=body.identifier("organization_id"),
        assistant_id=body.identifier("assistant_id"),
        rules=body.strings("rules"),
        disable_rules=body.flag("disable_rules", default=False),
        rule_context=_rule_context(body),
        prompt=_prompt(body),
        edit_message_id=edited,
        previous_message_id=followed,
        given=_given(body),
        echo=_echo(body, hosted_choice),
    )


def _compaction(body: Fields) -> Compaction | None:
    asked: Compaction | None = None
    for place, each in body.array("context_management"):
        entry = Fields(each, aliases.CONTEXT_MANAGEMENT, place)
        if entry.string("type") != "compaction":
            raise entry.wrong("type", "must be compaction")
        if asked is not None:
            raise errors.InvalidValue(place, "must be the only one of its type")
        asked = Compaction(entry.integer("compact_threshold", compaction.SHORTEST))
    return asked


def _given(body: Fields) -> tuple[Given, ...]:
    if body.lacks(_HAS_DEFAULT):
        return ()
    return tuple(dict.fromkeys(word for name, word in _GIVEN.items() if name in body))


def decode_include(given: Iterable[tuple[str, object]]) -> tuple[str, ...]:
    """The names that were given, each with its place."""
    names: dict[str, None] = {}
    for place, each in given:
        if each not in aliases.INCLUDE or type(each) is not str:
            raise errors.InvalidValue("include", f"must name only {', '.join(aliases.INCLUDE)} ({place} does not)")
        names[each] = None
    return tuple(names)


def _sampling(body: Fields, include: tuple[str, ...]) -> Sampling:
    if not include and body.lacks(_SAMPLING):
        return Sampling()
    asked = body.boolean("logprobs")
    # To include them is to ask for them; `all` is not, since not every model can give them.
    logprobs = "message.logprobs" in include if asked is None else asked
    top_logprobs = body.integer("top_logprobs", 0, 20) or 0
    if top_logprobs and not logprobs:
        raise body.wrong("top_logprobs", "may be given only when logprobs is true")
    return Sampling(
        temperature=body.number("temperature", 0, 2),
        top_p=body.number("top_p", 0, 1),
        presence_penalty=body.number("presence_penalty", -2, 2),
        frequency_penalty=body.number("frequency_penalty", -2, 2),
        logprobs=logprobs,
        top_logprobs=top_logprobs,
        seed=body.integer("seed", -(2**63), 2**63 - 1),
        stop=_stop(body),
        verbosity=body.choice("verbosity", VERBOSITIES),
    )


def _stop(body: Fields) -> tuple[str, ...]:
    value = body.get("stop")
    stops = (value,) if type(value) is str else body.strings("stop")
    if len(stops) > STOPS or not all(stops):
        raise body.wrong("stop", f"must be at most {STOPS} strings, none of them empty")
    return stops


def decode_reasoning(body: Fields) -> Reasoning:
    value = body.get("reasoning")
    if value is None:
        return Reasoning()
    fields = Fields(value, aliases.REASONING, body.place("reasoning"))
    summary = fields.choice("summary", _SUMMARIES)
    effort = fields.choice("effort", aliases.EFFORTS) or DEFAULT_EFFORT
    return Reasoning(effort, None if summary == "off" else summary)


def _thread(body: Fields, *, previous: str | None, store: bool) -> ThreadRef | None:
    value = body.get("thread")
    if value is None:
        return ThreadRef() if store and previous is None else None
    if previous is not None:
        raise body.wrong("previous_response_id", f"cannot be used together with {body.place('thread')}")
    if type(value) is str:
        return ThreadRef(check_thread_id(body.place("thread"), value))
    if type(value) is not dict:
        raise body.wrong("thread", "must be a string or an object")
    fields = Fields(value, aliases.THREAD_REF, body.place("thread"))
    thread_id = fields.string("id")
    if thread_id is not None:
        check_thread_id(fields.place("id"), thread_id)
    return ThreadRef(thread_id, fields.metadata() or {})


def _edit(body: Fields, *, previous: str | None) -> tuple[str | None, str | None]:
    """The message whose place the input takes, and the one that it follows: at most one of them is there."""
    edited, followed = body.identifier("edit_message_id"), body.identifier("previous_message_id")
    if edited is None and followed is None:
        return None, None
    one = "edit_message_id" if edited is not None else "previous_message_id"
    if edited is not None and followed is not None:
        raise body.wrong("previous_message_id", f"cannot be used together with {body.place('edit_message_id')}")
    if previous is not None:
        raise body.wrong("previous_response_id", f"cannot be used together with {body.place(one)}")
    value = body.get("thread")
    if value is None or (type(value) is dict and value.get("id") is None):
        raise body.wrong(one, "needs the thread that the message is in: send thread, too")
    return edited, followed


def decode_output(body: Fields) -> Output:
    mode = body.choice("output_mode", _MODES)
    schemas = _schemas(body)
    if "response_format" in body:
        its_mode, its_schemas = _response_format(body)
        if mode not in (None, its_mode) or (schemas and its_schemas and schemas != its_schemas):
            raise body.wrong("response_format", "and output_mode say different things: send one")
        mode, schemas = its_mode, schemas or its_schemas
    if mode is None:
        mode = "json_schema" if schemas else "text"
    if mode == "json_schema" and not schemas:
        raise body.wrong("json_schema", "is required when output_mode is json_schema")
    if schemas and mode != "json_schema":
        raise body.wrong("json_schema", "needs output_mode to be json_schema")
    return Output(mode, schemas)


def _schemas(body: Fields) -> tuple[Schema, ...]:
    value = body.get("json_schema")
    if value is None:
        return ()
    if type(value) is not list:
        return (_schema(Fields(value, aliases.SCHEMA, body.place("json_schema"))),)
    schemas = tuple(_schema(Fields(each, aliases.SCHEMA, place)) for place, each in body.array("json_schema"))
    if len({schema.name for schema in schemas}) < len(schemas):
        raise body.wrong("json_schema", "must have unique ids")
    return schemas


def _response_format(body: Fields) -> tuple[_Mode, tuple[Schema, ...]]:
    if type(body.get("response_format")) is str:
        return body.choice("response_format", _MODES) or "text", ()
    fields = Fields(body.get("response_format"), aliases.RESPONSE_FORMAT, body.place("response_format"))
    mode = fields.choice("type", _MODES)
    if mode is None:
        raise fields.wrong("type", f"must be one of {', '.join(_MODES)}")
    if "json_schema" in fields:
        return mode, (_schema(Fields(fields.get("json_schema"), aliases.SCHEMA, fields.place("json_schema"))),)
    return mode, (_schema(fields),) if "schema" in fields else ()


def _schema(fields: Fields) -> Schema:
    name, schema = fields.string("id"), fields.mapping("schema")
    if name is None or not _SCHEMA_ID.fullmatch(name):
        raise fields.wrong("id", "must be 1 to 64 letters, digits, _ or -")
    if schema is None:
        raise fields.wrong("schema", "must be a JSON Schema object")
    return Schema(name, raw(schema), fields.string("description"), fields.flag("strict", default=True))


def _rule_context(body: Fields) -> msgspec.Raw | None:
    value = body.mapping("rule_context")
    if value is None:
        return None
    fields = Fields(value, aliases.RULE_CONTEXT, body.place("rule_context"), open_=True)
    for name in ("request_type", "output_format", "target_audience"):
        fields.string(name)
    fields.choice("user_expertise", _EXPERTISE)
    return raw({aliases.RULE_CONTEXT.get(key, key): each for key, each in value.items()})


def _prompt(body: Fields) -> PromptRef | None:
    value = body.get("prompt")
    if value is None:
        return None
    fields = Fields(value, aliases.PROMPT, body.place("prompt"))
    prompt_id = fields.identifier("id")
    if prompt_id is None:
        raise fields.wrong("id", "must name the prompt template")
    variables = fields.mapping("variables")
    return PromptRef(prompt_id, raw(variables) if variables else None, fields.string("version"))


def _echo(body: Fields, hosted_choice: dict[str, object] | None) -> dict[str, msgspec.Raw]:
    echo = {} if hosted_choice is None else {"tool_choice": raw(hosted_choice)}
    if body.lacks(_MERELY_ACCEPTED):
        return echo
    body.strings("skill_ids")
    body.strings("vector_store_ids")
    body.mapping("system_tools")
    body.string("space_id")
    for name in _UNSUPPORTED:
        if body.string(name):
            raise body.wrong(name, "is not supported by this server: leave it out")
    return echo | {name: raw(body.get(name)) for name in ECHOED if name in body}
