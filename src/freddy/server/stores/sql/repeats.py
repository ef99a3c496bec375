"""Keeps what requests with an idempotency key led to."""

import sqlalchemy as sa

from freddy.server.ports.repeats import Kept
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.statements import Statement, param

_repeats = tables.repeats
_this = (_repeats.c.organization_id == param("organization_id"), _repeats.c.key == param("key"))

_DROP = Statement(_repeats.delete().where(*_this, _repeats.c.expires_at <= param("now")))
_ADD = Statement(
    statements.insert(_repeats)
    .values({name: param(name) for name in ("organization_id", "key", "fingerprint", "created_at", "expires_at")})
    .on_conflict_do_nothing()
)
_GET = Statement(
    sa.select(_repeats.c.fingerprint, _repeats.c.response_id, _repeats.c.status, _repeats.c.answer).where(*_this)
)
_END = Statement(
    _repeats.update()
    .where(*_this)
    .values({name: param(name) for name in ("fingerprint", "response_id", "status", "answer", "expires_at")})
)
# Null is like null here, on every database.
_leads_to_before = _repeats.c.response_id.is_not_distinct_from(param("before"))
_LEAD = Statement(
    _repeats.update()
    .where(*_this, _leads_to_before)
    .values({name: param(name) for name in ("fingerprint", "response_id", "status", "expires_at")})
)
_FORGET = Statement(_repeats.delete().where(*_this, _leads_to_before))
_EXPIRE = Statement(_repeats.delete().where(_repeats.c.expires_at <= param("now")))


class SqlRepeats:
    """The port `RepeatStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self, organization_id: str, key: str, fingerprint: bytes, *, now: int, expires_at: int
    ) -> Kept | None:
        async def work(connection: Connection) -> Kept | None:
            await connection.run(_DROP, organization_id=organization_id, key=key, now=now)
            added = await connection.run(
                _ADD,
                organization_id=organization_id,
                key=key,
                fingerprint=fingerprint,
                created_at=now,
                expires_at=expires_at,
            )
            row = None if added else await connection.one(_GET, organization_id=organization_id, key=key)
            return None if row is None else Kept(*row)

        return await self._database.write(work)

    async def end(self, organization_id: str, key: str, kept: Kept, *, expires_at: int) -> None:
        async def work(connection: Connection) -> None:
            await connection.run(
                _END,
                organization_id=organization_id,
                key=key,
                fingerprint=kept.fingerprint,
                response_id=kept.response_id,
                status=kept.status,
                answer=kept.answer,
                expires_at=expires_at,
            )

        await self._database.write(work)

    async def lead(self, organization_id: str, key: str, kept: Kept, *, before: str | None, expires_at: int) -> bool:
        async def work(connection: Connection) -> bool:
            led = await connection.run(
                _LEAD,
                organization_id=organization_id,
                key=key,
                before=before,
                fingerprint=kept.fingerprint,
                response_id=kept.response_id,
                status=kept.status,
                expires_at=expires_at,
            )
            return led > 0

        return await self._database.write(work)

    async def forget(self, organization_id: str, key: str, *, before: str | None = None) -> None:
        async def work(connection: Connection) -> None:
            await connection.run(_FORGET, organization_id=organization_id, key=key, before=before)

        await self._database.write(work)

    async def expire(self, now: int) -> int:
        async def work(connection: Connection) -> int:
            return await connection.run(_EXPIRE, now=now)

        return await self._database.write(work)
