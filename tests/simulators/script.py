"""What a simulated model says and how it fails, in words of no vendor: each simulator says it in its own."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

PATIENCE = 30.0
"""Seconds a test waits for something that must happen."""

Finish: TypeAlias = Literal["stop", "length", "content_filter", "tool_calls"]
Trouble: TypeAlias = Literal["overloaded", "rate_limit", "server"]
Ending: TypeAlias = Literal["reset", "cut", "end"]


class Gate:
    """A line that waits until the test opens it."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def reached(self) -> None:
        """Returns when the answer has come as far as this gate."""
        async with asyncio.timeout(PATIENCE):
            await self._reached.wait()

    async def passed(self) -> None:
        self._reached.set()
        await self._open.wait()


@dataclass(frozen=True)
class Break:
    """The place where the connection ends: `reset` by force, `cut` without a word, `end` as if all were said."""

    how: Ending


@dataclass(frozen=True)
class Raw:
    """Bytes that are sent as they are, in a stream only."""

    data: bytes


@dataclass(frozen=True)
class Failed:
    """The vendor's own error in the middle of its answer. `quietly`: as a response that failed, where it has one."""

    trouble: Trouble = "overloaded"
    message: str = "the simulated model gave up"
    quietly: bool = False


class Likely(NamedTuple):
    """A token with its logarithmic probability and those of its rivals."""

    token: str
    logprob: float
    rivals: Mapping[str, float]


@dataclass(frozen=True)
class Words:
    text: str
    likely: tuple[Likely, ...] = ()


@dataclass(frozen=True)
class Thought:
    """A piece of thinking that is shown."""

    text: str


@dataclass(frozen=True)
class Hidden:
    """A thinking of which nothing is shown but `sealed`, for the vendor's own eyes."""

    sealed: str = "c2VhbGVk"


@dataclass(frozen=True)
class Next:
    """Another thinking or another message begins, where the wire tells one from the next."""

    phase: str | None = None


@dataclass(frozen=True)
class Refused:
    text: str


@dataclass(frozen=True)
class Cited:
    """A remark on the words before it."""

    url: str
    title: str
    start: int
    end: int


@dataclass(frozen=True)
class Invoked:
    """A call begins; its arguments follow under the same `index`."""

    index: int
    name: str
    call_id: str
    custom: bool = False


@dataclass(frozen=True)
class Argument:
    """A piece of arguments: `text` as a custom tool takes it, `json` as it stands in the arguments of a function."""

    index: int
    text: str
    json: str


Line: TypeAlias = Words | Thought | Hidden | Next | Refused | Cited | Invoked | Argument | Gate | Break | Raw | Failed
_LINES = (Words, Thought, Hidden, Next, Refused, Cited, Invoked, Argument, Gate, Break, Raw, Failed)


def text(*pieces: str) -> list[Line]:
    return [Words(piece) for piece in pieces]


def likely(token: str, logprob: float, **rivals: float) -> Line:
    return Words(token, (Likely(token, logprob, rivals),))


def thought(*pieces: str) -> list[Line]:
    return [Thought(piece) for piece in pieces]


def refusal(*pieces: str) -> list[Line]:
    return [Refused(piece) for piece in pieces]


def call(name: str, *arguments: str, call_id: str, index: int = 0) -> list[Line]:
    """A call of a function whose arguments come in pieces."""
    return [Invoked(index, name, call_id), *(Argument(index, piece, piece) for piece in arguments)]


def custom(name: str, *pieces: str, call_id: str, index: int = 0) -> list[Line]:
    """A call of a custom tool. Where the wire has none it is a function with one argument, `input`."""
    inside = [Argument(index, piece, json.dumps(piece)[1:-1]) for piece in pieces]
    return [
        Invoked(index, name, call_id, custom=True),
        Argument(index, "", '{"input":"'),
        *inside,
        Argument(index, "", '"}'),
    ]


class Usage(NamedTuple):
    """`input` has `cached` and `written` in it, and `output` has `thought`."""

    input: int = 11
    output: int = 7
    cached: int = 0
    written: int = 0
    thought: int = 0


@dataclass(frozen=True)
class Delivery:
    """How the bytes of an answer come.

    `gate` holds even its head back; `sizes` are those of the writes, over and over (else one write an event);
    `most_bytes` or `most_events` of a stream come, and then what `how` says; `kind` is another content type.
    """

    gate: Gate | None = None
    sizes: tuple[int, ...] = ()
    most_bytes: int | None = None
    most_events: int | None = None
    how: Ending = "cut"
    kind: str | None = None


_PLAINLY = Delivery()


class Answer:
    """What the model says, streamed or whole as it is asked.

    `usage` counts, or is None where the vendor does not. `details` are parts of it in the words of chat completions.
    """

    def __init__(
        self,
        *lines: Line | Iterable[Line],
        finish: Finish | str | None = None,
        usage: tuple[int, ...] | None = (11, 7),
        details: Mapping[str, Any] | None = None,
        delivery: Delivery = _PLAINLY,
        model: str | None = None,
    ) -> None:
        self.lines: list[Line] = []
        for line in lines:
            self.lines += [line] if isinstance(line, _LINES) else line
        calls = any(isinstance(line, Invoked) for line in self.lines)
        self.finish = finish or ("tool_calls" if calls else "stop")
        self.usage = None if usage is None else _detailed(Usage(*usage), details or {})
        self.delivery = delivery
        self.model = model


def _detailed(usage: Usage, details: Mapping[str, Any]) -> Usage:
    read, written = details.get("prompt_tokens_details", {}), details.get("completion_tokens_details", {})
    return usage._replace(
        cached=read.get("cached_tokens", usage.cached), thought=written.get("reasoning_tokens", usage.thought)
    )


class Fault:
    """An answer with an error status, in the vendor's own form."""

    def __init__(
        self, status: int, message: str = "no", *, code: str | None = None, retry_after: str | None = None
    ) -> None:
        self.status = status
        self.message = message
        self.code = code
        self.headers = {} if retry_after is None else {"retry-after": retry_after}


@dataclass(frozen=True)
class Plain:
    """Any HTTP answer at all."""

    body: bytes
    status: int = 200
    kind: str = "application/json"


@dataclass(frozen=True)
class Garbage:
    """Bytes in the place of an HTTP answer; then the connection ends."""

    data: bytes


Reply: TypeAlias = Answer | Fault | Break | Plain | Garbage


@dataclass(eq=False)
class Call:
    """A request as it came; `gone` is set when its sender left before the answer's end, `over` when all is done."""

    body: dict[str, Any]
    headers: dict[str, str]
    path: str = ""
    connection: int = 0
    """Which connection of the simulator it came by."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[tuple[str, Any]]:
        """Role and content of each message, on the wires that have messages."""
        return [(message["role"], message.get("content")) for message in self.body["messages"]]

    async def let_go(self) -> None:
        """Returns when the sender has left before the end."""
        async with asyncio.timeout(PATIENCE):
            await self.gone.wait()
