"""Does every so often what nobody waits for, such as removing what has expired."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from freddy.server.core import errors

_log = logging.getLogger(__name__)


@asynccontextmanager
async def swept(sweeps: Mapping[str, Callable[[], Awaitable[object]]], *, seconds: float) -> AsyncIterator[None]:
    """Each of the sweeps, by name, at once and then every `seconds`, one after the other, while the context is open."""

    async def sweep() -> None:
        while True:
            for name, once in sweeps.items():
                await _attempt(name, once)
            await asyncio.sleep(seconds)

    async with asyncio.TaskGroup() as tasks:
        sweeping = tasks.create_task(sweep())
        yield
        sweeping.cancel()


async def _attempt(name: str, once: Callable[[], Awaitable[object]]) -> None:
    try:
        await once()
    except errors.FreddyError as error:
        _log.warning("sweep_failed", extra={"sweep": name, "reason": error.message})
    except Exception:  # noqa: BLE001
        # Sweeping is for later as well as for now: no fault of it may take the server along.
        _log.exception("sweep_fault", extra={"sweep": name})
