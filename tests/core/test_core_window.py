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


def sized(*said, tokens=10):
    return [window.Sized(item, tokens) for item in said]


def newest(before, room, *, follows=LAST, whole=True):
    return window.newest(sized(*before), follows=follows, room=room, whole=whole)


@pytest.mark.parametrize(
    ("room", "kept"),
    [
        (1000, (SYSTEM, *FIRST, *SECOND)),
        (80, (SYSTEM, *FIRST, *SECOND)),
        (79, (SYSTEM, *SECOND)),
        (40, (SYSTEM, *SECOND)),
        (39, (SYSTEM,)),
        (-5, (SYSTEM,)),
    ],
)
def test_the_newest_exchanges_stay_as_far_as_there_is_room(room, kept):
    assert newest((SYSTEM, *FIRST, *SECOND), room) == kept


def test_what_may_lack_its_beginning_goes():
    assert newest((OUTPUT, FIRST[-1], *SECOND), 1000, whole=False) == SECOND
    assert newest(FIRST[2:], 1000, whole=False) == ()


def test_an_exchange_that_waits_for_the_input_stays_whatever_it_takes():
    waiting = (message("user", "q3"), CALL)
    assert newest((*FIRST, *waiting), 0, follows=(OUTPUT,)) == waiting


def test_a_call_that_is_answered_later_holds_what_is_between():
    other = items.FunctionCall("fc_2", "call_2", "wait", "{}")
    late = items.FunctionOutput("fco_2", "call_2", (items.Text("done"),))
    held = (message("user", "q1"), other, message("user", "still?"), message("assistant", "yes"), late)
    assert newest((*held, message("assistant", "a1")), 50) == ()
    assert newest((*held, message("assistant", "a1")), 60) == (*held, message("assistant", "a1"))


def test_ids_of_calls_that_come_again_are_told_apart():
    again = (message("user", "q2"), CALL, OUTPUT, message("assistant", "a2"))
    assert newest((*FIRST, *again), 40) == again


TALK = tuple(message("assistant" if place % 2 else "user", str(place)) for place in range(20))


def both_ends(said, room, *, follows=LAST):
    place = window.opening(said, whole=True)
    kept = window.ends(sized(*said[:place]), sized(*said[place:]), follows=follows, room=room, whole=True)
    return [item.text for item in kept if isinstance(item, items.Message)]


@pytest.mark.parametrize(
    ("room", "kept"),
    [
        (100, "0 1 2 13 14 15 16 17 18 19"),
        (99, "0 1 2 14 15 16 17 18 19"),
        (60, "0 1 2 17 18 19"),
        (40, "0 1 2 19"),
        (39, "0 1 19"),
        (10, "19"),
        (9, ""),
    ],
)
def test_the_first_three_and_the_last_seven_messages_stay_and_fewer_of_the_last_first(room, kept):
    assert both_ends(TALK, room) == kept.split()


def test_system_messages_stay_between_the_ends():
    said = (SYSTEM, *TALK[:10], message("developer", "mind"), *TALK[10:])
    assert both_ends(said, 40) == ["rules", "0", "mind", "19"]


def test_an_answer_stays_with_its_thoughts_and_calls():
    thought = items.Reasoning("rs_1", ("Hm",))
    answer = (thought, CALL, OUTPUT, thought, message("assistant", "a0"))
    said = (message("user", "q0"), *answer, *TALK)
    assert window.opening(said, whole=True) == 7
    assert both_ends((*TALK[:9], *answer), 100) == ["0", "1", "2", "7", "8", "a0"]
    assert both_ends((*TALK[:9], *answer), 79) == ["0", "1", "a0"]
    assert both_ends((*TALK[:9], *answer), 49) == []


def test_what_the_input_answers_stays_at_the_end():
    said = (*TALK, message("user", "q"), CALL)
    place = window.opening(said, whole=True)
    kept = window.ends(sized(*said[:place]), sized(*said[place:]), follows=(OUTPUT,), room=0, whole=True)
    assert kept == (CALL,)


def test_the_ends_of_what_was_not_read_whole_hold_no_torn_answers():
    start = (message("user", "q0"), items.Reasoning("rs_1", ("Hm",)), CALL)
    place = window.opening(start, whole=False)
    assert place == 1
    kept = window.ends(
        sized(*start[:place]), sized(OUTPUT, message("assistant", "a"), *TALK), follows=LAST, room=80, whole=False
    )
    assert [item.text for item in kept] == ["q0", "13", "14", "15", "16", "17", "18", "19"]


def test_the_last_exchange_has_begun_with_its_question():
    assert window.begun(LAST)
    assert window.begun((*FIRST, *LAST))
    assert not window.begun((OUTPUT, message("assistant", "a")))
    assert not window.begun(())
