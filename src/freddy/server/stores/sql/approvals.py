"""Keeps who answered requests for approval."""

import sqlalchemy as sa

from freddy.server.ports.approvals import Claim
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.statements import Statement, param

_claims = tables.approval_claims
_this = (_claims.c.organization_id == param("organization_id"), _claims.c.request_id == param("request_id"))

_ADD = Statement(statements.insert(_claims).values(statements.params(_claims)).on_conflict_do_nothing())
_GET = Statement(sa.select(_claims.c.response_id, _claims.c.approve, _claims.c.at).where(*_this))
_RELEASE = Statement(_claims.delete().where(*_this, _claims.c.response_id == param("response_id")))


class SqlApprovals:
    """The port `ApprovalStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, organization_id: str, request_id: str, claim: Claim) -> Claim:
        async def work(connection: Connection) -> Claim:
            added = await connection.run(
                _ADD,
                organization_id=organization_id,
                request_id=request_id,
                response_id=claim.response_id,
                approve=claim.approve,
                at=claim.at,
            )
            if added:
                return claim
            row = await connection.one(_GET, organization_id=organization_id, request_id=request_id)
            assert row is not None  # where another stood in the way, PostgreSQL lets the work run again to see it
            response_id, approve, at = row
            return Claim(response_id, bool(approve), at)

        return await self._database.write(work)

    async def release(self, organization_id: str, request_id: str, response_id: str) -> None:
        async def work(connection: Connection) -> None:
            await connection.run(
                _RELEASE, organization_id=organization_id, request_id=request_id, response_id=response_id
            )

        await self._database.write(work)
