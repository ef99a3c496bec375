"""The rules that the documentation's examples name. They are there in local development mode, and kept nowhere."""

from collections.abc import Collection
from typing import Final

from freddy.server.core.rules import Rule
from freddy.server.resources.base import Kept

_SAMPLES: Final = {
    "rule_formal_tone": (
        "Formal tone",
        Rule(
            content="Write in a formal and courteous tone. Use whole sentences. Use no slang and no emoji.",
            description="How answers sound.",
            category="professional",
            rule_type="behavior",
            apply_mode="manual",
        ),
    ),
    "rule_fact_check": (
        "Fact check",
        Rule(
            content="State only what you know to be true. Where you are not certain, say so. Invent no names, numbers"
            " or sources.",
            description="What answers may claim.",
            category="safety",
            rule_type="guardrails",
            apply_mode="manual",
        ),
    ),
}


class SampleRules:
    """`organizations` are those that have them."""

    def __init__(self, organizations: Collection[str] = ()) -> None:
        self._organizations = frozenset(organizations)

    def find(self, organization_id: str, rule_id: str) -> Kept[Rule] | None:
        sample = _SAMPLES.get(rule_id) if organization_id in self._organizations else None
        if sample is None:
            return None
        name, rule = sample
        return Kept(id=rule_id, organization_id=organization_id, name=name, value=rule, created_at=0, updated_at=0)
