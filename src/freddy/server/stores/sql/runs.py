"""Keeps runs that any process may perform, with their logs, and which processes live."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from freddy.server.core import errors
from freddy.server.core.items import Item
from freddy.server.core.response import Response
from freddy.server.ports.runs import NOTHING, Claim, Claimed, Entry, Heard, Held, Pulse, Unread
from freddy.server.stores.sql import response_queries, responses, rows
from freddy.server.stores.sql import run_queries as queries
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.statements import Row, Statement, Value

_FORGOTTEN_AT_ONCE = 1_000
_STOPPED_AT_ONCE = 100

_log = logging.getLogger(__name__)


class SqlRuns:
    """The port `RunStore`. A process has one of them: it knows what the hearts of its workers were at."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._beats: dict[str, int] = {}

    async def put(self, response: Response, plan: bytes, *, worker_id: str | None) -> Claim | None:
        opened = responses.opening(response)
        fence = 0 if worker_id is None else 1

        async def work(connection: Connection) -> bool:
            seq = await opened(connection)
            added = await connection.one(
                queries.ADD,
                response_id=response.id,
                organization_id=response.organization_id,
                seq=seq,
                worker_id=worker_id,
                fence=fence,
                losses=0,
                plan=plan,
            )
            return added is not None and added[0] is not None

        claimed = await self._database.write(work)
        return Claim(response.id, response.organization_id, worker_id, fence) if worker_id and claimed else None

    async def claim(self, worker_id: str, *, most: int, held: Held = NOTHING) -> Sequence[Claimed | Unread]:
        if most < 1:
            which = {"runs": _text(held.runs)}
            taken = await self._take(
                queries.ANY_TO_BE_STOPPED, queries.CLAIM_TO_BE_STOPPED, worker_id, _STOPPED_AT_ONCE, **which
            )
        elif held:
            taken = await self._take_not_held(worker_id, most, held)
        else:
            taken = await self._take(queries.ANY_QUEUED, queries.CLAIM, worker_id, most)
        taken.sort(key=lambda row: row[0])
        tried = await asyncio.gather(*(self._read(worker_id, row) for row in taken), return_exceptions=True)
        found, away = [], None
        for row, one in zip(taken, tried, strict=True):
            if isinstance(one, BaseException):
                away = one
                # Nobody has heard of it, and it is not to blame.
                with contextlib.suppress(errors.FreddyError, errors.ClaimLost):
                    await self.release(_claim_of(worker_id, row))
            elif one is not None:
                found.append(one)
        if away is not None and not found:
            raise away
        return found

    async def _take(self, any_: Statement, claim: Statement, worker_id: str, most: int, **which: Value) -> list[Row]:
        # Mostly there is nothing to write.
        if await self._database.read(lambda connection: connection.one(any_, **which)) is None:
            return []
        return await self._database.write(
            lambda connection: connection.all(claim, **which, worker_id=worker_id, most=most)
        )

    async def _take_not_held(self, worker_id: str, most: int, held: Held) -> list[Row]:
        names = await self._database.read(
            lambda connection: connection.all(queries.NOT_HELD, **_lines(held), most=most)
        )

        async def work(connection: Connection) -> list[Row]:
            return [
                row
                for (response_id,) in names
                for row in await connection.all(queries.CLAIM_ONE, response_id=response_id, worker_id=worker_id, most=1)
            ]

        return await self._database.write(work) if names else []

    async def _read(self, worker_id: str, row: Row) -> Claimed | Unread | None:
        """What was claimed, each by itself: it may be large, and nobody who writes waits for it to be read.

        None where it was deleted meanwhile.
        """
        _, response_id, _, _, losses, stop, plan = row
        claim = _claim_of(worker_id, row)

        async def work(connection: Connection) -> Response | None:
            kept = await connection.one(queries.GET, response_id=response_id)
            if kept is None:
                return None
            return rows.response(kept, await connection.all(queries.INPUT, response_id=response_id))

        try:
            response = await self._database.read(work)
        except errors.FreddyError:
            raise
        except Exception:  # noqa: BLE001
            # Whatever is wrong with one row must not keep the others from being performed.
            _log.exception("response_unreadable", extra={"response_id": response_id})
            return Unread(claim, losses)
        return None if response is None else Claimed(claim, response, plan, stop, losses)

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

    async def abandon(self, claim: Claim, failure: errors.Failure, now: int) -> None:
        async def work(connection: Connection) -> None:
            if not await connection.run(queries.END, **_held(claim), ended_at=now):
                by = await connection.one(queries.ENDED_BY, response_id=claim.response_id)
                if by != (claim.worker_id, claim.fence):
                    raise _lost(claim)
                return  # a repeated write
            await connection.run(queries.FORGET_LOG, response_id=claim.response_id)
            row = await connection.one(queries.OUTCOME, response_id=claim.response_id)
            outcome = _failed(row, failure)
            await connection.run(response_queries.FAIL, id=claim.response_id, completed_at=now, outcome=outcome)

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


def _claim_of(worker_id: str, row: Row) -> Claim:
    _, response_id, organization_id, fence, *_ = row
    return Claim(response_id, organization_id, worker_id, fence)


def _lost(claim: Claim) -> errors.ClaimLost:
    return errors.ClaimLost(f"The run of {claim.response_id!r} is not this worker's any more.")


async def _require_written(connection: Connection, claim: Claim, entry: Entry) -> None:
    """Raises `errors.ClaimLost` unless what stands in the entry's place was written with this claim."""
    written = await connection.one(queries.WRITTEN_BY, response_id=claim.response_id, place=entry.place)
    if written != (claim.fence,):
        raise _lost(claim)


def _lines(held: Held) -> dict[str, Value]:
    """What fills the places of `queries.NOT_HELD`."""
    return {
        "runs": _text(held.runs),
        "organizations": _text(held.organizations),
        "keys": _text(" ".join(key) for key in held.keys),
    }


def _text(lines: Iterable[str]) -> str:
    return "".join(("\n", *(f"{line}\n" for line in lines)))


def _failed(row: Row | None, failure: errors.Failure) -> str:
    """The outcome, with a failure; of one that cannot be read nothing else is left."""
    if row is not None:
        try:
            return rows.failed_outcome(row[0], failure)
        except (msgspec.MsgspecError, ValueError):
            pass
    return rows.text(rows.Outcome(failure=failure))
