"""Owns what a run used, in tokens, and its arithmetic."""

from typing import Self

from msgspec import Struct


class Shares(Struct, frozen=True):
    """Tokens by what they were for: of the input, then of the output. The rest is the request's own input and text."""

    context: int = 0
    system: int = 0
    tools: int = 0
    tool_execution: int = 0


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens. `cached_tokens` and `cache_write_tokens` are part of the input, `reasoning_tokens` of the output."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """True where no vendor reported a count and it was worked out here."""

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def plus(self, other: Self) -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            estimated=self.estimated or other.estimated,
        )
