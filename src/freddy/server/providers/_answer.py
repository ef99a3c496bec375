"""Hears an answer of a vendor to its end, streamed or whole: the I/O that its adapters have in common."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final, Protocol, TypeAlias

from msgspec.structs import replace

from freddy.server.core import errors, items
from freddy.server.core.deltas import Counted, Delta, Stop
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.ports.wire import Answer
from freddy.server.providers import _failures, _goodbye, _sse

Post: TypeAlias = Callable[[bytes], AbstractAsyncContextManager[Answer]]
"""Sends a body to where answers come from."""

_UNCOUNTED: Final = Usage(estimated=True)
"""What was taken of a vendor that broke off and had counted nothing: more than nothing, nobody knows how much."""


class Reader(Protocol):
    """What a vendor says as deltas. `read` and `close` do no I/O."""

    done: bool
    """Whether the vendor said that nothing more comes."""

    @property
    def whole(self) -> bool:
        """Whether the answer is, as far as it was read."""
        ...

    @property
    def counted(self) -> Usage | None:
        """What the vendor has counted up to now, the same object until it counts more; `estimated` where it may not
        be all."""
        ...

    def read(self, payloads: Iterable[bytes]) -> list[Delta]:
        """What was said up to an error, if there is one: `close` raises it."""
        ...

    def close(self) -> Stop:
        """Raises what ended the answer, and `errors.ProviderFailed` where nothing did: a cut answer is no answer."""
        ...


def accepts(answer: Answer) -> bool:
    return 200 <= answer.status < 300


@asynccontextmanager
async def accepted(
    name: str, post: Post, body: bytes, *, plain: Callable[[], bytes], unreadable: Callable[[int, bytes], bool]
) -> AsyncIterator[Answer]:
    """The answer to `body`, or to `plain()` where the vendor finds it `unreadable` by status and body of its refusal.

    Raises what any other refusal means.
    """
    async with AsyncExitStack() as opened:
        answer = await opened.enter_async_context(post(body))
        if not accepts(answer):
            told = await answer.read()
            other = plain() if unreadable(answer.status, told) else body
            if other == body:
                raise _failures.failure(name, answer.status, answer.headers, told)
            await opened.aclose()
            answer = await opened.enter_async_context(post(other))
            if not accepts(answer):
                raise _failures.failure(name, answer.status, answer.headers, await answer.read())
        yield answer


async def said(reader: Reader, answer: Answer) -> AsyncGenerator[list[Delta], None]:
    """Batches of what came together; the last delta is `Stop`. Raises like `reader.close`, after what was said.

    Errors tell in their `usage` what the vendor had counted; of an answer that was cut off it is never None.
    """
    batch: list[Delta] = []
    counted: Usage | None = None
    try:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            lines = _sse.DataLines()
            chunks = answer.chunks()
            async for chunk in chunks:
                batch = reader.read(lines.feed(chunk))
                if reader.done:
                    break
                if reader.counted is not counted and (counted := reader.counted) is not None:
                    batch.append(Counted(counted))
                if batch:
                    yield batch
            else:
                batch = reader.read(lines.close())
            if reader.whole:
                await _goodbye.see_out(chunks)
        else:
            batch = reader.read((await answer.read(),))
        if batch and not reader.whole:
            yield batch
        yield [*batch, reader.close()]
    except errors.FreddyError as error:
        error.usage = error.usage or reader.counted or (None if reader.done else _UNCOUNTED)
        raise


def thoughtless(turn: Turn) -> Turn:
    """The turn without what was thought before: what a vendor may not be able to read any more."""
    return replace(turn, items=tuple(item for item in turn.items if not isinstance(item, items.Reasoning)))
