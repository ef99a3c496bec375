"""What a provider is made of: where it is, and what is known of its models."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from msgspec import Struct

from freddy.server.core.profile import Profile
from freddy.server.ports.model import Provider
from freddy.server.ports.wire import Wire

ProfileOf: TypeAlias = Callable[[str], Profile]
"""The facts about the model that a provider calls so."""


class Address(Struct, frozen=True):
    """`name` is that of the upstream, `key` the operator's. `headers` go with every request."""

    name: str
    wire: Wire
    profile_of: ProfileOf
    key: str | None = None
    headers: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"Address(name={self.name!r})"


class Factory(Protocol):
    """What an entry point in the group `freddy.providers` names."""

    def __call__(self, address: Address) -> Provider: ...
