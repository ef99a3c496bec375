"""What a chat completion says, whole or streamed, as deltas. Pure.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from freddy.server.core import deltas, errors, items
from freddy.server.core.usage import Usage
from freddy.server.providers import _failures

_DONE = b"[DONE]"
_NULL = msgspec.Raw(b"null")
_MOST_TOKENS = 2**53
# A backslash of its own, a whole pair, or (in the group) half of one: servers that cut a text anywhere send those.
_ESCAPE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _TopLogprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None


class _Logprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top_logprobs: list[_TopLogprob] | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Logprob] | None = None


class _Said(msgspec.Struct):
    """A streamed `delta` or a whole `message`. Thinking comes under either name, by vendor."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


class _Chunk(msgspec.Struct):
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = msgspec.Raw()


_decoder = msgspec.json.Decoder(_Chunk)

_FINISH: dict[str, deltas.FinishReason] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "eos": "stop",
}


class Reader:
    """One answer of the vendor called `name`. `Stop` is only said by `close`, once the vendor has said why it ended."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._model: str | None = None
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._error: errors.FreddyError | None = None
        self._calls = 0
        self._places: dict[int, int] = {}
        self._call_ids: dict[int, str] = {}
        self.done = False
        """Whether the vendor said that nothing more comes."""

    @property
    def whole(self) -> bool:
        """Whether the answer is, as far as it was read."""
        return self._finish is not None and self._error is None

    def read(self, payloads: Iterable[bytes]) -> list[deltas.Delta]:
        """What was said up to an error, if there is one: `close` raises it."""
        said: list[deltas.Delta] = []
        for payload in payloads:
            if payload == _DONE:
                self.done = True
                break
            try:
                chunk = _decoded(payload)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                unreadable = f"{self._name} answered what is not a chat completion"
                self._fail(errors.ProviderFailed(unreadable), error)
                break
            if chunk.error and chunk.error != _NULL:
                self._fail(_failures.in_stream(self._name, payload))
                break
            if chunk.model and self._model is None:
                self._model = chunk.model
                said.append(deltas.Answering(chunk.model))
            if chunk.usage is not None:
                self._usage = _counted(chunk.usage)
            for choice in chunk.choices or ():
                if choice.index == 0:
                    self._choice(choice, said)
        return said

    def close(self) -> deltas.Stop:
        """Raises what the vendor reports as its error, and `errors.ProviderFailed` for what is not a chunk.

        The same when the vendor never said that it was done: a cut answer is no answer.
        """
        if self._error is not None:
            raise self._error
        if self._finish is None:
            raise errors.ProviderFailed(f"{self._name} broke off in the middle of its answer")
        reason = _FINISH.get(self._finish, "stop")
        if reason == "stop" and self._calls:
            reason = "tool_calls"
        return deltas.Stop(reason, self._usage)

    def _fail(self, error: errors.FreddyError, cause: Exception | None = None) -> None:
        error.__cause__ = cause
        self._error, self.done = error, True

    def _choice(self, choice: _Choice, said: list[deltas.Delta]) -> None:
        words = choice.delta or choice.message
        if words is not None:
            if words.content:
                logprobs = choice.logprobs
                said.append(deltas.Text(words.content, tuple(_logprobs(logprobs)) if logprobs is not None else ()))
            if thought := words.reasoning_content or words.reasoning:
                said.insert(len(said) - bool(words.content), deltas.Reasoning(thought))
            if words.refusal:
                said.append(deltas.Refusal(words.refusal))
            for place, call in enumerate(words.tool_calls or ()):
                said.append(self._call(call, place))
        if choice.finish_reason:
            self._finish = choice.finish_reason

    def _call(self, call: _ToolCall, place: int) -> deltas.ToolCall:
        function = call.function or _Function()
        if call.index is None:
            # Servers that leave the index out send each call whole.
            index = self._calls if function.name else max(0, self._calls - 1) + place
        else:
            index = self._places.get(call.index, self._calls)
            if function.name and call.id and self._call_ids.get(index, call.id) != call.id:
                # Servers that give every call the index 0 tell them apart by their ids.
                index = self._calls
            self._places[call.index] = index
        if call.id:
            self._call_ids.setdefault(index, call.id)
        self._calls = max(self._calls, index + 1)
        return deltas.ToolCall(index, function.arguments or "", function.name, call.id or None)


def _logprobs(logprobs: _Logprobs) -> Iterator[items.Logprob]:
    for one in logprobs.content or ():
        top = tuple(items.TopLogprob(t.token, t.logprob, t.bytes or ()) for t in one.top_logprobs or ())
        yield items.Logprob(one.token, one.logprob, one.bytes or (), top)


def _counted(usage: _Usage) -> Usage:
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None
    thought = usage.completion_tokens_details.reasoning_tokens if usage.completion_tokens_details else None
    return Usage(
        input_tokens=_count(usage.prompt_tokens),
        output_tokens=_count(usage.completion_tokens),
        cached_tokens=_count(cached),
        reasoning_tokens=_count(thought),
    )


def _count(tokens: int | None) -> int:
    """Within what can be a count: what vendors say is added up."""
    return min(max(tokens or 0, 0), _MOST_TOKENS)


def _decoded(payload: bytes) -> _Chunk:
    """Raises `msgspec.DecodeError` and `UnicodeDecodeError`."""
    try:
        return _decoder.decode(payload)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(_whole, payload)
        if mended == payload:
            raise
        return _decoder.decode(mended)


def _whole(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if escape[1] else escape[0]
