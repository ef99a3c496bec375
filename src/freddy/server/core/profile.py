"""Owns what is known about a model as facts: what it can do and how much it can read."""

from typing import Literal, TypeAlias

from msgspec import Struct

from freddy.server.core.pricing import Price

Availability: TypeAlias = Literal["ready", "starting", "unavailable"]


class Profile(Struct, frozen=True):
    """`context_tokens`, `output_tokens` and `price` are None where nobody says."""

    name: str
    provider: str
    description: str = ""
    context_tokens: int | None = None
    output_tokens: int | None = None
    tools: bool = True
    parallel_tool_calls: bool = True
    parallel_by_default: bool = False
    """Whether it makes several calls at once where nobody says that it must not."""
    images: bool = False
    image_urls: bool = True
    """Whether images may be given by http address, where they are read at all."""
    audio: bool = False
    files: bool = False
    """Whether documents are read as they are, in the kinds of `file_types`; else only their text can be told."""
    file_types: tuple[str, ...] = ("application/pdf",)
    file_urls: bool = False
    """Whether documents may be given by http address, where they are read at all."""
    reasoning: bool = False
    compactions: bool = False
    """Whether the provider may have made compactions itself, and reads them."""
    sampling: bool = True
    """Whether temperature and its like may be set."""
    max_temperature: float = 2.0
    schemas: bool = False
    """Whether the provider itself sees to it that an answer fits its JSON Schema."""
    json: bool = False
    """Whether the provider itself sees to it that an answer in JSON mode is a JSON object."""
    price: Price | None = None
    deprecated: bool = False
    created: int = 0
    """Unix seconds of the model's release, 0 where unknown."""
