"""Owns reading the body of `POST /v1/responses` as a request."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import compaction, errors, ids, items, request, toolspec
from freddy.server.dialects.openai import input as reading
from freddy.server.dialects.openai import shapes, tools
from freddy.server.dialects.openai.tools import ABSENT

INCLUDABLE = {
    "file_search_call.results": "file_search.results",
    "web_search_call.results": "web_search.sources",
    "web_search_call.action.sources": "web_search.sources",
    "message.input_image.image_url": "message.input_images",
    "computer_call_output.output.image_url": "computer_use.screenshots",
    "code_interpreter_call.outputs": "code_interpreter.outputs",
    "reasoning.encrypted_content": "reasoning.encrypted",
    "message.output_text.logprobs": "message.logprobs",
}


def decode_include(names: Iterable[str], at: str = "include") -> tuple[str, ...]:
    """In the words of `Request.include`."""
    return tuple(shapes.pick(INCLUDABLE, name, f"{at}[{place}]") for place, name in enumerate(names))


_EFFORTS: dict[str, request.Effort] = {
    "none": "off",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_SUMMARIES: dict[str, Literal["auto", "concise", "detailed"]] = {
    "auto": "auto",
    "concise": "concise",
    "detailed": "detailed",
}
_VERBOSITIES: dict[str, Literal["low", "medium", "high"]] = {"low": "low", "medium": "medium", "high": "high"}
_TRUNCATIONS: dict[str, Literal["auto", "disabled"]] = {"auto": "auto", "disabled": "disabled"}
_MODES: dict[str, Literal["text", "json", "json_schema"]] = {
    "text": "text",
    "json_object": "json",
    "json_schema": "json_schema",
}


class _Format(Struct):
    type: str
    name: str | None = None
    schema: Raw = ABSENT
    description: str | None = None
    strict: bool | None = None


class _Text(Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class _StreamOptions(Struct):
    include_obfuscation: bool | None = None


class _Reference(Struct):
    id: str


class _Prompt(Struct):
    id: str
    variables: Raw = ABSENT
    version: str | None = None


class _ContextManagement(Struct):
    type: str
    compact_threshold: int | None = None


class _Body(Struct):
    """Every parameter that has an effect or is handed back. What is not here is let pass in silence."""

    model: str | None = None
    input: str | list[Raw] | None = None
    instructions: str | list[Raw] | None = None
    stream: bool | None = None
    store: bool | None = None
    background: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_logprobs: int | None = None
    seed: int | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = ABSENT
    parallel_tool_calls: bool | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    truncation: str | None = None
    context_management: list[_ContextManagement] | None = None
    previous_response_id: str | None = None
    conversation: str | _Reference | None = None
    prompt: Raw = ABSENT
    stream_options: _StreamOptions | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    access_programs: Raw = ABSENT


_BODY = shapes.Shape(_Body)
_PROMPT = shapes.Shape(_Prompt)
_NO_SAMPLING = request.Sampling()
_NO_REASONING = request.Reasoning()
_NO_OUTPUT = request.Output()
_NO_TOOLS: tuple[tuple[toolspec.ToolSpec, ...], reading.Renamed] = (), {}


def decode(raw: bytes, new_id: ids.NewId, *, model: str | None = None, empty: bool = False) -> request.Request:
    """`model` is taken where the body names none; the input may be `empty`."""
    shapes.check_utf8(raw)
    body = _BODY.read(raw)
    model = body.model or model or ""
    if not model and not shapes.given(body.prompt):
        raise shapes.missing("model")
    _check_together(body)
    specs, renamed = tools.decode(body.tools) if body.tools else _NO_TOOLS
    choice, choice_as_written = tools.decode_choice(body.tool_choice, specs)
    include = decode_include(body.include) if body.include else ()
    said = _input(body, new_id, renamed) if body.input or not empty else ()
    shortened = _compaction(body.context_management) if body.context_management else None
    if any(map(_triggers, said)):
        said, shortened = _before_trigger(said), request.Compaction(at_once=True)
    return request.Request(
        model=model,
        input=said,
        instructions=_instructions(body.instructions, new_id),
        sampling=_sampling(body, include),
        output=_output(body.text.format) if body.text and body.text.format else _NO_OUTPUT,
        reasoning=_reasoning(body.reasoning) if body.reasoning else _NO_REASONING,
        max_output_tokens=_at_least_one(body.max_output_tokens, "max_output_tokens"),
        tools=specs,
        tool_choice=choice,
        parallel_tool_calls=body.parallel_tool_calls is not False,
        max_tool_calls=_at_least_one(body.max_tool_calls, "max_tool_calls"),
        thread=_thread(body.conversation),
        previous_response_id=body.previous_response_id,
        # OpenAI leaves nothing out, unless `truncation` says so.
        context_mode="full",
        truncation=shapes.pick(_TRUNCATIONS, body.truncation, "truncation")
        if body.truncation is not None
        else "disabled",
        compaction=shortened,
        store=body.store is not False,
        stream=body.stream is True,
        background=body.background is True,
        include=include,
        metadata=checked_metadata(body.metadata) if body.metadata else {},
        prompt=_prompt(body.prompt) if shapes.given(body.prompt) else None,
        cache_key=body.prompt_cache_key or None,
        given=_given(body),
        echo=_echo(body, choice_as_written),
    )


def _given(body: _Body) -> tuple[request.Given, ...]:
    said: dict[request.Given, object] = {
        "context_mode": "full",
        "logprobs": body.top_logprobs,
        "max_tool_calls": body.max_tool_calls,
        "output": body.text and body.text.format,
        "parallel_tool_calls": body.parallel_tool_calls,
        "store": body.store,
        "truncation": body.truncation,
    }
    return tuple(name for name, value in said.items() if value is not None)


def _prompt(raw: Raw) -> request.PromptRef:
    told = _PROMPT.read(shapes.an_object(raw, "prompt"), "prompt")
    variables = told.variables if shapes.given(told.variables) else None
    return request.PromptRef(
        told.id, None if variables is None else shapes.an_object(variables, "prompt.variables"), told.version
    )


def _check_together(body: _Body) -> None:
    if body.previous_response_id is not None and body.conversation is not None:
        raise errors.InvalidRequest(
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. "
            "Ensure you are only providing one of them.",
            param="previous_response_id",
            code="mutually_exclusive_parameters",
        )
    if body.previous_response_id == "":
        raise errors.InvalidValue("previous_response_id", "must be the id of a response")
    if body.background and body.store is False:
        raise errors.InvalidRequest(
            "Background responses are kept until they are fetched.",
            param="background",
            code="invalid_value",
            details="background needs store to be true",
        )


def _compaction(asked: list[_ContextManagement]) -> request.Compaction:
    for place, entry in enumerate(asked):
        at = f"context_management[{place}]"
        if entry.type != "compaction":
            raise errors.InvalidValue(f"{at}.type", "must be 'compaction'")
        if place:
            raise errors.InvalidValue(at, "must be the only one of its type")
        threshold = entry.compact_threshold
        if threshold is not None and threshold < compaction.SHORTEST:
            raise errors.InvalidValue(f"{at}.compact_threshold", f"must be at least {compaction.SHORTEST}")
    return request.Compaction(asked[0].compact_threshold)


def _triggers(item: items.Item) -> bool:
    return isinstance(item, items.Other) and item.type == "compaction_trigger"


def _before_trigger(said: tuple[items.Item, ...]) -> tuple[items.Item, ...]:
    """It is a word to this server, and no item that is kept."""
    place = next(place for place, item in enumerate(said) if _triggers(item))
    if place != len(said) - 1:
        raise errors.InvalidValue(f"input[{place}]", "must be the last item of the input, as a compaction_trigger")
    return said[:-1]


def _input(body: _Body, new_id: ids.NewId, renamed: reading.Renamed) -> tuple[items.Item, ...]:
    if isinstance(body.input, str) and body.input:
        return (reading.user_message(body.input, new_id),)
    if isinstance(body.input, list) and body.input:
        return reading.decode(body.input, new_id, renamed=renamed)
    if body.previous_response_id or body.conversation or shapes.given(body.prompt):
        return ()
    if body.input is None:
        raise errors.InvalidInput(
            "Missing required parameter: 'input'.", param="input", code="missing_required_parameter"
        )
    raise errors.InvalidInput("The input is empty.", param="input", details="input must have content")


def _instructions(written: str | list[Raw] | None, new_id: ids.NewId) -> str | None:
    """OpenAI answers a list where a prompt template gave the instructions, and callers send it back."""
    if not isinstance(written, list):
        return written
    messages = reading.decode(written, new_id, at="instructions")
    return "\n\n".join(message.text for message in messages if isinstance(message, items.Message))


def _sampling(body: _Body, include: tuple[str, ...]) -> request.Sampling:
    verbosity = body.text.verbosity if body.text else None
    top_logprobs = _between(body.top_logprobs, 0, 20, "top_logprobs") or 0
    sampling = request.Sampling(
        temperature=_between(body.temperature, 0, 2, "temperature"),
        top_p=_between(body.top_p, 0, 1, "top_p"),
        presence_penalty=_between(body.presence_penalty, -2, 2, "presence_penalty"),
        frequency_penalty=_between(body.frequency_penalty, -2, 2, "frequency_penalty"),
        logprobs=top_logprobs > 0 or "message.logprobs" in include,
        top_logprobs=int(top_logprobs),
        seed=body.seed,
        verbosity=None if verbosity is None else shapes.pick(_VERBOSITIES, verbosity, "text.verbosity"),
    )
    return _NO_SAMPLING if sampling == _NO_SAMPLING else sampling


def _output(form: _Format) -> request.Output:
    at = "text.format"
    mode = shapes.pick(_MODES, form.type, f"{at}.type")
    if mode != "json_schema":
        return request.Output(mode)
    if not form.name:
        raise shapes.missing(f"{at}.name")
    if not shapes.given(form.schema):
        raise shapes.missing(f"{at}.schema")
    schema = shapes.an_object(form.schema, f"{at}.schema")
    return request.Output(mode, (request.Schema(form.name, schema, form.description, strict=form.strict is True),))


def _reasoning(written: _Reasoning) -> request.Reasoning:
    summary, summary_at = written.summary, "reasoning.summary"
    if summary is None:
        summary, summary_at = written.generate_summary, "reasoning.generate_summary"
    return request.Reasoning(
        effort=None if written.effort is None else shapes.pick(_EFFORTS, written.effort, "reasoning.effort"),
        summary=None if summary is None else shapes.pick(_SUMMARIES, summary, summary_at),
    )


def _thread(conversation: str | _Reference | None) -> request.ThreadRef | None:
    if conversation is None:
        return None
    thread_id, at = (
        (conversation, "conversation") if isinstance(conversation, str) else (conversation.id, "conversation.id")
    )
    if not 0 < len(thread_id) <= ids.LONGEST:
        raise errors.InvalidValue(at, "must be the id of a conversation")
    return request.ThreadRef(thread_id, must_exist=True)


def checked_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """The same. Raises `errors.InvalidValue`."""
    if len(metadata) > 16:
        raise errors.InvalidValue("metadata", "must have at most 16 pairs")
    for key, value in metadata.items():
        if len(key) > 64:
            raise errors.InvalidValue("metadata", "must have keys of at most 64 characters")
        if len(value) > 512:
            raise errors.InvalidValue("metadata", "must have values of at most 512 characters")
        if "\0" in key or "\0" in value:  # not every database keeps it
            raise errors.InvalidValue("metadata", "must not have the character U+0000 in it")
    return metadata


def _between(value: float | None, low: int, high: int, at: str) -> float | None:
    if value is not None and not low <= value <= high:
        raise errors.InvalidValue(at, f"must be between {low} and {high}")
    return value


def _at_least_one(value: int | None, at: str) -> int | None:
    if value is not None and value < 1:
        raise errors.InvalidValue(at, "must be at least 1")
    return value


def _echo(body: _Body, tool_choice: Raw | None) -> dict[str, Raw]:
    echo = {}
    if tool_choice is not None:
        echo["tool_choice"] = tool_choice
    if body.stream_options and body.stream_options.include_obfuscation is False:
        echo["stream_options"] = Raw(b'{"include_obfuscation":false}')
    written: Mapping[str, str | None] = {
        "user": body.user,
        "safety_identifier": body.safety_identifier,
        "prompt_cache_key": body.prompt_cache_key,
        "prompt_cache_retention": body.prompt_cache_retention,
    }
    for key, value in written.items():
        if value is not None:
            echo[key] = Raw(msgspec.json.encode(value))
    for key, raw in (("prompt", body.prompt), ("access_programs", body.access_programs)):
        if shapes.given(raw):
            echo[key] = shapes.an_object(raw, key)
    return echo
