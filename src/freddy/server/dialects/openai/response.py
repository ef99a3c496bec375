"""Owns how a response is written: what changes while it runs, and the echo of its request, which does not."""

from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from freddy.server.core import request
from freddy.server.core.response import Response, Status
from freddy.server.core.usage import Usage
from freddy.server.dialects.openai import errors, items, tools

_STATUSES: dict[Status, str] = {"requires_action": "completed"}
_EFFORTS: dict[request.Effort, str] = {"off": "none", "maximum": "high"}
"""What OpenAI calls an effort, where that is not the core's word; only the Freddy dialect has a `maximum`."""
_COUNTED: Final[tuple[Status, ...]] = ("completed", "incomplete", "requires_action")
_FAILED = errors.ResponseError("server_error", "The response failed.")
_CANCELLED = errors.ResponseError("server_error", "The response was cancelled.")


class _IncompleteDetails(Struct):
    reason: str


class _InputDetails(Struct):
    cached_tokens: int
    cache_write_tokens: int


class _OutputDetails(Struct):
    reasoning_tokens: int


class _Usage(Struct):
    input_tokens: int
    input_tokens_details: _InputDetails
    output_tokens: int
    output_tokens_details: _OutputDetails
    total_tokens: int


UsageView: TypeAlias = _Usage


class _Conversation(Struct):
    id: str


class _Head(Struct):
    """The half that changes while the response runs."""

    id: str
    object: str
    created_at: int
    status: str
    completed_at: int | None
    error: errors.ResponseError | None
    incomplete_details: _IncompleteDetails | None
    model: str
    output: list[items.Item]
    usage: _Usage | None
    conversation: _Conversation | UnsetType = UNSET


class _Format(Struct):
    type: str
    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    schema: Raw | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


class _Text(Struct):
    format: _Format
    verbosity: str | UnsetType = UNSET


class _Reasoning(Struct):
    effort: str | None
    summary: str | None


class _Echo(Struct):
    """The half that repeats the request. OpenAI's schema has no null for `user` and those below it."""

    background: bool
    frequency_penalty: float
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    parallel_tool_calls: bool
    presence_penalty: float
    previous_response_id: str | Raw | None
    prompt_cache_key: Raw | None
    reasoning: _Reasoning
    safety_identifier: Raw | None
    service_tier: str
    store: bool
    temperature: float
    text: _Text
    tool_choice: tools.Choice | Raw
    tools: list[tools.Tool]
    top_logprobs: int
    top_p: float
    truncation: str
    user: Raw | UnsetType
    prompt: Raw | UnsetType
    prompt_cache_retention: Raw | UnsetType
    access_programs: Raw | UnsetType


_encode = msgspec.json.Encoder().encode
_JSON_OBJECT: Final = _Text(_Format("json_object"))
_PLAIN: Final = _Text(_Format("text"))


def encode(response: Response) -> bytes:
    return Encoder(response.request).encode(response)


