"""Owns filters on the attributes of files: what they are, and which attributes fit them. Pure.

The operators are OpenAI's: https://platform.openai.com/docs/guides/retrieval#attribute-filtering
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias, assert_never

from msgspec import Struct

from freddy.server.core.vector_stores import Attribute

Operator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]


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
