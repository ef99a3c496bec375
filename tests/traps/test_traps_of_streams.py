"""What streams of other servers get wrong: ids that change, events that are missing, ends that are not told."""

import asyncio

import pytest
from gateway import PATIENCE, spelled

from adapters import ADAPTERS, WIRES, Adapter
from seen import DIALECTS, TERMINAL, answer, check_stream
from simulators.responses import Responses
from simulators.script import Answer, Break, Gate, Raw, Thought, call, text, thought

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def rotating(**options):
    return Responses(rotating=True, **options)


ROTATING = Adapter("openai", rotating, "gpt-4o", "gpt-5")


@pytest.mark.parametrize("background", [False, True], ids=["live", "background"])
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_every_event_has_the_id_that_finds_and_continues_its_response(adapter, gateway, upstream, background):
    """The id differs between the first event and the last, or is the vendor's own, and the chain breaks."""
    upstream.says(Answer(text("Blue.")), Answer(text("Sky.")))
    told = await gateway.told("openai", input="A colour?", background=background)
    (response_id,) = {event["response"]["id"] for event in told.events if "response" in event}
    assert len(response_id) <= 64
    assert (await gateway.get(f"/v1/responses/{response_id}")).json()["id"] == response_id
    await gateway.ask("openai", input="Why?", previous_response_id=response_id)
    said = str(upstream.last.body)
    assert said.index("A colour?") < said.index("Blue.") < said.index("Why?")


@pytest.mark.parametrize("adapter", [ROTATING], ids=["rotating"])
async def test_items_keep_their_ids_where_the_vendor_changes_them_in_every_event(adapter, gateway, upstream):
    """Items whose id changes between added, delta and done are lost on clients."""
    lines = (thought("Hm."), text("Let me ", "look."), call("get_weather", '{"city":', '"Oslo"}', call_id="call_a"))
    for dialect in DIALECTS:
        upstream.says(Answer(*lines))
        told = await gateway.told(dialect, model="thinker", tools=[WEATHER])
        check_stream(told, dialect)
        assert answer(told.last["response"])["items"] == [
            ("message", ("output_text", "Let me look.")),
            ("call", "call_a", "get_weather", {"city": "Oslo"}),
        ]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
async def test_after_thinking_and_in_the_step_after_a_call_every_item_is_announced(adapter, gateway, upstream):
    """Text for an item that was never announced, and two items at one place."""
    upstream.says(
        Answer(thought("Hm."), call("get_weather", '{"city":"Oslo"}', call_id="call_a")),
        Answer(thought("So."), text("Cold.")),
    )
    asked = {"model": "thinker", "tools": [WEATHER]}
    first = await gateway.told("openai", **asked)
    check_stream(first, "openai")
    output = {"type": "function_call_output", "call_id": "call_a", "output": "-3 C"}
    second = await gateway.told("openai", input=[output], previous_response_id=first.last["response"]["id"], **asked)
    check_stream(second, "openai")
    assert answer(second.last["response"])["items"] == [("message", ("output_text", "Cold."))]


_PIECE = b'"output_index":0,"content_index":0,"item_id":"m"'
MUTE = (
    b'data: {"type":"response.output_text.delta",%b,"delta":"Hello"}\n\n'
    b'data: {"type":"response.output_text.delta",%b,"delta":" there."}\n\n'
    b'data: {"type":"response.completed","response":{"id":"r","object":"response","status":"completed"}}\n\n'
) % (_PIECE, _PIECE)
"""A vendor that announces nothing, numbers nothing and closes nothing."""


@pytest.mark.parametrize("adapter", WIRES[:1], ids=["openai"])
async def test_events_that_the_vendor_leaves_out_are_not_missing(adapter, gateway, upstream):
    """No item.added, content_part, output_text.done, item.done, sequence_number, text.format or usage details."""
    upstream.says(Answer(Raw(MUTE)))
    told = await gateway.told("openai", model="plain")
    check_stream(told, "openai")
    for kind in (
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ):
        assert len(told.of(kind)) == 1, kind
    response = told.last["response"]
    assert told.text == "Hello there."
    assert response["text"]["format"] == {"type": "text"}
    assert response["usage"]["input_tokens_details"].keys() >= {"cached_tokens"}
    assert response["usage"]["output_tokens_details"].keys() >= {"reasoning_tokens"}
    assert response["usage"]["total_tokens"] > 0, "what a vendor does not count is estimated"


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_background_response_whose_vendor_breaks_off_has_failed(adapter, gateway, upstream):
    """The poll says completed, with half of the text."""
    for how in ("cut", "end", "reset"):
        upstream.says(Answer(text("Half", " of"), Break(how)))
        begun = await gateway.ask("openai", background=True)
        ended = await gateway.ended(begun["id"])
        assert (ended["status"], ended["error"]["code"]) == ("failed", "provider_error")


