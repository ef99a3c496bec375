"""Lets through so many of a kind in a minute, each name for itself, in the memory of this process."""

import math
from collections import OrderedDict
from typing import Final

from freddy.server.core import errors
from freddy.server.ports.world import Clock

_MINUTE: Final = 60.0
_REMEMBERED: Final = 10_000
"""Names. One that is forgotten begins anew."""


class Pacing:
    """All at once, or spread over the minute: whoever has had them all waits until the next one's time has come.

    https://www.rfc-editor.org/rfc/rfc2697 has the same bucket, of bytes.
    """

    def __init__(self, clock: Clock, *, a_minute: int) -> None:
        self._clock = clock
        self._each = _MINUTE / a_minute
        self._full: OrderedDict[str, float] = OrderedDict()
        """When each name's bucket is full again, which grows by one's share with each that is let through."""

    def take(self, name: str, *, refusal: str) -> None:
        """Raises `errors.RateLimited`, whose message is `refusal`."""
        now = self._clock.monotonic()
        full = max(now, self._full.get(name, now)) + self._each
        wait = full - now - _MINUTE
        if wait > 1e-9:
            seconds = math.ceil(wait)
            raise errors.RateLimited(refusal, details=f"try again in {seconds} seconds", retry_after=seconds)
        self._full[name] = full
        self._full.move_to_end(name)
        if len(self._full) > _REMEMBERED:
            self._full.popitem(last=False)
