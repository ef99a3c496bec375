"""Responses over a WebSocket: the events, the chains, the lanes."""

import asyncio

import pytest
import sockets

from upstream import PATIENCE, Answer, Break, Fault, Gate, call, text


def function(name="weather"):
    return {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}}


async def test_a_socket_tells_the_events_of_the_stream_over_http(gateway, wire):
    streamed = await gateway.told("openai")
    await wire.create()
    told = await wire.whole()
    assert [event["type"] for event in told] == streamed.types
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == "Hello there."
    assert not any("stream_id" in event for event in told)
    assert [set(event) for event in told] == [set(event) for event in streamed.events]


async def test_a_response_may_stand_in_the_event_or_inside_it(wire):
    await wire.send({"type": "response.create", "response": {"model": "stage", "input": "Hi"}})
    assert (await wire.whole())[-1]["type"] == "response.completed"


async def test_what_is_stored_is_found_over_http_and_by_other_connections(gateway, wire, upstream):
    first = await wire.ask("One")
    kept = (await gateway.get(f"/v1/responses/{first['id']}")).json()
    assert (kept["status"], kept["output"]) == ("completed", first["output"])
    async with sockets.opened(gateway) as other:
        second = await other.ask("Two", previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    third = await gateway.ask("openai", input="Three", previous_response_id=second["id"])
    assert third["status"] == "completed"
    said = [content for _, content in sockets.texts(upstream.last)]
    assert said == ["One", "Hello there.", "Two", "Hello there.", "Three"]


async def test_a_chain_of_responses_that_are_not_stored_lasts_as_long_as_the_connection(gateway, wire, upstream):
    upstream.says(Answer(call("weather", '{"city":"Rome"}', call_id="call_1")))
    first = await wire.ask("Rome?", store=False, tools=[function()])
    output = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"}
    second = await wire.ask([output], store=False, previous_response_id=first["id"], tools=[function()])
    assert second["previous_response_id"] == first["id"]
    third = await wire.ask("And now?", store=False, previous_response_id=second["id"])
    assert [who for who, _ in sockets.texts(upstream.last)] == ["user", "assistant", "tool", "assistant", "user"]
    for one in (first, second, third):
        assert (await gateway.get(f"/v1/responses/{one['id']}")).status_code == 404
    async with sockets.opened(gateway) as other:
        error = await other.refused("More", previous_response_id=third["id"])
    assert (error["status"], error["error"]["code"]) == (400, "previous_response_not_found")
    assert error["error"]["param"] == "previous_response_id"


async def test_a_stored_response_may_follow_one_that_is_not_and_the_other_way_round(gateway, wire, upstream):
    stored = await wire.ask("One")
    unstored = await wire.ask("Two", store=False, previous_response_id=stored["id"])
    again = await wire.ask("Three", previous_response_id=unstored["id"])
    assert again["previous_response_id"] == unstored["id"]
    await gateway.ask("openai", input="Four", previous_response_id=again["id"])
    said = [content for who, content in sockets.texts(upstream.last) if who == "user"]
    assert said == ["One", "Two", "Three", "Four"]


async def test_a_call_that_nobody_answered_is_left_out_of_what_follows(wire, upstream):
    upstream.says(Answer(text("Wait."), call("weather", "{}", call_id="call_1")))
    first = await wire.ask("Rome?", store=False, tools=[function()])
    await wire.ask("Never mind.", store=False, previous_response_id=first["id"])
    assert sockets.texts(upstream.last) == [("user", "Rome?"), ("assistant", "Wait."), ("user", "Never mind.")]


async def test_a_continuation_that_fails_is_the_last_of_its_chain(wire, upstream):
    first = await wire.ask("One", store=False)
    upstream.says(Fault(400, "no"))
    error = await wire.refused("Two", store=False, previous_response_id=first["id"])
    assert error["status"] == 400
    error = await wire.refused("Two", store=False, previous_response_id=first["id"])
    assert error["error"]["code"] == "previous_response_not_found"
    assert (await wire.ask("Anew", store=False))["status"] == "completed"


@pytest.mark.parametrize("wrong", [{"temperature": 9}, {"model": 7}, {"tools": "none"}])
async def test_a_continuation_that_cannot_be_read_ends_its_chain_as_well(wire, wrong):
    for nested in (False, True):
        first = await wire.ask("One", store=False)
        body = {"model": "stage", "input": "Two", "store": False, "previous_response_id": first["id"], **wrong}
        await wire.send({"type": "response.create", **({"response": body} if nested else body)})
        assert (await wire.next())["status"] == 400
        error = await wire.refused("Two", store=False, previous_response_id=first["id"])
        assert error["error"]["code"] == "previous_response_not_found"


async def test_a_fork_that_fails_leaves_its_parent_to_the_other_lane(wire):
    first = await wire.ask("One", store=False, stream_id="main")
    error = await wire.refused("Two", store=False, stream_id="fork", previous_response_id=first["id"], temperature=9)
    assert (error["status"], error["stream_id"]) == (400, "fork")
    assert (await wire.ask("Two", store=False, stream_id="main", previous_response_id=first["id"]))["status"] == (
        "completed"
    )


async def test_warming_asks_no_model_and_can_be_gone_on_from(wire, upstream):
    await wire.create("You may need this.", generate=False, store=False, tools=[function()], instructions="Be brief.")
    created, completed = await wire.whole()
    assert (created["type"], completed["type"]) == ("response.created", "response.completed")
    assert (created["response"]["status"], completed["response"]["status"]) == ("in_progress", "completed")
    assert completed["response"]["output"] == []
    assert completed["response"]["usage"]["total_tokens"] == 0
    assert upstream.calls == []
    warm = completed["response"]["id"]
    await wire.ask("Hi", store=False, previous_response_id=warm)
    assert sockets.texts(upstream.last) == [("user", "You may need this."), ("user", "Hi")]


async def test_warming_with_nothing_to_say_is_not_wrong(wire):
    for more in ({}, {"input": []}):
        await wire.send({"type": "response.create", "model": "stage", "generate": False, **more})
        warm = (await wire.whole())[-1]["response"]
        assert (await wire.ask("Hi", previous_response_id=warm["id"]))["status"] == "completed"


async def test_warming_is_refused_as_the_response_would_be(wire):
    error = await wire.refused(generate=False, model="no-such-model", tools=[{"type": "function"}])
    assert error["status"] == 400


async def test_lanes_are_told_at_once_and_apart(wire, upstream):
    gate = Gate()
    upstream.says(Answer(text("slow"), gate, text("er")), Answer(text("quick")))
    await wire.create("One", stream_id="slow")
    await gate.reached()
    await wire.create("Two", stream_id="quick")
    quick = await wire.whole("quick")
    gate.open()
    slow = await wire.whole("slow")
    assert quick[-1]["response"]["output"][0]["content"][0]["text"] == "quick"
    assert slow[-1]["response"]["output"][0]["content"][0]["text"] == "slower"
    assert {event["stream_id"] for event in quick} == {"quick"}


@pytest.mark.parametrize("lane", [None, "main"])
async def test_responses_of_a_lane_are_made_one_after_the_other(wire, upstream, lane):
    gate = Gate()
    upstream.says(Answer(text("One"), gate), Answer(text("Two")))
    more = {} if lane is None else {"stream_id": lane}
    await wire.create("First", **more)
    await gate.reached()
    await wire.create("Second", **more)
    await wire.send({"type": "no.such.type"})
    assert (await wire.next("error"))["error"]["code"] == "unknown_event_type"
    assert len(upstream.calls) == 1
    gate.open()
    first, second = await wire.whole(lane), await wire.whole(lane)
    assert first[-1]["response"]["output"][0]["content"][0]["text"] == "One"
    assert second[-1]["response"]["output"][0]["content"][0]["text"] == "Two"


async def test_more_than_sixteen_wait_for_their_turn(wire, upstream):
    gate = Gate()
    upstream.says(*(Answer(text("x"), gate) for _ in range(18)))
    for number in range(18):
        await wire.create(stream_id=f"lane-{number}")
    await upstream.called(16)
    await wire.send({"type": "response.cancel", "response_id": "resp_0"})
    while (await wire.next())["type"] != "error":
        pass
    assert len(upstream.calls) == 16
    gate.open()
    ended = set()
    while len(ended) < 18:
        ended.add((await wire.next("response.completed"))["stream_id"])


async def test_a_connection_has_thirty_two_busy_lanes_and_no_more(wire, upstream):
    gate = Gate()
    upstream.says(*(Answer(gate, text("Hello")) for _ in range(34)))
    for number in range(32):
        await wire.create(stream_id=f"lane-{number}")
    error = await wire.refused(stream_id="lane-32")
    assert (error["error"]["code"], error["stream_id"]) == ("websocket_stream_limit_reached", "lane-32")
    assert "All 32 lanes of this connection are busy" in error["error"]["message"]
    # Those there are take more, and so does the one that has no name.
    await wire.create(stream_id="lane-3")
    await wire.create()
    gate.open()
    ended = [(await wire.next("response.completed")).get("stream_id") for _ in range(34)]
    assert sorted(ended, key=str) == sorted([*(f"lane-{number}" for number in range(32)), "lane-3", None], key=str)
    assert (await wire.ask(stream_id="lane-32"))["status"] == "completed"


async def test_lanes_are_free_when_nothing_is_in_flight_and_what_they_held_stays(wire, upstream):
    first = await wire.ask("I am a fox.", stream_id="main", store=False)
    for number in range(40):
        await wire.ask(stream_id=f"lane-{number}")
    await wire.ask("Who am I?", stream_id="main", store=False, previous_response_id=first["id"])
    said = [content for who, content in sockets.texts(upstream.last) if who == "user"]
    assert said == ["I am a fox.", "Who am I?"]


@pytest.mark.parametrize("lane", ["", "a b", "é", "x" * 257, 7, ["main"]])
async def test_a_lane_has_a_name_that_can_be_one(wire, lane):
    await wire.create(stream_id=lane)
    error = await wire.next()
    assert (error["type"], error["status"], error["error"]["code"]) == ("error", 400, "invalid_stream_id")
    assert (await wire.ask())["status"] == "completed"


async def test_a_failure_before_the_first_word_is_an_error_with_its_status(wire, upstream):
    upstream.says(*(Fault(429, "slow down", retry_after="7") for _ in range(6)))
    error = await wire.refused(stream_id="main")
    assert (error["status"], error["error"]["code"]) == (429, "rate_limit_exceeded")
    assert error["headers"]["retry-after"]


async def test_a_failure_behind_the_first_word_ends_the_response_and_nothing_else(wire, upstream):
    gate = Gate()
    upstream.says(Answer(text("Half"), gate, Break("cut")))
    await wire.create(stream_id="main")
    await wire.next("response.output_text.delta")
    gate.open()
    told = await wire.whole("main")
    assert told[-1]["type"] == "response.failed"
    assert [event["sequence_number"] for event in told] == list(
        range(told[0]["sequence_number"], told[0]["sequence_number"] + len(told))
    )
    assert (await wire.ask(stream_id="main"))["status"] == "completed"


async def test_a_response_in_flight_can_be_cancelled(wire, upstream):
    gate = Gate()
    upstream.says(Answer(text("Half"), gate))
    await wire.create()
    created = await wire.next("response.created")
    await wire.next("response.output_text.delta")
    await wire.send({"type": "response.cancel", "response_id": created["response"]["id"]})
    last = (await wire.whole())[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "cancelled")
    await (await upstream.called()).let_go()
    await wire.send({"type": "response.cancel", "response_id": created["response"]["id"]})
    error = await wire.next()
    assert (error["status"], error["error"]["code"]) == (404, "response_not_found")


async def test_the_response_of_a_lane_can_be_cancelled_without_its_id(wire, upstream):
    gate = Gate()
    upstream.says(Answer(text("Half"), gate))
    await wire.create(stream_id="main")
    await gate.reached()
    await wire.send({"type": "response.cancel", "stream_id": "main"})
    assert (await wire.whole("main"))[-1]["response"]["status"] == "cancelled"


async def test_a_background_response_is_told_and_goes_on_without_its_connection(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("Half"), gate, text(" whole")))
    async with sockets.opened(gateway) as wire:
        await wire.create(background=True)
        begun = (await wire.next("response.created"))["response"]
        await wire.next("response.output_text.delta")
    gate.open()
    async with asyncio.timeout(PATIENCE):
        async with gateway.listening(f"/v1/responses/{begun['id']}?stream=true") as told:
            ended = await told.next("response.completed")
    assert ended["response"]["output"][0]["content"][0]["text"] == "Half whole"


async def test_usage_is_counted_whatever_becomes_of_the_connection(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("Half"), gate))
    async with sockets.opened(gateway) as wire:
        await wire.create()
        begun = (await wire.next("response.created"))["response"]
        await wire.next("response.output_text.delta")
        wire.connection.transport.abort()
        await (await upstream.called()).let_go()
    ended = await gateway.ended(begun["id"])
    assert ended["status"] == "cancelled"
    assert ended["usage"]["output_tokens"] > 0


async def test_a_stored_chain_goes_on_at_a_server_that_comes_after(opened, upstream):
    async with sockets.opened(await opened()) as wire:
        first = await wire.ask("One")
        unstored = await wire.ask("Two", store=False, previous_response_id=first["id"])
    async with sockets.opened(await opened()) as wire:
        error = await wire.refused("Three", previous_response_id=unstored["id"])
        assert error["error"]["code"] == "previous_response_not_found"
        await wire.ask("Three", previous_response_id=first["id"])
    assert [content for _, content in sockets.texts(upstream.last)] == ["One", "Hello there.", "Three"]
