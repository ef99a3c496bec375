"""Filters on attributes: how callers write them, and which files they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freddy.server.core import errors, filtering
from freddy.server.core.filtering import All, Any, Comparison, attributes, decode, fits, spell

FILE = {"topic": "refunds", "year": 2026.0, "draft": False}
values = st.one_of(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
json_values = st.recursive(
    st.none() | values | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(("type", "key", "value", "filters", "x")) | st.text(max_size=4), inner)
    ),
    max_leaves=12,
)


def compared(operator, key, value):
    return fits(decode({"type": operator, "key": key, "value": value}, "filters"), FILE)


@pytest.mark.parametrize(
    ("operator", "key", "value", "fitting"),
    [
        ("eq", "topic", "refunds", True),
        ("eq", "topic", "Refunds", False),
        ("eq", "year", 2026, True),
        ("eq", "draft", False, True),
        ("eq", "draft", 0, False),
        ("eq", "nothing", "refunds", False),
        ("ne", "topic", "shipping", True),
        ("ne", "nothing", "refunds", True),
        ("gt", "year", 2025, True),
        ("gt", "year", 2026, False),
        ("gte", "year", 2026, True),
        ("lt", "year", 2026, False),
        ("lte", "year", 2026.5, True),
        ("lt", "topic", "shipping", True),
        ("gt", "topic", 3, False),
        ("lt", "topic", 3, False),
        ("gt", "draft", -1, False),
        ("lt", "nothing", 1, False),
        ("in", "topic", ["refunds", "returns"], True),
        ("in", "year", [2025, 2026], True),
        ("in", "topic", [], False),
        ("nin", "topic", ["shipping"], True),
        ("nin", "topic", ["refunds"], False),
        ("nin", "nothing", ["refunds"], True),
    ],
)
def test_a_comparison_means_what_it_says(operator, key, value, fitting):
    assert compared(operator, key, value) is fitting


def test_and_takes_all_and_or_takes_one():
    right = {"type": "eq", "key": "topic", "value": "refunds"}
    wrong = {"type": "eq", "key": "year", "value": 1999}
    nested = {"type": "or", "filters": [wrong, {"type": "and", "filters": [right, right]}]}
    assert decode(nested, "filters") == Any(
        (Comparison("year", "eq", 1999.0), All((Comparison("topic", "eq", "refunds"),) * 2))
    )
    assert fits(decode(nested, "filters"), FILE)
    assert not fits(decode({"type": "and", "filters": [right, wrong]}, "filters"), FILE)


def nested_in(times, inner):
    for _ in range(times):
        inner = {"type": "and", "filters": [inner]}
    return inner


LEAF = {"type": "eq", "key": "a", "value": 1}


@pytest.mark.parametrize(
    ("value", "place", "want"),
    [
        ([], "filters", "must be an object"),
        ({}, "filters.type", "must be one of eq, ne, gt"),
        ({"type": "like", "key": "a", "value": "b"}, "filters.type", "must be one of eq, ne, gt"),
        ({"type": ["eq"], "key": "a", "value": "b"}, "filters.type", "must be one of eq, ne, gt"),
        ({"type": "eq", "value": "b"}, "filters.key", "must be the name of an attribute"),
        ({"type": "eq", "key": "", "value": "b"}, "filters.key", "must be the name of an attribute"),
        ({"type": "eq", "key": "k" * 65, "value": "b"}, "filters.key", "must be the name of an attribute"),
        ({"type": "eq", "key": "a"}, "filters.value", "must be a string, a number or a boolean"),
        ({"type": "eq", "key": "a", "value": {}}, "filters.value", "must be a string, a number or a boolean"),
        ({"type": "eq", "key": "a", "value": ["b"]}, "filters.value", "must be one value"),
        ({"type": "eq", "key": "a", "value": 10**400}, "filters.value", "must be a number of less than 309 digits"),
        ({"type": "eq", "key": "a", "value": "b" * 513}, "filters.value", "must be at most 512 characters"),
        ({"type": "eq", "key": "a\0", "value": "b"}, "filters.key", "must not have the character U+0000"),
        ({"type": "in", "key": "a", "value": "b"}, "filters.value", "must be an array"),
        ({"type": "in", "key": "a", "value": ["b", None]}, "filters.value[1]", "must be a string"),
        ({"type": "nin", "key": "a", "value": [1] * 101}, "filters.value", "must have at most 100 values"),
        ({"type": "and"}, "filters.filters", "must be an array with at least one filter"),
        ({"type": "or", "filters": []}, "filters.filters", "must be an array with at least one filter"),
        ({"type": "or", "filters": [LEAF, 1]}, "filters.filters[1]", "must be an object"),
        (
            {"type": "or", "filters": [LEAF, {"type": "and", "filters": [{"type": "eq"}]}]},
            "filters.filters[1].filters[0].key",
            "must be the name",
        ),
        (nested_in(8, LEAF), "filters" + ".filters[0]" * 8, "is too deep"),
        ({"type": "and", "filters": [LEAF] * 100}, "filters.filters[99]", "is one filter too many"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(value, place, want):
    with pytest.raises(errors.InvalidValue) as raised:
        decode(value, "filters")
    assert raised.value.param == place
    assert raised.value.details.startswith(f"{place} {want}")


def test_filters_are_let_through_up_to_their_limits():
    assert decode(nested_in(7, LEAF), "filters")
    assert len(decode({"type": "and", "filters": [LEAF] * 99}, "filters").filters) == 99


def test_a_flat_object_means_that_all_are_equal_where_it_is_let_in():
    flat = {"topic": "refunds", "year": [2025, 2026]}
    assert decode(flat, "filters", flat=True) == All(
        (Comparison("topic", "eq", "refunds"), Comparison("year", "in", (2025.0, 2026.0)))
    )
    assert decode({"type": "pdf"}, "filters", flat=True) == Comparison("type", "eq", "pdf")
    assert decode(LEAF, "filters", flat=True) == Comparison("a", "eq", 1.0)
    with pytest.raises(errors.InvalidValue):
        decode(flat, "filters")


@pytest.mark.parametrize(
    ("value", "place"),
    [({}, "filters"), ({"a": None}, "filters.a"), ({"a": {"b": 1}}, "filters.a"), ({"": 1}, "filters")],
)
def test_what_is_no_flat_filter_is_refused_with_its_place(value, place):
    with pytest.raises(errors.InvalidValue) as raised:
        decode(value, "filters", flat=True)
    assert raised.value.param == place


def tried(value, *, flat):
    """The filter, or the place of what is wrong."""
    try:
        return decode(value, "filters", flat=flat)
    except errors.InvalidValue as error:
        return error.param


@given(json_values, st.booleans())
def test_any_json_is_a_filter_or_an_invalid_value(value, flat):
    found = tried(value, flat=flat)
    if isinstance(found, str):
        assert found.startswith("filters")
    else:
        assert fits(found, FILE) in (True, False)


@given(st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda key: "\0" not in key), values, max_size=16))
def test_attributes_are_read_as_they_are_spelled(found):
    kept = {key: value for key, value in found.items() if not (isinstance(value, str) and "\0" in value)}
    read = attributes(kept, "attributes")
    assert read == kept
    assert attributes(spell(read), "attributes") == read
    assert {key: type(value) is bool for key, value in read.items()} == {
        key: type(value) is bool for key, value in kept.items()
    }


def test_whole_numbers_are_spelled_without_a_fraction():
    assert repr(spell({"a": 2026.0, "b": 0.5, "c": 1e300, "d": True})) == (
        "{'a': 2026, 'b': 0.5, 'c': 1e+300, 'd': True}"
    )


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([], "attributes"),
        ({str(number): 1 for number in range(17)}, "attributes"),
        ({"k" * 65: 1}, "attributes"),
        ({"a": None}, "attributes.a"),
        ({"a": "v" * 513}, "attributes.a"),
    ],
)
def test_attributes_beyond_their_limits_are_refused(value, place):
    with pytest.raises(errors.InvalidValue) as raised:
        filtering.attributes(value, "attributes")
    assert raised.value.param == place
