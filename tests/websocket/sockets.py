"""A WebSocket to a server, frame by frame, as no client library would have it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Self

from gateway import DEV_KEY, Gateway
from websockets.asyncio.client import ClientConnection, connect

from upstream import PATIENCE

Json = dict[str, Any]
ENDS = ("response.completed", "response.incomplete", "response.failed")


class Wire:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, frame: Json | str | bytes) -> None:
        await self.connection.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def create(self, text: str | list[Json] = "Hi", **body: Any) -> None:
        await self.send({"type": "response.create", "model": "stage", "input": text, **body})

    async def next(self, kind: str | None = None) -> Json:
        """The next event, or the next of this type."""
        async with asyncio.timeout(PATIENCE):
            while True:
                frame = await self.connection.recv()
                assert isinstance(frame, str), "events come as text"
                event = json.loads(frame)
                if kind in (None, event["type"]):
                    return event

    async def whole(self, lane: str | None = None) -> list[Json]:
        """The events of a lane up to the end of its response, or to an error."""
        told: list[Json] = []
        while not told or told[-1]["type"] not in (*ENDS, "error"):
            event = await self.next()
            if event.get("stream_id") == lane:
                told.append(event)
        return told

    async def ask(self, text: str | list[Json] = "Hi", **body: Any) -> Json:
        """The response at its end."""
        await self.create(text, **body)
        last = (await self.whole(body.get("stream_id")))[-1]
        assert last["type"] in ENDS, last
        return last["response"]

    async def refused(self, text: str | list[Json] = "Hi", **body: Any) -> Json:
        """The error event that a request leads to, and nothing before it."""
        await self.create(text, **body)
        told = await self.whole(body.get("stream_id"))
        assert [event["type"] for event in told] == ["error"], told
        return told[0]

    async def wait_closed(self) -> int | None:
        """The code that the server closed it with."""
        async with asyncio.timeout(PATIENCE * 2):
            await self.connection.wait_closed()
        return self.connection.close_code

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()


@contextlib.asynccontextmanager
async def opened(gateway: Gateway, key: str | None = DEV_KEY, **options: Any) -> AsyncIterator[Wire]:
    headers = {**({"authorization": f"Bearer {key}"} if key else {}), **options.pop("headers", {})}
    path = options.pop("path", "/v1/responses")
    url = gateway.url.replace("http", "ws", 1) + path
    async with connect(
        url, additional_headers=headers, proxy=None, max_size=None, **{"ping_interval": None, **options}
    ) as connection:
        yield Wire(connection)


def texts(call: Any) -> list[tuple[str, Any]]:
    """What a model was asked: who, and the text, or the output of a call."""
    return [(one["role"], one.get("content") or one.get("tool_calls")) for one in call.body["messages"]]
