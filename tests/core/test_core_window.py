"""What is left out of a conversation that is too long."""

import pytest

from freddy.server.core import items, window


def message(role, text):
    return items.Message(f"msg_{text}", role, (items.Text(text),))


SYSTEM = message("system", "rules")
CALL = items.FunctionCall("fc_1", "call_1", "look", "{}")
OUTPUT = items.FunctionOutput("fco_1", "call_1", (items.Text("found"),))
FIRST = (message("user", "q1"), CALL, OUTPUT, message("assistant", "a1"))
SECOND = (message("user", "q2"), message("user", "q2b"), message("assistant", "a2"))
LAST = (message("user", "q3"),)
ALL = (SYSTEM, *FIRST, *SECOND, *LAST)


def at_most(count):
    return lambda said: len(said) <= count


@pytest.mark.parametrize(
    ("count", "kept"),
    [
        (20, ALL),
        (9, ALL),
        (8, (SYSTEM, *SECOND, *LAST)),
        (5, (SYSTEM, *SECOND, *LAST)),
        (4, (SYSTEM, *LAST)),
        (0, (SYSTEM, *LAST)),
    ],
)
def test_the_oldest_exchanges_go_whole_until_the_rest_fits(count, kept):
    assert window.fitted(ALL, at_most(count)) == kept


def test_what_follows_the_last_question_stays():
    loop = (*LAST, CALL, OUTPUT)
    assert window.fitted((*FIRST, *loop), at_most(0)) == loop
    assert window.halved(loop) == loop


def test_half_of_what_may_go_goes():
    assert window.halved(ALL) == (SYSTEM, *SECOND, *LAST)
    assert window.halved(window.halved(ALL)) == (SYSTEM, *LAST)
    assert window.halved((SYSTEM, *LAST)) == (SYSTEM, *LAST)


def test_a_conversation_that_begins_with_an_answer_loses_that_first():
    greeting = message("assistant", "hello")
    assert window.halved((greeting, *LAST)) == LAST


def test_nothing_is_left_out_of_nothing():
    assert window.fitted((), at_most(0)) == ()
    assert window.halved(()) == ()
