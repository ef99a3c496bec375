"""Owns how much an organization or a key may use."""

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """None is no limit. `tokens_per_minute` are of input and output, `monthly_budget` is in US dollars."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_runs: int | None = None
    monthly_budget: float | None = None
