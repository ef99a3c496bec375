"""A real server of chat completions: llama.cpp over loopback TCP, asked as any compatible vendor is."""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator

import msgspec
import pytest

from freddy.server.core import deltas, errors, items, request
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.wire import Limits as WireLimits
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.compatible import catalog
from freddy.server.providers.compatible.adapter import CompatibleProvider
from freddy.server.providers.embedded.child import Limits
from freddy.server.providers.embedded.engine import Engine
from freddy.server.providers.embedded.keeper import Choice

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine")]
BOUND = 60.0
NAME = "smollm2-135m"
GREEDY = request.Sampling(temperature=0.0, seed=1)
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "people": {"type": "integer", "maximum": 99}},
    "required": ["city", "people"],
    "additionalProperties": False,
}


@contextlib.asynccontextmanager
async def served(floor: Choice) -> AsyncIterator[CompatibleProvider]:
    async with Engine(floor, limits=Limits(threads=1, batch_threads=1), tcp=True) as engine:
        address = await engine.wait_ready(BOUND)
        assert address.socket is None
        async with (
            PooledWire("llama", f"{address.base_url}/v1", limits=WireLimits()) as wire,
            PooledWire("llama", address.base_url, limits=WireLimits()) as counter,
        ):
            yield CompatibleProvider(
                wire,
                name="llama",
                row=catalog.LLAMA_CPP,
                profile_of=lambda name: Profile(name, "llama"),
                key=address.api_key,
                counter=counter,
            )


def turn(text: str, tokens: int = 8, **told) -> Turn:
    message = items.Message("m", "user", (items.Text(text),))
    return Turn(NAME, (message,), max_output_tokens=tokens, **{"sampling": GREEDY, **told})


async def answer(provider: CompatibleProvider, asked: Turn, *, key: str | None = None) -> list[deltas.Delta]:
    async with asyncio.timeout(BOUND):
        return [delta async for batch in provider.model(NAME, key=key).stream(asked) for delta in batch]


def text(said: list[deltas.Delta]) -> str:
    return "".join(one.text for one in said if isinstance(one, deltas.Text))


async def test_a_real_server_answers_as_its_row_says(floor: Choice):
    async with served(floor) as provider:
        assert NAME in await provider.models()

        streamed = await answer(provider, turn("Name a color."))
        whole = await answer(provider, turn("Name a color.", live=False))
        assert text(streamed) == text(whole) != ""
        assert len(streamed) > len(whole)
        stop = whole[-1]
        assert isinstance(stop, deltas.Stop)
        assert stop.reason == "length"
        assert stop.usage is not None
        assert stop.usage.output_tokens == 8
        assert stop.usage.input_tokens == await provider.model(NAME).count(turn("Name a color."))
        assert isinstance(streamed[-1], deltas.Stop)
        assert streamed[-1].usage is not None
        assert (streamed[-1].usage.input_tokens, streamed[-1].usage.output_tokens) == (stop.usage.input_tokens, 8)

        likely = request.Sampling(temperature=0.0, logprobs=True, top_logprobs=3)
        for live in (True, False):
            told = [
                token
                for one in await answer(provider, turn("Name a color.", sampling=likely, live=live))
                if isinstance(one, deltas.Text)
                for token in one.logprobs
            ]
            assert "".join(token.token for token in told) == text(whole)
            assert all(len(token.top) == 3 and -math.inf < token.logprob <= 0 for token in told)

        schema = request.Schema("place", msgspec.Raw(json.dumps(PLACE).encode()))
        for live in (True, False):
            form = turn("Tell me of Bern.", 64, output=request.Output("json_schema", (schema,)), live=live)
            place = json.loads(text(await answer(provider, form)))
            assert place.keys() == {"city", "people"}
            assert isinstance(place["city"], str)
            assert isinstance(place["people"], int)
            assert provider.model(NAME).warnings(form) == ()

        ended = turn("Count from one to ten.", 64, sampling=request.Sampling(temperature=0.0, stop=(text(whole)[-1],)))
        assert isinstance((await answer(provider, ended))[-1], deltas.Stop)

        talk = tuple(
            items.Message("m", role, (items.Text(role),)) for role in ("user", "user", "assistant", "system", "user")
        )
        assert text(await answer(provider, Turn(NAME, talk, max_output_tokens=4, instructions="Be brief.")))

        with pytest.raises(errors.ContextOverflow):
            await answer(provider, turn("word " * 20_000))


async def test_a_real_server_refuses_a_key_that_it_does_not_know(floor: Choice):
    async with served(floor) as provider:
        with pytest.raises(errors.ProviderFailed, match="credentials"):
            await answer(provider, turn("Hi"), key="guess")
