"""Tells what happens to whoever listens in any process, by the channels `freddy:signals:<topic>` of Redis or Valkey.

A message is who sent it, a line feed, and the payload. Those who listen in the process that tells hear at once, and
not again from the server. In a cluster every node passes messages on to all others: one connection to one of them will
do.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Literal, Self, TypeAlias
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from freddy.server.ports.signals import Hearing
from freddy.server.ports.world import IdSource
from freddy.server.stores.counters.link import address, cancellations
from freddy.server.stores.signals.topics import Topics, fitting

_log = logging.getLogger(__name__)

_Side: TypeAlias = Literal["telling", "hearing"]
_State: TypeAlias = Literal["subscribing", "subscribed", "unsubscribing"]

_PREFIX = "freddy:signals:"
_WORDS = 10_000
_BYTES = 16 * 1024 * 1024
"""The most that waits to be told."""
_BATCH = 256
_BATCH_BYTES = 4 * 1024 * 1024
_BETWEEN_TRIES = 0.5
_LONGEST = 200


class RedisSignals:
    """The port `Signals`. Open it with `async with`; it belongs to the event loop that opened it.

    `url` is as `counters.link` takes it. `timeout_seconds` bounds whatever the server is asked; where it does not
    answer, words are lost until it does, and whoever listens is told to look. A server that says nothing for
    `silence_seconds`, though it was asked, is gone.
    """

    def __init__(self, url: str, *, ids: IdSource, timeout_seconds: float = 1.0, silence_seconds: float = 15.0) -> None:
        self._url = address(url)
        self._place = urlsplit(url).hostname or urlsplit(url).path
        self._timeout = timeout_seconds
        self._silence = silence_seconds
        self._sender = ids.new("sender").encode() + b"\n"
        self._topics = Topics()
        self._away: set[_Side] = set()
        self._words: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._come = asyncio.Event()
        self._full = False
        self._closing = False
        self._up: dict[str, asyncio.Event] = {}
        """For each topic that somebody listens to, whether the server knows."""
        self._states: dict[str, _State] = {}
        """What the server was told of each topic. A second word about one waits until the first is answered."""
        self._changed: set[str] = set()
        self._change = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.create_task(self._keep_telling())
        self._listening = self._tasks.create_task(self._keep_listening())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends when what was told is on its way, or cannot be."""
        self._closing = True
        self._come.set()
        if self._listening is not None:
            self._listening.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await self._tasks.__aexit__(None, None, None)

    def tell(self, topic: str, payload: bytes = b"") -> None:
        payload = fitting(payload)
        self._topics.tell(topic, payload)
        if "telling" in self._away or self._closing:
            return
        if len(self._words) >= _WORDS or self._bytes + len(payload) > _BYTES:
            if not self._full:
                self._full = True
                _log.warning("signals_dropped", extra={"host": self._place})
            return
        self._words.append((topic, payload))
        self._bytes += len(payload)
        self._come.set()

    @asynccontextmanager
    async def hear(self, topic: str) -> AsyncIterator[Hearing]:
        try:
            with self._topics.hear(topic) as hearing:
                up = self._up.setdefault(topic, asyncio.Event())
                if self._states.get(topic) == "subscribed":
                    up.set()
                self._note(topic)
                # Where the server is away nobody waits: there is a sign when it is back.
                if not up.is_set() and "hearing" not in self._away:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._timeout):
                            await up.wait()
                        hearing.forgive()  # it has heard nothing yet, and so missed nothing
                yield hearing
        finally:
            if topic not in self._topics:
                self._up.pop(topic, None)
            self._note(topic)

    async def _keep_telling(self) -> None:
        async with aclosing(self._client()) as client:
            while not cancellations():
                await self._come.wait()
                batch = self._take()
                if not batch:
                    if self._closing:
                        return
                    self._come.clear()
                    continue
                try:
                    async with asyncio.timeout(self._timeout):
                        pipeline = client.pipeline(transaction=False)
                        for topic, payload in batch:
                            pipeline.publish(_PREFIX + topic, self._sender + payload)
                        await pipeline.execute()
                except Exception as error:  # noqa: BLE001 — event loops have their own for a connection that broke
                    self._lose("telling", error)
                    self._words.clear()
                    self._bytes = 0
                    if self._closing:
                        return
                    await self._wait_back(client)

    def _take(self) -> list[tuple[str, bytes]]:
        batch: list[tuple[str, bytes]] = []
        size = 0
        while self._words and len(batch) < _BATCH and size < _BATCH_BYTES:
            word = self._words.popleft()
            batch.append(word)
            size += len(word[1])
        self._bytes -= size
        if not self._words:
            self._full = False
        return batch

    async def _wait_back(self, client: "Redis") -> None:
        while not self._closing:
            self._come.clear()  # only the end sets it meanwhile
            with suppress(TimeoutError):
                async with asyncio.timeout(_BETWEEN_TRIES):
                    await self._come.wait()
            with suppress(Exception):
                async with asyncio.timeout(self._timeout):
                    # Connections of before may be dead without a word.
                    await client.connection_pool.disconnect()
                    await client.ping()
                self._find("telling")
                return

    async def _keep_listening(self) -> None:
        while not self._closing:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 — the same
                self._lose("hearing", error)
            for topic in self._topics:
                self._topics.miss(topic)
            await asyncio.sleep(_BETWEEN_TRIES)

    async def _listen(self) -> None:
        """Until the connection breaks, which raises."""
        self._states.clear()
        for up in self._up.values():
            up.clear()
        async with aclosing(self._client()) as client, aclosing(client.pubsub()) as channels:
            async with asyncio.timeout(self._timeout):
                await channels.ping()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._subscribe_on(channels))
                tasks.create_task(self._read_on(channels))

    async def _subscribe_on(self, channels: PubSub) -> None:
        self._changed.update(self._topics)
        self._change.set()
        while not cancellations():
            try:
                async with asyncio.timeout(self._silence / 3):
                    await self._change.wait()
            except TimeoutError:
                async with asyncio.timeout(self._timeout):
                    await channels.ping()
                continue
            self._change.clear()
            changed, self._changed = self._changed, set()
            coming = [topic for topic in changed if topic in self._topics and topic not in self._states]
            going = [
                topic for topic in changed if topic not in self._topics and self._states.get(topic) == "subscribed"
            ]
            async with asyncio.timeout(self._timeout):
                if coming:
                    self._states.update(dict.fromkeys(coming, "subscribing"))
                    await channels.subscribe(*(_PREFIX + topic for topic in coming))
                if going:
                    self._states.update(dict.fromkeys(going, "unsubscribing"))
                    await channels.unsubscribe(*(_PREFIX + topic for topic in going))

    async def _read_on(self, channels: PubSub) -> None:
        while not cancellations():
            message = await channels.get_message(timeout=self._silence)
            if message is None:
                raise TimeoutError("the server says nothing")
            self._find("hearing")
            if message["channel"] is None:  # it lives
                continue
            topic = message["channel"].decode().removeprefix(_PREFIX)
            match message["type"]:
                case "message":
                    if not message["data"].startswith(self._sender):
                        self._topics.tell(topic, message["data"].partition(b"\n")[2])
                case "subscribe":
                    self._states[topic] = "subscribed"
                    if topic in self._up:
                        self._up[topic].set()
                    # Who has listened before may have missed something.
                    self._topics.miss(topic)
                    self._note(topic)
                case "unsubscribe":
                    self._states.pop(topic, None)
                    self._note(topic)

    def _note(self, topic: str) -> None:
        """Somebody listens to the topic, or does no more, or the server has answered."""
        self._changed.add(topic)
        self._change.set()

    def _client(self) -> "Redis":
        return Redis.from_url(
            self._url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
        )

    def _lose(self, side: _Side, error: Exception) -> None:
        if not self._away:
            reason = _reason(error)
            _log.warning("signals_away", extra={"host": self._place, "reason": reason})
        self._away.add(side)

    def _find(self, side: _Side) -> None:
        if side in self._away:
            self._away.discard(side)
            if not self._away:
                _log.info("signals_back", extra={"host": self._place})


def _reason(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error)[:_LONGEST] or type(error).__name__
