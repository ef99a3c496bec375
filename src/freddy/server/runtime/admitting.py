"""Asks for the leave to perform a run, which takes an estimate of what it will use."""

from typing import Protocol

from freddy.server.accounts.limits import FREE, Admission, Limiter
from freddy.server.core.accounts import Caller
from freddy.server.core.usage import Usage
from freddy.server.runtime import estimate
from freddy.server.runtime.prepare import Prepared

_ANSWER_TOKENS = 4096
"""What an answer is taken to need at most where nobody set a limit; what it takes more is accounted when it ends."""


class _Ask(Protocol):
    async def __call__(self, caller: Caller, *, tokens: int, cost: float | None) -> Admission: ...


async def admitted(limiter: Limiter, prepared: Prepared) -> Admission:
    """Raises `errors.RateLimited`."""
    return await _asked(limiter, prepared, limiter.admit)


async def counted(limiter: Limiter, prepared: Prepared) -> Admission:
    """For a run that had its leave before: what it uses is counted, and refused it is not."""
    return await _asked(limiter, prepared, limiter.count)


async def _asked(limiter: Limiter, prepared: Prepared, ask: _Ask) -> Admission:
    caller = prepared.caller
    if not await limiter.limited(caller):
        return FREE
    turn = prepared.turn
    read, asked = estimate.input_tokens(turn), turn.max_output_tokens
    write = _ANSWER_TOKENS if asked is None else asked
    cost = prepared.model.most_cost(Usage(input_tokens=read, output_tokens=write))
    return await ask(caller, tokens=read + min(write, _ANSWER_TOKENS), cost=cost)
