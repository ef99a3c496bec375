"""Who asks, for tests of rooms behind the doors: an organization's key, or one of its users."""

from typing import Any

from freddy.server.core.accounts import SCOPES, Caller

OURS = "org_ours"


def caller(organization: str = OURS, user: str | None = None, *, sees_all: bool = False, **more: Any) -> Caller:
    """With every right there. `reach`: the organizations that the credential leads to."""
    return Caller(
        organization,
        more.pop("reach", (organization,)),
        frozenset(SCOPES),
        None if user else "key_1",
        user,
        None if sees_all else user,
    )
