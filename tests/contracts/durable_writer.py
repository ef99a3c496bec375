"""Writes responses until it is killed; tells the id of each when its write has returned."""

import asyncio
import sys
from pathlib import Path

from contract_examples import begun, completed
from msgspec.structs import replace

from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.responses import SqlResponses


async def write_on(responses: SqlResponses, writer: int) -> None:
    number = 0
    while True:
        number += 1
        response = completed(begun("question " * 50, id=f"resp_{writer}_{number}"), "answer " * 50)
        await responses.open(replace(response, output=(), status="in_progress"))
        await responses.finish(response)
        sys.stdout.write(response.id + "\n")
        sys.stdout.flush()


async def main() -> None:
    async with Database(Path(sys.argv[1])) as database, asyncio.TaskGroup() as tasks:
        for writer in range(8):
            tasks.create_task(write_on(SqlResponses(database), writer))


asyncio.run(main())
