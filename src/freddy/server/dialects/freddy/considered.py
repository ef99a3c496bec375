"""Owns how a response tells what became of the rules that concerned it."""

from collections.abc import Sequence

from msgspec import Struct

from freddy.server.core.rules import Considered, Verdict


class ConsideredView(Struct):
    id: str
    name: str
    verdict: Verdict
    reason: str
    source: str
    priority: int
    characters: int


class RulesDebug(Struct):
    """All rules that were considered, in their order, and the ids of those of each verdict."""

    considered: tuple[ConsideredView, ...]
    applied: tuple[str, ...]
    compressed: tuple[str, ...]
    filtered: tuple[str, ...]


def debug(considered: Sequence[Considered]) -> RulesDebug:
    def those(verdict: Verdict) -> tuple[str, ...]:
        return tuple(one.id for one in considered if one.verdict == verdict)

    return RulesDebug(
        tuple(
            ConsideredView(one.id, one.name, one.verdict, one.reason, one.source, one.priority, one.characters)
            for one in considered
        ),
        applied=those("applied"),
        compressed=those("compressed"),
        filtered=those("filtered"),
    )
