"""The official Python client over its WebSocket, plain and with lanes."""

import asyncio

import openai
import pytest
from gateway import DEV_KEY, serving, settings
from openai.lib.responses_websocket import (
    AsyncResponsesWebSocketSession,
    ResponsesWebSocketError,
    ResponsesWebSocketLimits,
    ResponsesWebSocketSession,
)

from freddy.server.config import Upstream
from freddy.server.config import settings as parts
from simulators.chat import Chat
from simulators.responses import Responses
from simulators.script import PATIENCE, Answer, Break, Gate, call, text

LIMITS = ResponsesWebSocketLimits(
    max_lanes=8, max_events_per_lane=1_000, max_events=4_000, max_bytes_per_lane=10_000_000, max_bytes=40_000_000
)
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
async def vendor():
    async with Chat() as vendor:
        yield vendor
        assert vendor.complaints == []


@pytest.fixture
async def gateway(vendor, tmp_path):
    async with serving(settings(tmp_path, vendor), vendor) as gateway:
        yield gateway


def asked(model="stage", **more):
    return {"type": "response.create", "model": model, "input": "Hi", **more}


async def test_a_connection_tells_one_response_after_the_other(gateway, vendor):
    vendor.says(Answer(call("weather", '{"city":"Rome"}', call_id="call_1")))
    async with asyncio.timeout(PATIENCE), gateway.openai().responses.connect() as connection:
        await connection.response.create(model="stage", input="Rome?", store=False, tools=[WEATHER])
        async for event in connection:
            if event.type == "response.completed":
                first = event.response
                break
        output = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "Sunny"}
        await connection.response.create(
            model="stage", input=[output], store=False, previous_response_id=first.id, tools=[WEATHER]
        )
        events = []
        async for event in connection:
            events.append(event)
            if event.type == "response.completed":
                break
    assert events[-1].response.output_text == "Hello there."
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Hello there."
    assert [message["role"] for message in vendor.last.body["messages"]] == ["user", "assistant", "tool"]


async def test_lanes_have_their_own_responses_and_their_own_faults(gateway, vendor):
    gate = Gate()
    async with asyncio.timeout(PATIENCE * 2):
        async with AsyncResponsesWebSocketSession(
            await gateway.openai().responses.connect().enter(), limits=LIMITS
        ) as session:
            one, two, three = session.lane("one"), session.lane("two"), session.lane("three")
            vendor.says(Answer(text("slow"), gate, text("er")))
            await one.send(asked())
            await vendor.called()
            await two.send(asked(store=False))
            assert (await two.get_final_response()).output_text == "Hello there."
            await three.send(asked(previous_response_id="resp_no"))
            with pytest.raises(ResponsesWebSocketError) as raised:
                await three.get_final_response()
            assert raised.value.event.error.code == "previous_response_not_found"
            await three.send(asked())
            assert (await three.get_final_response()).output_text == "Hello there."
            gate.open()
            assert (await one.get_final_response()).output_text == "slower"
            await session.default.send(asked())
            assert (await session.default.get_final_response()).status == "completed"


async def test_a_lane_goes_on_after_a_response_that_broke_off(gateway, vendor):
    gate = Gate()
    vendor.says(Answer(text("Half"), gate, Break("cut")))
    async with asyncio.timeout(PATIENCE * 2):
        async with AsyncResponsesWebSocketSession(
            await gateway.openai().responses.connect().enter(), limits=LIMITS
        ) as session:
            lane = session.lane("main")
            await lane.send(asked())
            while (await lane.recv()).type != "response.output_text.delta":
                pass
            gate.open()
            broken = await lane.get_final_response()
            assert (broken.status, broken.error.code) == ("failed", "server_error")
            await lane.send(asked())
            assert (await lane.get_final_response()).output_text == "Hello there."


async def test_a_steer_arrives(gateway, vendor):
    gate = Gate()
    vendor.says(Answer(text("Long"), gate))
    completed = []
    async with asyncio.timeout(PATIENCE), gateway.openai().responses.connect() as connection:
        await connection.response.create(model="stage", input="Plan it.")
        async for event in connection:
            if event.type == "response.created" and not completed:
                await connection.response.steer(previous_response_id=event.response.id, input="Shorter.")
            elif event.type == "response.steer.accepted":
                assert event.steer.id
                gate.open()
            elif event.type == "response.completed":
                completed.append(event.response)
                if len(completed) == 2:
                    break
    assert completed[1].previous_response_id == completed[0].id
    assert vendor.last.messages[-1] == ("user", "Shorter.")


async def test_the_sync_client_has_it_all_as_well(gateway):
    def speak():
        with openai.OpenAI(api_key=DEV_KEY, base_url=f"{gateway.url}/v1", max_retries=0, timeout=PATIENCE) as client:
            with client.responses.connect() as connection:
                connection.response.create(model="stage", input="Hi", generate=False, store=False)
                for event in connection:
                    if event.type == "response.completed":
                        warm = event.response
                        break
            with ResponsesWebSocketSession(client.responses.connect().enter(), limits=LIMITS) as session:
                lanes = [session.lane(name) for name in ("one", "two")]
                for lane in lanes:
                    lane.send(asked())
                said = [lane.get_final_response(timeout=PATIENCE).output_text for lane in lanes]
            return warm, said

    warm, said = await asyncio.to_thread(speak)
    assert (warm.status, warm.output) == ("completed", [])
    assert said == ["Hello there.", "Hello there."]


async def test_what_belongs_together_says_so_to_the_vendor_and_to_nobody_elses(tmp_path):
    async with Responses() as vendor:
        upstream = Upstream(
            name="stage", url=vendor.url, key="sk-vendor", kind="openai", models=("*",), default_model="gpt-5"
        )
        chosen = settings(tmp_path, vendor, upstreams=(upstream,), dev=parts.Development(mode="off"))
        async with serving(chosen, vendor) as gateway:
            one, other = await gateway.mint("org_a"), await gateway.mint("org_b")
            for key in (one.secret, one.secret, other.secret):
                await gateway.openai(key).responses.create(model="gpt-5", input="Hi", prompt_cache_key="mine")
            async with asyncio.timeout(PATIENCE), gateway.openai(one.secret).responses.connect() as connection:
                previous = None
                for _ in range(3):
                    more = {"previous_response_id": previous} if previous else {}
                    await connection.response.create(model="gpt-5", input="Hi", store=False, **more)
                    async for event in connection:
                        if event.type == "response.completed":
                            previous = event.response.id
                            break
        first, again, others, *chain = [call.body["prompt_cache_key"] for call in vendor.calls]
        assert first == again != others
        assert len(set(chain)) == 1
        assert "mine" not in (first, others)
        assert vendor.complaints == []
