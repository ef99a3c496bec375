"""Vectors of an upstream's model: what is sent, what is read, and what happens where that goes wrong."""

import asyncio
import contextlib
import json
import struct

import pytest
from vectors_simulator import Vectors, answer, numbers

from freddy.server.core import errors
from freddy.server.ports.wire import Limits
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.compatible.embeddings import Embeddings, Patience
from simulators.script import PATIENCE, Break, Fault, Garbage, Plain

QUICK = {"query": Patience(2, 0.0, 1.0), "passage": Patience(3, 0.0, 1.0)}


@contextlib.asynccontextmanager
async def embeddings(simulator, **options):
    options = {"headers": {"authorization": "Bearer of the operator"}, "patience": QUICK} | options
    async with simulator, PooledWire("stage", simulator.url, limits=Limits()) as wire, asyncio.timeout(PATIENCE):
        yield Embeddings(wire, "stage", "text-embedding-3-small", **options)


def floats(vector):
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def unit(text, length=4):
    told = numbers(text, length)
    size = sum(number * number for number in told) ** 0.5
    return pytest.approx([number / size for number in told], abs=1e-6)


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
async def test_each_text_gets_its_own_vector_of_unit_length_whatever_the_order_of_the_answer(encoded, backwards):
    simulator = Vectors(key="of the operator", encoded=encoded, backwards=backwards)
    async with embeddings(simulator) as model:
        told = await model.embed(["a", "bcd", "ef"], side="passage")
        assert [floats(vector) for vector in told] == [unit("a"), unit("bcd"), unit("ef")]
        assert simulator.last.body == {"model": "text-embedding-3-small", "input": ["a", "bcd", "ef"]}
        assert simulator.complaints == []
        assert model.name == "stage/text-embedding-3-small"


async def test_no_texts_are_nobodys_business():
    async with embeddings(Vectors()) as model:
        assert await model.embed([], side="passage") == []


async def test_many_texts_go_in_several_requests_and_stay_in_order():
    simulator = Vectors()
    texts = ["x" * (n % 7 + 1) for n in range(230)]
    async with embeddings(simulator) as model:
        told = await model.embed(texts, side="passage")
        assert [floats(vector) for vector in told] == [unit(text) for text in texts]
        assert sorted(len(call.body["input"]) for call in simulator.calls) == [38, 96, 96]


async def test_a_request_has_no_more_than_a_hundred_thousand_characters():
    simulator = Vectors()
    async with embeddings(simulator) as model:
        await model.embed(["x" * 30_000] * 7, side="passage")
        assert [len(call.body["input"]) for call in simulator.calls].count(3) == 2
        assert all(sum(map(len, call.body["input"])) <= 100_000 for call in simulator.calls)


async def test_shorter_vectors_are_asked_for_and_have_a_name_of_their_own():
    simulator = Vectors()
    async with embeddings(simulator, dimensions=2) as model:
        assert await model.dimensions() == 2
        assert [len(vector) for vector in await model.embed(["a"], side="query")] == [8]
        assert simulator.last.body["dimensions"] == 2
        assert model.name == "stage/text-embedding-3-small@2"


async def test_how_long_vectors_are_is_asked_once():
    simulator = Vectors()
    async with embeddings(simulator) as model:
        assert [await model.dimensions(), await model.dimensions()] == [4, 4]
        assert len(simulator.calls) == 1


async def test_texts_that_cannot_be_sent_are_sent_as_well_as_can_be():
    simulator = Vectors()
    odd = ["", "  \n", "nul\0nul", "half \ud83d here", "whole \ud83d\ude00", "\N{GRINNING FACE}"]
    async with embeddings(simulator) as model:
        assert len(await model.embed(odd, side="passage")) == len(odd)
        assert simulator.last.body["input"] == [
            ".",
            ".",
            "nul nul",
            "half \N{REPLACEMENT CHARACTER} here",
            "whole \N{GRINNING FACE}",
            "\N{GRINNING FACE}",
        ]


async def test_a_text_that_is_too_long_for_the_model_is_shortened_and_the_others_are_not():
    simulator = Vectors(most=1000)
    async with embeddings(simulator) as model:
        told = await model.embed(["short", "x" * 3000, "fine"], side="passage")
        assert [floats(vector) for vector in told] == [unit("short"), unit("x" * 750), unit("fine")]


