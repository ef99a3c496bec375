"""The embedded embedding model for real: what it finds alike, what it reads, how it dies, sleeps and comes back."""

import asyncio
import contextlib
import os
import signal
import struct
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from freddy.server.core import errors
from freddy.server.providers.embedded import minilm
from freddy.server.providers.embedded.child import Limits
from freddy.server.providers.embedded.embeddings import MiniLm
from freddy.server.providers.embedded.engine import Engine
from freddy.server.providers.embedded.faults import WeightsUnavailable

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine")]
BOUND = 60.0
LIMITS = Limits(parallel=4, context=2048, cache_mib=0, threads=1, batch_threads=1, vectors=True, batch=512)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder in which the embedding model is ready."""
    folder = tmp_path_factory.mktemp("models")
    minilm.prepare(folder, index=None)
    return folder


@contextlib.asynccontextmanager
async def running(models: Path, limits: Limits = LIMITS) -> AsyncIterator[MiniLm]:
    prepare = partial(_prepared, models)
    async with asyncio.timeout(2 * BOUND), MiniLm(Engine(None, limits=limits), prepare) as model:
        yield model


def _prepared(models: Path, progress: object) -> Path:
    return minilm.prepare(models, index=None)


def likeness(one: bytes, other: bytes) -> float:
    pairs = zip(floats(one), floats(other), strict=True)
    return sum(a * b for a, b in pairs)


def floats(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def memory(pid: int) -> float:
    """Resident, in MiB."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_its_vectors_are_those_that_were_published_for_the_model(models):
    # https://www.sbert.net/docs/quickstart.html tells these likenesses.
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    async with running(models) as model:
        lovely, sunny, stadium = await model.embed(texts, side="passage")
        assert likeness(lovely, sunny) == pytest.approx(0.6660, abs=0.01)
        assert likeness(lovely, stadium) == pytest.approx(0.1046, abs=0.01)
        assert likeness(sunny, stadium) == pytest.approx(0.1411, abs=0.01)
        assert {len(floats(vector)) for vector in (lovely, sunny, stadium)} == {await model.dimensions()}
        assert [likeness(one, one) for one in (lovely, sunny, stadium)] == pytest.approx([1.0] * 3, abs=1e-5)


async def test_a_question_is_nearest_to_the_passage_that_answers_it(models):
    passages = [
        "Invoices are sent on the first day of the month and must be paid within thirty days.",
        "The office is closed on public holidays; the kitchen is cleaned every evening.",
        "To reset a password, open the settings page and follow the link that is sent by e-mail.",
        "The lift in building B is out of order until the spare part arrives.",
    ]
    questions = {
        "How do I change my forgotten login secret?": 2,
        "When is the payment of a bill due?": 0,
        "Is anybody at work at Christmas?": 1,
    }
    async with running(models) as model:
        there = await model.embed(passages, side="passage")
        for question, best in questions.items():
            (asked,) = await model.embed([question], side="query")
            near = [likeness(asked, vector) for vector in there]
            assert near.index(max(near)) == best


async def test_many_texts_keep_their_order_however_they_are_computed(models):
    texts = [f"Text number {n} speaks of {'apples ' * (n % 40)}and ships." for n in range(70)]
    async with running(models) as model:
        together = await model.embed(texts, side="passage")
        for place in (0, 33, 69):
            (alone,) = await model.embed([texts[place]], side="query")
            assert likeness(alone, together[place]) > 0.999


async def test_it_takes_any_text_there_is(models):
    odd = [
        "",
        " \n\t ",
        "nul\0nul",
        "half \ud83d of a character",
        "\N{GRINNING FACE}" * 300,
        "\u202e right to left \u200b",
        "안녕하세요 세계 " * 200,
        "x" * 100_000,
        "[SEP] [CLS] [MASK] [PAD]",
        "\x01\x02\x7f",
        "a \N{COMBINING ACUTE ACCENT}" * 3000,
        " " * 100_000 + "apples",
        "word " * 100_000,
    ]
    async with running(models) as model:
        told = await model.embed([*odd, "a plain text"], side="passage")
        assert [likeness(vector, vector) for vector in told] == pytest.approx([1.0] * 14, abs=1e-4)
        (plain, apples) = await model.embed(["a plain text", "apples"], side="query")
        assert likeness(plain, told[-1]) > 0.999
        assert likeness(apples, told[11]) > 0.999


