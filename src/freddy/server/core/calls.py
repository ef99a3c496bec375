"""Owns what is accounted: one call of a model or of a tool."""

from typing import Literal, TypeAlias

from msgspec import Struct

from freddy.server.core.usage import Usage

Kind: TypeAlias = Literal["model", "tool"]
Outcome: TypeAlias = Literal["completed", "failed", "cancelled"]

NANODOLLARS = 1_000_000_000
"""Billionths of a US dollar in one: money is added up in whole numbers."""


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`name` is that of the model or tool. `cost` is in billionths of a US dollar, None where no price is known."""

    kind: Kind
    name: str
    provider: str
    status: Outcome
    usage: Usage = Usage()
    cost: int | None = None
    milliseconds: int = 0
