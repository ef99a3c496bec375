"""What the responses of one connection have in common: who asks, for how long, and what is held between them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from freddy.server.accounts.access import require
from freddy.server.core import errors
from freddy.server.core.accounts import Caller
from freddy.server.http.websockets.held import Holding
from freddy.server.http.websockets.steering import Steers
from freddy.server.http.websockets.telling import Telling
from freddy.server.ports.world import Clock, IdSource
from freddy.server.runtime.responses import Responses

Authenticate: TypeAlias = Callable[[], Awaitable[Caller]]


class Terms(Struct, frozen=True, kw_only=True):
    """What one connection may: after `seconds` no response begins; of `bytes` are a frame, and those that wait."""

    seconds: float
    bytes: int
    hold_seconds: float
    """How long the first events wait for the model's first word, so that a failure is told as one with a status."""
    lanes: int = 32
    at_once: int = 16
    waiting: int = 64
    held: int = 64
    steers: int = 16


class Session:
    def __init__(
        self,
        responses: Responses,
        telling: Telling,
        *,
        authenticate: Authenticate,
        clock: Clock,
        ids: IdSource,
        terms: Terms,
    ) -> None:
        """`authenticate` says who calls now: a key may be taken back while the connection is open."""
        self.responses = responses
        self.telling = telling
        self.ids = ids
        self.terms = terms
        self.held = Holding(most=terms.held, most_bytes=2 * terms.bytes)
        self.steers = Steers(most=terms.steers, most_bytes=terms.bytes)
        self.work = asyncio.TaskGroup()
        self.stopping = False
        """Whether the server is."""
        self._authenticate = authenticate
        self._clock = clock
        self._until = clock.monotonic() + terms.seconds

    async def caller(self) -> Caller:
        """Who asks for a response. Raises `errors.NotAuthenticated` and `PermissionDenied`."""
        return require(await self._authenticate(), "responses:write")

    def too_old(self) -> errors.InvalidRequest | None:
        """What is said to who asks when the connection has lasted for too long."""
        if self._clock.monotonic() < self._until:
            return None
        return errors.InvalidRequest(
            f"This connection has lasted {self.terms.seconds / 60:g} minutes, and no response begins on it any more",
            code="websocket_connection_limit_reached",
            details="open a new one",
        )
