"""What must happen next, step by step: a table for every step there is."""

import pytest
from msgspec.structs import replace

from freddy.server.core import deciding, errors, events, folding, items, offers, request, run, toolspec
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage

USER = items.Message("msg_u", "user", (items.Text("Hi"),))
ANSWER = items.Message("msg_a", "assistant", (items.Text("Hello"),))
OWN = offers.Offer(function=toolspec.Function("own"), name="own")
ADD = offers.Offer(function=toolspec.Function("add"), here=True, name="add")
CAREFUL = offers.Offer(function=toolspec.Function("careful"), here=True, approve=True, name="careful")
TOOL = offers.Offer(function=toolspec.Function("tool"), here=True, work=items.Mcp("deep"), name="tool")
ALL = (OWN, ADD, CAREFUL, TOOL)
OPEN = items.HostedCall("mcp_1", "call_t", "tool", "{}", items.Mcp("deep"))
DONE = replace(OPEN, status="completed", parts=(items.Text("So"),))
CALL_ADD = items.FunctionCall("fc_1", "call_1", "add", "{}")
CALL_OWN = items.FunctionCall("fc_2", "call_2", "own", "{}")
UNHEARD_OF = replace(CALL_OWN, id="fc_no", call_id="call_no", name="unheard_of")
CALL_CAREFUL = items.FunctionCall("fc_3", "call_3", "careful", "{}")
ASK_TOOL = items.ApprovalRequest("mcpr_1", "call_9", "tool", '{"n":1}', "deep")
ASK_CAREFUL = items.ApprovalRequest("mcpr_2", "call_3", "careful", "{}")


def answer(call: items.FunctionCall) -> items.FunctionOutput:
    return items.FunctionOutput(f"fco_{call.id}", call.call_id, (items.Text("3"),), source="built-in")


def answers(*requests: items.ApprovalRequest, approve: bool = True) -> tuple[items.ApprovalAnswer, ...]:
    return tuple(items.ApprovalAnswer(f"mcpa_{one.id}", one.id, approve, "No") for one in requests)


def begun(*before: items.Item, tools=ALL, given=(), **asked) -> run.Run:
    """A run whose input are the answers that are `given`, after what was said before."""
    wanted = request.Request(model="m", input=given or (USER,), **asked)
    response = Response(
        id="resp_1", organization_id="org_1", created_at=100, status="in_progress", model="m", request=wanted
    )
    return run.Run(response=response, context=(*before, *wanted.input), model="m", offers=tools, answers=given)


def turned(a: run.Run, *said: items.Item, used: int = 1) -> run.Run:
    """After a turn of the model that said this."""
    place = len(a.output)
    for index, item in enumerate(said, place):
        open_ = isinstance(item, items.HostedCall) and item.status == "in_progress"
        a = folding.fold(a, [events.Called(index, item) if open_ else events.ItemDone(index, item)])
    return folding.fold(a, [events.TurnDone("tool_calls", Usage(1, used), began=place)])


def worked(a: run.Run, *said: items.Item) -> run.Run:
    """After tools have said this: a hosted call takes its place, an output the next."""
    for item in said:
        places = [place for place, other in enumerate(a.output) if other.id == item.id]
        a = folding.fold(a, [events.ItemDone(places[0] if places else len(a.output), item)])
    return a


def test_tools_that_are_not_known_are_looked_up_first():
    fresh = replace(begun(), opened=False)
    assert deciding.decide(fresh) == deciding.OpenTools()
    assert isinstance(deciding.decide(folding.fold(fresh, [events.ToolsOpened(ALL)])), deciding.CallModel)
    assert folding.fold(fresh, [events.ToolsOpened((OWN,))]).offers == (OWN,)


@pytest.mark.parametrize(
    ("said", "waiting"),
    [
        ((CALL_ADD,), (CALL_ADD,)),
        ((OPEN,), (OPEN,)),
        ((CALL_ADD, OPEN, CALL_OWN), (CALL_ADD, OPEN)),
        ((ANSWER, OPEN), (OPEN,)),
        ((CALL_CAREFUL, CALL_ADD, ASK_CAREFUL), (CALL_ADD,)),
        ((UNHEARD_OF, CALL_OWN), (UNHEARD_OF,)),
    ],
)
def test_calls_of_tools_that_run_here_are_answered(said, waiting):
    assert deciding.decide(turned(begun(), *said)) == deciding.CallTools(waiting)


@pytest.mark.parametrize(
    ("said", "did"),
    [
        ((CALL_ADD,), (answer(CALL_ADD),)),
        ((OPEN,), (DONE,)),
        ((OPEN,), (replace(OPEN, status="failed", error="No"),)),
        ((CALL_ADD, OPEN), (DONE, answer(CALL_ADD))),
    ],
)
def test_the_model_goes_on_when_all_it_called_was_answered(said, did):
    step = deciding.decide(worked(turned(begun(), *said), *did))
    assert isinstance(step, deciding.CallModel)
    calls = [item.call_id for item in step.turn.items if isinstance(item, items.FunctionCall)]
    outputs = [item.call_id for item in step.turn.items if isinstance(item, items.FunctionOutput)]
    assert sorted(calls) == sorted(outputs)
    assert len(calls) == len(said)


@pytest.mark.parametrize(
    ("said", "did", "status"),
    [
        ((ANSWER,), (), "completed"),
        ((CALL_OWN,), (), "completed"),
        ((CALL_OWN, CALL_ADD), (answer(CALL_ADD),), "completed"),
        ((ASK_TOOL,), (), "requires_action"),
        ((CALL_CAREFUL, ASK_CAREFUL), (), "requires_action"),
        ((CALL_CAREFUL, CALL_ADD, ASK_CAREFUL), (answer(CALL_ADD),), "requires_action"),
        ((OPEN, ASK_TOOL), (DONE,), "requires_action"),
    ],
)
def test_a_turn_that_leaves_nothing_to_do_here_is_the_last(said, did, status):
    step = deciding.decide(worked(turned(begun(), *said), *did))
    assert isinstance(step, deciding.Finish)
    assert step.response.status == status


