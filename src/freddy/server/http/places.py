"""Bounds how many connections that last an organization has to this process."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from freddy.server.core import errors

_SHARE: Final = 4
"""An organization has one in so many of the files that the process may open: each connection is one of them, and so is
each call of an upstream, each connection to the database, and each caller of another organization.
"""
_LATER_SECONDS: Final = 5


class Places:
    """Counts WebSockets, and streams that follow a response which somebody else has begun.

    Who begins a response is held by the limits of runs; these cost nobody a run, and may stay open for an hour.
    """

    def __init__(self, files: Callable[[], int]) -> None:
        """`files` tells how many the process may open; that may change while it runs."""
        self._files = files
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, organization_id: str) -> Iterator[None]:
        """One of them, while the context is open. Raises `errors.RateLimited` where the organization has its share."""
        most = max(1, self._files() // _SHARE)
        if self._taken[organization_id] >= most:
            raise errors.RateLimited(
                f"This organization has {most} WebSockets and streams that follow responses open at this server, "
                "which is its share",
                details="close those that are not needed, or ask for a response again and again without `stream`",
                retry_after=_LATER_SECONDS,
            )
        self._taken[organization_id] += 1
        try:
            yield
        finally:
            self._taken[organization_id] -= 1
            if not self._taken[organization_id]:
                del self._taken[organization_id]
