"""The agent loop as data: what `decide` answers, and what events change."""

from typing import get_args

import pytest
from msgspec.structs import replace

from freddy.server.core import (
    attempt,
    deciding,
    errors,
    events,
    folding,
    items,
    offers,
    pricing,
    request,
    run,
    toolspec,
    turn,
)
from freddy.server.core.calls import Call
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage
from freddy_fakes import raw

QUESTION = items.Message("msg_in", "user", (items.Text("Hi"),))
EARLIER = items.Message("msg_old", "assistant", (items.Text("Before"),))
ANSWER = items.Message("msg_out", "assistant", (items.Text("Hello"),))
LOOKUP = toolspec.Function("lookup", parameters=raw({"type": "object"}))
FAILURE = errors.Failure(message="No", code="provider_error", status=502)


def a_run(**asked) -> run.Run:
    wanted = request.Request(model="asked", input=(QUESTION,), **asked)
    response = Response(
        id="resp_1",
        organization_id="org_1",
        created_at=100,
        status="in_progress",
        model="asked",
        request=wanted,
    )
    return run.Run(
        response=response,
        context=(EARLIER, QUESTION),
        model="vendor-name",
        offers=tuple(offers.of_caller(tool) for tool in wanted.tools if isinstance(tool, toolspec.Function)),
        parallel=wanted.parallel_tool_calls,
    )


def after(a: run.Run, *happened: events.Event) -> run.Run:
    for event in happened:
        a = folding.fold(a, (event,))
    return a


def test_a_fresh_run_asks_the_model_everything_that_was_requested():
    sampling = request.Sampling(temperature=0.5)
    output = request.Output("json")
    reasoning = request.Reasoning("high")
    begun = replace(
        a_run(
            sampling=sampling,
            output=output,
            reasoning=reasoning,
            tools=(LOOKUP, toolspec.Other("web_search", raw({}))),
            tool_choice="required",
            parallel_tool_calls=True,
            max_output_tokens=50,
        ),
        instructions="Be brief",
        live=True,
        cache_key="thrd_1",
    )
    assert deciding.decide(begun) == deciding.CallModel(
        turn.Turn(
            model="vendor-name",
            items=(EARLIER, QUESTION),
            instructions="Be brief",
            sampling=sampling,
            output=output,
            reasoning=reasoning,
            max_output_tokens=50,
            tools=(LOOKUP,),
            tool_choice="required",
            parallel_tool_calls=True,
            live=True,
            organization_id=begun.response.organization_id,
            cache_key="thrd_1",
        )
    )


def test_a_run_whose_turn_did_not_end_asks_again_with_what_was_kept():
    begun = after(a_run(), events.ItemDone(0, ANSWER))
    step = deciding.decide(begun)
    assert isinstance(step, deciding.CallModel)
    assert step.turn.items == (EARLIER, QUESTION, ANSWER)


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
    ],
)
def test_how_the_turn_ended_is_how_the_response_ends(finish, status, reason):
    begun = a_run()
    used = Usage(input_tokens=3, output_tokens=2)
    ended = after(begun, events.ItemDone(0, ANSWER), events.TurnDone(finish, used, "exact-name"))
    assert deciding.decide(ended) == deciding.Finish(
        replace(
            begun.response,
            status=status,
            model="exact-name",
            output=(ANSWER,),
            usage=used,
            incomplete_reason=reason,
            calls=(Call(kind="model", name="vendor-name", provider="", status="completed", usage=used),),
        )
    )


def test_a_model_that_does_not_tell_its_name_is_called_what_was_asked_for():
    step = deciding.decide(after(a_run(), events.TurnDone("stop")))
    assert isinstance(step, deciding.Finish)
    assert step.response.model == "asked"


def test_a_failure_ends_the_run_with_what_was_kept():
    begun = a_run()
    ended = after(begun, events.ItemDone(0, ANSWER), events.Failed(FAILURE))
    calls = (Call(kind="model", name="vendor-name", provider="", status="failed", cost=0),)
    assert deciding.decide(ended) == deciding.Finish(
        replace(begun.response, status="failed", output=(ANSWER,), failure=FAILURE, calls=calls)
    )


