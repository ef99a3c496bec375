"""Makes one attempt to deliver an event to a webhook."""

import asyncio
import contextlib
from typing import Final

import httpx2

from freddy.server.core import signing, webhooks
from freddy.server.core.webhooks import Failure, Outcome
from freddy.server.ports.outward import Outward, Refused
from freddy.server.ports.webhooks import Endpoint
from freddy.server.ports.world import Clock

_AGENT: Final = "freddy"
_MOST_READ: Final = 64 * 1024
"""Bytes of an answer that are taken, so that a server which writes more than a status comes to its end."""
_READ_SECONDS: Final = 1.0
_REDIRECTS: Final = range(300, 400)


class HttpPost:
    """The port `Post`: a POST of JSON, signed as Standard Webhooks says, within `seconds`.

    Of the answer only its status is of interest; nothing else of it is kept or told.
    """

    def __init__(self, outward: Outward, clock: Clock, *, seconds: float) -> None:
        self._outward = outward
        self._clock = clock
        self._seconds = seconds

    async def post(self, endpoint: Endpoint, *, event_id: str, body: bytes) -> Outcome:
        headers = {
            "user-agent": _AGENT,
            "content-type": "application/json",
            "accept": "*/*",
            "accept-encoding": "identity",
            **signing.headers(endpoint.secrets, message_id=event_id, timestamp=int(self._clock.now()), body=body),
        }
        try:
            return await self._posted(endpoint.url, headers, body)
        except (TimeoutError, httpx2.TimeoutException):
            return Outcome(failure="timeout")
        except (Refused, httpx2.InvalidURL):
            return Outcome(failure="refused")
        except httpx2.ConnectError as error:
            untrusted = "certificate" in str(error).lower()
            return Outcome(failure="certificate" if untrusted else "unreachable")
        except httpx2.HTTPError:
            return Outcome(failure="broken")

    async def _posted(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        # A connection that was kept may end just when the event is on its way: each has one of its own.
        async with (
            asyncio.timeout(self._seconds) as waiting,
            self._outward.client(timeout=self._seconds) as client,
            client.stream("POST", url, content=body, headers=headers, follow_redirects=False) as answer,
        ):
            # What comes behind the status cannot change what it says, and no lack of time either.
            waiting.reschedule(None)
            await _drained(answer)
            return Outcome(
                status_code=answer.status_code,
                failure=_failure(answer),
                retry_after=webhooks.retry_after(answer.headers.get("retry-after"), self._clock.now()),
            )


async def _drained(answer: httpx2.Response) -> None:
    """Takes some of what comes behind the status, for a little while."""
    read = 0
    with contextlib.suppress(httpx2.HTTPError, TimeoutError):
        async with asyncio.timeout(_READ_SECONDS):
            async for piece in answer.aiter_raw():
                read += len(piece)
                if read > _MOST_READ:
                    return


def _failure(answer: httpx2.Response) -> Failure | None:
    if answer.is_success:
        return None
    return "redirect" if answer.status_code in _REDIRECTS else "status"
