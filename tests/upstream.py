"""The upstream of most tests: a simulated server that speaks chat completions. `simulators` has those of vendors."""

from simulators.chat import Chat as Upstream
from simulators.script import (
    PATIENCE,
    Answer,
    Break,
    Call,
    Fault,
    Gate,
    Raw,
    call,
    likely,
    refusal,
    text,
    thought,
)

MODEL = Upstream.model
"""What this server calls itself in every answer."""

__all__ = [
    "MODEL",
    "PATIENCE",
    "Answer",
    "Break",
    "Call",
    "Fault",
    "Gate",
    "Raw",
    "Upstream",
    "call",
    "likely",
    "refusal",
    "text",
    "thought",
]
