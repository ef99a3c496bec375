"""The adapter speaks to a server of OpenAI's protocol over real sockets; the server checks what it is asked."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from openai.types.responses import response_create_params as params
from pydantic import TypeAdapter

from freddy.server.core import deltas, errors, items
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.wire import Limits
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.openai.adapter import OpenAI, OpenAIProvider
from simulators.responses import Responses

PATIENCE = 30.0
RECORDING = (Path(__file__).parent / "recordings" / "reasoning-and-calls.sse").read_bytes()
TURN = Turn(model="gpt-5", items=(items.Message("msg_1", "user", (items.Text("Hi"),)),))
BODY = TypeAdapter(params.ResponseCreateParamsStreaming)


class Simulator:
    """Says the recording up to `upto`, then ends, breaks off or waits."""

    def __init__(self, *, upto: int | None = None, then: str = "end", status: str = "200 OK") -> None:
        self.gone = asyncio.Event()
        self.requests = 0
        self._said = RECORDING[:upto]
        self._then = then
        self._status = status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            assert head.startswith("post /v1/responses http/1.1\r\n")
            assert "authorization: bearer secret\r\n" in head
            BODY.validate_python(json.loads(await reader.readexactly(length)))
            self.requests += 1
            writer.write(
                f"HTTP/1.1 {self._status}\r\ncontent-type: text/event-stream; charset=utf-8\r\n".encode()
                + b"retry-after: 3\r\ntransfer-encoding: chunked\r\n\r\n"
                + b"%x\r\n%b\r\n" % (len(self._said), self._said)
            )
            if self._then == "end":
                writer.write(b"0\r\n\r\n")
            elif self._then == "reset":
                writer.transport.abort()
            elif self._then == "wait":
                await writer.drain()
                assert await reader.read() == b""
                self.gone.set()
            await writer.drain()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def model_of(simulator: Simulator) -> AsyncIterator[OpenAI]:
    server = await asyncio.start_server(simulator.serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with asyncio.timeout(PATIENCE), PooledWire("openai", url, limits=Limits()) as wire:
            yield OpenAI(wire, Profile(name="gpt-5", provider="openai", reasoning=True), key="secret")


async def said_by(model: OpenAI) -> list[deltas.Delta]:
    return [delta async for batch in model.stream(TURN) for delta in batch]


async def test_an_answer_comes_over_http():
    async with model_of(Simulator()) as model:
        said = await said_by(model)
    assert said[0] == deltas.Answering("gpt-5-2025-08-07")
    assert said[-1].reason == "tool_calls"


@pytest.mark.parametrize("then", ["end", "cut", "reset"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.97])
async def test_an_answer_that_ends_before_its_end_is_a_failure(then, part):
    simulator = Simulator(upto=int(len(RECORDING) * part), then=then)
    async with model_of(simulator) as model:
        with pytest.raises(errors.ProviderFailed):
            await said_by(model)
    assert simulator.requests == 1


async def test_closing_the_answer_stops_the_vendor():
    simulator = Simulator(upto=2000, then="wait")
    async with model_of(simulator) as model:
        saying = model.stream(TURN)
        assert await anext(saying)
        await saying.aclose()
        await simulator.gone.wait()


async def test_a_rate_limit_says_when_to_come_back():
    async with model_of(Simulator(status="429 Too Many Requests")) as model:
        with pytest.raises(errors.RateLimited) as limited:
            await said_by(model)
    assert limited.value.retry_after == 3.0


async def test_the_models_of_a_vendor_are_listed_over_http():
    async with (
        asyncio.timeout(PATIENCE),
        Responses(key="secret", models=("gpt-5", "o3")) as vendor,
        PooledWire("openai", vendor.url, limits=Limits()) as wire,
    ):
        provider = OpenAIProvider(wire, "openai", profile_of=lambda called: Profile(called, "openai"), key="secret")
        assert await provider.models() == ("gpt-5", "o3")
        assert await said_by(provider.model("gpt-5"))
    assert vendor.complaints == []
