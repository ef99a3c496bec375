"""The embedded embedding model as an `Embedder`: an engine of its own, which starts when it is first needed."""

import asyncio
import contextlib
import importlib.util
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import msgspec
from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.pricing import FREE
from freddy.server.core.usage import Usage
from freddy.server.ports.embedder import Side, Spending, Spent, unheard
from freddy.server.ports.wire import Limits
from freddy.server.providers import _embeddings, _failures
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.embedded import minilm
from freddy.server.providers.embedded.child import Address
from freddy.server.providers.embedded.engine import Engine
from freddy.server.providers.embedded.faults import EngineUnavailable, Unavailable
from freddy.server.providers.embedded.keeper import Choice
from freddy.server.providers.embedded.pull import Progress

log = logging.getLogger(__name__)

NAME: Final = "embedded/all-MiniLM-L6-v2"
DIMENSIONS: Final = 384
LONGEST: Final = 256
"""What the model was trained to read; its positions reach twice as far."""

_SPOKEN: Final = "The embedded embedding model"
_CHARACTERS: Final = 16 * LONGEST
"""Of a text, without its white space: far more than the tokens that are read."""
_TOKENS_AT_ONCE: Final = 256
"""Of the passages that are computed together. A query waits until these are done, and no longer."""
_TEXTS_AT_ONCE: Final = 32
_END: Final = 102
"""The token that ends every text."""
_TRIES: Final = 3
_NOTICED: Final = 0.5
_REST: Final = 30.0
"""Seconds until what failed to start is tried again."""
_BUSY_SECONDS: Final = 5.0
_PATIENCE: Final[Mapping[Side, float]] = MappingProxyType({"query": 30.0, "passage": 600.0})
"""Seconds until the model must be ready: it may have to be fetched first."""

Prepare = Callable[[Progress], Path]
"""Gives the file that the engine loads; may take minutes, in a thread, and stops when the progress raises."""


class _Tokens(Struct):
    tokens: list[int]


class _Stopped(Exception):
    """The server ends; a pull goes on at its next start."""


