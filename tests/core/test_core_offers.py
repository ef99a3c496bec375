"""What a model is offered: every tool has a name that is its own, and a choice is one of names that are there."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freddy.server.core import items, offers, toolspec
from freddy.server.core.offers import Offer

PLAIN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")


def function(name: str, *, here: bool = False) -> Offer:
    return Offer(function=toolspec.Function(name), here=here, name=name)


def tool(name: str, label: str = "deep") -> Offer:
    return Offer(function=toolspec.Function(name), here=True, work=items.Mcp(label), name=name)


SEARCH = Offer(function=toolspec.Function("file_search"), here=True, work=items.FileSearch(), name="file_search")


def names(told) -> list[str]:
    return [one.function.name for one in told]


def test_functions_of_callers_keep_their_names_and_other_tools_give_way():
    told = offers.named([tool("add"), function("add"), SEARCH, tool("sub"), tool("file_search")])
    assert names(told) == ["deep__add", "add", "hosted__file_search", "sub", "deep__file_search"]
    assert [one.name for one in told] == ["add", "add", "file_search", "sub", "file_search"]


def test_tools_of_several_servers_are_told_apart_by_their_servers():
    told = offers.named([tool("search", "one"), tool("search", "two"), function("one__search")])
    assert names(told)[1:] == ["two__search", "one__search"]
    assert names(told)[0].startswith("one__search_")


some_names = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        ["add", "deep__add", "file_search", "hosted__file_search", "a" * 64, "a" * 65, "a.b", "a/b", "1", ""]
    ),
)


@given(
    st.lists(st.tuples(some_names, st.sampled_from(["one", "two", "deep"])), max_size=12),
    st.lists(st.from_regex(PLAIN, fullmatch=True), unique=True, max_size=4),
)
def test_no_two_tools_have_one_name_and_every_vendor_takes_it(told, own):
    """Unless callers call their own functions alike."""
    named = offers.named([*(tool(*one) for one in told), *(function(name) for name in own)])
    assert names(named)[len(told) :] == own
    assert len(set(names(named))) == len(named)
    assert all(PLAIN.fullmatch(name) for name in names(named)[: len(told)])
    assert [one.name for one in named[: len(told)]] == [name for name, _ in told]
    assert offers.named([*(tool(*one) for one in told), *(function(name) for name in own)]) == named


@given(some_names, some_names)
def test_plain_names_stay_apart(one, other):
    assert PLAIN.fullmatch(offers.plain_name(one))
    assert offers.plain_name(offers.plain_name(one)) == offers.plain_name(one)
    if PLAIN.fullmatch(one):
        assert offers.plain_name(one) == one
    elif one != other:
        assert offers.plain_name(one) != offers.plain_name(other)


def test_a_function_that_the_caller_answers_is_not_marked_as_one_that_is_answered_here():
    assert not offers.of_caller(toolspec.Function("add", hosted=True)).function.hosted
    plain = toolspec.Function("add")
    assert offers.of_caller(plain).function is plain


OFFERED = (function("own"), function("add", here=True), tool("tool"), tool("other"), tool("far", "far"), SEARCH)
Named, Allowed, Hosted = toolspec.Named, toolspec.Allowed, toolspec.Hosted


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        (Named("own"), Named("own")),
        (Hosted("file_search"), Named("file_search")),
        (Hosted("mcp", "deep"), Allowed(("tool", "other"), "required")),
        (Hosted("mcp", "deep", "other"), Named("other")),
        (Hosted("mcp", "far"), Named("far")),
        (Hosted("mcp"), Allowed(("tool", "other", "far"), "required")),
        (Hosted("mcp", "nowhere"), "none"),
        (Hosted("mcp", "far", "other"), "none"),
        (Allowed(("own",)), Allowed(("own",))),
        (Allowed(("own",), "required", (Hosted("mcp", "far"),)), Allowed(("own", "far"), "required")),
        (Allowed((), "required", (Hosted("mcp", "far"),)), Allowed(("far",), "required")),
        (
            Allowed((), "auto", (Hosted("file_search"), Hosted("mcp", "deep"))),
            Allowed(("file_search", "tool", "other")),
        ),
        (Allowed((), "auto", (Hosted("mcp", "nowhere"),)), "none"),
    ],
)
def test_a_choice_is_one_of_names_that_are_offered(asked, told):
    assert offers.choice(asked, OFFERED) == told


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ("auto", Allowed(("own",))),
        ("required", Allowed(("own",), "required")),
        ("none", "none"),
        (Named("own"), Named("own")),
        (Named("add"), "none"),
        (Allowed(("own", "add")), Allowed(("own",))),
        (Allowed(("add",), "required"), "none"),
    ],
)
def test_where_no_more_may_be_called_here_the_callers_own_functions_are_left(asked, left):
    assert offers.of_caller_alone(asked, OFFERED) == left


def test_where_no_more_may_be_called_here_and_the_caller_has_no_function_nothing_is_left():
    assert offers.of_caller_alone("required", OFFERED[1:]) == "none"
