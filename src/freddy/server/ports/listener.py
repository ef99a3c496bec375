"""The need to hear how runs go."""

from typing import Protocol

from freddy.server.core.response import Response


class Listener(Protocol):
    """Hears of every run. Must return at once and never raise."""

    def run_started(self, response: Response) -> None: ...

    def run_left(self, response: Response) -> None:
        """It is not performed here any more, and has not ended."""
        ...

    def run_finished(self, response: Response, *, seconds: float, first_delta_seconds: float | None) -> None: ...
