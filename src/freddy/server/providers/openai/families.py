"""What OpenAI's models of each family take, by their names: levels of reasoning, and sampling beside it. Pure.

https://platform.openai.com/docs/guides/reasoning
"""

import re
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core.profile import Profile
from freddy.server.core.request import Effort

Level: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Family(Struct, frozen=True):
    """`levels` of reasoning, none where it does not reason. `sampled`: whether it takes temperature and its like.

    Some take them only while they do not reason. `brief`: whether a summary may be asked to be concise; `verbose`:
    whether it may be asked for more or fewer words than usual.
    """

    levels: tuple[Level, ...]
    sampled: Literal["always", "unthinking", "never"] = "never"
    brief: bool = True
    verbose: bool = True


_FAMILIES: Final[tuple[tuple[re.Pattern[str], Family], ...]] = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"gpt-[34]|chatgpt-|gpt-audio", Family((), "always", verbose=False)),
        (r"o\d", Family(("low", "medium", "high"), brief=False, verbose=False)),
        (r"gpt-5-chat", Family((), "always", verbose=False)),
        (r"gpt-5-pro", Family(("high",), brief=False)),
        (r"gpt-5-codex", Family(("low", "medium", "high"), brief=False, verbose=False)),
        (r"gpt-5(?:-|$)", Family(("minimal", "low", "medium", "high"), brief=False)),
        (r"gpt-5\.\d+-chat", Family(("medium",), verbose=False)),
        (r"gpt-5\.1-codex-max", Family(("low", "medium", "high", "xhigh"), verbose=False)),
        (r"gpt-5\.1-codex", Family(("low", "medium", "high"), verbose=False)),
        (r"gpt-5\.1(?:-|$)", Family(("none", "low", "medium", "high"), "unthinking")),
        (r"gpt-5\.\d+-codex", Family(("low", "medium", "high", "xhigh"))),
        (r"gpt-5\.\d+-pro", Family(("medium", "high", "xhigh"))),
        (r"gpt-5\.[2-5](?:-|$)", Family(("none", "low", "medium", "high", "xhigh"), "unthinking")),
        (r"gpt-5\.\d", Family(("none", "low", "medium", "high", "xhigh", "max"))),
        (r"gpt-[6-9]", Family(("low", "medium", "high", "xhigh", "max"))),
    )
)

_WISHES: Final[dict[Effort, tuple[Level, ...]]] = {
    "off": ("none", "minimal", "low", "medium", "high"),
    "minimal": ("minimal", "low", "medium", "high"),
    "low": ("low", "medium", "high"),
    "medium": ("medium", "high"),
    "high": ("high", "medium"),
    "xhigh": ("xhigh", "high", "medium"),
    "max": ("max", "xhigh", "high", "medium"),
    "maximum": ("high", "medium"),
}
"""What each effort asks for: the first level that the model knows."""


def family(profile: Profile, model: str) -> Family:
    """By the model's name; by its profile where the name says nothing, as that of a deployment does not."""
    base = model.removeprefix("ft:").rpartition("/")[2]
    found = next((one for pattern, one in _FAMILIES if pattern.match(base)), None)
    if found is None:
        # All models that reason know these levels, but for a few that have one.
        found = Family(("low", "medium", "high"), "always" if profile.sampling else "never")
    return replace(
        found,
        levels=found.levels if profile.reasoning else (),
        sampled="never" if found.sampled == "always" and not profile.sampling else found.sampled,
    )


def level(effort: Effort, family: Family) -> Level:
    return next(one for one in _WISHES[effort] if one in family.levels)


def wished(effort: Effort) -> Level:
    """The level that the effort stands for, whether or not the model has it."""
    return _WISHES[effort][0]
