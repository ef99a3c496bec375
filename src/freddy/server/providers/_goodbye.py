"""Waits a moment for the end of a body whose content has ended, so that its connection can serve again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from freddy.server.core import errors

_SECONDS = 0.02


async def see_out(chunks: AsyncIterator[bytes]) -> None:
    with suppress(TimeoutError, errors.FreddyError):
        async with asyncio.timeout(_SECONDS):
            async for _ in chunks:
                pass
