"""Asks for the leave to perform a run, which takes an estimate of what it will use."""

from freddy.server.accounts.limits import FREE, Admission, Full, Limiter
from freddy.server.core.usage import Usage
from freddy.server.runtime import estimate
from freddy.server.runtime.prepare import Prepared

_ANSWER_TOKENS = 4096
"""What an answer is taken to need at most where nobody set a limit; what it takes more is accounted when it ends."""


async def admitted(limiter: Limiter, prepared: Prepared) -> Admission:
    """Raises `errors.RateLimited`."""
    if not await limiter.limited(prepared.caller):
        return FREE
    tokens, cost = _most(prepared)
    return await limiter.admit(prepared.caller, tokens=tokens, cost=cost)


async def sought(limiter: Limiter, prepared: Prepared) -> Admission | Full:
    """For a run that can wait for its leave. Raises `errors.RateLimited` where it would never have it."""
    if not await limiter.limited(prepared.caller):
        return FREE
    tokens, cost = _most(prepared)
    return await limiter.seek(prepared.caller, tokens=tokens, cost=cost)


async def counted(limiter: Limiter, prepared: Prepared) -> Admission:
    """For a run that had its leave before: what it uses is counted, and refused it is not."""
    if not await limiter.limited(prepared.caller):
        return FREE
    tokens, cost = _most(prepared)
    return await limiter.count(prepared.caller, tokens=tokens, cost=cost)


def _most(prepared: Prepared) -> tuple[int, float | None]:
    """Tokens and US dollars that the run may take."""
    turn = prepared.turn
    read, asked = estimate.input_tokens(turn), turn.max_output_tokens
    write = _ANSWER_TOKENS if asked is None else asked
    cost = prepared.model.most_cost(Usage(input_tokens=read, output_tokens=write))
    return read + min(write, _ANSWER_TOKENS), cost
