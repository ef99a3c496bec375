"""The way to Redis or Valkey: bounded in time, broken off where nobody answers, and taken up again by itself."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, NoScriptError

from freddy.server.core import errors
from freddy.server.stores.counters.scripts import Script

_log = logging.getLogger(__name__)

Reply: TypeAlias = Sequence[int]
Client: TypeAlias = "Redis | RedisCluster"

_CONNECTIONS = 32
_LONGEST = 200
_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}
PROBE = "freddy:limits:probe"
"""The key that is written to see whether anything can be."""


def address(url: str) -> str:
    """What redis-py reads, of the address of a Redis or a Valkey. Raises ValueError where its options do not exist."""
    scheme, colon, rest = url.partition(":")
    read = _SCHEMES.get(scheme, scheme) + colon + rest
    try:
        BlockingConnectionPool.from_url(read).make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError):
        raise ValueError(
            "FREDDY_REDIS_URL has an option that does not exist, or that does not take this value"
        ) from None
    return read


def cancellations() -> int:
    """How often the task was told to end. What redis-py waits with may swallow that on Python 3.11:
    https://github.com/python/cpython/issues/86296"""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


class Link:
    """`url` is `redis://`, `rediss://`, `valkey://`, `valkeys://` or `unix://`; whether a cluster answers is found out.

    After a failure, calls fail at once until `probe` got an answer. Everything raises `errors.LimitsUnavailable`; a
    `url` with options that do not exist, ValueError.
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._url = address(url)
        self._place = urlsplit(url).hostname or urlsplit(url).path
        self._timeout = timeout_seconds
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self.away = False

    async def call(self, script: Script, keys: Sequence[str], *arguments: str | int) -> Reply:
        if self.away:
            raise self._unavailable()
        # To wait for one's turn is no outage, and what is one meanwhile ends the waiting.
        async with self._turns:
            if self.away:
                raise self._unavailable()
            return await self._perform(script, keys, arguments)

    async def probe(self) -> None:
        """Nothing where all is well; else looks whether it is again."""
        if not self.away:
            return
        try:
            async with asyncio.timeout(self._timeout):
                with _heeding():
                    # Connections of before may be dead without a word.
                    await self.close()
                    # A write: what answers may be full, or a replica.
                    await (await self._connected()).set(PROBE, "", px=1000)
        except Exception as error:
            raise self._unavailable() from error
        self.away = False
        _log.info("limits_store_back", extra={"host": self._place})

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _perform(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Reply:
        try:
            async with asyncio.timeout(self._timeout):
                with _heeding():
                    client = self._client or await self._connected()
                    try:
                        reply: Reply = await client.evalsha(script.digest, len(keys), *keys, *arguments)
                    except NoScriptError:
                        reply = await client.eval(script.text, len(keys), *keys, *arguments)
                    return reply
        except Exception as error:
            # Not only those of Redis: event loops and clusters have some of their own for a connection that broke.
            if not self.away:
                self.away = True
                reason = str(error)[:_LONGEST] or type(error).__name__
                _log.warning("limits_store_away", extra={"host": self._place, "reason": reason})
            raise self._unavailable() from error

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> Client:
        waits = {"socket_timeout": self._timeout, "socket_connect_timeout": self._timeout}
        many = _CONNECTIONS
        # Nothing is tried twice: what was counted before its answer was lost would be counted again.
        once = Retry(NoBackoff(), 0)
        pool = BlockingConnectionPool.from_url(
            self._url, max_connections=many, timeout=self._timeout, retry=once, **waits
        )
        alone = Redis.from_pool(pool)
        try:
            told = await alone.info("cluster")
            if not told.get("cluster_enabled"):
                return alone
        except NoPermissionError:
            return alone
        except BaseException:
            await alone.aclose()
            raise
        await alone.aclose()
        cluster = RedisCluster.from_url(self._url, max_connections=many, retry=once, **waits)
        try:
            return await cluster.initialize()
        except BaseException:
            await cluster.aclose()
            raise

    def _unavailable(self) -> errors.LimitsUnavailable:
        return errors.LimitsUnavailable(
            "Limits cannot be counted",
            details="the server cannot reach the Redis or Valkey that counts them: try again",
            retry_after=1,
        )


@contextmanager
def _heeding() -> Iterator[None]:
    """What came in here to end the task ends it, at the latest when this is left. It may have been told so before:
    what it does then, it does to the end."""
    before = cancellations()
    try:
        yield
    finally:
        if cancellations() > before:
            raise asyncio.CancelledError
