"""Keeps runs that any process may perform, with their logs, and which processes live."""

from collections.abc import Mapping, Sequence

from freddy.server.core import errors
from freddy.server.core.items import Item
from freddy.server.core.response import Response
from freddy.server.ports.runs import Claim, Claimed, Entry, Heard, Pulse
from freddy.server.stores.sql import responses, rows
from freddy.server.stores.sql import run_queries as queries
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.statements import Row, Value

_FORGOTTEN_AT_ONCE = 1_000
_STOPPED_AT_ONCE = 100


class SqlRuns:
    """The port `RunStore`. A process has one of them: it knows what the hearts of its workers were at."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._beats: dict[str, int] = {}

    async def put(self, response: Response, plan: bytes, *, worker_id: str | None) -> Claim | None:
        opened = responses.opening(response)
        fence = 0 if worker_id is None else 1

        async def work(connection: Connection) -> None:
            seq = await opened(connection)
            await connection.run(
                queries.ADD,
                response_id=response.id,
                organization_id=response.organization_id,
                seq=seq,
                worker_id=worker_id,
                fence=fence,
                losses=0,
                plan=plan,
            )

        await self._database.write(work)
        return None if worker_id is None else Claim(response.id, response.organization_id, worker_id, fence)

    async def claim(self, worker_id: str, *, most: int) -> Sequence[Claimed]:
        any_free, claim = queries.ANY_QUEUED, queries.CLAIM
        if most < 1:
            any_free, claim, most = queries.ANY_TO_BE_STOPPED, queries.CLAIM_TO_BE_STOPPED, _STOPPED_AT_ONCE

        async def work(connection: Connection) -> Sequence[Claimed]:
            taken = await connection.all(claim, worker_id=worker_id, most=most)
            return [await _claimed(connection, worker_id, row) for row in sorted(taken, key=lambda row: row[0])]

        # Mostly there is nothing to write.
        if not await self._database.read(lambda connection: connection.one(any_free)):
            return []
        return await self._database.write(work)

    async def record(self, claim: Claim, entry: Entry, items: Mapping[int, Item]) -> None:
        values = _entry_values(claim, entry)
        added = responses.adding(claim.response_id, claim.organization_id, items)

        async def work(connection: Connection) -> None:
            if not await connection.run(queries.RECORD, **values, worker_id=claim.worker_id):
                if not await connection.one(queries.HELD, **_held(claim)):
                    raise _lost(claim)
                await _require_written(connection, claim, entry)
                return
            if items:
                await added(connection)
            if entry.place == 0:
                await connection.run(queries.BEGIN, response_id=claim.response_id)

        await self._database.write(work)

    async def finish(self, claim: Claim, response: Response, entry: Entry) -> None:
        values = _entry_values(claim, entry)
        ended_at = response.completed_at or response.created_at
        ended = responses.ending(response)

        async def work(connection: Connection) -> None:
            if not await connection.run(queries.END, **_held(claim), ended_at=ended_at):
                by = await connection.one(queries.ENDED_BY, response_id=claim.response_id)
                if by != (claim.worker_id, claim.fence):
                    raise _lost(claim)
                return  # a repeated write
            if not await connection.run(queries.ADD_ENTRY, **values):
                await _require_written(connection, claim, entry)
            await ended(connection)

        await self._database.write(work)

    async def release(self, claim: Claim, *, lost: bool = False) -> None:
        async def work(connection: Connection) -> None:
            if await connection.run(queries.RELEASE, **_held(claim), losses=int(lost)):
                return
            if not await connection.one(queries.IS_QUEUED, response_id=claim.response_id):
                raise _lost(claim)

        await self._database.write(work)

    async def log(self, response_id: str, *, after: int = -1, most: int = 1000) -> Sequence[Entry]:
        async def work(connection: Connection) -> Sequence[Entry]:
            found = await connection.all(queries.LOG, response_id=response_id, after=after, most=most)
            return [Entry(*row) for row in found]

        return await self._database.read(work)

    async def stop(self, organization_id: str, response_id: str, how: str) -> bool:
        async def work(connection: Connection) -> bool:
            marked = await connection.run(
                queries.STOP, organization_id=organization_id, response_id=response_id, stop=how
            )
            return marked > 0

        return await self._database.write(work)

    async def beat(self, worker_id: str) -> Heard:
        before = self._beats.get(worker_id)

        async def work(connection: Connection) -> tuple[int, Heard]:
            row = await connection.one(queries.BEAT, worker_id=worker_id)
            if row is not None:
                held = await connection.all(queries.HELD_BY, worker_id=worker_id)
                stops = {response_id: stop for response_id, _, stop in held if stop is not None}
                return row[0], Heard(stops, held={response_id: fence for response_id, fence, _ in held})
            # The count goes on: who still waits for the one before to grow sees that it did.
            beats = (before or 0) + 1
            await connection.run(queries.BE_KNOWN, worker_id=worker_id, beats=beats)
            if before is None:
                return beats, Heard()
            # What it claimed since nobody would give to others.
            await connection.run(queries.RELEASE_ALL, worker_id=worker_id)
            return beats, Heard(buried=True)

        self._beats[worker_id], heard = await self._database.write(work)
        return heard

    async def pulses(self) -> Sequence[Pulse]:
        found = await self._database.read(lambda connection: connection.all(queries.PULSES))
        return [Pulse(*row) for row in found]

    async def bury(self, pulse: Pulse, now: int) -> int | None:
        worker_id = pulse.worker_id

        async def work(connection: Connection) -> int | None:
            if not await connection.run(queries.BURY, worker_id=worker_id, beats=pulse.beats):
                return None if await connection.one(queries.IS_KNOWN, worker_id=worker_id) else 0
            await connection.run(queries.LOSE_ALL, worker_id=worker_id)
            return await responses.fail(connection, await connection.all(queries.LOST, worker_id=worker_id), now)

        return await self._database.write(work)

    async def bury_unknown(self, now: int) -> int:
        async def look(connection: Connection) -> bool:
            if await connection.one(queries.HELD_BY_UNKNOWN):
                return True
            return await connection.one(queries.LOST_BY_UNKNOWN) is not None

        async def work(connection: Connection) -> int:
            await connection.run(queries.LOSE_OF_UNKNOWN)
            return await responses.fail(connection, await connection.all(queries.LOST_BY_UNKNOWN), now)

        # Mostly there is nothing to write.
        return await self._database.write(work) if await self._database.read(look) else 0

    async def leave(self, worker_id: str) -> None:
        async def work(connection: Connection) -> None:
            await connection.run(queries.LEAVE, worker_id=worker_id)
            await connection.run(queries.RELEASE_ALL, worker_id=worker_id)

        await self._database.write(work)
        self._beats.pop(worker_id, None)

    async def queued(self) -> int:
        row = await self._database.read(lambda connection: connection.one(queries.HOW_MANY_QUEUED))
        return int(row[0]) if row else 0

    async def expire(self, before: int) -> int:
        return await self._database.write(
            lambda connection: connection.run(queries.EXPIRE, before=before, most=_FORGOTTEN_AT_ONCE)
        )


def _held(claim: Claim) -> dict[str, Value]:
    return {"response_id": claim.response_id, "worker_id": claim.worker_id, "fence": claim.fence}


def _entry_values(claim: Claim, entry: Entry) -> dict[str, Value]:
    return {
        "response_id": claim.response_id,
        "fence": claim.fence,
        "place": entry.place,
        "first": entry.first,
        "told": entry.told,
        "events": entry.events,
    }


def _lost(claim: Claim) -> errors.ClaimLost:
    return errors.ClaimLost(f"The run of {claim.response_id!r} is not this worker's any more.")


async def _require_written(connection: Connection, claim: Claim, entry: Entry) -> None:
    """Raises `errors.ClaimLost` unless what stands in the entry's place was written with this claim."""
    written = await connection.one(queries.WRITTEN_BY, response_id=claim.response_id, place=entry.place)
    if written != (claim.fence,):
        raise _lost(claim)


async def _claimed(connection: Connection, worker_id: str, row: Row) -> Claimed:
    _, response_id, organization_id, fence, losses, stop, plan = row
    response = await connection.one(queries.GET, response_id=response_id)
    assert response is not None
    parts = await connection.all(queries.INPUT, response_id=response_id)
    claim = Claim(response_id, organization_id, worker_id, fence)
    return Claimed(claim, rows.response(response, parts), plan, stop, losses)
