"""Vectors of an upstream's embedding model, over OpenAI's wire, which nearly every vendor speaks."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.calls import Outcome
from freddy.server.core.pricing import Price
from freddy.server.core.usage import Usage
from freddy.server.ports.embedder import Side, Spending, Spent, unheard
from freddy.server.ports.wire import Answer, Wire
from freddy.server.providers import _answer, _embeddings, _failures

LONGEST: Final = 8192
"""Tokens that a model is taken to read where nobody says."""

_CHARACTERS: Final = 100_000
"""Of all texts of one request together."""
_PER_TOKEN: Final = 12
"""Characters that a token has at most, on average: what is beyond is not sent at all."""
_AT_ONCE: Final = 4
"""Requests for passages under way together."""
_SHORTEST: Final = 64
"""Characters below which a text that is refused for its length is not made shorter."""
_TRANSIENT: Final = (errors.RateLimited, errors.ProviderFailed, errors.ProviderUnavailable, errors.ProviderTimeout)
_FINAL: Final = frozenset(("provider_authentication", "insufficient_quota", "embeddings_refused"))


class Patience(Struct, frozen=True):
    """How often a request is sent again after a failure that may pass, and how long is waited before, in seconds.

    Where the vendor does not say how long, the waits grow from `first`. None is waited that is longer than `longest`.
    """

    retries: int = 2
    first: float = 0.25
    longest: float = 2.0


class Embeddings:
    """`wire` leads to what stands before `/embeddings`, `name` is the upstream's, `called` its name for the model.

    `dimensions` is asked for where the vendor can shorten its vectors. `batch` is the most texts of a request.
    """

    def __init__(
        self,
        wire: Wire,
        name: str,
        called: str,
        *,
        headers: Mapping[str, str],
        dimensions: int | None = None,
        batch: int = 96,
        longest: int = LONGEST,
        price: Price | None = None,
        patience: Mapping[Side, Patience] | None = None,
    ) -> None:
        self._wire = wire
        self._upstream = name
        self._called = called
        self._headers = {"content-type": "application/json", **headers}
        self._asked = dimensions
        self._seen: int | None = None
        self._batch = batch
        self._longest = longest
        self._price = price
        self._patience = patience or {"query": Patience(), "passage": Patience(6, 1.0, 60.0)}
        self._lane = asyncio.Semaphore(_AT_ONCE)

    @property
    def name(self) -> str:
        # Vectors that were made shorter are of no use beside those that were not.
        shortened = f"@{self._asked}" if self._asked else ""
        return f"{self._upstream}/{self._called}{shortened}"

    @property
    def longest(self) -> int:
        return self._longest

    async def dimensions(self, *, spent: Spent = unheard) -> int:
        if self._asked is None and self._seen is None:
            await self.embed(("a text",), side="query", spent=spent)
        return self._asked or self._seen or 0

    async def embed(self, texts: Sequence[str], *, side: Side, spent: Spent = unheard) -> Sequence[bytes]:
        sent = [self._text(text) for text in texts]
        failed: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(self._in_lane(group, side, spent)) for group in self._groups(sent)]
        except* errors.FreddyError as failures:
            failed = failures.exceptions[0]
        if failed:
            raise failed
        return [vector for task in asked for vector in task.result()]

    def _text(self, text: str) -> str:
        readable = _embeddings.readable(text[: min(self._longest * _PER_TOKEN, _CHARACTERS)])
        return readable if readable.strip() else "."  # Most vendors refuse a text of nothing.

    def _groups(self, texts: Sequence[str]) -> Iterator[Sequence[str]]:
        group: list[str] = []
        size = 0
        for text in texts:
            if group and (len(group) == self._batch or size + len(text) > _CHARACTERS):
                yield group
                group, size = [], 0
            group.append(text)
            size += len(text)
        if group:
            yield group

    async def _in_lane(self, group: Sequence[str], side: Side, spent: Spent) -> list[bytes]:
        if side == "query":
            return await self._fitted(group, side, spent)
        async with self._lane:
            return await self._fitted(group, side, spent)

    async def _fitted(self, group: Sequence[str], side: Side, spent: Spent) -> list[bytes]:
        """Texts that are too long for the model are made shorter until they are not: only the vendor can count."""
        try:
            return await self._patiently(group, side, spent)
        except (errors.ContextOverflow, errors.TooLarge) as error:
            if len(group) > 1:
                half = len(group) // 2
                first = await self._fitted(group[:half], side, spent)
                return [*first, *await self._fitted(group[half:], side, spent)]
            if len(group[0]) <= _SHORTEST:
                raise self._refused(error) from error
            return await self._fitted([group[0][: len(group[0]) // 2]], side, spent)

    async def _patiently(self, group: Sequence[str], side: Side, spent: Spent) -> list[bytes]:
        patience, tried = self._patience[side], 0
        while True:
            try:
                return await self._accounted(group, spent)
            except _TRANSIENT as error:
                tried += 1
                wait = patience.first * 2.0 ** (tried - 1) if error.retry_after is None else error.retry_after
                if tried > patience.retries or error.code in _FINAL or wait > patience.longest:
                    raise
            await asyncio.sleep(wait)

    async def _accounted(self, group: Sequence[str], spent: Spent) -> list[bytes]:
        """What is asked for is charged, also where nobody waits for the answer, or it is of no use."""
        now = asyncio.get_running_loop().time
        began, said = now(), _Said()
        status: Outcome = "failed"
        try:
            told = await self._ask(group, said)
            status = "completed"
        except errors.ProviderTimeout:
            said.read = True
            raise
        except asyncio.CancelledError:
            said.read, status = True, "cancelled"
            raise
        finally:
            spent(
                Spending(
                    provider=self._upstream,
                    model=self._called,
                    status=status,
                    texts=group if said.read else (),
                    usage=said.usage,
                    price=self._price,
                    milliseconds=round((now() - began) * 1000),
                )
            )
        return told

    async def _ask(self, group: Sequence[str], heard: "_Said") -> list[bytes]:
        name, body = self._upstream, _embeddings.body(self._called, group, dimensions=self._asked)
        try:
            async with self._wire.post(_embeddings.PATH, body, self._headers) as answer:
                heard.read = _answer.accepts(answer)
                said = await answer.read()
                if not heard.read:
                    raise _failure(name, answer, said)
                heard.usage = _embeddings.usage(said)
        except (errors.ContextOverflow, errors.TooLarge, *_TRANSIENT):
            raise
        except errors.FreddyError as error:
            raise self._refused(error) from error
        known = self._asked or self._seen
        # Many vectors take long to read: not on the loop.
        told = await asyncio.to_thread(_embeddings.vectors, name, said, count=len(group), dimensions=known)
        self._seen = len(told[0]) // 4
        return told

    def _refused(self, error: errors.FreddyError) -> errors.ProviderFailed:
        """What is wrong here is for the operator to mend, not for the caller."""
        return errors.ProviderFailed(
            f"{self._upstream} gave no vectors of {self._called!r}: {error.message}",
            code="embeddings_refused",
            details=error.details or "check embeddings.model in the settings",
        )


class _Said:
    """Whether the vendor has read the texts, as far as anybody knows, and what it counted."""

    def __init__(self) -> None:
        self.read = False
        self.usage: Usage | None = None


def _failure(name: str, answer: Answer, said: bytes) -> errors.FreddyError:
    if b"too large to process" in said:  # llama.cpp says so with status 500.
        return errors.ContextOverflow("The text is longer than the model can read")
    return _failures.failure(name, answer.status, answer.headers, said)
