"""Which rules a request is told, in which order, and how they fit in."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freddy.server.core import errors
from freddy.server.core.rules import Rule
from freddy.server.core.ruling import SOURCES, Candidate, Ruling, ruled
from freddy.server.core.shortening import shorten
from promises import promise

SENTENCE = "You must always do this in every single answer that you give. "


def candidate(
    rule_id, content="Be kind.", *, source="request", priority=50, limit=None, named=False, active=True, **rule
):
    return Candidate(
        rule_id,
        f"Rule {rule_id}",
        Rule(content=content, **rule),
        source,
        priority,
        limit,
        named=named or source == "request",
        active=active,
    )


def told(*candidates, context=None, message="", characters=20_000):
    return ruled(candidates, context or {}, message, characters=characters, shorten=shorten)


def outcome(ruling):
    return [(one.id, one.verdict, one.reason, one.source) for one in ruling.considered]


def order(ruling):
    return re.findall(r"^## Rule (\w+)$", ruling.instructions or "", re.MULTILINE)


@promise(27)
def test_the_rules_come_behind_the_instructions_as_one_block():
    ruling = told(candidate("a", "Be brief."), candidate("b", "Be kind.\n", priority=80))
    assert ruling.after("You are a poet.") == (
        "You are a poet.\n\n"
        "# Rules\n\n"
        "These rules hold for the answer. Where two of them disagree, the one that comes first holds.\n\n"
        "## Rule b\n\nBe kind.\n\n"
        "## Rule a\n\nBe brief."
    )
    assert ruling.after(None) == ruling.after("") == ruling.instructions
    assert Ruling().after("You are a poet.") == "You are a poet."
    assert Ruling().after(None) is None


def test_the_order_is_by_priority_then_by_source_then_by_name():
    several = [candidate(source, source=source) for source in reversed(SOURCES)]
    ruling = told(*several, candidate("low", priority=49), candidate("high", source="organization", priority=51))
    assert order(ruling) == ["high", *SOURCES, "low"]
    assert order(told(candidate("b"), candidate("a"))) == ["a", "b"]


def test_a_rule_from_several_sources_is_told_once_with_the_highest_priority():
    ruling = told(
        candidate("a", priority=50),
        candidate("a", source="model", priority=70),
        candidate("a", source="user", priority=70),
        candidate("a", source="organization", priority=60),
    )
    assert order(ruling) == ["a"]
    assert [(one.id, one.source, one.priority) for one in ruling.considered] == [("a", "user", 70)]


@pytest.mark.parametrize(
    ("mode", "source", "named", "expected"),
    [
        ("always", "request", True, ("applied", "named")),
        ("manual", "request", True, ("applied", "named")),
        ("auto", "request", True, ("applied", "named")),
        ("always", "assistant", True, ("applied", "always")),
        ("manual", "assistant", True, ("applied", "named")),
        ("auto", "assistant", True, ("filtered", "does_not_fit")),
        ("always", "model", False, ("applied", "always")),
        ("manual", "model", False, ("filtered", "not_named")),
        ("auto", "model", False, ("filtered", "does_not_fit")),
    ],
)
def test_the_mode_says_when_a_rule_applies(mode, source, named, expected):
    ruling = told(candidate("a", source=source, named=named, apply_mode=mode))
    assert [(one.verdict, one.reason) for one in ruling.considered] == [expected]
    assert (ruling.instructions is None) is (expected[0] == "filtered")


def test_a_rule_of_mode_auto_applies_where_it_fits():
    ruling = told(
        candidate("a", source="model", apply_mode="auto", keywords=("invoice",)), message="Where is my invoice?"
    )
    assert outcome(ruling) == [("a", "applied", "fits", "model")]


def test_what_one_source_leaves_out_another_brings():
    ruling = told(
        candidate("a", priority=50, apply_mode="manual"),
        candidate("a", source="organization", priority=90, apply_mode="manual"),
    )
    assert outcome(ruling) == [("a", "applied", "named", "request")]


def test_inactive_and_deleted_rules_are_told_of_and_not_told():
    ruling = told(
        candidate("a", is_active=False),
        candidate("b", source="model", active=False),
        Candidate("gone", "", None, "assistant", 50, named=True),
    )
    assert ruling.instructions is None
    assert outcome(ruling) == [
        ("a", "filtered", "inactive", "request"),
        ("gone", "filtered", "deleted", "assistant"),
        ("b", "filtered", "inactive", "model"),
    ]


@promise(67, 68, 69, 70, 71)
def test_the_context_is_told_before_the_rules_and_fills_their_places():
    context = {
        "request_type": "technical_documentation",
        "user_expertise": "beginner",
        "output_format": "markdown",
        "target_audience": "developers",
        "house_style": "no\n# jokes",
    }
    ruling = told(
        candidate(
            "a", "Write {{rule_context.output_format}} for {{ rule_context.target_audience }}, {{rule_context.x}}."
        ),
        context=context,
    )
    assert ruling.instructions is not None
    assert (
        "The request is of the type technical_documentation. The reader's expertise: beginner. "
        "The format of the answer: markdown. The answer is for: developers. house style: no # jokes."
        "\n\n## Rule a\n\nWrite markdown for developers, not given."
    ) in ruling.instructions


def test_the_context_alone_is_not_told():
    assert told(context={"request_type": "chat"}) == Ruling()


def test_a_value_of_the_context_is_not_looked_at_again_and_stays_short():
    context = {"a": "{{rule_context.b}}", "b": "secret", "c": "x" * 500}
    ruling = told(candidate("a", "Say {{rule_context.a}} and {{rule_context.c}}"), context=context)
    assert ruling.instructions is not None
    assert ruling.instructions.endswith("Say {{rule_context.b}} and " + "x" * 200)


@pytest.mark.parametrize(("limit", "own"), [(100, None), (None, 100), (100, 5_000), (5_000, 100)])
def test_a_limit_always_holds(limit, own):
    ruling = told(candidate("a", SENTENCE * 10, source="model", limit=limit, character_limit=own))
    [one] = ruling.considered
    assert (one.verdict, one.reason, one.characters) == ("compressed", "character_limit", len(SENTENCE) - 1)


def test_a_rule_without_a_sentence_within_its_limit_is_left_out():
    ruling = told(candidate("a", "word " * 100, limit=100, source="model"))
    assert outcome(ruling) == [("a", "filtered", "character_limit", "model")]


def test_when_room_is_short_the_lowest_is_shortened_first():
    text = SENTENCE * 10
    ruling = told(*(candidate(str(place), text, priority=place) for place in (10, 20, 30)), characters=1_700)
    assert [(one.id, one.verdict) for one in ruling.considered] == [
        ("30", "applied"),
        ("20", "applied"),
        ("10", "compressed"),
    ]
    assert ruling.considered[2].reason == "budget"


def test_then_the_lowest_is_left_out():
    text = SENTENCE * 10
    ruling = told(*(candidate(str(place), text, priority=place) for place in (10, 20, 30)), characters=600)
    assert outcome(ruling) == [
        ("30", "compressed", "budget", "request"),
        ("20", "compressed", "budget", "request"),
        ("10", "filtered", "budget", "request"),
    ]


def test_the_highest_priority_is_told_whole_whatever_its_limit():
    ruling = told(
        candidate("a", SENTENCE * 10, source="model", priority=100, limit=100, character_limit=100),
        candidate("b", SENTENCE * 10, priority=99),
        characters=700,
    )
    assert outcome(ruling) == [("a", "applied", "always", "model"), ("b", "filtered", "budget", "request")]


def test_the_highest_that_do_not_fit_fail_the_request_by_name():
    with pytest.raises(errors.ContextOverflow) as raised:
        told(candidate("a", SENTENCE * 10, priority=100), candidate("b", SENTENCE, priority=1), characters=500)
    assert raised.value.param == "rules"
    assert "'a'" in (raised.value.details or "")
    assert "'b'" not in (raised.value.details or "")
    assert SENTENCE[:10] not in str(raised.value.as_failure())


@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.integers(1, 99), st.sampled_from(SOURCES), st.integers(1, 30), st.booleans()),
        max_size=20,
    ),
    st.integers(0, 3_000),
)
def test_what_is_told_fits_in_and_every_rule_is_accounted_for_once(several, characters):
    candidates = [
        candidate(str(number), SENTENCE * length, source=source, priority=priority, active=active)
        for number, priority, source, length, active in several
    ]
    ruling = told(*candidates, characters=characters)
    head = "Where two of them disagree, the one that comes first holds."
    sections = (ruling.instructions or head).partition(head)[2]
    assert len(sections) <= characters
    ids = [one.id for one in ruling.considered]
    assert sorted(ids) == sorted({one.id for one in candidates})
    applied = [one for one in ruling.considered if one.verdict != "filtered"]
    assert order(ruling) == [one.id for one in applied]
    priorities = [one.priority for one in applied]
    assert priorities == sorted(priorities, reverse=True)
    assert told(*reversed(candidates), characters=characters) == ruling
