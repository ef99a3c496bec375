"""Streams at the pace of a model: what an event costs and how late it comes, and the memory of a stream."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import measure_gateway as gateway
from measure_gateway import DIRECT, TARGETS, Target

import server

STREAMS, EVENTS_A_SECOND, EVENTS = 200, 50, 500
IDLE = 500
ENDED = 500
ALONE_SECONDS = 3.0
_DELTA = re.compile(rb'text\.delta|"content":"[^"]')
"""What an event with a piece of text has in it, here and upstream."""


def run(tools: Path, folder: Path) -> None:
    home = folder / "streams"
    home.mkdir()
    kept, unkept, freddy = TARGETS
    with gateway.upstream(tools) as upstream:
        key = server.make_key(home)
        settings = {
            "FREDDY_DEV_MODE": "off",
            "FREDDY_MODEL": "none",
            "FREDDY_UPSTREAM_URL": f"http://{upstream}/v1",
            "FREDDY_LOG_LEVEL": "warning",
        }
        # Servers of their own: what others left free would hide what is taken.
        print("\nmemory of a stream")
        with server.serving(home, **settings) as running:
            asyncio.run(_idle(kept, running, key))
        with server.serving(home, **settings) as running:
            asyncio.run(_ended(kept, running, key))
        with server.serving(home, **settings) as running:
            _alone(tools, upstream, running, key)
            print(f"\npaced: {STREAMS} streams at once, {EVENTS_A_SECOND} events a second each")
            late = f"{'p50 late ms':>13}{'p99 late ms':>13}"
            print(f"{'':30}{'events/s':>10}{late}{'CPU %':>8}{'us/event':>10}{'others':>8}")
            for target in (DIRECT, kept, unkept, freddy):
                asyncio.run(_paced(target, upstream, running, key))


def _alone(tools: Path, upstream: str, running: server.Running, key: str) -> None:
    """One request at a time: what the server adds to what the upstream takes."""
    print("\nalone: one request at a time, beside the upstream itself")
    print(f"{'':30}{'p50 ms':>9}{'p99 ms':>9}{'added p50':>11}{'added p99':>11}{'others':>8}")
    whole, alone = False, 1
    direct = gateway.load(tools, upstream, DIRECT, whole, alone, ALONE_SECONDS, None, None)
    for target in (DIRECT, *TARGETS):
        row = direct
        if target is not DIRECT:
            gateway.load(tools, running.address, target, whole, alone, 1, key, None)
            row = gateway.load(tools, running.address, target, whole, alone, ALONE_SECONDS, key, running.pid)
        added = [row[name] - direct[name] for name in ("p50_ms", "p99_ms")]
        told = f"{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}{added[0]:11.2f}{added[1]:11.2f}{row['others']:8.2f}"
        print(f"{target.name:30}{told}", flush=True)


async def _paced(target: Target, upstream: str, running: server.Running, key: str) -> None:
    pause = 1 / EVENTS_A_SECOND
    model = f"mock-c{EVENTS}-d{round(pause * 1000)}"
    address = upstream if target is DIRECT else running.address
    used, busy, own, began = (
        server.cpu_seconds(running.pid),
        server.busy_seconds(),
        time.process_time(),
        time.monotonic(),
    )
    heard = [_Heard() for _ in range(STREAMS)]
    async with _open(address, target, model, key, heard):
        await asyncio.gather(*(one.ended for one in heard))
    took = time.monotonic() - began
    spent = server.cpu_seconds(running.pid) - used
    others = (server.busy_seconds() - busy - spent - (time.process_time() - own)) / took
    late = sorted(seconds for one in heard for seconds in _late(one.times, pause))
    events = sum(len(one.times) for one in heard)
    if events != STREAMS * EVENTS:
        raise RuntimeError(f"{target.name}: {events} events came of {STREAMS * EVENTS}")
    cost = "" if target is DIRECT else f"{spent / took * 100:8.1f}{spent / events * 1e6:10.1f}"
    p50, p99 = (late[int(len(late) * share)] * 1000 for share in (0.5, 0.99))
    print(f"{target.name:30}{events / took:10.0f}{p50:13.2f}{p99:13.2f}{cost or '':>18}{others:8.2f}", flush=True)


def _late(times: Sequence[float], pause: float) -> list[float]:
    """Against a schedule that is kept exactly, and begins so that no event comes before its time."""
    offsets = [at - place * pause for place, at in enumerate(times)]
    earliest = min(offsets)
    return [offset - earliest for offset in offsets]


async def _idle(target: Target, running: server.Running, key: str) -> None:
    """Streams that were begun and say nothing: the model thinks."""
    await _bursts(target, running, key, 50)
    before = server.memory_mb(running.pid)
    heard = [_Heard() for _ in range(IDLE)]
    async with _open(running.address, target, "mock-c3-d60000", key, heard):
        await asyncio.gather(*(one.begun for one in heard))
        await asyncio.sleep(1)
        used = server.memory_mb(running.pid) - before
        print(f"{'an idle stream':30}{used * 1024 / IDLE:8.1f} KB ({IDLE} open at once)", flush=True)
    await asyncio.sleep(1)


async def _ended(target: Target, running: server.Running, key: str) -> None:
    """Streams that ended a while ago, and can still be followed word by word."""
    await _bursts(target, running, key, 50)
    before = server.memory_mb(running.pid)
    await _bursts(target, running, key, ENDED)
    used = server.memory_mb(running.pid) - before
    print(f"{'an ended stream of 100 events':30}{used * 1024 / ENDED:8.1f} KB ({ENDED} of them)", flush=True)


async def _bursts(target: Target, running: server.Running, key: str, wanted: int) -> None:
    for _ in range(wanted // 10):
        heard = [_Heard() for _ in range(10)]
        async with _open(running.address, target, "mock", key, heard):
            await asyncio.gather(*(one.ended for one in heard))


class _Heard(asyncio.Protocol):
    """One stream: when its deltas came."""

    def __init__(self) -> None:
        self.times: list[float] = []
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        *whole, self._rest = (self._rest + data).split(b"\n\n")
        if whole and not self.begun.done():
            self.begun.set_result(None)
        self.times += [now for event in whole if _DELTA.search(event)]
        if self._rest.endswith(b"\r\n0\r\n\r\n"):
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's own
        self._end()

    def _end(self) -> None:
        for one in (self.begun, self.ended):
            if not one.done():
                one.set_result(None)


@contextlib.asynccontextmanager
async def _open(address: str, target: Target, model: str, key: str, heard: Sequence[_Heard]) -> AsyncIterator[None]:
    host, _, port = address.partition(":")
    body = json.dumps({"model": model, "stream": True, **target.body}).encode()
    head = (
        f"POST {target.path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    transports: list[asyncio.WriteTransport] = []
    try:
        for one in heard:
            protocol: Callable[[], _Heard] = lambda one=one: one  # noqa: E731
            transport, _ = await loop.create_connection(protocol, host, int(port))
            transports.append(transport)
        for transport in transports:
            transport.write(head.encode() + body)
            # One after the other, as callers come: not all events of all streams at the same moment.
            await asyncio.sleep(1 / EVENTS_A_SECOND / len(heard))
        yield
    finally:
        for transport in transports:
            transport.abort()
        await asyncio.sleep(0)
