"""Owns what a run used, in tokens, and its arithmetic."""

from typing import Final, Literal, Self, TypeAlias

from msgspec import Struct

BudgetStatus: TypeAlias = Literal["ok", "warning", "exceeded", "no_limit"]
_WARNS: Final = 0.8


class Shares(Struct, frozen=True):
    """Tokens by what they were for: of the input, then of the output. The rest is the request's own input and text."""

    context: int = 0
    system: int = 0
    tools: int = 0
    tool_execution: int = 0

    def plus(self, other: Self) -> "Shares":
        return Shares(
            self.context + other.context,
            self.system + other.system,
            self.tools + other.tools,
            self.tool_execution + other.tool_execution,
        )


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


class Sums(Struct, frozen=True):
    """Many calls, added up. `requests` counts responses, `failures` calls, `unpriced` calls without a known price.

    `cost` is in billionths of a US dollar, without those.
    """

    requests: int = 0
    calls: int = 0
    failures: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0
    unpriced: int = 0
    milliseconds: int = 0

    def plus(self, other: Self) -> "Sums":
        return Sums(
            self.requests + other.requests,
            self.calls + other.calls,
            self.failures + other.failures,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cost + other.cost,
            self.unpriced + other.unpriced,
            self.milliseconds + other.milliseconds,
        )


class Budget(Struct, frozen=True):
    """What may be spent in a month, and what was: billionths of a US dollar. No `limit` is None."""

    limit: int | None
    spent: int

    @property
    def share(self) -> float:
        """1.0 is all of it. 0 where there is no limit."""
        if self.limit is None:
            return 0.0
        return self.spent / self.limit if self.limit else 1.0

    @property
    def status(self) -> BudgetStatus:
        if self.limit is None:
            return "no_limit"
        if self.share >= 1:
            return "exceeded"
        return "warning" if self.share >= _WARNS else "ok"
