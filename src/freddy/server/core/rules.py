"""Owns rules: reusable instructions, what they are attached to, and what became of each for a request."""

from typing import Literal, TypeAlias

from msgspec import Struct

Verdict: TypeAlias = Literal["applied", "compressed", "filtered"]


class Considered(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a rule: `reason` says why. `source` is what brought it: `request`, or what it is attached to."""

    id: str
    name: str = ""
    verdict: Verdict
    reason: str
    source: str = "request"
    priority: int = 50
    characters: int = 0
    """Of it that the model reads."""
