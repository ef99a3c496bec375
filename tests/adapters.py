"""Who may answer, one line each: a new adapter, or another way to speak an old wire, is one more line."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from freddy.server.config import settings as parts
from simulators.chat import Chat
from simulators.messages import Messages
from simulators.responses import Responses
from simulators.server import Simulator


@dataclass(frozen=True)
class Adapter:
    """`plain` and `thinker` are the vendor's names for a model that does not think, and for one that does."""

    name: str
    simulator: Callable[..., Simulator]
    plain: str
    thinker: str
    max_temperature: float = 2.0

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]

    def served(self) -> tuple[parts.Served, ...]:
        """What callers may ask for: `plain` and `thinker`, and what the operator says of them."""
        facts: dict[str, Any] = {"images": True, "files": True, "max_temperature": self.max_temperature}
        return (
            parts.Served(name="plain", candidates=(_way(self.plain),), reasoning=False, sampling=True, **facts),
            parts.Served(name="thinker", candidates=(_way(self.thinker),), reasoning=True, **facts),
        )


def _way(model: str) -> parts.Candidate:
    return parts.Candidate(upstream="stage", model=model)


ADAPTERS = (
    Adapter("openai", Responses, "gpt-4o", "gpt-5"),
    Adapter("anthropic", Messages, "claude-3-5-haiku-20241022", "claude-sonnet-4-20250514", 1.0),
    Adapter("compatible", Chat, "stage-plain", "stage-thinker"),
    Adapter("compatible-reasoning", partial(Chat, thinks="reasoning"), "stage-plain", "stage-thinker"),
    Adapter("compatible-tags", partial(Chat, thinks="tags"), "stage-plain", "stage-thinker"),
)
WIRES = ADAPTERS[:3]
"""One adapter for each wire."""