def test_cancelling_ends_the_run_with_what_was_kept():
    begun = a_run()
    ended = after(begun, events.ItemDone(0, ANSWER), events.Cancelled())
    calls = (Call(kind="model", name="vendor-name", provider="", status="cancelled", cost=0),)
    assert deciding.decide(ended) == deciding.Finish(
        replace(begun.response, status="cancelled", output=(ANSWER,), calls=calls)
    )


def test_an_answer_cut_by_length_that_is_then_cancelled_has_no_incomplete_reason():
    step = deciding.decide(after(a_run(), events.TurnDone("length"), events.Cancelled()))
    assert isinstance(step, deciding.Finish)
    assert (step.response.status, step.response.incomplete_reason) == ("cancelled", None)


def test_the_usage_of_turns_adds_up():
    first = Usage(input_tokens=5, output_tokens=3, cached_tokens=1, reasoning_tokens=2)
    second = Usage(input_tokens=7, output_tokens=1, estimated=True)
    ended = after(a_run(), events.TurnDone("stop", first), events.TurnDone("stop"), events.TurnDone("stop", second))
    assert ended.turns == 3
    assert ended.usage == Usage(input_tokens=12, output_tokens=4, cached_tokens=1, reasoning_tokens=2, estimated=True)
    assert ended.usage.total_tokens == 16


@pytest.mark.parametrize(("spent", "left"), [(10, 40), (50, 1), (80, 1)])
def test_a_later_turn_may_say_what_the_limit_leaves_and_at_least_one_token(spent, left):
    calls = (Call(kind="model", name="m", provider="p", status="completed", usage=Usage(output_tokens=spent)),)
    begun = replace(a_run(max_output_tokens=50), calls=calls)
    step = deciding.decide(begun)
    assert isinstance(step, deciding.CallModel)
    assert step.turn.max_output_tokens == left


# They only tell how it goes.
TELLING = {
    events.Created,
    events.Queued,
    events.InProgress,
    events.ItemAdded,
    events.PartAdded,
    events.TextDelta,
    events.TextDone,
    events.AnnotationAdded,
    events.RefusalDelta,
    events.RefusalDone,
    events.PartDone,
    events.ReasoningPartAdded,
    events.ReasoningDelta,
    events.ReasoningDone,
    events.ReasoningPartDone,
    events.ArgumentsDelta,
    events.ArgumentsDone,
    events.CallProgress,
    events.Finished,
}


def test_every_event_changes_a_run_or_only_tells_how_it_goes():
    assert set(get_args(events.Event)) == folding.CHANGING | TELLING
    assert not folding.CHANGING & TELLING
    told = [events.TextDelta(0, "msg_out", 0, "Hello"), events.ArgumentsDelta(0, "fc_1", "{")]
    assert folding.fold(a_run(), told) == a_run()


def test_applying_leaves_the_run_before_as_it_was():
    before = a_run()
    after(before, events.ItemDone(0, ANSWER), events.TurnDone("stop"), events.Failed(FAILURE))
    assert before == a_run()


def test_what_a_turn_cost_is_counted_at_the_price_of_who_answered():
    price = pricing.Price(input=2.0, output=10.0, cached=0.5, cache_write=4.0)
    used = Usage(input_tokens=1_000, output_tokens=100, cached_tokens=400, cache_write_tokens=100)
    tried = (attempt.Attempt("first", "m", 0.5, "provider_unavailable", 503), attempt.Attempt("second", "m", 1.0))
    choice = events.Choice("second", price, ("seed has no effect",), tried)
    ended = deciding.decide(after(a_run(), events.ItemDone(0, ANSWER), events.TurnDone("stop", used, "m", choice)))
    assert isinstance(ended, deciding.Finish)
    assert ended.response.cost == pytest.approx((500 * 2 + 400 * 0.5 + 100 * 4 + 100 * 10) / 1e6)
    assert (ended.response.provider, ended.response.attempts) == ("second", tried)
    assert ended.response.warnings == ("seed has no effect",)


def test_a_run_whose_price_nobody_knows_has_no_cost():
    ended = deciding.decide(after(a_run(), events.TurnDone("stop", Usage(input_tokens=1), "m", events.Choice("p"))))
    assert isinstance(ended, deciding.Finish)
    assert ended.response.cost is None
