"""A response in the making: what it is made of, and all that has happened in it. Pure.

A run is a fold over its recorded events (`folding`), so a crashed run goes on from what was kept. What must happen next
is told by `deciding`, and how it ended by `ending`.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from freddy.server.core import calls, compaction, deltas, errors, events, items, toolspec
from freddy.server.core.attempt import Attempt
from freddy.server.core.calls import Call
from freddy.server.core.offers import Offer
from freddy.server.core.response import Response
from freddy.server.core.usage import Shares, Usage

MAX_TOOL_CALLS: Final = 20
"""Of tools that this server runs, in one response, where nobody says how many."""


class Run(Struct, frozen=True, kw_only=True):
    """Events change what has happened, and `offers` once they are looked up. The rest is as the run was prepared."""

    # What it is made of.
    response: Response
    model: str
    """The name to ask for."""
    context: tuple[items.Item, ...]
    """What the model reads before the output: history, then input."""
    instructions: str | None = None
    answers: tuple[items.ApprovalAnswer, ...] = ()
    """Those of the input, to requests for approval, that nothing was done about before."""
    offers: tuple[Offer, ...] = ()
    """What the model may call."""
    opened: bool = True
    """Whether all of the offers are known; others are to be looked up before anything else."""
    parallel: bool = False
    """The model may make several calls at once, and they are run so."""
    compaction: "compaction.Limits | None" = None
    """Where the conversation is to be shortened."""
    cache_key: str | None = None
    live: bool = False
    """It is told as it goes."""
    early: bool = False
    """It is kept from its beginning on, told or not."""

    # What has happened.
    output: tuple[items.Item, ...] = ()
    turns: int = 0
    """How many of the model have ended."""
    turn_at: int = 0
    """The place in the output where the last turn began."""
    accounted: int = 0
    """How many items of the output are those of turns that have ended."""
    calls: tuple[Call, ...] = ()
    """What is charged for, in the order in which it ended: of models and of tools."""
    shares: Shares | None = None
    aside: int = 0
    """Output tokens that went to summaries, and to turns that were lost: they count for no limit of the answer."""
    asking: events.Choice | None = None
    """Of the turn or summary under way, who is asked."""
    answered_by: str | None = None
    """The model that answered last, in its provider's words."""
    provider: str = ""
    attempts: tuple[Attempt, ...] = ()
    warnings: tuple[str, ...] = ()
    finish: deltas.FinishReason | None = None
    """Why the last turn ended."""
    failure: errors.Failure | None = None
    cancelled: bool = False
    partial: bool = False
    """It was cancelled, and what it said until then is to stay in its thread."""

    # What a process left that is gone.
    opening_told: bool = False
    doubtful: frozenset[str] = frozenset()
    """The ids of calls that it had begun: nobody knows whether they were made."""

    @property
    def usage(self) -> Usage | None:
        return calls.used(self.calls)

    @property
    def spent(self) -> int:
        """Output tokens of the answer so far."""
        return self.usage.output_tokens - self.aside if self.usage else 0

    @property
    def last_turn(self) -> Sequence[items.Item]:
        """What the model said in it."""
        return self.output[self.turn_at : self.accounted]

    @property
    def most_calls(self) -> int:
        asked = self.response.request.max_tool_calls
        return MAX_TOOL_CALLS if asked is None else asked

    @property
    def made(self) -> list[items.Item]:
        """The answered calls of tools that this server runs."""
        return [
            item
            for item in self.output
            if (isinstance(item, items.HostedCall) and item.status != "in_progress")
            or (isinstance(item, items.FunctionOutput) and item.source is not None)
        ]

    @property
    def works(self) -> bool:
        """Whether there may be something to be done here besides asking the model once.

        That is asked in every step, mostly of a run that has none of this.
        """
        return bool(
            self.answers
            or (self.offers and any(one.here for one in self.offers))
            # Of a server that is away nothing is offered; what the model calls of it all the same is not the caller's.
            or any(isinstance(one, toolspec.Mcp) for one in self.response.request.tools)
        )

    @property
    def call_ids(self) -> frozenset[str]:
        """Those of all calls that the model reads of."""
        said = (*self.context, *self.output)
        return frozenset(
            item.call_id
            for item in said
            if isinstance(item, items.FunctionCall | items.HostedCall | items.ApprovalRequest)
        )

    def asks_caller(self, said: Sequence[items.Item]) -> bool:
        """Whether there is something in it that the caller has to answer."""
        of_caller = {one.function.name for one in self.offers if not one.here}
        return any(
            isinstance(item, items.ApprovalRequest) or (isinstance(item, items.FunctionCall) and item.name in of_caller)
            for item in said
        )
