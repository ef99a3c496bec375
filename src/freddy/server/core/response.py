"""Owns the response: what the caller gets, its status and its failure."""

from typing import Literal, TypeAlias

from msgspec import Struct

from freddy.server.core import errors, items
from freddy.server.core.attempt import Attempt
from freddy.server.core.calls import Call
from freddy.server.core.request import Request
from freddy.server.core.rules import Considered
from freddy.server.core.usage import Shares, Usage

Status: TypeAlias = Literal[
    "queued", "in_progress", "requires_action", "completed", "incomplete", "failed", "cancelled"
]
IncompleteReason: TypeAlias = Literal["max_output_tokens", "content_filter"]

SUCCEEDED: tuple[Status, ...] = ("completed", "incomplete", "requires_action")
"""Those whose items become part of their thread."""
ENDED: frozenset[Status] = frozenset(("completed", "incomplete", "failed", "cancelled", "requires_action"))


class Response(Struct, frozen=True, kw_only=True):
    """Times are Unix seconds. `output` are the items the run made, in the order they were made.

    `cost` is in US dollars, None where a price is not known. `attempts` are all tries to have a model answer.
    """

    id: str
    organization_id: str
    key_id: str | None = None
    user_id: str | None = None
    created_at: int
    status: Status
    model: str
    request: Request
    thread_id: str | None = None
    output: tuple[items.Item, ...] = ()
    usage: Usage | None = None
    provider: str = ""
    completed_at: int | None = None
    failure: errors.Failure | None = None
    incomplete_reason: IncompleteReason | None = None
    warnings: tuple[str, ...] = ()
    cost: float | None = None
    attempts: tuple[Attempt, ...] = ()
    calls: tuple[Call, ...] = ()
    """All calls of models and tools, in order. They are kept as usage, and not read back with the response."""
    considered: tuple[Considered, ...] = ()
    """The rules that were looked at, and what became of each."""
    shares: Shares | None = None
    """What the tokens went to, where somebody asked."""
    partial: bool = False
    """It was cancelled, and what it had said until then is kept in its thread."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def text(self) -> str:
        """The text of the last message."""
        for item in reversed(self.output):
            if isinstance(item, items.Message):
                return item.text
        return ""
