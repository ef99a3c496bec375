"""When a failed call is tried again, and how long to wait before. Pure but for its two sources."""

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
FIRST_DELAY = 0.5
LONGEST_DELAY = 8.0
# Whoever is told to wait longer than this is better served by the error, which says how long.
LONGEST_TOLD_DELAY = 60.0

chance = random.random
wall_clock = time.time  # noqa: TID251 the SDK has no Clock; only an HTTP date needs it


def is_retried(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer of this status is worth another try; the server has the last word."""
    match headers.get("x-should-retry", "").lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            return status in RETRIED


def told_delay(headers: Mapping[str, str], *, now: float) -> float | None:
    """The seconds that the server asks to wait, or None when it does not say."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    told = headers.get("retry-after")
    seconds = _number(told)
    if seconds is not None or told is None:
        return seconds
    try:
        moment = parsedate_to_datetime(told).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, moment - now)


def backoff(attempt: int, *, chance: float) -> float:
    """Exponential with full jitter: `chance` in 0..1 picks from the whole span."""
    return chance * min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(attempt, 16))


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    # Also refuses nan and inf, which float() reads.
    return number if 0 <= number < 1e9 else None
