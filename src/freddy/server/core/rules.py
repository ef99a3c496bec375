"""Owns rules: reusable instructions, what they are attached to, and what became of each for a request."""

from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct

Type: TypeAlias = Literal["behavior", "guardrails", "formatting", "context", "content_policy", "constraint"]
Scope: TypeAlias = Literal["organization", "team", "model", "assistant", "user", "vector_store"]
ApplyMode: TypeAlias = Literal["always", "auto", "manual"]
"""Wherever it is attached; there, where it fits; only where it is named."""
Entity: TypeAlias = Literal["assistant", "user", "model", "vector_store", "organization"]
Verdict: TypeAlias = Literal["applied", "compressed", "filtered"]
Reason: TypeAlias = Literal[
    "named", "always", "fits", "budget", "character_limit", "inactive", "not_named", "does_not_fit", "deleted"
]

ENTITIES: Final[tuple[Entity, ...]] = get_args(Entity)
CATEGORIES: Final = ("safety", "professional", "creative", "technical", "custom")
"""Those with a meaning for `auto` (but for the last); any other word is a category, too."""
CONTEXT: Final = ("request_type", "user_expertise", "output_format", "target_audience")
"""What a request's rule context may say, beside fields of the caller's own."""

LONGEST_DESCRIPTION: Final = 2_000
LONGEST: Final = 50_000
"""Characters of a rule's content."""
SHORTEST_LIMIT: Final = 100
LOWEST, USUAL, HIGHEST = 1, 50, 100
"""Priorities. What has the highest is told whole or not at all: the request fails then."""


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`conditions` are of mode `auto`: the values that a field of the rule context may have, by field.

    `character_limit` is what the model reads of it at most.
    """

    content: str
    description: str | None = None
    category: str | None = None
    rule_type: Type | None = None
    scope: Scope | None = None
    """A label: what a rule is attached to decides where it applies."""
    apply_mode: ApplyMode = "always"
    priority: int = USUAL
    """Where a request or an assistant names it; an attachment has its own."""
    character_limit: int | None = None
    keywords: tuple[str, ...] = ()
    conditions: dict[str, tuple[str, ...]] = {}
    is_public: bool = False
    is_active: bool = True
    metadata: dict[str, str] = {}


class Attachment(Struct, frozen=True, kw_only=True):
    """A rule is for something. An entity is a model by its name, all else by its id. Times are Unix seconds."""

    id: str
    organization_id: str
    rule_id: str
    entity_type: Entity
    entity_id: str
    priority: int = USUAL
    character_limit: int | None = None
    active: bool = True
    created_at: int
    updated_at: int
    created_by: str | None = None


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
