"""Asks for the leave to perform a run, which takes an estimate of what it will use."""

from freddy.server.accounts.limits import FREE, Admission, Limiter
from freddy.server.core.usage import Usage
from freddy.server.runtime import estimate
from freddy.server.runtime.prepare import Prepared

_ANSWER_TOKENS = 4096
"""What an answer is taken to need at most where nobody set a limit; what it takes more is accounted when it ends."""


async def admitted(limiter: Limiter, prepared: Prepared) -> Admission:
    """Raises `errors.RateLimited`."""
    caller = prepared.caller
    if not await limiter.limited(caller):
        return FREE
    turn = prepared.turn
    read, asked = estimate.input_tokens(turn), turn.max_output_tokens
    write = _ANSWER_TOKENS if asked is None else asked
    cost = prepared.model.most_cost(Usage(input_tokens=read, output_tokens=write))
    return await limiter.admit(caller, tokens=read + min(write, _ANSWER_TOKENS), cost=cost)
