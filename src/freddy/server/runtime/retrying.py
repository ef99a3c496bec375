"""What a failure of a provider allows: to ask it again, to ask another, or neither. Pure."""

from msgspec import Struct

from freddy.server.core import errors

_TRANSIENT = (errors.RateLimited, errors.ProviderFailed, errors.ProviderUnavailable, errors.ProviderTimeout)
_ELSEWHERE = frozenset(("unsupported_input", "unsupported_schema"))
"""Codes of requests that one model cannot take and another may."""
_FINAL = frozenset(("provider_authentication", "insufficient_quota", "invalid_output"))
"""Codes of failures that would come again."""


class Policy(Struct, frozen=True):
    """`retries` further tries with one provider that could not be reached, or says when to come back.

    `every`: also after any other failure that may pass. Times are seconds: `longest` is the longest wait for a provider
    that asks for one, `first` the first of the growing waits where none does, `cooldown` how long a provider is left
    alone that failed `failures` times in a row, `word` how long it may take to say its first word (where the candidate
    has no time of its own), `hedge` the silence after which the next candidate is asked as well (0 is never).
    """

    retries: int = 2
    every: bool = False
    longest: float = 2.0
    first: float = 0.25
    cooldown: float = 30.0
    failures: int = 3
    word: float = 120.0
    hedge: float = 0.0


def passes(error: errors.FreddyError) -> bool:
    """Whether the failure lies with the provider, and the same request may go well later."""
    return isinstance(error, _TRANSIENT) and error.code not in _FINAL


def elsewhere(error: errors.FreddyError) -> bool:
    """Whether another provider may do what this one did not."""
    return isinstance(error, (*_TRANSIENT, errors.ModelNotFound)) or error.code in _ELSEWHERE


def blames(error: errors.FreddyError) -> bool:
    """Whether the failure says something of who was asked, and not only of what was asked."""
    return passes(error) or error.code in ("provider_authentication", "insufficient_quota", "model_not_found")


def pause(error: errors.FreddyError, tried: int, policy: Policy, chance: float) -> float | None:
    """Seconds until the same provider may be asked again, after `tried` tries; None when it may not.

    `chance`, from 0 up to 1, spreads those who wait for the same thing.
    """
    if tried > policy.retries or not passes(error):
        return None
    if error.retry_after is not None:
        return error.retry_after + policy.first * chance if error.retry_after <= policy.longest else None
    if policy.every or isinstance(error, errors.ProviderUnreachable):
        return min(policy.first * 2.0 ** (tried - 1), policy.longest) * (0.5 + chance / 2)
    return None
