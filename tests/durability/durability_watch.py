"""Those who wait for responses: each hears or asks whoever serves, again and again, until the end is told."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import httpx2
from durability_cluster import PATHS, Cluster, Member

Json = dict[str, Any]
ENDS = ("response.completed", "response.failed", "response.incomplete", "response.cancelled")
OVER = ("completed", "failed", "cancelled", "incomplete", "requires_action")
_BETWEEN = 0.5
"""Seconds between two looks at a response: asking costs the machine more than performing."""
_RANKS = {"queued": 0, "in_progress": 1} | dict.fromkeys(OVER, 2)


class Follower:
    """Hears a run's events. After each break it asks another process for what comes next; nothing may come twice.

    OpenAI's dialect tells every number; the Freddy dialect has no words for some.
    """

    def __init__(self, cluster: Cluster, response_id: str, dialect: str = "freddy") -> None:
        self._cluster = cluster
        self._path = f"{PATHS[dialect]}/{response_id}"
        self.dialect = dialect
        self.heard: list[Json] = []
        self.breaks = 0
        self.faults: list[str] = []

    @property
    def ended(self) -> bool:
        return bool(self.heard) and self.heard[-1]["type"] in ENDS

    @property
    def number(self) -> int:
        """That of the last event."""
        return self.heard[-1]["sequence_number"] if self.heard else -1

    async def follow(self) -> None:
        """Returns when the end was told, or the response is not there any more."""
        while not self.ended:
            stream = self._cluster.stream(f"{self._path}?stream=true&starting_after={self.number}")
            if stream is None:
                await asyncio.sleep(0.05)
                continue
            with suppress(httpx2.TransportError):
                async with stream as reply:
                    if reply.status_code == 404:
                        return
                    if reply.status_code == 200:
                        await self._hear(reply)
                    elif reply.status_code < 500:
                        self.faults.append(f"{reply.status_code} {(await reply.aread()).decode()}")
                        return
            if not self.ended:
                self.breaks += 1
                await asyncio.sleep(0.02)

    async def _hear(self, reply: httpx2.Response) -> None:
        async for line in reply.aiter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line[6:])
            number, last = event["sequence_number"], self.number
            if number <= last or (self.dialect == "openai" and number != last + 1):
                self.faults.append(f"{event['type']} has the number {number} behind {last}")
            self.heard.append(event)
            if self.ended:
                return


class Poller:
    """Asks for the status until the response is over; it never goes back."""

    def __init__(self, cluster: Cluster, response_id: str, dialect: str = "freddy") -> None:
        self._cluster = cluster
        self._path = f"{PATHS[dialect]}/{response_id}"
        self.told: list[str] = []
        self.faults: list[str] = []

    async def poll(self) -> None:
        while not self.told or self.told[-1] not in OVER:
            reply = await self._cluster.look(self._path)
            if reply.status_code != 200:
                self.faults.append(f"{reply.status_code} {reply.text}")
                return
            status = reply.json()["status"]
            if self.told and _RANKS[status] < _RANKS[self.told[-1]]:
                self.faults.append(f"{status} after {self.told[-1]}")
            if not self.told or status != self.told[-1]:
                self.told.append(status)
            await asyncio.sleep(_BETWEEN)


async def replayed(cluster: Cluster, response_id: str, dialect: str, *, by: Member, after: int = -1) -> list[Json]:
    """All that this process tells of a response that is over."""
    reply = await cluster.ask("GET", f"{PATHS[dialect]}/{response_id}?stream=true&starting_after={after}", by=by)
    assert reply.status_code == 200, reply.text
    return [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
