"""Marks encrypted thinking with where it came from: only there can it be read again. Pure."""

from msgspec import Struct

_WIRE = "openai"


class Opened(Struct, frozen=True):
    """`id` is the vendor's id of the reasoning item: the encrypted content is only good together with it."""

    id: str
    encrypted: str


def close(provider: str, item_id: str, encrypted: str) -> str:
    return f"{_mark(provider)}{item_id}:{encrypted}"


def reopen(provider: str, sealed: str | None) -> Opened | None:
    """None where another provider made it: each refuses what it cannot decrypt."""
    mark = _mark(provider)
    if sealed is None or not sealed.startswith(mark):
        return None
    item_id, colon, encrypted = sealed[len(mark) :].partition(":")
    return Opened(item_id, encrypted) if item_id and colon and encrypted else None


def _mark(provider: str) -> str:
    return f"{_WIRE}:{provider}:"
