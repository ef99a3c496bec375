"""Who may call in local development mode: whoever is on this machine. None of it is kept, so none outlives the mode."""

import hashlib
from collections.abc import Iterable

from msgspec.structs import replace

from freddy.server.accounts import keys
from freddy.server.core import ids
from freddy.server.core.accounts import SCOPES, ApiKey, Caller, Organization
from freddy.server.ports.world import Clock, IdSource

ORGANIZATIONS = ("org_local", "org_abc123", "org_your_org_id")
"""The organization of the mode itself, then those that the documentation's examples name."""
EXAMPLE_KEYS = ("your-api-key", "YOUR_API_KEY")
"""The keys that the documentation's examples send."""
_ID = f"{ids.KEY}_local_"


def anonymous() -> Caller:
    return Caller(ORGANIZATIONS[0], ORGANIZATIONS, frozenset(SCOPES))


def organizations(clock: Clock) -> Iterable[Organization]:
    now = int(clock.now())
    return [Organization(id=name, name="Local development", created_at=now) for name in ORGANIZATIONS]


def key_ring(secret: str, *, clock: Clock, ids_from: IdSource) -> list[ApiKey]:
    """The key of the mode and those of the examples.

    Each has the same id at every start and in every process: what it asked for in the background goes on elsewhere.
    """
    minted = (
        keys.mint("development", ORGANIZATIONS, clock=clock, ids_from=ids_from, secret=one).key
        for one in (secret, *EXAMPLE_KEYS)
    )
    return [replace(key, id=_ID + hashlib.sha256(key.digest).hexdigest()[:20]) for key in minted]


def is_of_the_mode(key_id: str) -> bool:
    """Whether it is the id of such a key. Other processes may not know it: each home folder has its own."""
    return key_id.startswith(_ID)
