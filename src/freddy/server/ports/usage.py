"""The need to keep who used what. A method is one transaction."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from freddy.server.core.calls import Call
from freddy.server.core.periods import Slice, Span
from freddy.server.core.response import Response
from freddy.server.core.usage import Sums

Trait: TypeAlias = Literal["key", "user", "kind", "model", "provider"]
"""By what calls are told apart. `model` is the name of the model or tool."""


class Question(Struct, frozen=True, kw_only=True):
    """What was used by an organization in the `slices` of time, which do not overlap.

    The sums are told apart by the traits, and by the span that they began in. `having` are the values that traits must
    have, empty for calls that have none; `keys_only` leaves out what was used without a key.
    """

    organization_id: str
    slices: tuple[Slice, ...]
    each: Span | None = None
    by: tuple[Trait, ...] = ()
    having: Mapping[Trait, str] = {}
    keys_only: bool = False


class Apart(Struct, frozen=True, kw_only=True):
    """Calls that are of no response: they count for no request, no key and no user. `at` is in Unix seconds."""

    id: str
    organization_id: str
    at: int
    calls: tuple[Call, ...]


class Part(Struct, frozen=True):
    """`start` is the beginning of its span, 0 where that was not asked; `traits` as asked for."""

    start: int
    traits: tuple[str, ...]
    sums: Sums


class UsageStore(Protocol):
    """Calls are kept one by one, with the end of their response. They are added up later, and are in every sum from
    the moment they are kept."""

    async def add(self, responses: Sequence[Response]) -> None:
        """Keeps the calls of responses that are themselves not kept. Repeating it changes nothing."""
        ...

    async def add_apart(self, calls: Sequence[Apart]) -> None:
        """Keeps calls that are of no response. Repeating it changes nothing."""
        ...

    async def parts(self, question: Question) -> Sequence[Part]:
        """By the time of their beginning. Only what there is: a span in which nothing was used has no part."""
        ...

    async def month_cost(self, organization_id: str, key_id: str | None, *, since: int, until: int) -> int:
        """Billionths of a US dollar spent in that time, by one key or by all of the organization.

        Exact from hour to hour.
        """
        ...

    async def sum_up(self, most: int) -> int:
        """Adds up to `most` calls to the sums. Returns how many it found."""
        ...

    async def forget(self, before: int, most: int) -> int:
        """Deletes up to `most` calls of before that time (Unix seconds), and leaves their sums. Returns how many."""
        ...