class MiniLm:
    """Passages are computed a few at a time, in the order of their coming; queries go between them.

    `async with`: leaving ends the engine. `engine` has no model yet: `prepare` finds it when it is first needed.
    """

    def __init__(
        self,
        engine: Engine,
        prepare: Prepare,
        *,
        patience: Mapping[Side, float] = _PATIENCE,
        rest: float = _REST,
        at_once: int = _TOKENS_AT_ONCE,
    ) -> None:
        self._engine = engine
        self._prepare = prepare
        self._patience = patience
        self._rest = rest
        self._at_once = at_once
        self._lane = asyncio.Semaphore(1)
        self._tasks = asyncio.TaskGroup()
        self._starting: asyncio.Task[None] | None = None
        self._fault: Unavailable | None = None
        self._again_at = 0.0
        self._stopped = threading.Event()

    async def __aenter__(self) -> Self:
        await self._engine.__aenter__()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped.set()
        if self._starting:
            self._starting.cancel()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            await self._engine.__aexit__(None, None, None)

    @property
    def name(self) -> str:
        return NAME

    @property
    def longest(self) -> int:
        return LONGEST

    @property
    def pid(self) -> int | None:
        """Of the engine's process, where it runs."""
        return self._engine.pid

    async def dimensions(self, *, spent: Spent = unheard) -> int:  # noqa: ARG002
        return DIMENSIONS

    async def embed(self, texts: Sequence[str], *, side: Side, spent: Spent = unheard) -> Sequence[bytes]:
        told: list[bytes] = []
        began, tokens = asyncio.get_running_loop().time(), 0
        try:
            for at in range(0, len(texts), _TEXTS_AT_ONCE):
                read = [await self._tokens(text, side) for text in texts[at : at + _TEXTS_AT_ONCE]]
                for group in _packed(read, self._at_once):
                    if side == "query":
                        told += await self._compute(group, side)
                    else:
                        async with self._lane:
                            told += await self._compute(group, side)
                    tokens += sum(map(len, group))
        finally:
            if texts:
                spent(_spending(tokens, began, whole=len(told) == len(texts)))
        return told

    async def _tokens(self, text: str, side: Side) -> list[int]:
        """The text as the model reads it, cut where it reads no further."""
        words = " ".join(_embeddings.readable(text.lstrip()[: 4 * _CHARACTERS]).split())[:_CHARACTERS]
        asked = msgspec.json.encode({"content": words, "add_special": True, "parse_special": False})
        said = await self._ask("/tokenize", asked, side)
        tokens = msgspec.json.decode(said, type=_Tokens).tokens
        return tokens if len(tokens) <= LONGEST else [*tokens[: LONGEST - 1], _END]

    async def _compute(self, group: Sequence[Sequence[int]], side: Side) -> list[bytes]:
        said = await self._ask("/v1/embeddings", _embeddings.body(NAME, group, encoding="base64"), side)
        return _embeddings.vectors(_SPOKEN, said, count=len(group), dimensions=DIMENSIONS)

    async def _ask(self, path: str, body: bytes, side: Side) -> bytes:
        """The engine's answer. One that dies meanwhile is replaced, and the next one is asked."""
        for left in reversed(range(_TRIES)):
            await self._wait_started(side)
            address = self._engine.address
            try:
                return await self._ask_once(path, body, side)
            except EngineUnavailable as error:
                raise self._unavailable(error) from error
            except (errors.ProviderUnavailable, errors.ProviderFailed):
                if not left or not address or not await self._engine.left(address, within=_NOTICED):
                    raise
        raise AssertionError("the last try returns or raises")

    async def _ask_once(self, path: str, body: bytes, side: Side) -> bytes:
        async with (
            self._engine.lease(self._patience[side]) as address,
            _wire(address) as wire,
            wire.post(path, body, _headers(address)) as answer,
        ):
            said = await answer.read()
            if answer.status != 200:
                raise errors.ProviderFailed(
                    f"{_SPOKEN} failed with status {answer.status}", details=_failures.message(said) or None
                )
            return said

    async def _wait_started(self, side: Side) -> None:
        if self._engine.state.phase not in ("absent", "failed") and self._starting is None:
            return
        now = asyncio.get_running_loop().time()
        if self._starting is None and now >= self._again_at:
            self._starting = self._tasks.create_task(self._start())
        if self._starting is not None:
            await asyncio.wait((self._starting,), timeout=self._patience[side])
        if self._starting is not None:
            raise self._unavailable(EngineUnavailable("it is being fetched or started", "try again in a moment"))
        if self._fault is not None:
            raise self._unavailable(self._fault)

    async def _start(self) -> None:
        """Leaves what went wrong in `_fault`: who waits may be gone, and others may come."""
        self._fault = None
        try:
            await asyncio.to_thread(self._prepare_for_engine)
            await self._engine.switch(Choice(minilm.MINILM.name, lambda: self._prepare(self._progress())))
        except Unavailable as error:
            self._fault = error
        except OSError as error:
            self._fault = EngineUnavailable(f"its file cannot be kept ({error.strerror})", "check the models folder")
        except Exception:
            # The server's other parts go on without it.
            log.exception("embedding_model_fault")
            self._fault = EngineUnavailable("it could not be started", "see the server's log")
        finally:
            self._starting = None
            if self._fault is not None:
                self._again_at = asyncio.get_running_loop().time() + self._rest
                told = {"model": NAME, "reason": self._fault.reason, "cure": self._fault.cure}
                log.warning("embedding_model_unavailable", extra=told)

    def _prepare_for_engine(self) -> None:
        """Nothing is fetched for an engine that is not there."""
        if importlib.util.find_spec("xllamacpp") is None:
            raise EngineUnavailable(
                "the engine is not installed, or has no build for this platform",
                "install freddy-gateway[embedded], or set embeddings.model to a model of an upstream",
            )
        self._prepare(self._progress())

    def _unavailable(self, fault: Unavailable) -> errors.ProviderUnavailable:
        waits = self._starting is not None or self._engine.state.phase in ("starting", "restarting")
        return errors.ProviderUnavailable(
            f"{_SPOKEN} is not available: {fault.reason}",
            details=fault.cure or None,
            retry_after=_BUSY_SECONDS if waits else None,
        )

    def _progress(self) -> Progress:
        told = -1

        def tell(done: int, total: int, source: str) -> None:
            nonlocal told
            if self._stopped.is_set():
                raise _Stopped
            tenths = done * 10 // max(total, 1)
            if tenths != told:
                told = tenths
                log.info("embedding_model_pull", extra={"percent": tenths * 10, "source": source})

        return tell


@contextlib.asynccontextmanager
async def _wire(address: Address) -> AsyncIterator[PooledWire]:
    limits = Limits(connect=10.0, first=120.0, idle=60.0, total=180.0)
    async with PooledWire(_SPOKEN, address.base_url, limits=limits, socket=address.socket) as wire:
        yield wire


def _headers(address: Address) -> dict[str, str]:
    return {"content-type": "application/json", "authorization": f"Bearer {address.api_key}"}


def _spending(tokens: int, began: float, *, whole: bool) -> Spending:
    provider, _, model = NAME.partition("/")
    return Spending(
        provider=provider,
        model=model,
        status="completed" if whole else "failed",
        usage=Usage(input_tokens=tokens),
        price=FREE,
        milliseconds=round((asyncio.get_running_loop().time() - began) * 1000),
    )


def _packed(texts: Sequence[list[int]], most: int) -> Iterator[list[list[int]]]:
    """In order, together as long as they have at most so many tokens."""
    group: list[list[int]] = []
    size = 0
    for tokens in texts:
        if group and size + len(tokens) > most:
            yield group
            group, size = [], 0
        group.append(tokens)
        size += len(tokens)
    if group:
        yield group
