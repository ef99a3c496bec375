"""Owns what usage costs."""

from typing import Final

from msgspec import Struct

from freddy.server.core.usage import Usage

_MILLION = 1_000_000


class Price(Struct, frozen=True, omit_defaults=True):
    """US dollars for a million tokens. Where `cached` or `cache_write` is None, those tokens cost what input costs.

    `long` is what all tokens of a turn cost whose input is longer than `above` tokens.
    """

    input: float
    output: float
    cached: float | None = None
    cache_write: float | None = None
    above: int | None = None
    long: "Price | None" = None

    def cost(self, usage: Usage) -> float:
        """US dollars of one turn."""
        if self.long is not None and self.above is not None and usage.input_tokens > self.above:
            return self.long.cost(usage)
        cached = self.input if self.cached is None else self.cached
        written = self.input if self.cache_write is None else self.cache_write
        plain = max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens)
        dollars = (
            plain * self.input
            + usage.cached_tokens * cached
            + usage.cache_write_tokens * written
            + usage.output_tokens * self.output
        )
        return dollars / _MILLION


FREE: Final = Price(0.0, 0.0)
"""What runs here costs nothing."""
