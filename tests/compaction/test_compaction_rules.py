"""What a compaction keeps and what it takes the place of."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freddy.server.core import compaction, errors, items, reading
from freddy.server.core.compaction import Limits, Split
from freddy.server.core.window import Sized

LIMITS = Limits(window=8000, threshold=1000)
NOW = Limits(window=8000, threshold=1000, at_once=True)


def said(role, text, item_id=None):
    return items.Message(item_id or f"{role}-{text[:12]}", role, (items.Text(text),))


def called(call_id, name="look"):
    return items.FunctionCall(f"fc-{call_id}", call_id, name, "{}")


def answered(call_id, text="seen"):
    return items.FunctionOutput(f"fco-{call_id}", call_id, (items.Text(text),))


def sized(*of, tokens=100):
    """Items, each of so many tokens; a pair says how many itself."""
    return [Sized(*one) if isinstance(one, tuple) else Sized(one, tokens) for one in of]


def made(summary="So far.", **more):
    return items.Compaction("cmp_1", "frdy1.x", summary, **more)


def test_older_exchanges_are_summarized_and_the_last_one_stays():
    system, one, two = said("system", "Be brief."), said("user", "One"), said("user", "Two")
    answer = said("assistant", "Long")
    assert compaction.split(sized(system, one, (answer, 900), two), LIMITS) == Split(
        (system, one, answer), (system, one), (two,)
    )


def test_the_users_messages_stay_as_far_as_there_is_room():
    one, two, three = (said("user", word) for word in ("One", "Two", "Three"))
    answers = [said("assistant", f"Answer {place}") for place in range(3)]
    split = compaction.split(sized((one, 150), answers[0], (two, 150), answers[1], (answers[2], 500), three), LIMITS)
    assert split is not None
    assert split.before == (two,)


def test_the_question_itself_always_stays():
    question = said("user", "What?")
    split = compaction.split(sized((question, 900), called("a"), (answered("a"), 900)), LIMITS)
    assert split == Split((question, called("a"), answered("a")), (question,), ())


def test_the_last_rounds_of_calls_stay():
    question = said("user", "What?")
    rounds = [called("a"), answered("a"), called("b"), answered("b")]
    split = compaction.split(sized(question, rounds[0], (rounds[1], 900), *rounds[2:]), LIMITS)
    assert split == Split((question, *rounds[:2]), (question,), tuple(rounds[2:]))


def test_calls_that_were_made_at_once_are_not_parted():
    question = said("user", "What?")
    together = [called("a"), called("b"), answered("a"), answered("b")]
    sizes = [(together[0], 900), *together[1:]]
    split = compaction.split(sized(question, *sizes), LIMITS)
    assert split == Split((question, *together), (question,), ())


def test_hosted_calls_of_one_turn_are_not_parted():
    def hosted(item_id, turn):
        return items.HostedCall(item_id, item_id, "add", "{}", items.Mcp("sums"), status="completed", turn=turn)

    question = said("user", "What?")
    first, second, third = hosted("h1", 0), hosted("h2", 0), hosted("h3", 1)
    split = compaction.split(sized(question, (first, 900), second, third), LIMITS)
    assert split == Split((question, first, second), (question,), (third,))


def test_too_little_to_win_is_left_alone():
    assert compaction.split(sized((said("user", "Long"), 5000)), LIMITS) is None
    assert compaction.split(sized((said("system", "Long"), 5000), said("user", "Hi")), LIMITS) is None
    flat = msgspec.structs.replace(made(), sealed="")
    assert compaction.split(sized(said("user", "One"), (flat, 5000), said("user", "Two")), LIMITS) is None


def test_all_of_it_is_summarized_when_the_caller_says_so():
    talk = (said("user", "One"), said("assistant", "Yes"))
    assert compaction.split(sized(*talk), NOW) == Split(talk, talk[:1], ())


def test_a_call_that_waits_stays_with_what_was_thought_for_it():
    question, thought = said("user", "What?"), items.Reasoning("rs_1", ("Hm",))
    rounds = [called("a"), answered("a"), thought, called("b")]
    split = compaction.split(sized(question, *rounds), NOW)
    assert split == Split((question, *rounds[:2]), (question,), (thought, called("b")))


def test_a_compaction_of_another_service_is_not_compacted():
    foreign = items.Compaction("cmp_2", "gAAAA")
    talk = sized(said("user", "One"), (said("assistant", "Long"), 900), foreign, said("user", "Two"))
    assert compaction.split(talk, LIMITS) is None
    with pytest.raises(errors.InvalidRequest):
        compaction.split(talk, NOW)


def test_media_that_stand_in_a_message_are_not_carried_on_and_others_are():
    here, there = items.Image(url="data:image/png;base64,AA=="), items.Image(file_id="file_1")
    message = items.Message("m", "user", (here, there))
    left = compaction.carried(message)
    assert isinstance(left.parts[0], items.Text)
    assert left.parts[1] == there
    brought = made(before=(left,))
    assert compaction.opened([message, brought])[0] == message
    assert compaction.opened([brought])[0] == left


def test_opening_leaves_the_summary_between_what_it_brings():
    brought = made(before=(said("user", "One"),), after=(said("user", "Two"),))
    opened = compaction.opened([said("assistant", "Old"), brought, said("assistant", "New")])
    assert [one.text for one in reading.readable(opened)][::3] == ["One", "New"]
    assert opened[1].summary == "So far."
    assert compaction.opened(opened) == opened


def test_only_the_last_of_several_is_read():
    opened = compaction.opened([made("First."), said("user", "One"), made("Second.")])
    assert [item.summary for item in opened] == ["Second."]


def test_a_conversation_without_a_compaction_is_as_it_was():
    talk = (said("user", "One"), said("assistant", "Two"))
    assert compaction.opened(talk) == talk
    assert compaction.adopted(talk) == talk


def test_messages_before_it_take_the_place_of_those_it_brought():
    brought = made(before=(said("system", "Be brief."), said("user", "Old")), after=(said("user", "Last"),))
    (*_, adopting) = compaction.adopted([said("user", "New"), said("user", "Last", "other"), brought])
    assert [message.text for message in adopting.before] == ["Be brief.", "New"]
    (*_, kept) = compaction.adopted([said("user", "New"), said("assistant", "Hm"), brought])
    assert kept == brought


def test_a_broken_off_compaction_is_not_read():
    assert reading.readable([items.Compaction("cmp_1", ""), said("user", "Hi")]) == (said("user", "Hi"),)


def test_the_threshold_leaves_room_for_the_answer():
    assert compaction.limits(None, reads=8000, assumed=1).threshold == 6000
    assert compaction.limits(100_000, reads=8000, assumed=1).threshold == 7200
    assert compaction.limits(100_000, reads=None, assumed=8000).threshold == 100_000
    assert compaction.limits(None, reads=None, assumed=8000) == Limits(8000, 6000)


def test_a_record_names_who_says_what():
    hosted = items.HostedCall("h", "c2", "add", "{}", items.Mcp("sums"), error="broken", status="failed")
    asked = items.ApprovalRequest("a", "c3", "add", "{}", "sums")
    denied = items.ApprovalAnswer("b", "a", approve=False, reason="no")
    talk = [said("system", "Hidden"), said("user", "Hi"), items.Reasoning("r", ("Hm",)), called("c1"), answered("c1")]
    assert list(compaction.record([*talk, hosted, asked, denied])) == [
        "[user]\nHi",
        "[assistant calls look, call c1]\n{}",
        "[output of call c1]\nseen",
        "[assistant calls add, call c2]\n{}",
        "[output of call c2]\nbroken",
        "[assistant asks whether it may call add, call c3]\n{}",
        "[user denies it]\nno",
    ]


def _words(texts):
    return sum(len(text.split()) for text in texts)


@given(st.lists(st.text("ab \n", max_size=200), max_size=20), st.integers(2, 40))
def test_pieces_hold_all_of_it_in_order_and_fit(texts, room):
    pieces = compaction.pieces(texts, room, _words)
    assert "".join("".join(pieces).split()) == "".join("".join(texts).split())
    assert all(_words([piece]) <= room for piece in pieces)
