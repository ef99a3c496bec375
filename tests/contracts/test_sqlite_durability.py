"""What SQLite has said to be written survives the death of the process."""

import asyncio
import sys
from pathlib import Path

import sqlalchemy as sa
from contract_examples import ACME

from freddy.server.core.items import Message
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.runs import SqlRuns
from freddy.server.stores.sql.statements import Statement
from freddy_fakes import PATIENCE

WRITER = Path(__file__).with_name("durable_writer.py")


async def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "freddy.db"
    writer = await asyncio.create_subprocess_exec(
        sys.executable, str(WRITER), str(path), stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    async with asyncio.timeout(6 * PATIENCE):
        lines = [await writer.stdout.readline() for _ in range(200)]
        writer.kill()
        lines += (await writer.stdout.read()).splitlines(keepends=True)
        await writer.wait()
    told = [line.decode().strip() for line in lines if line.endswith(b"\n")]
    assert len(told) >= 200
    async with Database(path) as database:
        responses = SqlResponses(database)
        for response_id in told:
            found = await responses.get(ACME, response_id)
            assert found is not None
            assert found.status == "completed"
            assert [item.text for item in found.request.input if isinstance(item, Message)] == ["question " * 50]
            assert found.text == "answer " * 50
        assert await SqlRuns(database).bury_unknown(2_000) <= 8
        check = await database.read(lambda connection: connection.all(Statement(sa.text("PRAGMA integrity_check"))))
        assert check == [("ok",)]
