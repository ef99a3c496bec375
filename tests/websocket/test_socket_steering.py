"""What is said to a response while it is in flight."""

import pytest
import sockets

from upstream import Answer, Break, Fault, Gate, call, text

FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


async def steered(wire, response_id, text="Shorter."):
    await wire.send({"type": "response.steer", "previous_response_id": response_id, "input": text})


async def begun(wire, upstream, *lines, **body):
    gate = Gate()
    upstream.says(Answer(text("Long"), gate, *lines))
    await wire.create("Plan it.", **body)
    created = await wire.next("response.created")
    await wire.next("response.output_text.delta")
    return created["response"]["id"], gate


@pytest.mark.parametrize("store", [True, False])
async def test_a_steer_is_followed_by_a_response_of_its_own(wire, upstream, store):
    first, gate = await begun(wire, upstream, store=store, stream_id="main", instructions="Be kind.")
    await steered(wire, first)
    accepted = await wire.next()
    assert accepted == {
        "type": "response.steer.accepted",
        "sequence_number": accepted["sequence_number"],
        "steer": {"id": accepted["steer"]["id"], "previous_response_id": first},
        "stream_id": "main",
    }
    await steered(wire, first, [{"type": "message", "role": "user", "content": "And in French."}])
    assert (await wire.next())["type"] == "response.steer.accepted"
    gate.open()
    told = await wire.whole("main")
    numbers = [event["sequence_number"] for event in told]
    assert numbers == list(range(accepted["sequence_number"] + 2, accepted["sequence_number"] + 2 + len(told)))
    assert (told[-1]["type"], told[-1]["response"]["id"]) == ("response.completed", first)
    after = await wire.whole("main")
    assert (after[0]["type"], after[0]["sequence_number"]) == ("response.created", 0)
    assert after[0]["response"]["previous_response_id"] == first
    assert after[-1]["response"]["instructions"] == "Be kind."
    said = [content for who, content in sockets.texts(upstream.last) if who == "user"]
    assert said == ["Plan it.", "Shorter.", "And in French."]
    again = await wire.ask("More", store=store, previous_response_id=after[-1]["response"]["id"], stream_id="main")
    assert again["status"] == "completed"
    assert len(sockets.texts(upstream.last)) == 6


async def test_a_steer_waits_for_what_only_the_caller_knows(wire, upstream):
    first, gate = await begun(wire, upstream, call("weather", "{}", call_id="call_1"), store=False, tools=[FUNCTION])
    await steered(wire, first)
    accepted = await wire.next()
    gate.open()
    completed = (await wire.whole())[-1]
    pending = await wire.next()
    assert pending == {
        "type": "response.steer.pending",
        "sequence_number": completed["sequence_number"] + 1,
        "steer": accepted["steer"],
        "reason": "waiting_for_required_input",
        "required_input": [{"type": "function_call_output", "call_id": "call_1", "name": "weather"}],
    }
    output = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"}
    await wire.ask([output], store=False, previous_response_id=first)
    said = sockets.texts(upstream.last)
    assert [content for who, content in said if who in ("user", "tool")] == ["Plan it.", "Sunny", "Shorter."]


@pytest.mark.parametrize(
    "given", ["", [], None, 7, {}, [{"role": "assistant", "content": "Hi"}], [{"type": "item_reference", "id": "x"}]]
)
async def test_only_a_user_can_be_heard(wire, upstream, given):
    first, gate = await begun(wire, upstream)
    await steered(wire, first, given)
    failed = await wire.next()
    assert (failed["type"], failed["error"]["code"]) == ("response.steer.failed", "invalid_input")
    assert failed["steer"] == {"previous_response_id": first, "input": given}
    gate.open()
    assert (await wire.whole())[-1]["type"] == "response.completed"


async def test_what_is_not_in_flight_cannot_be_steered(wire):
    ended = await wire.ask()
    for response_id in (ended["id"], "resp_no"):
        await steered(wire, response_id)
        failed = await wire.next()
        assert (failed["type"], failed["error"]["code"]) == ("response.steer.failed", "response_not_found")
        assert failed["steer"] == {"previous_response_id": response_id, "input": "Shorter."}


async def test_steers_come_back_where_they_cannot_be_followed(wire, upstream):
    first, gate = await begun(wire, upstream, Break("cut"))
    await steered(wire, first)
    accepted = await wire.next()
    gate.open()
    assert (await wire.whole())[-1]["type"] == "response.failed"
    failed = await wire.next()
    assert (failed["type"], failed["error"]["code"]) == ("response.steer.failed", "successor_creation_failed")
    assert failed["steer"] == {**accepted["steer"], "input": "Shorter."}
    first, gate = await begun(wire, upstream)
    await steered(wire, first)
    await wire.next("response.steer.accepted")
    upstream.says(Fault(400, "no"))
    gate.open()
    assert (await wire.whole())[-1]["type"] == "response.completed"
    assert (await wire.next())["type"] == "response.steer.failed"
    assert (await wire.next())["type"] == "error"


async def test_a_conversation_is_not_steered_and_there_is_an_end_to_steers(gateway, wire, upstream):
    conversation = (await gateway.post("/v1/conversations", {})).json()["id"]
    first, gate = await begun(wire, upstream, conversation=conversation)
    await steered(wire, first)
    assert (await wire.next())["error"]["code"] == "steering_not_supported"
    gate.open()
    await wire.whole()
    first, gate = await begun(wire, upstream)
    for _ in range(16):
        await steered(wire, first)
        assert (await wire.next())["type"] == "response.steer.accepted"
    await steered(wire, first)
    assert (await wire.next())["error"]["code"] == "too_many_pending_steers"
    gate.open()
    await wire.whole()
    assert (await wire.whole())[-1]["type"] == "response.completed"
