"""What Anthropic says, whole or streamed, as deltas. Pure.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from collections.abc import Collection, Iterable, Iterator

import msgspec
from msgspec.structs import replace

from freddy.server.core import deltas, errors
from freddy.server.core.usage import Usage
from freddy.server.providers import _failures
from freddy.server.providers.anthropic import marks


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class _StopDetails(msgspec.Struct):
    explanation: str | None = None


class _Piece(msgspec.Struct):
    """A `delta`: of a block, by its type, or of the message."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


class _Message(msgspec.Struct):
    model: str | None = None
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    """An event of a stream, or a whole message, whose type is `message`."""

    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Piece | None = None
    usage: _Usage | None = None
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


_decoder = msgspec.json.Decoder(_Event)

_FINISH: dict[str, deltas.FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    # Only the vendor's own tools pause an answer, and it is not whole then.
    "pause_turn": "length",
    "refusal": "content_filter",
}

_REFUSED = "The provider refused to answer."
"""Said where it does not say why."""


class _Open:
    """A block that is being said."""

    def __init__(self, block: _Block) -> None:
        self.type = block.type
        self.input = bytes(block.input)
        """What of the arguments came with the start, while nothing else does."""
        self.thinking: list[str] = []
        self.signature: list[str] = []
        self.call = -1
        self.answers = False


