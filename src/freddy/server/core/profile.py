"""Owns what is known about a model as facts: what it can do and how much it can read."""

from typing import Literal, TypeAlias

from msgspec import Struct

Availability: TypeAlias = Literal["ready", "starting", "unavailable"]


class Profile(Struct, frozen=True):
    """`context_tokens` and `output_tokens` are None where nobody says."""

    name: str
    provider: str
    description: str = ""
    context_tokens: int | None = None
    output_tokens: int | None = None
    tools: bool = True
    parallel_tool_calls: bool = True
    images: bool = False
    audio: bool = False
    files: bool = False
    reasoning: bool = False
    schemas: bool = False
    max_temperature: float = 2.0
    created: int = 0
    """Unix seconds of the model's release, 0 where unknown."""
