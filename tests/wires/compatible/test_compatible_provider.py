"""A provider of many models behind one address: who is asked with which key, and what it says there is."""

import asyncio
import json

import pytest

from freddy.server.core import deltas, errors, items
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.model import Provider
from freddy.server.ports.wire import Limits
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.compatible import catalog
from freddy.server.providers.compatible.adapter import CompatibleProvider
from freddy.server.providers.compatible.row import fitted
from freddy_fakes import PATIENCE

PATIENT = Limits(connect=PATIENCE, first=PATIENCE, idle=PATIENCE, total=2 * PATIENCE)
ANSWER = {"model": "exact", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
LIST = {"object": "list", "data": [{"id": "b", "object": "model"}, {"id": "a"}, {"object": "model"}]}


class Vendor:
    """Answers by method and path, and keeps what it was asked."""

    def __init__(self, **answers: tuple[int, bytes]) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self._answers = answers

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        async with asyncio.timeout(PATIENCE):
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append((first.rpartition(" ")[0], headers, body))
        status, told = self._answers[first.split()[0].lower()]
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(told)}"
        writer.write(f"{head}\r\nconnection: close\r\n\r\n".encode() + told)
        await writer.drain()
        writer.close()


def said(value: object, status: int = 200) -> tuple[int, bytes]:
    return status, value if isinstance(value, bytes) else json.dumps(value).encode()


def provider(wire: PooledWire, row=catalog.COMPATIBLE, **options) -> CompatibleProvider:
    return CompatibleProvider(
        wire, name="vendor", row=row, profile_of=lambda name: Profile(name, "vendor", audio=True), **options
    )


def of_the_port(given: Provider) -> Provider:
    return given


async def answer(model, *, called: str = "asked for") -> list[deltas.Delta]:
    turn = Turn(called, (items.Message("m", "user", (items.Text("Hi"),)),), live=False)
    async with asyncio.timeout(PATIENCE):
        return [delta async for batch in model.stream(turn) for delta in batch]


async def test_a_model_is_asked_by_the_vendors_name_with_the_key_and_the_operators_headers():
    vendor = Vendor(post=said(ANSWER))
    async with vendor as url, PooledWire("vendor", url, limits=PATIENT) as wire:
        given = of_the_port(provider(wire, key="secret", headers={"X-Team": "a"}))
        assert await answer(given.model("m-1")) == [
            deltas.Answering("exact"),
            deltas.Text("Hi"),
            deltas.Stop("stop"),
        ]
    ((line, headers, body),) = vendor.asked
    assert line == "POST /v1/chat/completions"
    assert (headers["authorization"], headers["x-team"]) == ("Bearer secret", "a")
    assert json.loads(body)["model"] == "m-1"


async def test_an_organizations_own_key_takes_the_place_of_the_operators():
    vendor = Vendor(post=said(ANSWER))
    async with vendor as url, PooledWire("vendor", url, limits=PATIENT) as wire:
        given = provider(wire, catalog.AZURE, key="operators")
        await answer(given.model("m", key="theirs"))
        await answer(given.model("m"))
    assert [headers["api-key"] for _, headers, _ in vendor.asked] == ["theirs", "operators"]
    assert not any("authorization" in headers for _, headers, _ in vendor.asked)


def test_models_are_kept_by_name_and_key_and_not_without_bound():
    given = provider(PooledWire("vendor", "http://vendor.invalid", limits=PATIENT))
    first = given.model("m")
    assert given.model("m") is first
    assert given.model("m", key="theirs") is not first
    for number in range(1000):
        given.model(f"m-{number}")
    assert given.model("m") is not first
    assert given.model("m-999") is given.model("m-999")


def test_a_model_has_the_profile_it_was_given_and_warns_of_what_the_vendor_does_not_take():
    given = provider(PooledWire("vendor", "http://vendor.invalid", limits=PATIENT), catalog.OLLAMA)
    model = given.model("qwen3")
    assert (model.profile.name, model.profile.audio) == ("qwen3", True)
    assert fitted(model.profile, catalog.OLLAMA.of("qwen3")).audio is False
    assert model.availability == "ready"
    turn = Turn("alias", (), tools=(), max_output_tokens=3, parallel_tool_calls=True)
    assert model.warnings(turn) == ()


@pytest.mark.parametrize(
    ("told", "names"),
    [
        (said(LIST), ("b", "a")),
        (said(LIST["data"]), ("b", "a")),
        (said({"data": None}), ()),
        (said(b"", 404), ()),
        (said(b"", 405), ()),
    ],
    ids=["object", "list", "null", "not-found", "not-allowed"],
)
async def test_a_provider_tells_its_models_in_the_vendors_order(told, names):
    vendor = Vendor(get=told)
    async with vendor as url, PooledWire("vendor", url, limits=PATIENT) as wire:
        assert await provider(wire, key="secret").models() == names
    ((line, headers, body),) = vendor.asked
    assert (line, headers["authorization"], body) == ("GET /v1/models", "Bearer secret", b"")


async def test_a_vendor_without_a_list_is_not_asked_for_it():
    vendor = Vendor()
    async with vendor as url, PooledWire("vendor", url, limits=PATIENT) as wire:
        assert await provider(wire, catalog.PERPLEXITY).models() == ()
    assert vendor.asked == []


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (said(b"<html>"), errors.ProviderFailed),
        (said([1, 2]), errors.ProviderFailed),
        (said({"error": {"message": "no"}}, 401), errors.ProviderFailed),
        (said(b"", 503), errors.ProviderUnavailable),
        (said(b"", 429), errors.RateLimited),
    ],
)
async def test_a_list_that_cannot_be_had_is_a_failure_of_the_provider(told, kind):
    async with Vendor(get=told) as url, PooledWire("vendor", url, limits=PATIENT) as wire:
        with pytest.raises(kind):
            await provider(wire).models()
