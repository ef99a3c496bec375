"""What a model says becomes items, and every step is told."""

import itertools
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freddy.server.core import deltas, events, items, toolspec
from freddy.server.core.attempt import Attempt
from freddy.server.core.calls import Call
from freddy.server.core.offers import of_caller
from freddy.server.core.pricing import Price
from freddy.server.core.transcript import Transcript, custom_arguments, custom_input
from freddy.server.core.usage import Usage
from freddy_fakes import CountingIds, raw
from freddy_stream_rules import check_events

PATCH = toolspec.Function("patch", form="custom", format=raw({"type": "text"}))
SPACED = toolspec.Function("lookup", namespace="maps")


def tell(*batches, tools=(PATCH,), index=0):
    """Everything that is told of the batches, with the ids counted from 1."""
    transcript = Transcript(index=index, new_id=CountingIds().new, offers=map(of_caller, tools))
    return [event for batch in batches for event in transcript.feed(batch)]


def say(*said, tools=(PATCH,)):
    """The items of what was said."""
    return check_events(tell(said, tools=tools))


STOP = deltas.Stop("stop")


def test_a_text_is_told_step_by_step():
    used = Usage(input_tokens=1, output_tokens=2)
    told = tell(
        [deltas.Answering("exact-name"), deltas.Text("Hel")],
        [deltas.Text("lo")],
        [deltas.Stop("stop", used)],
        index=3,
    )
    whole = items.Text("Hello")
    assert told == [
        events.ItemAdded(3, items.Message("msg_1", "assistant", (), "in_progress")),
        events.PartAdded(3, "msg_1", 0, items.Text("")),
        events.TextDelta(3, "msg_1", 0, "Hel"),
        events.TextDelta(3, "msg_1", 0, "lo"),
        events.TextDone(3, "msg_1", 0, "Hello"),
        events.PartDone(3, "msg_1", 0, whole),
        events.ItemDone(3, items.Message("msg_1", "assistant", (whole,))),
        events.TurnDone("stop", used, "exact-name", began=3),
    ]


def test_a_call_is_told_step_by_step():
    told = tell(
        [
            deltas.ToolCall(0, name="lookup", call_id="call_a"),
            deltas.ToolCall(0, '{"city"'),
            deltas.ToolCall(0, ':"Bern"}'),
            deltas.Stop("tool_calls"),
        ],
        tools=(SPACED,),
    )
    begun = items.FunctionCall("fc_1", "call_a", "lookup", "", "in_progress", namespace="maps")
    whole = '{"city":"Bern"}'
    assert told == [
        events.ItemAdded(0, begun),
        events.ArgumentsDelta(0, "fc_1", '{"city"'),
        events.ArgumentsDelta(0, "fc_1", ':"Bern"}'),
        events.ArgumentsDone(0, "fc_1", "lookup", whole),
        events.ItemDone(0, items.FunctionCall("fc_1", "call_a", "lookup", whole, namespace="maps")),
        events.TurnDone("tool_calls"),
    ]


def test_thinking_comes_before_the_text_as_an_item_of_its_own():
    told = tell([deltas.Reasoning("Hm"), deltas.Reasoning("m"), deltas.Text("Yes"), STOP])
    assert told[:6] == [
        events.ItemAdded(0, items.Reasoning("rs_1", status="in_progress")),
        events.ReasoningPartAdded(0, "rs_1", 0, "text"),
        events.ReasoningDelta(0, "rs_1", 0, "Hm", "text"),
        events.ReasoningDelta(0, "rs_1", 0, "m", "text"),
        events.ReasoningDone(0, "rs_1", 0, "Hmm", "text"),
        events.ReasoningPartDone(0, "rs_1", 0, "Hmm", "text"),
    ]
    assert check_events(told) == (
        items.Reasoning("rs_1", texts=("Hmm",)),
        items.Message("msg_2", "assistant", (items.Text("Yes"),)),
    )


