"""Owns what a model is asked once."""

from typing import Literal

from msgspec import Struct

from freddy.server.core import items, request, toolspec


class Turn(Struct, frozen=True):
    """`live` tells that somebody listens as the answer grows; else the model may answer in one piece."""

    model: str
    """What the caller calls the model; a candidate asks for what its provider calls it."""
    items: tuple[items.Readable, ...]
    instructions: str | None = None
    sampling: request.Sampling = request.Sampling()
    output: request.Output = request.Output()
    reasoning: request.Reasoning = request.Reasoning()
    max_output_tokens: int | None = None
    tools: tuple[toolspec.Function, ...] = ()
    tool_choice: toolspec.ToolChoice = "auto"
    parallel_tool_calls: bool = False
    live: bool = True
    organization_id: str = ""
    truncation: Literal["auto", "disabled"] = "disabled"
    """Whether the oldest items may be left out where they are more than the model can read."""
    cache_key: str | None = None
    """Turns with the same key are likely to start alike (a thread, a chain of responses)."""
