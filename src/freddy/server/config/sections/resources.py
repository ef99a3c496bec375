"""Settings of what organizations configure: assistants, rules, prompts."""

from typing import Annotated

from msgspec import Struct

from freddy.server.config.declarations import Setting


class Resources(Struct, frozen=True, kw_only=True):
    """Assistants, rules and prompts."""

    most: Annotated[
        int,
        Setting(
            "FREDDY_RESOURCES_MOST",
            "How many assistants an organization may have; and as many rules, and as many prompts.",
            low=1,
            high=10_000,
        ),
    ] = 1_000


class Rules(Struct, frozen=True, kw_only=True):
    """What models are told of rules."""

    characters: Annotated[
        int,
        Setting(
            "FREDDY_RULES_CHARACTERS",
            "Characters that all rules of a request may take together, but never more than a quarter of what the model "
            "can read. Rules of lower priority are shortened first, then left out.",
            low=1_000,
            high=10_000_000,
        ),
    ] = 20_000
