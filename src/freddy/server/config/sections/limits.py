"""Settings of what callers may use, and how it is counted."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Struct

from freddy.server.config.declarations import Setting

OnFailure: TypeAlias = Literal["allow", "refuse"]


class Limits(Struct, frozen=True, kw_only=True):
    """Limits of organizations and keys that set none of their own, and where they are counted. Both hold at once."""

    redis_url: Annotated[
        str | None,
        Setting(
            "FREDDY_REDIS_URL",
            "Redis or Valkey that counts for all processes together, such as `redis://user:password@host:6379/0`. "
            "Without it each process counts for itself.",
            secret=True,
            form="redis",
        ),
    ] = None
    on_failure: Annotated[
        OnFailure,
        Setting(
            "FREDDY_LIMITS_ON_FAILURE",
            "While Redis is away: `allow` lets each process count for itself, `refuse` answers 503 to callers with "
            "limits.",
        ),
    ] = "allow"
    organization_requests_per_minute: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_ORGANIZATION_REQUESTS_PER_MINUTE",
            "Requests of an organization in any sixty seconds.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    organization_tokens_per_minute: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_ORGANIZATION_TOKENS_PER_MINUTE",
            "Tokens of an organization, of input and output, in any sixty seconds.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    organization_concurrent_runs: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_ORGANIZATION_CONCURRENT_RUNS",
            "Responses that an organization may have under way at the same time.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    organization_monthly_budget: Annotated[
        float | None,
        Setting(
            "FREDDY_LIMITS_ORGANIZATION_MONTHLY_BUDGET",
            "US dollars that an organization may spend in a month of the calendar (UTC).",
            low=0,
            high=1_000_000,
        ),
    ] = None
    key_requests_per_minute: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_KEY_REQUESTS_PER_MINUTE",
            "Requests of a key in any sixty seconds.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    key_tokens_per_minute: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_KEY_TOKENS_PER_MINUTE",
            "Tokens of a key, of input and output, in any sixty seconds.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    key_concurrent_runs: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_KEY_CONCURRENT_RUNS",
            "Responses that a key may have under way at the same time.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    key_monthly_budget: Annotated[
        float | None,
        Setting(
            "FREDDY_LIMITS_KEY_MONTHLY_BUDGET",
            "US dollars that a key may spend in a month of the calendar (UTC).",
            low=0,
            high=1_000_000,
        ),
    ] = None

    def __repr__(self) -> str:
        return f"Limits(on_failure={self.on_failure!r})"


class Accounting(Struct, frozen=True, kw_only=True):
    """How tokens are counted in the units of the Freddy API, and how long single calls are remembered."""

    tokens_per_synapse: Annotated[
        float,
        Setting("FREDDY_TOKENS_PER_SYNAPSE", "Output tokens in one synapse.", low=0.001, high=1_000_000),
    ] = 1.0
    tokens_per_neuron: Annotated[
        float, Setting("FREDDY_TOKENS_PER_NEURON", "Input tokens in one neuron.", low=0.001, high=1_000_000)
    ] = 1.0
    usage_days: Annotated[
        int,
        Setting(
            "FREDDY_USAGE_DAYS",
            "Days that single calls are kept; 0 keeps them for ever. Sums by hour, day and month always stay.",
            low=0,
            high=36_500,
        ),
    ] = 400
