"""A simulated chat-completions server in a thread of its own, for servers that run as processes. Prompts steer it."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, Self

from simulators.aside import BOUND, Aside
from simulators.chat import Chat
from simulators.script import Answer, Call, Fault, Gate, Line, Reply, call, text

WORDS = ("Light ", "becomes ", "sugar ", "in ", "leaves.")
ANSWER = "".join(WORDS)


class Upstream:
    """Says `WORDS`. By what the last message contains it does otherwise:

    `hold` waits after the second word until `release`; `call` calls a function after the words, and holds in
    the middle of its arguments; `repeat` says the message itself; `break` fails and tells what it was asked.
    """

    def __init__(self) -> None:
        self.url = ""
        self.held = 0
        """Answers that wait now."""
        self.left = 0
        """Callers that went away while their answer waited."""
        self._simulator = Chat(answering=self._reply)
        self._simulator.model = "scripted"
        self._changed = threading.Condition()
        self._released = asyncio.Event()
        self._aside = Aside(self._simulator, ending=self._released.set)

    def __enter__(self) -> Self:
        self._aside.__enter__()
        self.url = self._simulator.url
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.__exit__()

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The bodies of all requests."""
        return [one.body for one in self._simulator.calls]

    def release(self) -> None:
        """Lets every held answer go on, and those to come."""
        self._aside.tell(self._released.set)

    def hold(self) -> None:
        """Answers to come are held again."""
        self._released.clear()

    def wait_held(self, number: int) -> None:
        """Until so many answers wait at once."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.held >= number, BOUND), f"{self.held} of {number} held"

    def wait_left(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.left >= number, BOUND), f"{self.left} of {number} left"

    async def passing(self) -> None:
        """Waits with an answer that is held."""
        self._count(held=1)
        try:
            await self._released.wait()
        except asyncio.CancelledError:
            self._count(left=1)
            raise
        finally:
            self._count(held=-1)

    def _count(self, *, held: int = 0, left: int = 0) -> None:
        with self._changed:
            self.held += held
            self.left += left
            self._changed.notify_all()

    def _reply(self, asked: Call) -> Reply:
        prompt = _prompt(asked.body)
        if "break" in prompt:
            return Fault(500, f"broken by {prompt}")
        return Answer(self._lines(prompt), usage=(7, 5))

    def _lines(self, prompt: str) -> Iterator[Line]:
        lines = text(*((prompt,) if "repeat" in prompt else WORDS))
        middle = 2
        if "call" in prompt:
            lines += call("get_weather", '{"city":', '"Rome"}', call_id="call_1")
            middle = len(lines) - 1
        yield from lines[:middle]
        if "hold" in prompt:
            yield _Hold(self)
        yield from lines[middle:]


class _Hold(Gate):
    """Opened for all at once."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__()
        self._upstream = upstream

    async def passed(self) -> None:
        await self._upstream.passing()


def _prompt(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
