"""What Claude models of each age take, by the version in their names: how they think, and sampling beside it. Pure.

https://platform.claude.com/docs/en/build-with-claude/thinking
"""

import re
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from freddy.server.core.profile import Profile
from freddy.server.core.request import Effort

Quiet: TypeAlias = Literal["unsaid", "disabled", "between_tools", "never"]
"""How a model is told not to think: by nothing, by this type of thinking, or not at all."""

_VERSION: Final = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_THINKING: Final = (3, 7)
_ONE_SAMPLER: Final = (4, 1)
_ADAPTIVE: Final = (4, 7)
_ALWAYS: Final = (5, 0)
_QUIET: Final[tuple[tuple[re.Pattern[str], Quiet], ...]] = (
    (re.compile(r"claude-(?:opus|sonnet)-5(?![-.]\d{1,2}(?!\d))"), "disabled"),
    (re.compile(r"claude-haiku-5"), "disabled"),
    (re.compile(r"claude-sonnet-5[-.]5"), "between_tools"),
)

BUDGETS: Final[dict[Effort, int]] = {
    "minimal": 2_500,
    "low": 2_500,
    "medium": 10_000,
    "high": 25_000,
    "xhigh": 50_000,
    "max": 50_000,
    "maximum": 50_000,
}
"""Tokens to think. The Freddy dialect's `low` is `minimal`; here both are the same."""

EFFORTS: Final[dict[Effort, str]] = {
    "off": "low",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
    "maximum": "max",
}
"""What models are asked for that take no budget; `off` where they cannot be told not to think."""


class Family(Struct, frozen=True):
    """`thinks`: whether it can. `adaptive`: it takes an effort in place of a budget, and nothing for sampling.

    `always`: it thinks where nothing is said of it. `one_sampler`: it takes only one of temperature and top_p.
    """

    thinks: bool
    adaptive: bool = False
    always: bool = False
    quiet: Quiet = "unsaid"
    sampled: bool = True
    one_sampler: bool = True


def family(profile: Profile, model: str) -> Family:
    """A name that does not tell its version counts as that of an older model."""
    found = _VERSION.search(model)
    version = (int(found[1]), int(found[2] or 0)) if found else None
    adaptive = version is not None and version >= _ADAPTIVE
    always = version is not None and version >= _ALWAYS
    return Family(
        thinks=always or (profile.reasoning and (version is None or version >= _THINKING)),
        adaptive=adaptive,
        always=always,
        quiet=next((how for name, how in _QUIET if name.search(model)), "never") if always else "unsaid",
        sampled=profile.sampling and not adaptive,
        one_sampler=version is None or version >= _ONE_SAMPLER,
    )
