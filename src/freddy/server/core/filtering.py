"""Owns filters on the attributes of files: what they are, how callers write them, and which attributes fit. Pure.

The operators are OpenAI's: https://platform.openai.com/docs/guides/retrieval#attribute-filtering
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias, assert_never, get_args

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.vector_stores import Attribute

Operator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
OPERATORS: Final[tuple[Operator, ...]] = get_args(Operator)

DEEPEST: Final = 8
"""How far filters may be put into each other; one alone is 1 deep."""
MOST: Final = 100
"""Comparisons, `and`s and `or`s that a filter may have, and values that `in` may name."""
MOST_ATTRIBUTES: Final = 16
"""Of a file."""
LONGEST_KEY: Final = 64
LONGEST_VALUE: Final = 512
"""Characters of an attribute's name, and of its value where that is a text."""
_EXACT: Final = 2**53


class Comparison(Struct, frozen=True, tag="comparison"):
    """`value` is a tuple with `in` and `nin`, and one value with the others."""

    key: str
    operator: Operator
    value: Attribute | tuple[Attribute, ...]


class All(Struct, frozen=True, tag="all"):
    """Fits where all of them do."""

    filters: tuple["Filter", ...]


class Any(Struct, frozen=True, tag="any"):
    """Fits where one of them does."""

    filters: tuple["Filter", ...]


Filter: TypeAlias = Comparison | All | Any


def fits(filter_: Filter, attributes: Mapping[str, Attribute]) -> bool:
    """Whether a file with these attributes is meant. What has no such attribute fits `ne` and `nin` alone.

    Values of different kinds are never equal and have no order.
    """
    match filter_:
        case All(filters):
            return all(fits(one, attributes) for one in filters)
        case Any(filters):
            return any(fits(one, attributes) for one in filters)
        case Comparison(key, operator, value):
            return _compares(attributes.get(key), operator, value)
        case _:
            assert_never(filter_)


def _compares(found: Attribute | None, operator: Operator, value: Attribute | tuple[Attribute, ...]) -> bool:
    if isinstance(value, tuple):
        inside = any(_same(found, one) for one in value)
        return inside if operator == "in" else not inside
    if operator in ("eq", "ne"):
        return _same(found, value) == (operator == "eq")
    if isinstance(found, str) and isinstance(value, str):
        return _ordered(operator, (found > value) - (found < value))
    if _number(found) and _number(value):
        return _ordered(operator, (found > value) - (found < value))  # type: ignore[operator]
    return False


def _ordered(operator: Operator, sign: int) -> bool:
    match operator:
        case "gt":
            return sign > 0
        case "gte":
            return sign >= 0
        case "lt":
            return sign < 0
        case "lte":
            return sign <= 0
        case _:
            return False


def _same(found: Attribute | None, value: Attribute) -> bool:
    return isinstance(found, bool) == isinstance(value, bool) and found == value


def _number(value: Attribute | None) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def decode(value: object, at: str, *, flat: bool = False) -> Filter:
    """The filter that a caller wrote as JSON: `{type, key, value}`, or `{type: and|or, filters}`.

    `at` is where it stands. With `flat` an object of attributes is a filter as well: each must be equal, or be one of
    the array's. Raises `errors.InvalidValue` with the place.
    """
    if flat and type(value) is dict and not ("type" in value and ("key" in value or "filters" in value)):
        return _flat(value, at)
    return _Decoder().filter(value, at, depth=1)


def attribute(value: object, at: str) -> Attribute:
    """A text, a number or a boolean; raises `errors.InvalidValue`."""
    match value:
        case bool():
            return value
        case int() | float():
            return _finite(value, at)
        case str():
            if len(value) > LONGEST_VALUE:
                raise errors.InvalidValue(at, f"must be at most {LONGEST_VALUE} characters long")
            return _kept(value, at)
        case _:
            raise errors.InvalidValue(at, "must be a string, a number or a boolean")