class Reader:
    """One answer of the vendor called `name`. `Stop` is only said by `close`, once the vendor has said all.

    The arguments of a call to one of `answers` are told as the text of the answer.
    """

    def __init__(self, name: str, answers: Collection[str] = ()) -> None:
        self._name = name
        self._answers = frozenset(answers)
        self._blocks: dict[int, _Open] = {}
        self._held: list[deltas.Delta] = []
        self._answered = False
        self._calls = 0
        self._model: str | None = None
        self._finish: str | None = None
        self._counts: dict[str, int] = {}
        self.counted: Usage | None = None
        """At the beginning that is the input."""
        self._error: errors.FreddyError | None = None
        self.done = False
        """Whether the vendor said that nothing more comes."""

    @property
    def whole(self) -> bool:
        """Whether the answer is, as far as it was read."""
        return self.done and self._finish is not None and self._error is None

    def read(self, payloads: Iterable[bytes]) -> list[deltas.Delta]:
        """What was said up to an error, if there is one: `close` raises it."""
        said: list[deltas.Delta] = []
        for payload in payloads:
            try:
                event = _decoder.decode(payload)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                self._fail(errors.ProviderFailed(f"{self._name} answered what is not a message"), error)
                break
            if event.type == "error":
                self._fail(_failures.in_stream(self._name, payload))
                break
            said += self._event(event)
            if self.done:
                break
        return said

    def close(self) -> deltas.Stop:
        """Raises what the vendor reports as its error, and `errors.ProviderFailed` for what is not an event.

        The same when the vendor never said that it was done: a cut answer is no answer.
        """
        if self._error is not None:
            raise self._error
        if not self.done or self._finish is None:
            raise errors.ProviderFailed(f"{self._name} broke off in the middle of its answer")
        reason = _FINISH.get(self._finish, "stop")
        if reason in ("stop", "tool_calls"):
            reason = "tool_calls" if self._calls else "stop"
        return deltas.Stop(reason, self._usage())

    def _fail(self, error: errors.FreddyError, cause: Exception | None = None) -> None:
        error.__cause__ = cause
        self._error, self.done = error, True

    def _event(self, event: _Event) -> Iterator[deltas.Delta]:
        match event.type:
            case "message_start":
                if event.message is not None:
                    yield from self._begin(event.message.model, event.message.usage)
            case "content_block_start":
                if event.content_block is not None:
                    yield from self._start(event.index, event.content_block)
            case "content_block_delta":
                if event.delta is not None:
                    yield from self._continue(event.index, event.delta)
            case "content_block_stop":
                yield from self._stop(event.index)
            case "message_delta":
                self._count(event.usage)
                if event.delta is not None:
                    yield from self._end(event.delta.stop_reason, event.delta.stop_details)
            case "message_stop":
                yield from self._finished()
            case "message":
                yield from self._begin(event.model, event.usage)
                for index, block in enumerate(event.content or ()):
                    yield from self._start(index, block)
                    yield from self._stop(index)
                yield from self._end(event.stop_reason, event.stop_details)
                yield from self._finished()
            case _:
                pass  # `ping`, and what the vendor may add: https://platform.claude.com/docs/en/api/versioning

    def _begin(self, model: str | None, usage: _Usage | None) -> Iterator[deltas.Delta]:
        self._count(usage)
        if model and self._model is None:
            self._model = model
            yield deltas.Answering(model)

    def _end(self, reason: str | None, details: _StopDetails | None) -> Iterator[deltas.Delta]:
        self._finish = reason or self._finish
        if reason == "refusal":
            yield deltas.Refusal((details and details.explanation) or _REFUSED)

    def _finished(self) -> Iterator[deltas.Delta]:
        for index in tuple(self._blocks):
            yield from self._stop(index)
        if not self._answered:
            yield from self._held
        self.done = True

    def _start(self, index: int, block: _Block) -> Iterator[deltas.Delta]:
        opened = self._blocks[index] = _Open(block)
        match block.type:
            case "text" if block.text:
                yield from self._text(block.text)
            case "thinking":
                yield deltas.Thinking()
                yield from self._think(opened, block.thinking)
                opened.signature.append(block.signature or "")
            case "redacted_thinking" if block.data:
                yield deltas.Thinking(hidden=True)
                yield deltas.Signature(marks.redacted(self._name, block.data))
            case "tool_use" if block.name in self._answers:
                opened.answers = not self._answered
                self._answered = True
            case "tool_use":
                opened.call = self._calls
                self._calls += 1
                yield deltas.ToolCall(opened.call, "", block.name, block.id or None)

    def _continue(self, index: int, piece: _Piece) -> Iterator[deltas.Delta]:
        opened = self._blocks.get(index)
        if opened is None:
            opened = self._blocks[index] = _Open(_Block())
        match piece.type:
            case "text_delta" if piece.text:
                yield from self._text(piece.text)
            case "thinking_delta":
                yield from self._think(opened, piece.thinking)
            case "signature_delta":
                opened.signature.append(piece.signature or "")
            case "input_json_delta" if piece.partial_json:
                opened.input = b""
                yield from self._argue(opened, piece.partial_json)

    def _stop(self, index: int) -> Iterator[deltas.Delta]:
        opened = self._blocks.pop(index, None)
        if opened is None:
            return
        if opened.input not in (b"", b"null") and (opened.answers or opened.input != b"{}"):
            yield from self._argue(opened, opened.input.decode())
        if signature := "".join(opened.signature):
            yield deltas.Signature(marks.signed(self._name, "".join(opened.thinking), signature))

    def _text(self, text: str) -> Iterator[deltas.Delta]:
        if self._answers:
            # It may be talk around the answer, which is JSON and nothing else. `_finished` knows.
            self._held.append(deltas.Text(text))
        else:
            yield deltas.Text(text)

    def _think(self, opened: _Open, thinking: str | None) -> Iterator[deltas.Delta]:
        if thinking:
            opened.thinking.append(thinking)
            yield deltas.Reasoning(thinking)

    def _argue(self, opened: _Open, arguments: str) -> Iterator[deltas.Delta]:
        if opened.answers:
            yield deltas.Text(arguments)
        elif opened.call >= 0:
            yield deltas.ToolCall(opened.call, arguments)

    def _count(self, usage: _Usage | None) -> None:
        """Counts are cumulative: a later one replaces an earlier one."""
        if usage is None:
            return
        counts = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "read": usage.cache_read_input_tokens,
            "written": usage.cache_creation_input_tokens,
            "thought": usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else None,
        }
        self._counts |= {name: count for name, count in counts.items() if count is not None}
        if (counted := self._usage()) is not None:
            self.counted = replace(counted, estimated=True)

    def _usage(self) -> Usage | None:
        if not self._counts:
            return None
        count = self._counts.get
        read, written = count("read", 0), count("written", 0)
        return Usage(
            # The vendor does not count what it caches as input.
            input_tokens=count("input", 0) + read + written,
            output_tokens=count("output", 0),
            cached_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=count("thought", 0),
        )