@pytest.mark.parametrize(
    ("limit", "made", "refused"),
    [(None, 3, 0), (3, 3, 0), (2, 2, 1), (0, 0, 3)],
)
def test_no_more_is_called_than_may_be(limit, made, refused):
    several = [replace(CALL_ADD, id=f"fc_{number}", call_id=f"call_{number}") for number in range(3)]
    step = deciding.decide(turned(begun(max_tool_calls=limit), *several))
    assert isinstance(step, deciding.CallTools)
    assert (len(step.calls), len(step.refused)) == (made, refused)


@pytest.mark.parametrize(
    ("asked", "choices"),
    [
        ("auto", ["auto", "auto", toolspec.Allowed(("own",))]),
        ("required", ["required", "auto", toolspec.Allowed(("own",))]),
        ("none", ["none", "none", "none"]),
        (toolspec.Named("add"), [toolspec.Named("add"), "auto", toolspec.Allowed(("own",))]),
        (toolspec.Hosted("mcp"), [toolspec.Named("tool"), "auto", toolspec.Allowed(("own",))]),
        (
            toolspec.Allowed(("add",), "required"),
            [toolspec.Allowed(("add",), "required"), toolspec.Allowed(("add",)), "none"],
        ),
    ],
)
def test_what_must_be_called_must_be_called_once_and_what_may_not_is_not_offered(asked, choices):
    a = begun(tool_choice=asked, max_tool_calls=2)
    told = []
    for number in range(3):
        step = deciding.decide(a)
        assert isinstance(step, deciding.CallModel)
        told.append(step.turn.tool_choice)
        call = replace(CALL_ADD, id=f"fc_{number}", call_id=f"call_{number}")
        a = worked(turned(a, call), answer(call))
    assert told == choices


def test_a_model_that_calls_on_though_it_may_not_is_stopped_after_one_more_turn():
    a = begun(max_tool_calls=1)
    for number in range(3):
        assert isinstance(deciding.decide(a), deciding.CallModel)
        call = replace(CALL_ADD, id=f"fc_{number}", call_id=f"call_{number}")
        a = worked(turned(a, call), answer(call))
    assert isinstance(deciding.decide(a), deciding.Finish)


@pytest.mark.parametrize(
    ("used", "limit", "status"), [(5, 10, None), (10, 10, "incomplete"), (12, 10, "incomplete"), (10, None, None)]
)
def test_where_no_room_is_left_for_an_answer_the_response_is_incomplete(used, limit, status):
    step = deciding.decide(worked(turned(begun(max_output_tokens=limit), CALL_ADD, used=used), answer(CALL_ADD)))
    if status is None:
        assert isinstance(step, deciding.CallModel)
        assert step.turn.max_output_tokens == (None if limit is None else limit - used)
    else:
        assert isinstance(step, deciding.Finish)
        assert (step.response.status, step.response.incomplete_reason) == ("incomplete", "max_output_tokens")


def test_what_was_approved_or_denied_is_settled_before_the_model_is_asked():
    settle = deciding.decide(begun(USER, ASK_TOOL, given=answers(ASK_TOOL)))
    assert settle == deciding.Settle((deciding.Settled(ASK_TOOL, True, None),))
    denied = deciding.decide(begun(USER, CALL_CAREFUL, ASK_CAREFUL, given=answers(ASK_CAREFUL, approve=False)))
    assert denied == deciding.Settle((deciding.Settled(ASK_CAREFUL, False, "No"),))
    called = deciding.decide(begun(USER, CALL_CAREFUL, ASK_CAREFUL, given=answers(ASK_CAREFUL)))
    assert called == deciding.CallTools((CALL_CAREFUL,))
    read = deciding.decide(begun(USER, ASK_TOOL, given=answers(ASK_TOOL, approve=False)))
    assert isinstance(read, deciding.CallModel)


def test_what_was_settled_is_called_once_and_then_the_model_goes_on():
    approved = replace(OPEN, turn=-1, approval_id=ASK_TOOL.id)
    settled = folding.fold(begun(USER, ASK_TOOL, given=answers(ASK_TOOL)), [events.Called(0, approved)])
    assert deciding.decide(settled) == deciding.CallTools((approved,))
    assert isinstance(deciding.decide(worked(settled, replace(DONE, approval_id=ASK_TOOL.id))), deciding.CallModel)


def test_answers_of_an_input_that_are_not_fresh_change_nothing():
    old = replace(begun(USER, ASK_TOOL, given=answers(ASK_TOOL)), answers=())
    assert isinstance(deciding.decide(old), deciding.CallModel)


@pytest.mark.parametrize(
    "end",
    [events.Cancelled(), events.Failed(errors.Failure(message="No", code="x"))],
)
def test_whatever_ends_a_run_amid_its_tools_gives_up_what_is_open(end):
    step = deciding.decide(folding.fold(turned(begun(), CALL_ADD, OPEN), [end]))
    assert isinstance(step, deciding.Finish)
    assert step.response.output == (CALL_ADD, replace(OPEN, status="incomplete"))
    assert [one.kind for one in step.response.calls] == ["model"]


def test_ids_of_calls_are_those_of_all_that_the_model_reads_of():
    a = turned(begun(ASK_TOOL, CALL_OWN), OPEN)
    assert a.call_ids == {"call_9", "call_2", "call_t"}
