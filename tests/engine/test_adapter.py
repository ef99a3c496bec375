"""The embedded model as the rest of the server sees it, with the real engine behind the real wire."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import pytest

from freddy.server.core import deltas, errors, items, request, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.model import Model
from freddy.server.ports.wire import Limits as WireLimits
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.compatible.adapter import Compatible
from freddy.server.providers.compatible.catalog import LLAMA_CPP
from freddy.server.providers.embedded import weights
from freddy.server.providers.embedded.adapter import Embedded
from freddy.server.providers.embedded.child import Address, Limits
from freddy.server.providers.embedded.engine import Engine
from freddy.server.providers.embedded.keeper import Choice, Patience

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine")]
BOUND = 60.0
GREEDY = request.Sampling(temperature=0.0, seed=1)


@contextlib.asynccontextmanager
async def connect(address: Address, fields: Mapping[str, object]) -> AsyncIterator[Model]:
    base, socket = address.base_url, address.socket
    async with (
        PooledWire("engine", f"{base}/v1", limits=WireLimits(), socket=socket) as wire,
        PooledWire("engine", base, limits=WireLimits(), socket=socket) as counter,
    ):
        row = LLAMA_CPP.adding(fields)
        yield Compatible(wire, Profile("m", "embedded"), key=address.api_key, counter=counter, row=row)


@contextlib.asynccontextmanager
async def running(models: Path, **limits: int) -> AsyncIterator[tuple[Engine, Embedded]]:
    choice = weights.choose("smollm2-135m", models)
    patience = Patience(first=0.01)
    # One thread: more only wait for each other where other tests are at work.
    alone = Limits(threads=1, batch_threads=1, **limits)
    async with Engine(choice, limits=alone, patience=patience) as engine:
        yield engine, Embedded(engine, connect)


def turn(text: str, tokens: int | None = 8, **told) -> Turn:
    message = items.Message("m", "user", (items.Text(text),))
    return Turn("m", (message,), max_output_tokens=tokens, **{"sampling": GREEDY, **told})


async def answer(model: Embedded, asked: Turn) -> list[deltas.Delta]:
    async with asyncio.timeout(BOUND):
        told = [delta async for batch in model.stream(asked) for delta in batch]
    return [delta for delta in told if not isinstance(delta, deltas.Counted)]


def said(told: list[deltas.Delta]) -> str:
    return "".join(delta.text for delta in told if isinstance(delta, deltas.Text))


TOOL = toolspec.Function(
    "get_weather",
    "The weather of a city.",
    msgspec.Raw(
        b'{"type":"object","properties":{"city":{"$ref":"#/$defs/c"}},"required":["city"],'
        b'"additionalProperties":false,"$defs":{"c":{"enum":["Lisbon","Rome"]}}}'
    ),
)


async def test_text_in_text_out_and_tools(models: Path):
    async with running(models) as (engine, model):
        assert model.availability == "starting"
        whole = await answer(model, turn("Say hello.", live=False))
        assert model.availability == "ready"
        assert model.profile.name == "smollm2-135m"
        assert model.profile.context_tokens == 8192
        assert "smoke-test" in model.profile.description

        streamed = await answer(model, turn("Say hello."))
        assert said(streamed) == said(whole)
        assert len(streamed) > len(whole)
        stop = streamed[-1]
        assert isinstance(stop, deltas.Stop)
        assert stop.usage.input_tokens == await model.count(turn("Say hello."))

        for choice in ("required", toolspec.Named("get_weather")):
            *_, call, stop = await answer(model, turn("Weather in Lisbon?", 60, tools=(TOOL,), tool_choice=choice))
            assert call.name == "get_weather"
            assert json.loads(call.arguments) == {"city": "Lisbon"}
            assert stop.reason == "tool_calls"

        history = (
            *turn("Weather in Lisbon?").items,
            items.FunctionCall("c", "1", "get_weather", '{"city":"Lisbon"}'),
            items.FunctionOutput("o", "1", (items.Text("18 degrees"),)),
        )
        told = await answer(model, Turn("m", history, tools=(TOOL,), sampling=GREEDY, max_output_tokens=8))
        assert said(told) or any(isinstance(delta, deltas.ToolCall) for delta in told)

        schema = request.Schema("s", msgspec.Raw(b'{"enum":["yes","no"]}'))
        told = await answer(model, turn("Is fire hot?", output=request.Output("json_schema", (schema,))))
        assert json.loads(said(told)) in ("yes", "no")

        # It dies; who asks at that moment is answered by the next one.
        os.kill(engine.pid, signal.SIGKILL)
        assert said(await answer(model, turn("Say hello.")))


async def test_requests_that_together_are_too_long_take_turns(models: Path):
    async with running(models, context=256) as (engine, _):
        model = Embedded(engine, connect, answer_tokens=16)
        long = "word " * 110
        told = await asyncio.gather(*(answer(model, turn(f"{n} {long}", 8)) for n in range(3)))
        assert all(isinstance(one[-1], deltas.Stop) for one in told)
        with pytest.raises(errors.ContextOverflow, match="longer than the model can read") as caught:
            await answer(model, turn(long * 3))
        assert "the model reads 256" in caught.value.details
        # Nobody named a limit: the answer ends all the same.
        *_, stop = await answer(model, turn("Tell a long story.", None, sampling=request.Sampling(seed=3)))
        assert stop.usage.output_tokens <= 16


async def test_an_image_is_refused_before_anything_is_computed(models: Path):
    async with running(models) as (_, model):
        image = items.Message("m", "user", (items.Image("data:image/png;base64,xx"),))
        with pytest.raises(errors.InvalidRequest, match="does not read images"):
            await answer(model, Turn("m", (image,), sampling=GREEDY))


async def test_an_engine_that_cannot_start_says_why_and_what_to_do(tmp_path: Path):
    choice = weights.choose("qwen2.5-coder-0.5b", tmp_path)
    async with Engine(choice) as engine:
        with pytest.raises(errors.ProviderUnavailable, match="is not on this machine") as caught:
            await answer(Embedded(engine, connect), turn("Hi"))
        assert caught.value.details == "run: freddy models pull qwen2.5-coder-0.5b"
        assert Embedded(engine, connect).availability == "unavailable"


async def test_who_comes_too_early_waits_only_so_long(tmp_path: Path):
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()

    def locate() -> Path:
        asyncio.run_coroutine_threadsafe(ready.wait(), loop).result(BOUND)
        return tmp_path / "none.gguf"

    async with Engine(Choice("slow", locate)) as engine:
        model = Embedded(engine, connect, patience=0.05)
        with pytest.raises(errors.ProviderUnavailable, match="'slow' is starting") as caught:
            await answer(model, turn("Hi"))
        assert caught.value.retry_after
        ready.set()
