"""Owns what a key is that an organization brings for an upstream, to be used instead of the operator's."""

import re
from typing import Final

from msgspec import Struct

from freddy.server.core import errors

LONGEST: Final = 4096
"""Characters a key may have: more would not fit into the head of a request."""
SHOWN: Final = 4
_LONG: Final = 20
_KEY: Final = re.compile(rf"[\x21-\x7e]{{1,{LONGEST}}}")


class ProviderKey(Struct, frozen=True, kw_only=True):
    """A key as it is kept: `sealed` is what only the server can open, `hint` its last characters for people to see.

    `hint` is None where the key is too short to show any of it. Times are Unix seconds.
    """

    organization_id: str
    upstream: str
    sealed: bytes
    hint: str | None
    created_at: int
    updated_at: int

    def __repr__(self) -> str:
        return f"ProviderKey(organization_id={self.organization_id!r}, upstream={self.upstream!r})"


def checked(secret: str) -> str:
    """The key as it came. Raises `errors.InvalidValue` for one that could not stand in the head of a request."""
    if not secret:
        raise errors.InvalidValue("key", "must not be empty")
    if len(secret) > LONGEST:
        raise errors.InvalidValue("key", f"must be at most {LONGEST} characters long")
    if not _KEY.fullmatch(secret):
        raise errors.InvalidValue("key", "must be ASCII characters without spaces and control characters")
    return secret


def hint(secret: str) -> str | None:
    """What people may see of a key: enough to tell two apart, too little to guess the rest."""
    return f"…{secret[-SHOWN:]}" if len(secret) >= _LONG else None


def bound_to(organization_id: str, upstream: str) -> tuple[str, ...]:
    """What a sealed key belongs to: anywhere else it does not open."""
    return ("provider_key", organization_id, upstream)