async def test_a_text_is_not_sent_beyond_what_any_model_could_read_of_it():
    simulator = Vectors()
    async with embeddings(simulator, longest=512) as model:
        await model.embed(["x" * 1_000_000], side="passage")
        assert len(simulator.last.body["input"][0]) == 12 * 512


@pytest.mark.parametrize(
    "reply",
    [
        Fault(500, "oops"),
        Fault(503, "later"),
        Fault(429, "slower", retry_after="0"),
        Break("before"),
        Garbage(b"what?\r\n\r\n"),
        Plain(b"{}"),
        Plain(b"[" * 10_000),
    ],
    ids=["500", "503", "429", "break", "garbage", "empty", "deep"],
)
async def test_a_failure_that_may_pass_is_tried_again(reply):
    simulator = Vectors()
    simulator.says(reply, reply)
    async with embeddings(simulator) as model:
        assert len(await model.embed(["a"], side="query")) == 1
        assert len(simulator.calls) == 3


async def test_a_failure_that_stays_is_told_after_some_tries():
    simulator = Vectors()
    simulator.says(*[Fault(429, "slower", retry_after="0")] * 9)
    async with embeddings(simulator) as model:
        with pytest.raises(errors.RateLimited):
            await model.embed(["a"], side="query")
        assert len(simulator.calls) == 3
        with pytest.raises(errors.RateLimited):
            await model.embed(["a"], side="passage")
        assert len(simulator.calls) == 7


async def test_a_wait_that_is_too_long_is_not_waited():
    simulator = Vectors()
    simulator.says(Fault(429, "slower", retry_after="30"))
    async with embeddings(simulator) as model:
        with pytest.raises(errors.RateLimited) as caught:
            await model.embed(["a"], side="query")
        assert caught.value.retry_after == 30
        assert len(simulator.calls) == 1


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Fault(401, "Incorrect API key sk-abcdefgh"), "refused its credentials"),
        (Fault(404, "The model does not exist"), "has no such model"),
        (Fault(400, "dimensions are not supported"), "dimensions are not supported"),
    ],
)
async def test_what_the_operator_must_mend_is_not_tried_again(reply, message):
    simulator = Vectors()
    simulator.says(reply)
    async with embeddings(simulator) as model:
        with pytest.raises(errors.ProviderFailed, match=message) as caught:
            await model.embed(["a"], side="passage")
        assert "sk-abcdefgh" not in f"{caught.value.message}{caught.value.details}"
        assert len(simulator.calls) == 1


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (answer(["a"]), "1 vectors for 2 texts"),
        (answer(["a", "b", "c"]), "3 vectors for 2 texts"),
        (answer(["a", "b"], length=3), "a vector of 3 numbers where 4 were expected"),
        (Plain(json.dumps({"data": [{"index": 0, "embedding": [1]}] * 2}).encode()), "which vector is whose"),
        (Plain(json.dumps({"data": [{"embedding": [0, 0, 0, 0]}] * 2}).encode()), "points nowhere"),
        (Plain(json.dumps({"data": [{"embedding": "AAA"}] * 2}).encode()), "something else than vectors"),
        (Plain(json.dumps({"data": [{"embedding": []}] * 2}).encode()), "a vector of 0 numbers"),
    ],
    ids=["few", "many", "short", "places", "zero", "base64", "none"],
)
async def test_vectors_that_are_no_use_are_never_kept(reply, message):
    simulator = Vectors()
    async with embeddings(simulator, patience={"query": Patience(0), "passage": Patience(0)}) as model:
        await model.dimensions()
        simulator.says(reply)
        with pytest.raises(errors.ProviderFailed, match=message):
            await model.embed(["a", "b"], side="passage")


async def test_when_one_request_fails_for_good_the_others_are_not_waited_for():
    simulator = Vectors()
    simulator.says(*[Fault(401, "no")] * 4)
    async with embeddings(simulator, batch=1) as model:
        with pytest.raises(errors.ProviderFailed):
            await model.embed(["a"] * 200, side="passage")
        assert len(simulator.calls) < 20


async def test_nobody_there_is_an_error_of_its_own():
    async with PooledWire("stage", "http://127.0.0.1:9", limits=Limits()) as wire:
        model = Embeddings(wire, "stage", "m", headers={}, patience=QUICK)
        with pytest.raises(errors.ProviderUnavailable):
            await model.embed(["a"], side="query")
