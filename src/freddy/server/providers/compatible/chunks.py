"""The chunks of a chat completion, streamed or whole, with the fields that vendors add. Pure.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

import re
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from freddy.server.core import items
from freddy.server.core.usage import Usage

_ABSENT = msgspec.Raw()
_NOTHING = (_ABSENT, msgspec.Raw(b"null"), msgspec.Raw(b'""'), msgspec.Raw(b"{}"), msgspec.Raw(b"[]"))
_Told = TypeVar("_Told")
_MOST_TOKENS = 2**53
# A backslash of its own, a whole pair, or (in the group) half of one: servers that cut a text anywhere send those.
_ESCAPE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


class Function(msgspec.Struct):
    """`arguments` is JSON text; some servers send the object itself."""

    name: str | None = None
    arguments: str | dict[str, object] | None = None


class _Google(msgspec.Struct):
    thought_signature: str | None = None


class _Extra(msgspec.Struct):
    google: _Google | None = None


class ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: Function | None = None
    extra_content: _Extra | None = None

    @property
    def signature(self) -> str | None:
        """Gemini's seal of what it thought: https://ai.google.dev/gemini-api/docs/thought-signatures"""
        google = self.extra_content.google if self.extra_content else None
        return google.thought_signature if google else None


class _TopLogprob(msgspec.Struct):
    token: str
    logprob: float | None = None
    bytes: tuple[int, ...] | None = None


class _Logprob(msgspec.Struct):
    token: str
    logprob: float | None = None
    bytes: tuple[int, ...] | None = None
    top_logprobs: list[_TopLogprob] | None = None


class Logprobs(msgspec.Struct):
    """In OpenAI's form, or as the two lists that it had before."""

    content: list[_Logprob] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None

    def told(self) -> Iterator[items.Logprob]:
        for one in self.content or ():
            if one.logprob is not None:
                top = tuple(
                    items.TopLogprob(rival.token, rival.logprob, rival.bytes or ())
                    for rival in one.top_logprobs or ()
                    if rival.logprob is not None
                )
                yield items.Logprob(one.token, one.logprob, one.bytes or (), top)
        if self.content is None:
            for token, logprob in zip(self.tokens or (), self.token_logprobs or (), strict=False):
                if logprob is not None:
                    yield items.Logprob(token, logprob)


class Piece(msgspec.Struct):
    """One of the chunks that make up a content, or a thinking."""

    type: str = ""
    text: str | None = None
    thinking: "str | list[Piece] | None" = None

    @property
    def thought(self) -> str:
        if isinstance(self.thinking, list):
            return "".join(one.text or "" for one in self.thinking)
        return self.thinking or ""


class _Citation(msgspec.Struct):
    url: str = ""
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class Note(msgspec.Struct):
    type: str = ""
    url_citation: _Citation | None = None


class Said(msgspec.Struct):
    """A streamed `delta` or a whole `message`. Thinking comes under either name, by vendor."""

    content: str | list[Piece] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: msgspec.Raw = _ABSENT
    annotations: msgspec.Raw = _ABSENT
    tool_calls: list[ToolCall] | None = None

    @property
    def details(self) -> list[dict[str, object]]:
        return _read(self.reasoning_details, _details)

    @property
    def notes(self) -> list[Note]:
        return _read(self.annotations, _notes)


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class Counted(msgspec.Struct):
    """Vendors tell what was cached or thought in different places."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    num_cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    def usage(self, *, thinking_apart: bool) -> Usage:
        """`thinking_apart`: `completion_tokens` leaves out what was thought."""
        inner = self.prompt_tokens_details or _InputDetails()
        outer = self.completion_tokens_details or _OutputDetails()
        cached = inner.cached_tokens or self.prompt_cache_hit_tokens or self.cached_tokens
        written = inner.cache_write_tokens or inner.cache_creation_input_tokens
        thought = _count(outer.reasoning_tokens or self.reasoning_tokens)
        asked, answered = _count(self.prompt_tokens), _count(self.completion_tokens)
        more = _count(self.total_tokens) - asked - answered
        if thinking_apart and more > 0:
            answered += more
            thought = thought or more
        return Usage(
            input_tokens=asked,
            output_tokens=answered,
            cached_tokens=_count(cached or self.num_cached_tokens),
            cache_write_tokens=_count(written),
            reasoning_tokens=thought,
        )


class Choice(msgspec.Struct):
    index: int = 0
    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    usage: Counted | None = None
    error: msgspec.Raw = _ABSENT


class _Groq(msgspec.Struct):
    usage: Counted | None = None


class Source(msgspec.Struct):
    """Perplexity's: where it searched."""

    url: str = ""
    title: str | None = None


class Chunk(msgspec.Struct):
    object: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Counted | None = None
    x_groq: _Groq | None = None
    citations: msgspec.Raw = _ABSENT
    search_results: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT
    message: msgspec.Raw = _ABSENT
    detail: msgspec.Raw = _ABSENT

    @property
    def counted(self) -> Counted | None:
        if self.usage is not None:
            return self.usage
        choice = self.choices[0].usage if self.choices else None
        return (self.x_groq.usage if self.x_groq else None) or choice

    @property
    def sources(self) -> list[Source]:
        """What was searched: the better told ones last."""
        return [Source(url) for url in _read(self.citations, _addresses)] + _read(self.search_results, _sources)

    @property
    def failed(self) -> bool:
        """Whether it is an error: in a field of its own, of its choice, or as the whole of it."""
        if self.error and is_told(self.error):
            return True
        if self.choices:
            return bool(self.choices[0].error) and is_told(self.choices[0].error)
        return self.object == "error" or (self.choices is None and (is_told(self.message) or is_told(self.detail)))


_decoder = msgspec.json.Decoder(Chunk)
_details = msgspec.json.Decoder(list[dict[str, object]])
_notes = msgspec.json.Decoder(list[Note])
_addresses = msgspec.json.Decoder(list[str])
_sources = msgspec.json.Decoder(list[Source])


def is_told(raw: msgspec.Raw) -> bool:
    """Whether there is something."""
    return bool(raw) and raw not in _NOTHING


def decoded(payload: bytes) -> Chunk:
    """Raises `msgspec.DecodeError` and `UnicodeDecodeError`."""
    try:
        return _decoder.decode(payload)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(_whole, payload)
        if mended == payload:
            raise
        return _decoder.decode(mended)


def _read(raw: msgspec.Raw, decoder: msgspec.json.Decoder[list[_Told]]) -> list[_Told]:
    """An extra that has another form than expected is not worth an answer."""
    if not is_told(raw):
        return []
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def _whole(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if escape[1] else escape[0]


def _count(tokens: int | None) -> int:
    """Within what can be a count: what vendors say is added up."""
    return min(max(tokens or 0, 0), _MOST_TOKENS)
