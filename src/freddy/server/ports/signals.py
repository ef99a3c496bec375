"""The need to tell other processes at once what they would find by looking. A word that is lost costs only time."""

from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

QUEUED: Final = "queued"
"""The topic of runs that wait for somebody to perform them."""
STOPPED: Final = "stopped"
"""The topic of runs that somebody wants to be stopped; the payload is the response's id."""


def topic_of(response_id: str) -> str:
    """The topic of what happens in a run; payloads are the entries of its log, as `core` writes them, or nothing."""
    return f"run:{response_id}"


class Hearing(Protocol):
    """One who listens, and misses nothing from the moment of listening on while the way is up."""

    async def next(self, seconds: float) -> bytes | None:
        """The next payload; None where none came within `seconds`, or the way is broken: then it is time to look."""
        ...


class Signals(Protocol):
    """Topics are short names in ASCII, payloads may have a mebibyte: what is larger is told as an empty payload."""

    def tell(self, topic: str, payload: bytes = b"") -> None:
        """Never waits and never raises. Who has told one topic several things is heard in that order."""
        ...

    def hear(self, topic: str) -> AbstractAsyncContextManager[Hearing]: ...