def attribute_key(value: object, at: str) -> str:
    if type(value) is not str or not 1 <= len(value) <= LONGEST_KEY:
        raise errors.InvalidValue(at, f"must be the name of an attribute, of 1 to {LONGEST_KEY} characters")
    return _kept(value, at)


def attributes(value: object, at: str) -> dict[str, Attribute]:
    """Those of a file, as a caller wrote them. Raises `errors.InvalidValue` with the place."""
    if type(value) is not dict:
        raise errors.InvalidValue(at, "must be an object")
    if len(value) > MOST_ATTRIBUTES:
        raise errors.InvalidValue(at, f"must have at most {MOST_ATTRIBUTES} pairs")
    return {attribute_key(key, at): attribute(each, f"{at}.{key[:LONGEST_KEY]}") for key, each in value.items()}


def spell(attributes: Mapping[str, Attribute]) -> dict[str, str | int | float | bool]:
    """As JSON: a whole number has no fraction."""
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT else value
        for key, value in attributes.items()
    }


class _Decoder:
    """Counts what it has read of one filter."""

    def __init__(self) -> None:
        self._read = 0

    def filter(self, value: object, at: str, *, depth: int) -> Filter:
        self._read += 1
        if self._read > MOST:
            raise errors.InvalidValue(at, f"is one filter too many: there may be {MOST}")
        if depth > DEEPEST:
            raise errors.InvalidValue(at, f"is too deep: filters may be put into each other {DEEPEST} deep")
        if type(value) is not dict:
            raise errors.InvalidValue(at, "must be an object")
        operator = value.get("type")
        match operator:
            case "and":
                return All(self._filters(value, at, depth=depth))
            case "or":
                return Any(self._filters(value, at, depth=depth))
            case str() if operator in OPERATORS:
                return _comparison(value, at, operator)
            case _:
                raise errors.InvalidValue(f"{at}.type", f"must be one of {', '.join(OPERATORS)}, and, or")

    def _filters(self, value: Mapping[str, object], at: str, *, depth: int) -> tuple[Filter, ...]:
        filters = value.get("filters")
        if type(filters) is not list or not filters:
            raise errors.InvalidValue(f"{at}.filters", "must be an array with at least one filter")
        places = (f"{at}.filters[{index}]" for index in range(len(filters)))
        return tuple(self.filter(each, place, depth=depth + 1) for place, each in zip(places, filters, strict=True))


def _comparison(value: Mapping[str, object], at: str, operator: Operator) -> Comparison:
    key = attribute_key(value.get("key"), f"{at}.key")
    wanted = value.get("value")
    place = f"{at}.value"
    if operator in ("in", "nin"):
        if type(wanted) is not list:
            raise errors.InvalidValue(place, f"must be an array: {operator!r} compares with several")
        return Comparison(key, operator, _several(wanted, place))
    if type(wanted) is list:
        raise errors.InvalidValue(place, "must be one value: 'in' and 'nin' compare with several")
    return Comparison(key, operator, attribute(wanted, place))


def _flat(value: Mapping[str, object], at: str) -> Filter:
    if not 1 <= len(value) <= MOST:
        raise errors.InvalidValue(at, f"must have 1 to {MOST} attributes")
    every = tuple(_equal(attribute_key(key, at), each, f"{at}.{key[:LONGEST_KEY]}") for key, each in value.items())
    return every[0] if len(every) == 1 else All(every)


def _equal(key: str, value: object, at: str) -> Comparison:
    if type(value) is list:
        return Comparison(key, "in", _several(value, at))
    return Comparison(key, "eq", attribute(value, at))


def _several(values: Sequence[object], at: str) -> tuple[Attribute, ...]:
    if len(values) > MOST:
        raise errors.InvalidValue(at, f"must have at most {MOST} values")
    return tuple(attribute(each, f"{at}[{index}]") for index, each in enumerate(values))


def _finite(value: float, at: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise errors.InvalidValue(at, "must be a number of less than 309 digits")
    return number


def _kept(value: str, at: str) -> str:
    if "\0" in value:  # not every database keeps it
        raise errors.InvalidValue(at, "must not have the character U+0000 in it")
    return value