def test_summaries_and_texts_of_thinking_are_parts_counted_apart():
    assert say(
        deltas.Reasoning("one", "summary", 0),
        deltas.Reasoning("two", "summary", 1),
        deltas.Reasoning("open", "text", 0),
        deltas.Signature("sealed"),
        STOP,
    ) == (items.Reasoning("rs_1", ("open",), ("one", "two"), "sealed"),)


def test_a_signature_without_thinking_is_an_item_that_only_its_vendor_reads():
    assert say(deltas.Signature("sealed"), deltas.Text("Yes"), STOP) == (
        items.Reasoning("rs_1", encrypted="sealed"),
        items.Message("msg_2", "assistant", (items.Text("Yes"),)),
    )


def test_text_and_then_two_calls_that_come_interleaved():
    said = say(
        deltas.Text("Let me see"),
        deltas.ToolCall(0, name="a", call_id="call_a"),
        deltas.ToolCall(1, name="b", call_id="call_b"),
        deltas.ToolCall(0, '{"x":'),
        deltas.ToolCall(1, '{"y":'),
        deltas.ToolCall(0, "1}"),
        deltas.ToolCall(1, "2}"),
        deltas.Stop("tool_calls"),
    )
    assert said == (
        items.Message("msg_1", "assistant", (items.Text("Let me see"),)),
        items.FunctionCall("fc_2", "call_a", "a", '{"x":1}'),
        items.FunctionCall("fc_3", "call_b", "b", '{"y":2}'),
    )


def test_a_text_between_the_pieces_of_a_call_does_not_break_the_call():
    said = say(
        deltas.ToolCall(0, '{"x":', name="a", call_id="call_a"),
        deltas.Text("\n"),
        deltas.ToolCall(0, "1}"),
        deltas.Reasoning("Hm"),
        deltas.Stop("tool_calls"),
    )
    assert said == (
        items.FunctionCall("fc_1", "call_a", "a", '{"x":1}'),
        items.Message("msg_2", "assistant", (items.Text("\n"),)),
        items.Reasoning("rs_3", ("Hm",)),
    )


def test_a_call_without_arguments_is_called_with_an_empty_object():
    assert say(deltas.ToolCall(0, name="now", call_id="call_a"), deltas.Stop("tool_calls")) == (
        items.FunctionCall("fc_1", "call_a", "now", "{}"),
    )


def test_a_call_that_the_vendor_gave_no_id_gets_one():
    assert say(deltas.ToolCall(0, "{}", name="now"), deltas.Stop("tool_calls")) == (
        items.FunctionCall("fc_1", "call_2", "now", "{}"),
    )


def test_the_text_of_a_custom_call_is_taken_out_of_its_shell_and_told_whole():
    told = tell(
        [
            deltas.ToolCall(0, '{"inp', name="patch", call_id="call_a"),
            deltas.ToolCall(0, 'ut":"*** \\"Begin\\""}'),
        ],
        [deltas.Stop("tool_calls")],
    )
    text = '*** "Begin"'
    begun = items.FunctionCall("ctc_1", "call_a", "patch", "", "in_progress", "custom")
    assert told == [
        events.ItemAdded(0, begun),
        events.ArgumentsDelta(0, "ctc_1", text, "custom"),
        events.ArgumentsDone(0, "ctc_1", "patch", text, "custom"),
        events.ItemDone(0, items.FunctionCall("ctc_1", "call_a", "patch", text, form="custom")),
        events.TurnDone("tool_calls"),
    ]


def test_a_model_that_forgets_the_shell_of_a_custom_call_is_understood():
    assert say(deltas.ToolCall(0, "plain text", name="patch", call_id="c"), deltas.Stop("tool_calls")) == (
        items.FunctionCall("ctc_1", "c", "patch", "plain text", form="custom"),
    )


@given(st.text())
def test_the_text_of_a_custom_call_survives_its_shell(text):
    assert custom_input(custom_arguments(text)) == text
    assert json.loads(custom_arguments(text)) == {"input": text}


