"""Reads queries: those of lists, and single values."""

from collections.abc import Mapping

import msgspec
from starlette.datastructures import QueryParams

from freddy.server.core import errors
from freddy.server.ports.stores import Order, Page

_MOST = 100
_TRUE = ("true", "1")
_FALSE = ("false", "0")
_PAIRS = 16
_NAMED = 100


def page(query: Mapping[str, str], *, default: int = 20) -> Page:
    """`limit` (1 to 100), `order` (asc or desc), `after` and `before` (ids). Raises `errors.InvalidValue`."""
    return Page(
        limit=whole_number(query, "limit", default=default, low=1, high=_MOST),
        order=order(query),
        after=query.get("after") or None,
        before=query.get("before") or None,
    )


def order(query: Mapping[str, str]) -> Order:
    """The newest first, where nothing is said. Raises `errors.InvalidValue`."""
    given = query.get("order", "desc")
    if given not in ("asc", "desc"):
        raise errors.InvalidValue("order", "must be asc or desc")
    return "asc" if given == "asc" else "desc"


def truth(query: Mapping[str, str], name: str) -> bool:
    """False where nothing is said. Raises `errors.InvalidValue`."""
    given = query.get(name, "false").lower()
    if given not in _TRUE and given not in _FALSE:
        raise errors.InvalidValue(name, "must be true or false")
    return given in _TRUE


def maybe(query: Mapping[str, str], name: str) -> bool | None:
    """None where nothing is said. Raises `errors.InvalidValue`."""
    return truth(query, name) if query.get(name) else None


def metadata(query: QueryParams) -> dict[str, str]:
    """The pairs of `metadata[key]=value`, as often as it is there, or of one `metadata` that is a JSON object.

    Raises `errors.InvalidValue`.
    """
    pairs = _pairs(query["metadata"]) if query.get("metadata") else {}
    for name, value in query.multi_items():
        if name.startswith("metadata[") and name.endswith("]"):
            key = name[len("metadata[") : -1]
            if pairs.get(key, value) != value:
                raise errors.InvalidValue(name[:_NAMED], "has two values: nothing can have both")
            pairs[key] = value
    if len(pairs) > _PAIRS:
        raise errors.InvalidValue("metadata", f"must have at most {_PAIRS} pairs")
    return pairs


def _pairs(given: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(given, type=dict[str, str])
    except (msgspec.DecodeError, RecursionError):
        raise errors.InvalidValue("metadata", "must be a JSON object of strings, or metadata[key]=value") from None


def whole_number(query: Mapping[str, str], name: str, *, default: int, low: int, high: int | None = None) -> int:
    """Raises `errors.InvalidValue`."""
    given = query.get(name)
    if given is None:
        return default
    want = f"must be a whole number from {low}" + (f" to {high}" if high is not None else "")
    try:
        number = int(given)
    except ValueError:
        raise errors.InvalidValue(name, want) from None
    if number < low or (high is not None and number > high):
        raise errors.InvalidValue(name, want)
    return number
