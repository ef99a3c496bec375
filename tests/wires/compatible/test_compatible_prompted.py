"""A model behind a compatible server that knows of no tools: it is told of them in words, and its words are read."""

import asyncio
import json

import pytest
from test_compatible_provider import PATIENT, Vendor, said

from freddy.server.core import deltas, items, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.compatible import catalog
from freddy.server.providers.compatible.adapter import Compatible
from freddy_fakes import PATIENCE, raw

ROAD = toolspec.Function("road", "How long", raw({"type": "object", "properties": {"km": {"type": "integer"}}}))
HELLO = items.Message("m", "user", (items.Text("How far?"),))


def words(text: str) -> tuple[int, bytes]:
    return said({"model": "exact", "choices": [{"message": {"content": text}, "finish_reason": "stop"}]})


async def ask(vendor: Vendor, turn: Turn, row=catalog.COMPATIBLE) -> list[deltas.Delta]:
    async with vendor as url, PooledWire("vendor", url, limits=PATIENT) as wire, asyncio.timeout(PATIENCE):
        model = Compatible(wire, Profile("m", "vendor", tools=False), row=row)
        return [delta async for batch in model.stream(turn) for delta in batch]


async def test_a_call_is_found_in_what_the_model_writes():
    vendor = Vendor(post=words('<tool_call>\n{"name": "road", "arguments": {"km": 7}}\n</tool_call>'))
    told = await ask(vendor, Turn("m", (HELLO,), tools=(ROAD,), live=False))
    (call,) = [delta for delta in told if isinstance(delta, deltas.ToolCall)]
    assert (call.name, json.loads(call.arguments)) == ("road", {"km": 7})
    assert isinstance(told[-1], deltas.Stop)
    assert told[-1].reason == "tool_calls"
    ((_, _, body),) = vendor.asked
    body = json.loads(body)
    assert "tools" not in body
    assert '"name": "road"' in body["messages"][0]["content"]


async def test_an_output_is_told_in_words_too():
    call = items.FunctionCall("fc_1", "call_1", "road", '{"km": 7}')
    output = items.FunctionOutput("fco_1", "call_1", (items.Text("seven"),))
    vendor = Vendor(post=words("It is seven."))
    told = await ask(vendor, Turn("m", (HELLO, call, output), tools=(ROAD,), live=False))
    assert deltas.Text("It is seven.") in told
    sent = json.loads(vendor.asked[0][2])["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert "<tool_response>" in sent[-1]["content"]


@pytest.mark.parametrize("row", [catalog.COMPATIBLE, catalog.VLLM])
async def test_a_call_that_must_be_made_is_held_to_its_form(row):
    vendor = Vendor(post=words('{"name": "road", "arguments": {"km": 7}}'))
    turn = Turn("m", (HELLO,), tools=(ROAD,), tool_choice=toolspec.Named("road"), live=False)
    told = await ask(vendor, turn, row)
    (call,) = [delta for delta in told if isinstance(delta, deltas.ToolCall)]
    assert call.name == "road"
    body = json.loads(vendor.asked[0][2])
    assert '"km"' in json.dumps(body.get("response_format", body["messages"]))