def test_a_refusal_is_a_part_of_the_message():
    assert say(deltas.Text("I "), deltas.Refusal("can"), deltas.Refusal("not"), STOP) == (
        items.Message("msg_1", "assistant", (items.Text("I "), items.Refusal("cannot"))),
    )


def test_annotations_and_logprobs_stay_with_the_text_they_belong_to():
    remark = items.Annotation("url_citation", raw({"type": "url_citation", "url": "https://example.org"}))
    probable = items.Logprob("He", -0.5, (72, 101), (items.TopLogprob("Hi", -1.0),))
    told = tell([deltas.Text("He", (probable,)), deltas.Annotated(remark), deltas.Text("llo"), STOP])
    assert events.AnnotationAdded(0, "msg_1", 0, remark, 0) in told
    assert check_events(told) == (items.Message("msg_1", "assistant", (items.Text("Hello", (remark,), (probable,)),)),)


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_cut_makes_only_the_last_item_incomplete(reason):
    said = say(
        deltas.Reasoning("Hm"),
        deltas.Text("Let me"),
        deltas.ToolCall(0, "{}", name="a", call_id="call_a"),
        deltas.ToolCall(1, '{"x":', name="b", call_id="call_b"),
        deltas.Stop(reason),
    )
    assert [item.status for item in said] == ["completed", "completed", "completed", "incomplete"]
    assert said[-1].arguments == '{"x":'


def test_a_call_cut_before_its_arguments_is_not_taken_for_a_call_without_any():
    (call,) = say(deltas.ToolCall(0, name="now", call_id="call_a"), deltas.Stop("length"))
    assert (call.arguments, call.status) == ("", "incomplete")


def test_a_turn_in_which_nothing_was_said_has_no_items():
    assert tell([STOP]) == [events.TurnDone("stop")]


def test_closing_twice_tells_nothing_more():
    transcript = Transcript(index=0, new_id=CountingIds().new)
    transcript.feed([deltas.Text("Hi")])
    assert list(transcript.close("incomplete"))
    assert list(transcript.close("incomplete")) == []


pieces = st.text(max_size=5)
calls = st.builds(
    deltas.ToolCall,
    st.integers(0, 3),
    pieces,
    st.sampled_from(["lookup", "patch", "now", None]),
    st.none() | st.sampled_from(["call_a", "call_b"]),
)
said = st.lists(
    st.one_of(
        st.builds(deltas.Text, pieces),
        st.builds(deltas.Refusal, pieces),
        st.builds(deltas.Reasoning, pieces, st.sampled_from(["text", "summary"]), st.integers(0, 2)),
        st.builds(deltas.Signature, pieces),
        st.builds(deltas.Answering, pieces),
        st.builds(deltas.Annotated, st.builds(items.Annotation, st.just("note"), st.just(raw({})))),
        calls,
    ),
    max_size=25,
)


@st.composite
def cut(draw, batch):
    """The same in the same order, in batches cut anywhere."""
    places = sorted(draw(st.lists(st.integers(0, len(batch)), max_size=5)))
    return [batch[a:b] for a, b in itertools.pairwise([0, *places, len(batch)])]


@given(said, st.sampled_from(["stop", "length", "tool_calls", "content_filter"]), st.data())
def test_whatever_a_model_says_is_told_well_formed(said, reason, data):
    batches = data.draw(cut([*said, deltas.Stop(reason)]))
    told = tell(*batches)
    output = check_events(told)
    assert told == tell([*said, deltas.Stop(reason)])
    assert [event for event in told if isinstance(event, events.TurnDone)] == told[-1:]
    if reason in ("stop", "tool_calls"):
        assert all(item.status == "completed" for item in output)
    else:
        # A signature ends the thinking it closes: then nothing is left that could be cut.
        assert all(item.status == "completed" for item in output[:-1])


