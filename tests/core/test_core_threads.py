"""Threads: their names, what goes together, and the assistant that they stay with."""

import pytest

from freddy.server.core import errors, items
from freddy.server.core.threads import Change, Thread, changed, check_assistant, gone_with, name, with_text

EMPTY = Thread(id="t", organization_id="org_1", created_at=1, updated_at=1)
BOUND = Thread(id="t", organization_id="org_1", created_at=1, updated_at=1, assistant_id="asst_1", places=1)


@pytest.mark.parametrize(
    ("said", "called"),
    [
        ("Hello", "Hello"),
        ("a\0b", "a b"),
        ("  How do\n foxes hunt?  And why? ", "How do foxes hunt?"),
        ("It costs 3.50 euros. Fine.", "It costs 3.50 euros"),
        ("今日はいい天気です。散歩しよう。", "今日はいい天気です"),
        ("x" * 100, "x" * 59 + "…"),
        ("word " * 30, "word word word word word word word word word word word…"),
        ("a" * 60, "a" * 60),
        ("", ""),
        (" \n ", ""),
        ("...", ""),
    ],
)
def test_a_thread_is_named_after_a_sentence(said, called):
    assert name(said) == called
    assert len(called) <= 60


def test_a_text_is_changed_and_all_else_stays():
    image = items.Image(file_id="file_1")
    message = items.Message("msg_1", "user", (items.Text("a"), image, items.Text("b")))
    assert with_text(message, "c").parts == (items.Text("c"), image)
    assert with_text(items.Message("msg_1", "user", (image,)), "c").parts == (items.Text("c"), image)


def test_a_call_goes_with_its_outputs_and_with_what_was_thought_for_it():
    call = items.FunctionCall("fc_1", "call_1", "look", "{}")
    output = items.FunctionOutput("fco_1", "call_1", (items.Text("x"),))
    other = items.FunctionOutput("fco_2", "call_2", (items.Text("x"),))
    before = [items.Reasoning("rs_0"), items.Message("msg_1", "assistant", ()), items.Reasoning("rs_1")]
    assert gone_with(call, before, [call, output, other]) == {"rs_1", "fco_1"}
    assert gone_with(output, [], [call, output, other]) == {"fc_1"}
    assert gone_with(items.Message("msg_2", "user", ()), before[:2], [call]) == frozenset()


def test_a_thread_with_entries_stays_with_its_assistant():
    check_assistant(EMPTY, "asst_1")
    check_assistant(BOUND, "asst_1")
    check_assistant(BOUND, None)
    with pytest.raises(errors.Conflict) as refused:
        check_assistant(BOUND, "asst_2")
    assert "asst_1" in refused.value.message
    assert "asst_2" in refused.value.message
    for other in ("asst_2", None):
        with pytest.raises(errors.Conflict):
            changed(BOUND, Change(assistant_id=other), 2)
    assert changed(BOUND, Change(assistant_id="asst_1", title="x"), 2).title == "x"
    assert changed(EMPTY, Change(assistant_id="asst_2"), 2).assistant_id == "asst_2"