async def test_what_is_beyond_the_tokens_that_it_reads_has_no_effect(models):
    # Each word is one token; two more are before the first and after the last.
    longest = "apple " * 254
    async with running(models) as model:
        full, more, less = await model.embed(
            [longest, longest + "submarine war " * 500, "submarine " + longest], side="passage"
        )
        assert likeness(full, more) > 0.9999
        assert likeness(full, less) < 0.9999


async def test_nothing_runs_before_it_is_needed_and_nothing_after(models):
    async with running(models) as model:
        assert model.pid is None
        assert await model.embed([], side="query") == []
        assert model.pid is None
        await model.embed(["a text"], side="query")
        pid = model.pid
        assert pid is not None
    assert not alive(pid)


async def test_an_engine_that_is_killed_meanwhile_comes_back_and_nothing_is_lost(models):
    texts = [f"Passage {n}: {'a long story of the sea, ' * 20}" for n in range(40)]
    async with running(models) as model, asyncio.TaskGroup() as tasks:
        await model.embed(["a text"], side="query")
        before = model.pid
        working = tasks.create_task(model.embed(texts, side="passage"))
        asking = tasks.create_task(model.embed(["the sea"], side="query"))
        await asking
        assert before is not None
        os.kill(before, signal.SIGKILL)
        assert len(await working) == len(texts)
        assert model.pid not in (None, before)


async def test_idle_it_gives_its_memory_back_and_wakes_with_the_next_text(models):
    limits = Limits(
        parallel=4, context=2048, cache_mib=0, threads=1, batch_threads=1, vectors=True, batch=512, idle_seconds=1
    )
    async with running(models, limits) as model:
        (before,) = await model.embed(["a text"], side="query")
        await model.embed(["word " * 250] * 8, side="passage")
        pid = model.pid
        assert pid is not None
        awake = memory(pid)
        while memory(pid) > 0.8 * awake:  # noqa: ASYNC110 (another process is looked at from outside)
            await asyncio.sleep(0.05)
        (after,) = await model.embed(["a text"], side="query")
        assert likeness(before, after) > 0.999
        assert model.pid == pid


async def test_a_query_does_not_wait_for_all_that_is_put_into_stores_meanwhile(models):
    texts = [f"Passage {n}: {'a long story of the sea, ' * 20}" for n in range(400)]
    async with running(models) as model, asyncio.TaskGroup() as tasks:
        await model.embed(["a text"], side="query")
        working = tasks.create_task(model.embed(texts, side="passage"))
        for _ in range(5):
            await model.embed(["the sea"], side="query")
        assert not working.done()
        working.cancel()


async def test_without_its_weights_it_says_so_and_tries_again_later(models, tmp_path):
    broken = [WeightsUnavailable("the disk is elsewhere", "bring it back"), OSError(28, "No space left on device")]

    def prepare(progress: object) -> Path:
        if broken:
            raise broken.pop(0)
        return minilm.prepare(models, index=None)

    async with MiniLm(Engine(None, limits=LIMITS), prepare, rest=0.0) as model, asyncio.timeout(BOUND):
        with pytest.raises(errors.ProviderUnavailable) as caught:
            await model.embed(["a text"], side="query")
        assert "the disk is elsewhere" in caught.value.message
        assert caught.value.details == "bring it back"
        with pytest.raises(errors.ProviderUnavailable, match="No space left"):
            await model.embed(["a text"], side="passage")
        assert len(await model.embed(["a text"], side="passage")) == 1


async def test_a_fault_is_remembered_for_a_while_so_that_nobody_is_asked_too_often(models):
    tries = []

    def prepare(progress: object) -> Path:
        tries.append(1)
        raise WeightsUnavailable("not today")

    async with MiniLm(Engine(None, limits=LIMITS), prepare, rest=BOUND) as model:
        for _ in range(3):
            with pytest.raises(errors.ProviderUnavailable, match="not today"):
                await model.embed(["a text"], side="query")
        assert len(tries) == 1