class Encoder:
    """Writes the responses to one request in all their states: the echo is written once."""

    def __init__(self, made: request.Request) -> None:
        self.show = items.Show(
            encrypted="reasoning.encrypted" in made.include,
            logprobs=made.sampling.logprobs,
            results="file_search.results" in made.include,
        )
        self._echo = b"," + _encode(_spell_echo(made))[1:]

    def encode(self, response: Response) -> bytes:
        """The response as it is retrieved."""
        failed = response.status == "failed"
        error = errors.spell_in_response(response.failure) if failed and response.failure else None
        return self._write(response, error or (_FAILED if failed else None))

    def encode_begun(self, response: Response) -> bytes:
        """The response before anything was said, whatever has become of it since."""
        return self._join(
            _Head(
                id=response.id,
                object="response",
                created_at=response.created_at,
                status="queued" if response.status == "queued" else "in_progress",
                completed_at=None,
                error=None,
                incomplete_details=None,
                model=response.model,
                output=[],
                usage=None,
                conversation=_spell_conversation(response),
            )
        )

    def encode_ended(self, response: Response) -> bytes:
        """The response as the end of a stream tells it: a cancelled one says so where failures are said."""
        return self._write(response, _CANCELLED) if response.status == "cancelled" else self.encode(response)

    def _write(self, response: Response, error: errors.ResponseError | None) -> bytes:
        show = self.show
        return self._join(
            _Head(
                id=response.id,
                object="response",
                created_at=response.created_at,
                status=_STATUSES.get(response.status, response.status),
                completed_at=response.completed_at,
                error=error,
                incomplete_details=_IncompleteDetails(response.incomplete_reason)
                if response.incomplete_reason
                else None,
                model=response.model,
                output=[items.spell(item, show) for item in response.output],
                usage=spell_usage(response),
                conversation=_spell_conversation(response),
            )
        )

    def _join(self, head: _Head) -> bytes:
        return _encode(head)[:-1] + self._echo


def _spell_conversation(response: Response) -> _Conversation | UnsetType:
    return _Conversation(response.thread_id) if response.thread_id else UNSET


def spell_usage(response: Response) -> _Usage | None:
    usage = response.usage
    if usage is None:
        # Clients take the end of a run without numbers for a broken stream.
        if response.status not in _COUNTED:
            return None
        usage = Usage()
    return _Usage(
        usage.input_tokens,
        _InputDetails(usage.cached_tokens, usage.cache_write_tokens),
        usage.output_tokens,
        _OutputDetails(usage.reasoning_tokens),
        usage.total_tokens,
    )


def _spell_echo(made: request.Request) -> _Echo:
    sampling, sent = made.sampling, made.echo
    return _Echo(
        background=made.background,
        frequency_penalty=sampling.frequency_penalty or 0.0,
        instructions=made.instructions,
        max_output_tokens=made.max_output_tokens,
        max_tool_calls=made.max_tool_calls,
        metadata=made.metadata,
        parallel_tool_calls=made.parallel_tool_calls,
        presence_penalty=sampling.presence_penalty or 0.0,
        previous_response_id=sent.get("previous_response_id") or made.previous_response_id,
        prompt_cache_key=sent.get("prompt_cache_key"),
        reasoning=_spell_reasoning(made.reasoning),
        safety_identifier=sent.get("safety_identifier"),
        service_tier="default",
        store=made.store,
        temperature=1.0 if sampling.temperature is None else sampling.temperature,
        text=_spell_text(made),
        tool_choice=sent.get("tool_choice") or tools.spell_choice(made.tool_choice, made.tools),
        tools=tools.spell(made.tools),
        top_logprobs=sampling.top_logprobs,
        top_p=1.0 if sampling.top_p is None else sampling.top_p,
        truncation=made.truncation,
        user=sent.get("user", UNSET),
        prompt=sent.get("prompt", UNSET),
        prompt_cache_retention=sent.get("prompt_cache_retention", UNSET),
        access_programs=sent.get("access_programs", UNSET),
    )


def _spell_reasoning(reasoning: request.Reasoning) -> _Reasoning:
    effort = reasoning.effort
    return _Reasoning(effort and _EFFORTS.get(effort, effort), reasoning.summary)


def _spell_text(made: request.Request) -> _Text:
    verbosity = made.sampling.verbosity
    if made.output.mode == "text" and verbosity is None:
        return _PLAIN
    if made.output.mode == "json" and verbosity is None:
        return _JSON_OBJECT
    return _Text(_spell_format(made.output), verbosity or UNSET)


def _spell_format(output: request.Output) -> _Format:
    if output.mode == "json_schema" and output.schemas:
        schema = output.schemas[0]
        return _Format("json_schema", schema.name, schema.description, schema.schema, schema.strict)
    return _Format("text" if output.mode == "text" else "json_object")
