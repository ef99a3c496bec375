"""Reads queries: those of lists, and single values."""

from collections.abc import Mapping

from freddy.server.core import errors
from freddy.server.ports.stores import Order, Page

_MOST = 100
_TRUE = ("true", "1")
_FALSE = ("false", "0")


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