@given(said)
def test_a_turn_may_be_closed_anywhere(said):
    transcript = Transcript(index=0, new_id=CountingIds().new, offers=[of_caller(PATCH)])
    told = transcript.feed(said)
    told += transcript.close("incomplete")
    output = check_events(told)
    # A signature ends the thinking it closes: then nothing is left that could be cut.
    assert all(item.status == "completed" for item in output[:-1])
    assert not transcript.done


@given(st.text(min_size=1, max_size=30), st.sampled_from(["text", "thinking", "refusal", "call"]), st.data())
def test_any_chunking_of_the_same_words_gives_the_same_item(words, form, data):
    chunks = ["".join(chunk) for chunk in data.draw(cut(list(words)))]
    speak = {
        "text": deltas.Text,
        "thinking": deltas.Reasoning,
        "refusal": deltas.Refusal,
        "call": lambda piece: deltas.ToolCall(0, piece, "lookup", "call_a"),
    }[form]
    in_pieces = [speak(chunk) for chunk in chunks if chunk]
    assert say(*in_pieces, STOP) == say(speak(words), STOP)


@given(st.lists(st.tuples(st.integers(0, 2), st.text(min_size=1, max_size=4)), max_size=20))
def test_interleaved_calls_are_never_mixed(said):
    begin = [deltas.ToolCall(n, name="lookup", call_id=f"call_{n}") for n in range(3)]
    spoken = [deltas.ToolCall(n, piece) for n, piece in said]
    output = say(*begin, *spoken, deltas.Stop("tool_calls"), tools=(SPACED,))
    assert [call.arguments for call in output] == [
        "".join(piece for m, piece in said if m == n) or "{}" for n in range(3)
    ]


@given(said)
def test_items_survive_being_kept_as_json(said):
    output = check_events(tell([*said, STOP]))
    kept = msgspec.json.encode(output)
    assert msgspec.json.decode(kept, type=tuple[items.Item, ...]) == output


def test_hidden_thinking_is_an_item_before_anything_of_it_is_known():
    told = tell(
        [deltas.Chosen("acme")],
        [deltas.Thinking(hidden=True)],
        [deltas.Signature("sealed"), deltas.Text("Yes"), STOP],
    )
    empty = items.Reasoning("rs_1", status="in_progress", provider="acme", hidden=True)
    assert told[0] == events.ItemAdded(0, empty)
    assert told[1] == events.ItemDone(0, items.Reasoning("rs_1", encrypted="sealed", provider="acme", hidden=True))
    check_events(told)


def test_thinking_that_begins_again_is_another_item():
    assert say(deltas.Thinking(), deltas.Reasoning("a"), deltas.Thinking(), deltas.Reasoning("b"), STOP) == (
        items.Reasoning("rs_1", ("a",)),
        items.Reasoning("rs_2", ("b",)),
    )


def test_messages_are_told_apart_where_the_vendor_does():
    assert say(
        deltas.Began("commentary"), deltas.Text("Hm."), deltas.Began("final_answer"), deltas.Text("42"), STOP
    ) == (
        items.Message("msg_1", "assistant", (items.Text("Hm."),), phase="commentary"),
        items.Message("msg_2", "assistant", (items.Text("42"),), phase="final_answer"),
    )


def test_who_was_asked_and_who_answers_stands_beside_the_answer():
    failed, answered = Attempt("first", "m", code="provider_timeout"), Attempt("second", "m", 0.5)
    price = Price(1, 2)
    told = tell(
        [deltas.Tried(failed)],
        [deltas.Chosen("second", price, ("top_p has no effect",)), deltas.Text("Yes")],
        [deltas.Tried(answered), STOP],
    )
    choice = events.Choice(
        "second",
        price,
        ("top_p has no effect",),
        (failed, answered),
        calls=(Call(kind="model", name="m", provider="first", status="failed", cost=0),),
        asking=True,
        milliseconds=500,
    )
    assert told[-1] == events.TurnDone("stop", None, None, choice)
