"""Owns how money is counted: in whole billionths of a US dollar. Floats are for the wire only."""

import math

NANOS = 1_000_000_000
"""Nano-dollars in a dollar."""


def nanos(dollars: float) -> int:
    """Nano-dollars, rounded up: what something costs is never counted as less."""
    # A price such as 0.1 is not exactly that as a float; what is below a thousandth of a nano-dollar is its noise.
    return math.ceil(round(dollars * NANOS, 3))


def dollars(nanos: int) -> float:
    return nanos / NANOS


def written(nanos: int) -> str:
    """Dollars for people to read, without needless zeros: `12.5`."""
    whole, rest = divmod(nanos, NANOS)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")
