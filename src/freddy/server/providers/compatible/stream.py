"""What a chat completion says, whole or streamed, as deltas. Pure."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from freddy.server.core import deltas, errors, items
from freddy.server.core.usage import Usage
from freddy.server.providers import _failures
from freddy.server.providers.compatible import chunks, thinking
from freddy.server.providers.compatible.row import Facts

_DONE = b"[DONE]"

_FINISH: dict[str, deltas.FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
}
_FAILED = frozenset(("error", "abort", "network_error", "insufficient_system_resource", "function_call_filter"))


class _Trouble(msgspec.Struct):
    message: str = ""
    code: str | int | None = None


class _Troubled(msgspec.Struct):
    error: _Trouble


class Reader:
    """One answer of the vendor called `name`. `Stop` is only said by `close`, once the vendor has said why it ended.

    `names`: what functions are called here, by what the vendor calls them, where that is not the same.
    """

    def __init__(self, name: str, facts: Facts | None = None, *, names: Mapping[str, str] | None = None) -> None:
        self._name = name
        self._facts = facts or Facts()
        self._names = names or {}
        self._model: str | None = None
        self._finish: str | None = None
        self._usage: Usage | None = None
        self.counted: Usage | None = None
        """Some vendors count with every chunk."""
        self._error: errors.FreddyError | None = None
        self._calls = 0
        self._places: dict[int, int] = {}
        self._call_ids: dict[int, str] = {}
        self._splitter: thinking.Splitter | None = None
        if self._facts.thought != "apart":
            self._splitter = thinking.Splitter(opened=self._facts.thought == "open")
        self._logprobs: tuple[items.Logprob, ...] = ()
        given_back = self._facts.given_back
        self._sealed = given_back is not None and given_back.form == "details"
        self._details = _Details()
        self._sources: dict[str, chunks.Source] = {}
        self._wrote = False
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
                chunk = chunks.decoded(payload)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                unreadable = f"{self._name} answered what is not a chat completion"
                self._fail(errors.ProviderFailed(unreadable), error)
                break
            if chunk.failed:
                self._fail(self._failure(chunk, payload))
                break
            self._chunk(chunk, said)
            if self.done:
                break
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

    def _failure(self, chunk: chunks.Chunk, payload: bytes) -> errors.FreddyError:
        """The error as if it were the whole answer: many vendors tell the status that it would have had."""
        told = payload
        if not chunks.is_told(chunk.error):
            inner = next((one.error for one in chunk.choices or () if chunks.is_told(one.error)), None)
            told = b'{"error":%b}' % (payload if inner is None else bytes(inner))
        try:
            code = msgspec.json.decode(told, type=_Troubled).error.code
            status = int(code) if code is not None else 0
        except (msgspec.DecodeError, ValueError):
            status = 0
        if 400 <= status < 600:
            return _failures.failure(self._name, status, {}, told)
        return _failures.in_stream(self._name, told)

    def _chunk(self, chunk: chunks.Chunk, said: list[deltas.Delta]) -> None:
        if chunk.model and self._model is None:
            self._model = chunk.model
            said.append(deltas.Answering(chunk.model))
        if (counted := chunk.counted) is not None:
            self._usage = counted.usage(thinking_apart=self._facts.thinking_counted_apart)
            self.counted = replace(self._usage, estimated=True)
        if chunk.citations or chunk.search_results:
            self._sources |= {source.url: source for source in chunk.sources}
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._choice(choice, said)

    def _choice(self, choice: chunks.Choice, said: list[deltas.Delta]) -> None:
        words = choice.delta or choice.message
        if words is not None:
            self._words(words, tuple(choice.logprobs.told()) if choice.logprobs is not None else (), said)
        if not choice.finish_reason:
            return
        # Gemini's goes on after a colon.
        finish = choice.finish_reason.lower().partition(":")[0]
        if finish in _FAILED:
            self._fail(errors.ProviderFailed(f"{self._name} failed while it answered"))
            return
        if self._finish is None:
            self._end(said)
        self._finish = finish

    def _words(self, words: chunks.Said, logprobs: tuple[items.Logprob, ...], said: list[deltas.Delta]) -> None:
        thought = words.reasoning_content or words.reasoning
        if words.reasoning_details:
            details = words.details
            for detail in details:
                self._details.add(detail)
            thought = thought or _open_thought(details)
        if thought:
            self._think(thought, said)
        content = words.content
        if isinstance(content, str):
            self._write(content, logprobs, said)
        elif content:
            self._pieces(content, logprobs, said)
        if words.refusal:
            said.append(deltas.Refusal(words.refusal))
        if words.annotations:
            for note in words.notes:
                self._annotate(note, said)
        for place, call in enumerate(words.tool_calls or ()):
            self._flush(said)
            self._seal(said)
            if call.signature:
                said.append(deltas.Signature(call.signature))
            said.append(self._call(call, place))

    def _pieces(
        self, pieces: Iterable[chunks.Piece], logprobs: tuple[items.Logprob, ...], said: list[deltas.Delta]
    ) -> None:
        for piece in pieces:
            if thought := piece.thought:
                self._think(thought, said)
            self._write(piece.text or "", logprobs, said)
            logprobs = ()

    def _think(self, text: str, said: list[deltas.Delta]) -> None:
        """Who tells thinking apart leaves none in the content."""
        self._flush(said)
        said.append(deltas.Reasoning(text))

    def _write(self, text: str, logprobs: tuple[items.Logprob, ...], said: list[deltas.Delta]) -> None:
        if not text:
            return
        if self._splitter is None:
            self._say(text, logprobs, said)
            return
        self._logprobs += logprobs
        self._split(self._splitter.feed(text), said)
        if self._splitter.passing:
            self._splitter = None

    def _split(self, pieces: Iterable[thinking.Piece], said: list[deltas.Delta]) -> None:
        for kind, text in pieces:
            if kind == "thought":
                # Those of thinking are nobody's, and where it turns into text in one piece nobody can tell them apart.
                self._logprobs = ()
                said.append(deltas.Reasoning(text))
            else:
                self._say(text, self._logprobs, said)
                self._logprobs = ()

    def _say(self, text: str, logprobs: tuple[items.Logprob, ...], said: list[deltas.Delta]) -> None:
        if self._sealed:
            self._seal(said)
        self._wrote = True
        said.append(deltas.Text(text, logprobs))

    def _flush(self, said: list[deltas.Delta]) -> None:
        """What was held back is said: the text goes no further."""
        if self._splitter is not None:
            self._split(self._splitter.close(), said)
            self._splitter = None

    def _seal(self, said: list[deltas.Delta]) -> None:
        """Ends thinking with what the vendor wants to see again of it."""
        if self._sealed and (told := self._details.take()):
            said.append(deltas.Signature(told))

    def _end(self, said: list[deltas.Delta]) -> None:
        self._flush(said)
        self._seal(said)
        if self._wrote and not self._calls:
            said += (deltas.Annotated(_citation(source.url, source.title)) for source in self._sources.values())

    def _annotate(self, note: chunks.Note, said: list[deltas.Delta]) -> None:
        cited = note.url_citation
        if note.type == "url_citation" and cited is not None:
            annotation = _citation(cited.url, cited.title, cited.start_index or 0, cited.end_index or 0)
            said.append(deltas.Annotated(annotation))

    def _call(self, call: chunks.ToolCall, place: int) -> deltas.ToolCall:
        function = call.function or chunks.Function()
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
        arguments = function.arguments or ""
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        name = function.name and self._names.get(function.name, function.name)
        return deltas.ToolCall(index, arguments, name, call.id or None)


class _Details:
    """OpenRouter's `reasoning_details`, put together again from their pieces.

    https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning
    """

    def __init__(self) -> None:
        self._whole: list[dict[str, object]] = []

    def add(self, piece: dict[str, object]) -> None:
        last = self._whole[-1] if self._whole else None
        if last is None or any(last.get(key) != piece.get(key) for key in ("type", "index")):
            self._whole.append(dict(piece))
            return
        for key, value in piece.items():
            before = last.get(key)
            grows = key in ("text", "summary", "data") and isinstance(before, str) and isinstance(value, str)
            if value is not None:
                last[key] = f"{before}{value}" if grows else value

    def take(self) -> str:
        """As JSON; nothing when there is none."""
        whole, self._whole = self._whole, []
        return msgspec.json.encode(whole).decode() if whole else ""


def _open_thought(details: Iterable[Mapping[str, object]]) -> str:
    texts = (detail.get("text") or detail.get("summary") for detail in details)
    return "".join(text for text in texts if isinstance(text, str))


def _citation(url: str, title: str | None, start: int = 0, end: int = 0) -> items.Annotation:
    told = {"type": "url_citation", "url": url, "title": title or "", "start_index": start, "end_index": end}
    return items.Annotation("url_citation", msgspec.Raw(msgspec.json.encode(told)))
