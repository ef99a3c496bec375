"""Runs that all stand still at once, each in another moment of the same story."""

from collections.abc import Sequence
from typing import Final

from durability_checks import Crowd
from durability_stage import Phase, Plan, Trap

Moment = tuple[str, Phase, int]

TOLD: Final = {"freddy": ("ffm", "f"), "openai": ("mm", "m")}
"""The calls of each turn, by dialect: OpenAI's has no functions of the server."""


def moments(plan: Plan) -> Sequence[Moment]:
    """All that the stage sees of a run: each word and each piece of a call, and each call's beginning and end."""
    found: list[Moment] = []
    for turn in range(len(plan.turns) + 1):
        what = f"model {turn}"
        calls = plan.turns[turn] if turn < len(plan.turns) else ""
        pieces = 1 + len(plan.words_of(turn)) + 3 * len(calls) + 2
        found += [(what, "asked", 0), *((what, "said", number) for number in range(pieces)), (what, "answered", 0)]
    for call in plan.calls:
        found += [(call, "asked", 0), (call, "answered", 0)]
    return found


async def begun(crowd: Crowd, dialect: str, by: str, *, every: int = 1) -> list[Trap]:
    """A run for each moment, or every so many, performed by this process; each is held in its moment."""
    traps: list[Trap] = []
    number = 0
    while True:
        plan = Plan(f"{by}{dialect}{number}", turns=TOLD[dialect], says=True)
        if number >= len(moments(plan)):
            break
        traps.append(crowd.cluster.stage.trap(plan.run, *moments(plan)[number], hold=True))
        await crowd.begin(plan, dialect, by=crowd.cluster.members[by])
        number += every
    for trap in traps:
        await trap.sprung()
    return traps


def let_go(traps: Sequence[Trap]) -> None:
    for trap in traps:
        trap.let_go()
