"""What a model reads of what was said and done: messages, calls and their outputs, in an order that vendors take."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from freddy.server.core import items, reading

Call, Output, Asked, Answered = items.FunctionCall, items.FunctionOutput, items.ApprovalRequest, items.ApprovalAnswer
DEEP = items.Mcp("deep")


def user(text: str) -> items.Message:
    return items.Message(f"msg_{text}", "user", (items.Text(text),))


def hosted(name: str, turn: int = 0, **more) -> items.HostedCall:
    told = {"parts": (items.Text(f"{name} says"),), "status": "completed"} | more
    return items.HostedCall(f"mcp_{name}", f"call_{name}", name, "{}", DEEP, turn=turn, **told)


def own(name: str, turn: int = 0) -> items.FunctionCall:
    return Call(f"fc_{name}", f"call_{name}", name, "{}", turn=turn)


def output(name: str) -> items.FunctionOutput:
    return Output(f"fco_{name}", f"call_{name}", (items.Text(f"{name} says"),))


def asked(name: str, turn: int = 0, label: str | None = "deep") -> items.ApprovalRequest:
    return Asked(f"mcpr_{name}", f"call_{name}", name, "{}", label, turn=turn)


def answered(name: str, *, approve: bool, reason: str | None = None) -> items.ApprovalAnswer:
    return Answered(f"mcpa_{name}", f"mcpr_{name}", approve, reason)


def read(*said: items.Item) -> str:
    """In short: `a` is a call, `a!` its output, and other items are their kinds."""
    told = []
    for item in reading.readable(said):
        match item:
            case items.FunctionCall(call_id=call_id):
                told.append(call_id.removeprefix("call_"))
            case items.FunctionOutput(call_id=call_id):
                told.append(call_id.removeprefix("call_") + "!")
            case items.Message():
                told.append(item.text)
            case _:
                told.append(type(item).__name__)
    return " ".join(told)


def test_what_has_no_calls_is_read_as_it_is():
    said = (user("Hi"), items.Reasoning("rs_1"), output("gone"))
    assert reading.readable(said) == said


def test_calls_of_one_turn_stand_before_their_outputs():
    assert read(user("Hi"), hosted("a"), hosted("b"), user("So")) == "Hi a b a! b! So"
    assert read(hosted("a"), own("b"), hosted("c"), output("b")) == "a b c a! c! b!"


def test_calls_of_several_turns_stand_apart():
    assert read(hosted("a", 0), hosted("b", 1)) == "a a! b b!"
    assert read(hosted("a", 0), own("b", 1), output("b")) == "a a! b b!"
    assert read(own("a", 0), output("a"), hosted("b", 1), own("c", 2), output("c")) == "a a! b b! c c!"


def test_what_the_model_thought_stands_before_what_it_called_then():
    thought = items.Reasoning("rs_1")
    told = read(thought, hosted("a", 0), replace(thought, id="rs_2"), hosted("b", 1))
    assert told == "Reasoning a a! Reasoning b b!"


def test_what_nobody_answered_is_left_out():
    assert read(user("Hi"), hosted("a", status="in_progress"), hosted("b", status="incomplete")) == "Hi"
    assert read(user("Hi"), asked("a"), user("Never mind")) == "Hi Never mind"
    assert read(user("Hi"), own("a"), asked("a", label=None), user("Never mind")) == "Hi Never mind"
    assert read(items.McpTools("mcpl_1", "deep"), user("Hi")) == "Hi"


def test_what_was_approved_is_read_where_it_was_called():
    called = replace(hosted("a", -1), approval_id="mcpr_a")
    assert read(user("Hi"), asked("a"), answered("a", approve=True), called) == "Hi a a!"
    again = replace(hosted("b", -1), approval_id="mcpr_b")
    told = read(asked("a"), answered("a", approve=True), called, asked("b"), answered("b", approve=True), again)
    assert told == "a a! b b!"


def test_what_was_denied_is_read_as_that_where_it_was_asked_for():
    said = (user("Hi"), hosted("a"), asked("b"), answered("b", approve=False, reason="too dear"), user("And?"))
    assert read(*said) == "Hi a b a! b! And?"
    refusal = reading.readable(said)[4]
    assert isinstance(refusal, Output)
    assert refusal.text == f"{reading.DENIED} The reason given: too dear"
    assert read(hosted("a", 0), asked("b", 1), answered("b", approve=False)) == "a a! b b!"


def test_the_output_of_a_function_that_was_approved_stands_behind_its_call():
    request = asked("a", label=None)
    yes = answered("a", approve=True)
    assert read(user("Hi"), own("a"), request, yes, output("a")) == "Hi a a!"
    assert read(user("Hi"), own("a"), request, yes, user("Go on"), output("a")) == "Hi a a! Go on"
    assert read(own("a"), own("b"), hosted("c"), request, output("b"), yes, output("a")) == "a b c a! c! b!"


def test_an_output_whose_call_was_cut_off_is_read_all_the_same():
    assert read(asked("a", label=None), answered("a", approve=True), output("a")) == "a!"


def test_a_call_that_failed_is_read_with_what_went_wrong():
    failed = hosted("a.b", error="Nobody is there", status="failed", parts=())
    call, told = reading.as_function(failed)
    assert told.text == "Error: Nobody is there"
    assert call.name == told.name
    assert call.name.startswith("a_b_")
    offered = replace(failed, offered="deep__ab")
    assert reading.as_function(offered)[0].name == "deep__ab"


def test_a_call_that_said_nothing_has_an_output_with_no_words():
    assert reading.as_function(hosted("a", parts=()))[1].parts == (items.Text(""),)


@st.composite
def conversations(draw) -> list[items.Item]:
    """Turns of calls of all kinds, each answered in one of the ways there are, or not at all."""
    said: list[items.Item] = []
    number = 0
    for turn in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            said.append(user(f"u{turn}"))
        late: list[items.Item] = []
        requests: list[items.Item] = []
        for kind in draw(
            st.lists(st.sampled_from(["hosted", "open", "own", "denied", "approved", "waits"]), max_size=4)
        ):
            number += 1
            name = f"n{number}"
            match kind:
                case "hosted":
                    said.append(hosted(name, turn))
                case "open":
                    said.append(hosted(name, turn, status="incomplete"))
                case "own":
                    said.append(own(name, turn))
                    late.append(output(name))
                case "denied":
                    said.append(asked(name, turn))
                    late.append(answered(name, approve=False))
                case "approved":
                    said.append(own(name, turn))
                    requests.append(asked(name, turn, label=None))
                    late += [answered(name, approve=True), output(name)]
                case "waits":
                    said.append(own(name, turn))
                    requests.append(asked(name, turn, label=None))
        said += requests
        said += draw(st.permutations(late)) if draw(st.booleans()) else late
    return said


@given(conversations())
def test_every_call_is_read_once_and_its_output_once_with_nothing_but_calls_and_outputs_between(said):
    told = reading.readable(said)
    calls = [item.call_id for item in told if isinstance(item, Call)]
    outputs = [item.call_id for item in told if isinstance(item, Output)]
    assert len(set(calls)) == len(calls)
    assert sorted(outputs) == sorted(calls)
    messages = [item for item in told if isinstance(item, items.Message)]
    assert messages == [item for item in said if isinstance(item, items.Message)]
    for place, item in enumerate(told):
        if isinstance(item, Call):
            behind = next(
                at for at, other in enumerate(told) if isinstance(other, Output) and other.call_id == item.call_id
            )
            assert behind > place
            assert all(isinstance(other, Call | Output) for other in told[place:behind])
