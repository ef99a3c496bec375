"""Answers that must have a form: live where it is sure, held back where it is not, and never complete without it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from freddy.server.core import deltas, errors, items, request
from freddy.server.core.attempt import Attempt
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.runtime import estimate
from freddy.server.runtime.conforming import ASKED_AGAIN, conforming
from freddy_fakes import PATIENCE, Line, ScriptedModel, raw

ROAD = {"type": "object", "properties": {"km": {"type": "integer"}}, "required": ["km"]}
BOUND = {"type": "integer", "minimum": 3}
SURE = Profile("sure", "stage", schemas=True, json=True)
HELLO = items.Message("msg_1", "user", (items.Text("How far?"),))
USED, AGAIN = Usage(10, 20), Usage(30, 5, cached_tokens=10)
STOP = deltas.Stop("stop", USED)
GOOD, BAD = '{"km":7}', '{"km":"seven"}'
TRIED = deltas.Tried(Attempt("stage", "m", code="invalid_output", note=ASKED_AGAIN), USED, again=True)
JSON = request.Output("json")


def output(*schemas: object, strict: bool = True) -> request.Output:
    named = (request.Schema(f"s{place}", raw(schema), strict=strict) for place, schema in enumerate(schemas))
    return request.Output("json_schema", tuple(named))


def turn(form: request.Output = output(ROAD), **told) -> Turn:  # noqa: B008
    return Turn("m", (HELLO,), output=form, **told)


class Model(ScriptedModel):
    """Can be told later what to say."""

    def says(self, *lines: Line) -> None:
        self._lines = lines


class Again(Model):
    """Says other lines in its second turn."""

    def __init__(self, *answers: Sequence[Line], profile: Profile | None = None) -> None:
        super().__init__(profile=profile)
        self._answers = list(answers)

    def stream(self, turn: Turn) -> AsyncGenerator[Sequence[deltas.Delta], None]:
        self.says(*self._answers.pop(0))
        return super().stream(turn)


class Enforcing(Model):
    """The port of that name."""

    def __init__(self, *, enforces: bool, profile: Profile | None = None) -> None:
        super().__init__(profile=profile)
        self._enforces = enforces

    async def enforces(self, turn: Turn) -> bool:
        return self._enforces


async def heard(model: ScriptedModel, asked: Turn) -> list[deltas.Delta]:
    async with asyncio.timeout(PATIENCE), aclosing(conforming(model, asked)) as answer:
        told = [delta async for batch in answer for delta in batch]
    assert model.opened == model.closed
    return told


async def failing(model: ScriptedModel, asked: Turn) -> tuple[list[deltas.Delta], errors.InvalidOutput]:
    told: list[deltas.Delta] = []

    async def listen() -> None:
        async with asyncio.timeout(PATIENCE), aclosing(conforming(model, asked)) as answer:
            async for batch in answer:
                assert batch
                told.extend(batch)

    with pytest.raises(errors.InvalidOutput) as caught:
        await listen()
    assert model.opened == model.closed
    assert not [delta for delta in told if isinstance(delta, deltas.Stop)]
    return told, caught.value


async def live(model: Model, asked: Turn) -> bool:
    """Whether the first word is told while the model is still about to say the second."""
    gate = asyncio.Event()
    model.says(deltas.Text('{"km"'), gate, deltas.Text(":7}"), STOP)
    told: list[deltas.Delta] = []

    async def listen() -> None:
        async with aclosing(conforming(model, asked)) as answer:
            async for batch in answer:
                told.extend(batch)

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(listen())
        await model.waits.wait()
        early = bool(told)
        gate.set()
    assert told[-1] == STOP
    return early


@pytest.mark.parametrize("form", [request.Output(), output(ROAD, strict=False)])
async def test_what_need_not_have_a_form_is_passed_on_as_it_is(form):
    model = ScriptedModel([deltas.Text("Far."), STOP])
    asked = turn(form)
    assert conforming(model, asked).__qualname__ == model.stream(asked).__qualname__
    assert await heard(model, asked) == [deltas.Text("Far."), STOP]


@pytest.mark.parametrize(
    ("model", "form", "comes_live"),
    [
        (Model(profile=SURE), output(ROAD), True),
        (Model(profile=SURE), JSON, True),
        (Model(profile=SURE), output({**ROAD, "minProperties": 1}), False),
        (Model(profile=replace(SURE, schemas=False)), output(ROAD), False),
        (Model(profile=replace(SURE, json=False)), JSON, False),
        (Model(), output(ROAD, strict=False), True),
        (Enforcing(enforces=True), output({**ROAD, "minProperties": 1}), True),
        (Enforcing(enforces=False, profile=SURE), output(ROAD), False),
    ],
)
async def test_words_are_live_where_the_form_is_sure_or_not_strict(model, form, comes_live):
    assert await live(model, turn(form)) == comes_live


async def test_a_guarantee_that_was_broken_is_a_failure():
    model = ScriptedModel(deltas.Text('{"km":'), [deltas.Text('"x"}'), STOP], profile=SURE)
    told, error = await failing(model, turn())
    assert told == [deltas.Text('{"km":'), deltas.Text('"x"}')]
    assert (error.status, error.code, error.usage) == (502, "invalid_output", USED)
    assert error.message == "The answer of stage does not have the form that was asked for"
    assert error.details == 'at $.km: the value is not of type "integer"'
    assert len(model.turns) == 1


async def test_a_good_answer_is_told_as_it_was_said():
    lines = [
        deltas.Answering("exact"),
        deltas.Thinking(),
        deltas.Reasoning("Hm"),
        deltas.Began(),
        deltas.Text('{"km":', (items.Logprob('{"km":', -0.1),)),
        deltas.Text("7}"),
        deltas.Annotated(items.Annotation("x", raw({}))),
        STOP,
    ]
    model = ScriptedModel(*lines)
    told = await heard(model, turn())
    assert [delta for delta in told if not isinstance(delta, deltas.Answering)] == lines[1:]
    assert told[:3] == lines[:3]
    assert len(model.turns) == 1


async def test_thinking_is_told_while_it_goes_on():
    gate = asyncio.Event()
    model = ScriptedModel(deltas.Reasoning("Hm"), gate, deltas.Text(GOOD), STOP)
    async with asyncio.timeout(PATIENCE), aclosing(conforming(model, turn())) as answer:
        assert await anext(answer) == [deltas.Reasoning("Hm")]
        gate.set()
        assert [batch async for batch in answer] == [[deltas.Text(GOOD), STOP]]


async def test_who_waits_for_held_words_sees_that_the_model_is_alive():
    model = ScriptedModel(deltas.Answering("exact"), deltas.Text('{"km"'), deltas.Text(":7}"), STOP)
    alive = deltas.Answering("exact")
    assert await heard(model, turn()) == [alive] * 4 + [deltas.Text('{"km"'), deltas.Text(":7}"), STOP]


async def test_a_bad_answer_is_shown_to_the_model_with_its_faults():
    model = Again([deltas.Text('{"km":'), deltas.Text('"x"}'), STOP], [deltas.Text(GOOD), deltas.Stop("stop", AGAIN)])
    told = await heard(model, turn(max_output_tokens=100))
    assert told == [TRIED, deltas.Text(GOOD), deltas.Stop("stop", AGAIN)]
    second = model.turns[1]
    bad, complaint = second.items[1:]
    assert second.items[0] == HELLO
    assert (bad.role, bad.text) == ("assistant", '{"km":"x"}')
    assert complaint.role == "user"
    assert '- at $.km: the value is not of type "integer"\n' in complaint.text
    assert replace(second, items=(HELLO,), max_output_tokens=100) == model.turns[0]
    assert second.max_output_tokens == 80


async def test_an_answer_that_stays_bad_is_a_failure_and_what_it_took_is_known():
    model = Again([deltas.Text("Seven."), STOP], [deltas.Text(BAD), deltas.Stop("stop", AGAIN)])
    told, error = await failing(model, turn())
    assert told == [TRIED]
    assert error.usage == AGAIN
    assert error.details == 'at $.km: the value is not of type "integer"'
    assert len(model.turns) == 2


async def test_an_empty_answer_is_a_bad_one():
    model = Again([STOP], [deltas.Text("  "), STOP])
    _, error = await failing(model, turn())
    assert error.details == "it is empty"
    assert [item.role for item in model.turns[1].items] == ["user", "user"]


async def test_what_no_vendor_counted_is_estimated():
    uncounted = deltas.Stop("stop")
    model = Again([deltas.Text("Seven."), uncounted], [deltas.Text(GOOD), STOP])
    tried, *_, stop = await heard(model, turn())
    said = items.Message("x", "assistant", (items.Text("Seven."),))
    assert (tried.usage, stop.usage) == (estimate.usage(turn(), (said,)), USED)
    model = Again([deltas.Text("Seven."), STOP], [deltas.Text(GOOD), uncounted])
    *_, stop = await heard(model, turn())
    assert stop.usage.estimated
    assert stop.usage.input_tokens > USED.input_tokens
    assert (await heard(ScriptedModel(deltas.Text(GOOD), uncounted), turn()))[-1] == uncounted


async def test_it_is_not_asked_again_where_the_limit_has_no_room_for_it():
    model = ScriptedModel(deltas.Text("Seven."), STOP)
    told, error = await failing(model, turn(max_output_tokens=39))
    assert (told, error.usage, len(model.turns)) == ([], USED, 1)


@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("profile", [SURE, None])
async def test_what_was_cut_off_is_told_as_it_is(reason, profile):
    cut = deltas.Stop(reason, USED)
    assert await heard(ScriptedModel(deltas.Text('{"km'), cut, profile=profile), turn()) == [deltas.Text('{"km'), cut]


async def test_a_second_answer_may_be_cut_off():
    model = Again([deltas.Text("Seven."), STOP], [deltas.Text('{"k'), deltas.Stop("length", AGAIN)])
    assert await heard(model, turn()) == [TRIED, deltas.Text('{"k'), deltas.Stop("length", AGAIN)]


@pytest.mark.parametrize("profile", [SURE, None])
async def test_calls_are_no_answers(profile):
    lines = [
        deltas.Text("Let me see."),
        deltas.ToolCall(0, "{", "look", "call_1"),
        deltas.ToolCall(0, "}"),
        deltas.Stop("tool_calls", USED),
    ]
    assert await heard(ScriptedModel(*lines, profile=profile), turn()) == lines


async def test_calls_are_told_while_they_come():
    gate = asyncio.Event()
    first = [deltas.Text("Let me see."), deltas.ToolCall(0, "{", "look", "call_1")]
    model = ScriptedModel(*first, gate, deltas.ToolCall(0, "}"), deltas.Stop("tool_calls"))
    async with asyncio.timeout(PATIENCE), aclosing(conforming(model, turn())) as answer:
        assert await anext(answer) == first
        gate.set()
        assert len([batch async for batch in answer]) == 2


async def test_refusals_are_no_answers():
    lines = [deltas.Refusal("I will "), deltas.Refusal("not."), STOP]
    assert await heard(ScriptedModel(*lines), turn()) == lines
    assert await heard(ScriptedModel(*lines, profile=SURE), turn()) == lines


async def test_words_around_the_answer_are_taken_off():
    pieces = ["Sure:\n", "```json\n", '{"km"', ":", "7}", "\n```"]
    logprobs = [items.Logprob(piece, -0.5) for piece in pieces]
    said = [deltas.Text(piece, (one,)) for piece, one in zip(pieces, logprobs, strict=True)]
    model = ScriptedModel(deltas.Began(), *said, STOP)
    assert await heard(model, turn()) == [deltas.Text('{"km":7}', tuple(logprobs[2:5])), STOP]
    assert len(model.turns) == 1


async def test_logprobs_that_are_not_of_the_text_are_left_out():
    model = ScriptedModel(deltas.Text("So: " + GOOD, (items.Logprob("So", -0.5),)), STOP)
    assert await heard(model, turn()) == [deltas.Text(GOOD), STOP]


@pytest.mark.parametrize("profile", [SURE, None])
async def test_an_answer_may_come_in_pieces_and_after_talk(profile):
    talk = [deltas.Began("commentary"), deltas.Text("Let me think.")]
    last = [deltas.Began("final_answer"), deltas.Text('{"km":'), deltas.Text("7}")]
    lines = [*talk, *last, STOP]
    assert await heard(ScriptedModel(*lines, profile=profile), turn()) == lines


async def test_one_of_several_schemas_will_do():
    assert (await heard(ScriptedModel(deltas.Text("5"), STOP), turn(output(ROAD, BOUND))))[-1] == STOP
    model = ScriptedModel(deltas.Text("2"), STOP)
    _, error = await failing(model, turn(output(ROAD, BOUND)))
    assert "for 's0': at $: " in error.details
    assert "for 's1': at $: the value is less than the minimum of 3" in error.details


async def test_json_mode_wants_an_object():
    model = Again([deltas.Text("[1]"), STOP], [deltas.Text("{}"), STOP])
    told = await heard(model, turn(JSON))
    assert told[1] == deltas.Text("{}")
    assert "- it is JSON, but not an object" in model.turns[1].items[-1].text


async def test_a_failure_of_the_first_answer_is_passed_on_and_no_word_of_it_is_told():
    lost = errors.ProviderFailed("The vendor broke off")
    model = ScriptedModel(deltas.Text(GOOD), lost)
    with pytest.raises(errors.ProviderFailed, match="broke off") as failed:
        await heard(model, turn())
    said = items.Message("x", "assistant", (items.Text(GOOD),))
    assert failed.value.usage == estimate.usage(turn(), (said,))


async def test_a_failure_of_the_second_answer_keeps_what_the_first_took():
    lost = errors.ProviderUnavailable("The vendor is away")
    told, error = await failing(Again([deltas.Text("Seven."), STOP], [lost]), turn())
    assert (told, error.usage, error.__cause__) == ([TRIED], None, lost)
    told, error = await failing(Again([deltas.Text("Seven."), STOP], [deltas.Text("Eight"), lost]), turn())
    assert told == [TRIED]
    assert error.usage is not None
    assert error.usage.estimated


async def test_an_answer_that_never_ends_is_told_as_far_as_it_came():
    assert await heard(ScriptedModel(deltas.Text("{")), turn()) == [deltas.Text("{")]
    assert await heard(ScriptedModel(), turn()) == []


async def test_who_leaves_closes_the_model():
    gate = asyncio.Event()
    model = ScriptedModel(deltas.Reasoning("Hm"), gate)
    async with asyncio.timeout(PATIENCE), aclosing(conforming(model, turn())) as answer:
        await anext(answer)
    assert model.closed == 1
