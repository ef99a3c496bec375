"""Owns what is accounted: one call of a model, a tool or an embedding model, and the sum of several."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct

from freddy.server.core import money
from freddy.server.core.pricing import Price
from freddy.server.core.usage import Usage

Kind: TypeAlias = Literal["model", "tool", "embedding"]
Outcome: TypeAlias = Literal["completed", "failed", "cancelled"]

NOTHING = Usage()


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`name` is that of the model, as its provider calls it, or of the tool.

    `cost` is in billionths of a US dollar, None where no price is known. A call that used nothing, as far as anybody
    tells, costs 0.
    """

    kind: Kind
    name: str
    provider: str
    status: Outcome
    usage: Usage = NOTHING
    cost: int | None = None
    milliseconds: int = 0


def of_model(
    name: str, provider: str, status: Outcome, *, usage: Usage | None, price: Price | None, milliseconds: int = 0
) -> Call:
    """`usage` is None where nobody counted anything."""
    return Call(
        kind="model",
        name=name,
        provider=provider,
        status=status,
        usage=usage or NOTHING,
        cost=cost(usage, price),
        milliseconds=milliseconds,
    )


def cost(usage: Usage | None, price: Price | None) -> int | None:
    if usage is None:
        return 0
    return None if price is None else money.nanos(price.cost(usage))


def used(calls: Iterable[Call]) -> Usage | None:
    """By all of them. None where nothing was answered and nothing is known to have been used."""
    total: Usage | None = None
    for call in calls:
        if call.status == "completed" or call.usage != NOTHING:
            total = total.plus(call.usage) if total else call.usage
    return total


def spent(calls: Iterable[Call]) -> float | None:
    """US dollars. None where the price of one is not known: the sum of the others would not be the cost."""
    total = 0
    for call in calls:
        if call.cost is None:
            return None
        total += call.cost
    return money.dollars(total)
