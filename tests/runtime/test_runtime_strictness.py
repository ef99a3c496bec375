"""Calls of strict functions: told as they come where it is sure that they fit, held back where it is not."""

from contextlib import aclosing

import pytest
from msgspec.structs import replace

from freddy.server.core import deltas, errors, items, toolspec
from freddy.server.core.attempt import Attempt
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.runtime.strictness import ASKED_AGAIN, strictly
from freddy_fakes import ScriptedModel, raw
from promises import promise

USED, AGAIN = Usage(10, 20), Usage(30, 5)
STOP = deltas.Stop("tool_calls", USED)
ROAD = toolspec.Function(
    "road",
    parameters=raw({"type": "object", "properties": {"km": {"type": "integer"}}, "required": ["km"]}),
    strict=True,
)
GOOD = deltas.ToolCall(0, '{"km": 7}', "road", "call_1")
BAD = deltas.ToolCall(0, '{"km": "seven"}', "road", "call_1")
HELLO = items.Message("msg_1", "user", (items.Text("How far?"),))
TRIED = deltas.Tried(Attempt("stage", "m", code="invalid_output", note=ASKED_AGAIN), USED, again=True)


async def say(model: ScriptedModel, *tools: toolspec.Function, **told) -> list[deltas.Delta]:
    turn = Turn("m", (HELLO,), tools=tools or (ROAD,), **told)
    async with aclosing(strictly(model, turn, lambda model, turn: model.stream(turn))) as answer:
        return [delta async for batch in answer for delta in batch]


@promise(206)
async def test_arguments_that_fit_are_told_at_the_end():
    model = ScriptedModel(deltas.Text("Well"), GOOD, STOP)
    assert await say(model) == [deltas.Text("Well"), GOOD, STOP]


async def test_arguments_that_do_not_fit_are_asked_for_once_more():
    model = ScriptedModel(turns=[[deltas.Text("Well"), BAD, STOP], [GOOD, replace(STOP, usage=AGAIN)]])
    assert await say(model) == [deltas.Text("Well"), TRIED, GOOD, replace(STOP, usage=AGAIN)]
    said, call, complaint = model.turns[1].items[1:]
    assert said.text == "Well"
    assert (call.name, call.arguments, call.call_id) == ("road", '{"km": "seven"}', complaint.call_id)
    assert "do not fit" in complaint.text
    assert "seven" not in complaint.text


async def test_arguments_that_never_fit_are_an_error():
    with pytest.raises(errors.InvalidOutput):
        await say(ScriptedModel(BAD, STOP))


async def test_a_call_that_was_cut_off_is_told_as_it_is():
    cut = deltas.Stop("length", USED)
    assert await say(ScriptedModel(BAD, cut)) == [BAD, cut]


@pytest.mark.parametrize("loose", [replace(ROAD, strict=False), replace(ROAD, strict=None), replace(ROAD, hosted=True)])
async def test_who_does_not_ask_for_more_gets_what_the_model_says(loose):
    assert await say(ScriptedModel(BAD, STOP), loose) == [BAD, STOP]


async def test_a_provider_that_sees_to_it_is_believed():
    model = ScriptedModel(BAD, STOP, profile=Profile("sure", "stage", schemas=True))
    assert await say(model) == [BAD, STOP]


async def test_a_second_try_has_to_have_room():
    with pytest.raises(errors.InvalidOutput):
        await say(ScriptedModel(turns=[[BAD, STOP], [GOOD, STOP]]), max_output_tokens=30)


async def test_calls_beside_a_faulty_one_are_made_again_with_it():
    other = deltas.ToolCall(1, "{}", "free", "call_2")
    model = ScriptedModel(turns=[[BAD, other, STOP], [GOOD, other, STOP]])
    assert await say(model, ROAD, toolspec.Function("free")) == [TRIED, GOOD, other, STOP]
    assert [item.call_id for item in model.turns[1].items[-2:]] == ["call_1", "call_2"]


@promise(210)
async def test_arguments_that_nobody_asked_for_do_not_fit():
    more = replace(GOOD, arguments='{"km": 7, "miles": 4}')
    model = ScriptedModel(turns=[[more, STOP], [GOOD, STOP]])
    assert await say(model) == [TRIED, GOOD, STOP]


async def test_a_schema_that_says_what_else_may_be_there_is_kept():
    open_ = replace(
        ROAD, parameters=raw({"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}})
    )
    assert await say(ScriptedModel(GOOD, STOP), open_) == [GOOD, STOP]


async def test_an_enforcing_model_is_not_believed_of_calls():
    class Enforcing(ScriptedModel):
        async def enforces(self, turn: Turn) -> bool:
            return True

    model = Enforcing(turns=[[BAD, STOP], [GOOD, STOP]], profile=Profile("sure", "stage", schemas=True))
    assert (await say(model))[-2:] == [GOOD, STOP]
