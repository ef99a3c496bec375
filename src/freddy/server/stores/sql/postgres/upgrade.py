"""Runs migrations on a PostgreSQL database with Alembic. There is no copy beforehand: pg_dump makes better ones."""

import asyncio
from pathlib import Path

from freddy.server.stores.sql import upgrade as alembic
from freddy.server.stores.sql.postgres import driver
from freddy.server.stores.sql.postgres.session import Raw


def upgrade(raw: Raw, loop: asyncio.AbstractEventLoop, *, seconds: float, head: str, migrations: Path) -> None:
    """Brings the database to `head`, in the transaction that is under way. For a thread beside the loop."""
    with driver.joined(raw, loop, seconds=seconds) as connection:
        alembic.require_known(connection, head=head, migrations=migrations, place="The database")
        alembic.migrate(connection, head=head, migrations=migrations)
