"""Runs a program that speaks MCP over stdin and stdout: its lines are messages, and it ends with the session.

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
"""

import asyncio
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from freddy.server.tools.mcp.terms import Program

_log = logging.getLogger(__name__)

_GRACE: Final = 2.0
"""Seconds that a program has to end when its stdin ends, and again when it is asked to."""
_LOOKS: Final = 0.01
_LINE: Final = 500
_LINES: Final = 1000
"""Of stderr: what is longer is cut, and what comes after is dropped."""

Read = MemoryObjectReceiveStream[SessionMessage | Exception]
Write = MemoryObjectSendStream[SessionMessage]


@asynccontextmanager
async def running(
    name: str, program: Program, *, most: int, ended: Callable[[], None]
) -> AsyncGenerator[tuple[Read, Write]]:
    """The two streams of the SDK. `ended` hears when nothing more comes. A line of more than `most` bytes is the last.

    Raises OSError.
    """
    process = await asyncio.create_subprocess_exec(
        *program.command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=get_default_environment() | dict(program.environment),
        cwd=program.folder,
        limit=most,
        # A group of its own, so that what it starts ends with it.
        start_new_session=True,
    )
    arriving, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, leaving = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with arriving, read, write, leaving, anyio.create_task_group() as tasks:
            tasks.start_soon(_receive, process, arriving, ended)
            tasks.start_soon(_send, process, leaving, arriving)
            tasks.start_soon(_log_errors, name, process)
            try:
                yield read, write
            finally:
                with anyio.CancelScope(shield=True):
                    await _end(process)
                tasks.cancel_scope.cancel()
    finally:
        _signal(process, "SIGKILL")  # whatever it left behind in its group
        _close(process)


async def _receive(
    process: Process, arriving: MemoryObjectSendStream[SessionMessage | Exception], ended: Callable[[], None]
) -> None:
    assert process.stdout
    async with arriving:
        while not process.stdout.at_eof():
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the limit: what follows could be read as something else
                _log.debug("mcp_program_line_too_long")
                break
            if not line:
                break
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                _log.debug("mcp_program_line_is_no_message")
                continue
            try:
                await arriving.send(SessionMessage(message))
            except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                return
    ended()


async def _send(
    process: Process,
    leaving: MemoryObjectReceiveStream[SessionMessage],
    arriving: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    assert process.stdin
    async with leaving:
        async for one in leaving:
            text = one.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                process.stdin.write(text.encode() + b"\n")
                await process.stdin.drain()
            except (OSError, RuntimeError):
                # Nobody reads: whoever waits for an answer is to hear of it.
                await arriving.aclose()
                return


async def _log_errors(name: str, process: Process) -> None:
    assert process.stderr
    lines, line = 0, b""
    while piece := await process.stderr.read(4096):
        if lines >= _LINES or not _log.isEnabledFor(logging.DEBUG):
            continue
        *whole, line = (line + piece).split(b"\n")
        line = line[:_LINE]
        for one in whole:
            lines += 1
            text = one[:_LINE].decode(errors="replace")
            _log.debug("mcp_program_says", extra={"program": name, "line": text})


async def _end(process: Process) -> None:
    """First its stdin ends, then it is asked to end, then it is ended."""
    assert process.stdin
    process.stdin.close()
    for how in ("SIGTERM", "SIGKILL"):
        if await _has_ended(process):
            return
        _signal(process, how)
    await _has_ended(process)


async def _has_ended(process: Process) -> bool:
    # `wait` also waits for what the program started to let go of its pipes.
    with anyio.move_on_after(_GRACE):
        while process.returncode is None:  # noqa: ASYNC110
            await anyio.sleep(_LOOKS)
    return process.returncode is not None


def _signal(process: Process, how: str) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, getattr(signal, how))
        elif process.returncode is None:
            process.kill()


def _close(process: Process) -> None:
    # Nothing public closes the pipes that something still holds, and an open transport is a warning.
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
