"""A receiver of events on a real socket, and webhooks over a database of their own, with a clock that obeys."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Self

import openai
from msgspec.structs import replace
from openai.types.webhooks import UnwrapWebhookEvent

from callers import OURS, caller
from freddy.server.core import items, request
from freddy.server.core.accounts import Caller
from freddy.server.core.networks import Opening
from freddy.server.core.response import Response, Status
from freddy.server.core.webhooks import Change, Delivery
from freddy.server.listeners.webhook_posts import HttpPost
from freddy.server.listeners.webhooks import Deliveries, Pace
from freddy.server.outward import CheckedOutward
from freddy.server.ports.stores import Page
from freddy.server.resources.webhooks import KeptEndpoints, Made, Webhooks
from freddy.server.sealing import AesSealer
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.records import SqlRecords
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.webhooks import SqlDeliveries
from freddy.server.world import RandomIds
from freddy_fakes import FixedClock
from upstream import PATIENCE

THEIRS = "org_theirs"
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class Heard:
    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers, self.body = headers, body

    @property
    def told(self) -> Any:
        return json.loads(self.body)


def answer(status: int, *more: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} Status", f"content-length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Receiver:
    """Answers each event with the next of `answers`, the last again and again: bytes of HTTP, or None for silence."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.answers: list[bytes | None] = [OK]
        self.stays = False
        """Whether it leaves the connection open behind an answer."""
        self.at_once = self.most = 0
        self._told = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/a-path-that-is-secret"

    async def wait_heard(self, count: int) -> list[Heard]:
        async with asyncio.timeout(PATIENCE), self._told:
            await self._told.wait_for(lambda: len(self.heard) >= count)
        return self.heard

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._answer(reader, writer)
        finally:
            self.at_once -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in rest)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        async with self._told:
            self.heard.append(Heard(headers, body))
            self._told.notify_all()
        if said is None:
            await reader.read()
            return
        writer.write(said)
        await writer.drain()
        if self.stays:
            await reader.read()


def unwrapped(secret: str | None, heard: Heard) -> UnwrapWebhookEvent:
    """As the official client verifies and reads it; its clock is the world's."""
    client = openai.OpenAI(api_key="none", webhook_secret=secret)
    with client:
        return client.webhooks.unwrap(heard.body, heard.headers)


def response(number: int = 1, *, status: Status = "completed", organization: str = OURS, **changes: Any) -> Response:
    """One that has ended in the background."""
    asked = request.Request(
        model="tiny",
        input=(items.Message(id=f"msg_{number}", role="user", parts=(items.Text("Hi"),), status="completed"),),
        background=changes.pop("background", True),
    )
    return Response(
        id=f"resp_{number}",
        organization_id=organization,
        created_at=1_699_999_990,
        completed_at=changes.pop("completed_at", 1_700_000_000),
        status=status,
        model="tiny",
        request=asked,
        **changes,
    )


class WebhookStage:
    def __init__(self, database: Database, home: Path, **pace: Any) -> None:
        self.clock = FixedClock()
        self.database = database
        self.records = SqlRecords(database)
        self.responses = SqlResponses(database)
        self.line = SqlDeliveries(database)
        self.outward = CheckedOutward(Opening.of([], loopback=True))
        self.sealer = AesSealer((), file=home / "secret_key")
        self.endpoints = KeptEndpoints(self.records, sealer=self.sealer, clock=self.clock)
        self.counts: list[str] = []
        self.deliveries = self.process(**pace)
        self.webhooks = Webhooks(
            self.records,
            self.line,
            self.endpoints,
            post=HttpPost(self.outward, self.clock, seconds=60.0),
            sealer=self.sealer,
            outward=self.outward,
            clock=self.clock,
            ids_from=RandomIds(),
            most=pace.pop("most", 20),
            added=lambda: self.deliveries.wake(),
        )

    def process(self, *, outward: CheckedOutward | None = None, chance: float = 0.5, **pace: Any) -> Deliveries:
        """Who delivers. With a chance of a half pauses are what they usually are."""
        paced = Pace(**{"poll_seconds": 3600.0, "seconds": 60.0, **pace})
        self.lease = paced.lease
        return Deliveries(
            self.line,
            self.endpoints,
            HttpPost(outward or self.outward, self.clock, seconds=paced.seconds),
            clock=self.clock,
            chance=lambda: chance,
            pace=paced,
            counted=self.counts.append,
        )

    async def made(self, url: str, *, by: Caller | None = None, **fields: Any) -> Made:
        return await self.webhooks.create(by or caller(), Change(url=url, **fields))

    async def ended(self, number: int = 1, **changes: Any) -> Response:
        """Keeps a response and its end."""
        over = response(number, **changes)
        await self.responses.open(replace(over, status="in_progress", completed_at=None))
        await self.responses.finish(over)
        return over

    async def delivery(self, made: Made, number: int = 1) -> Delivery | None:
        return await self.line.get(made.kept.id, f"evt_{number}")

    async def all(self, made: Made) -> dict[str, Delivery]:
        found, _ = await self.line.list(made.kept.id, Page(limit=100))
        return {one.event_id: one for one in found}

    async def until(self, made: Made, having: Callable[[Delivery], bool], number: int = 1) -> Delivery:
        """Looks at a delivery until it is like that: never more than a moment."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.delivery(made, number)
                if found is not None and having(found):
                    return found

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[Deliveries]:
        async with self.deliveries.working():
            yield self.deliveries

    async def failed_after(self, made: Made, attempts: int, number: int = 1) -> Delivery:
        """The delivery when its attempt of this number has failed, and is not under way any more."""

        def failed(one: Delivery) -> bool:
            return one.attempts == attempts and one.next_at != int(self.clock.now()) + self.lease

        return await self.until(made, failed, number)


def signature_parts(headers: Mapping[str, str]) -> list[str]:
    return headers["webhook-signature"].split(" ")