CUT = ({"finish": "length"}, "max_output_tokens"), ({"finish": "content_filter"}, "content_filter")


@pytest.mark.parametrize(("ending", "reason"), CUT, ids=["limit", "filter"])
@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_cut_answer_is_incomplete_as_response_as_item_and_as_event(adapter, gateway, upstream, ending, reason):
    """The limit is reported as completed, by the response, by its item or by the name of the event."""
    for dialect in DIALECTS:
        upstream.says(*(Answer(text("Half", " a"), **ending) for _ in range(2)))
        told = await gateway.told(dialect)
        assert told.types[-1] == "response.incomplete"
        for response in (told.last["response"], await gateway.ask(dialect)):
            assert response["status"] == "incomplete"
            assert response["incomplete_details"] == {"reason": reason}
            assert response["output"][-1]["status"] == "incomplete"


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda one: one.name)
async def test_words_are_told_while_the_model_speaks_and_are_not_made_of_one_piece(adapter, gateway, upstream):
    """The answer is fetched whole, and a stream is made up of it."""
    for dialect in DIALECTS:
        gate = Gate()
        upstream.says(Answer(text("One"), gate, text(" two")))
        async with gateway.listening(*spelled(dialect, model="plain", stream=True)) as stream:
            assert (await stream.next("response.output_text.delta"))["delta"] == "One"
            await gate.reached()
            gate.open()
            assert (await stream.next("response.output_text.delta"))["delta"] == " two"
            await stream.next("response.completed")
        assert upstream.last.body["stream"] is True


@pytest.mark.parametrize("adapter", ADAPTERS[2:], ids=lambda one: one.name)
async def test_thinking_is_told_while_the_model_thinks(adapter, gateway, upstream):
    gate = Gate()
    upstream.says(Answer(thought("Hm, ", "well, ", "let me see. "), gate, Thought("Yes."), text("Yes.")))
    async with gateway.listening(*spelled("freddy", model="thinker", stream=True)) as stream:
        await stream.next("thinking.delta")
        await gate.reached()
        gate.open()
        completed = await stream.next("response.completed")
    assert completed["response"]["response"] == "Yes."
    assert completed["response"]["reasoning"]["content"] == "Hm, well, let me see. Yes."


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_what_was_used_is_told_in_a_stream_and_after_a_break(adapter, gateway, upstream):
    """Streams are recorded as having used nothing, and so are those that broke off or were left."""
    upstream.says(Answer(text("Hello", " there."), usage=(20, 9)), Answer(text("Half", " of"), Break("cut")))
    told = await gateway.told("freddy")
    assert told.last["response"]["usage"]["total_tokens"] == 29
    broken = (await gateway.told("freddy")).last["response"]
    assert broken["status"] == "failed"
    assert broken["usage"]["output_tokens"] > 0
    assert broken["usage"]["input_tokens"] > 0


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_a_stream_that_was_left_keeps_what_it_said_and_used(adapter, gateway, upstream):
    """The client leaves: the vendor goes on, or nothing of it is recorded."""
    upstream.says(Answer(text("Half", " of"), Gate()))
    async with gateway.listening(*spelled("openai", stream=True)) as stream:
        response_id = (await stream.next())["response"]["id"]
        await stream.next("response.output_text.delta")
        await stream.next("response.output_text.delta")
    await upstream.last.let_go()
    ended = await gateway.ended(response_id)
    assert (ended["status"], ended["response"]) == ("cancelled", "Half of")
    assert ended["usage"]["output_tokens"] > 0


@pytest.mark.parametrize("adapter", WIRES, ids=lambda one: one.name)
async def test_many_streams_that_break_leave_nothing_behind(adapter, gateway, upstream):
    """Memory grows with every failed request."""
    before = len(asyncio.all_tasks())
    async with asyncio.timeout(6 * PATIENCE):
        for number in range(50):
            upstream.says(Answer(text("Half"), Break(("cut", "reset", "end")[number % 3])))
            told = await gateway.told("openai", store=False)
            assert [kind for kind in told.types if kind in TERMINAL] == ["response.failed"]
        for _ in range(3):
            await gateway.get("/health/live")
    assert len(asyncio.all_tasks()) <= before + 5
    assert "freddy_runs_in_progress 0.0" in (await gateway.get("/metrics")).text
