"""Bytes to text. Every document is read in a child process, with bounds on its time, its memory and what it says."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from freddy.server.core import errors, media_types
from freddy.server.knowledge import parsers

_PROGRAM: Final = Path(parsers.__file__)
_INSTALLED: Final = ("pdf", "xlsx")
"""Formats that are read by installed packages."""
_READ: Final = 256 * 1024
_WIDEST: Final = 4
"""Bytes of a character in UTF-8."""
_NOTE: Final = "\n\n[The text goes on; only its first {:,} characters are here.]"
_REASONS: Final = {
    parsers.NO_TEXT: ("has no text", "send a file with text in it; pages that are pictures have none"),
    parsers.LOCKED: ("is protected by a password", "send it without the password"),
    parsers.TOO_LARGE: ("takes too much memory to read", "send a smaller file, or raise `files.extract_memory_mib`"),
}
_SLOW: Final = (
    "takes too long or too much memory to read",
    "send a smaller file, or raise `files.extract_seconds` and `files.extract_memory_mib`",
)
_DAMAGED: Final = ("cannot be read", "it is damaged, or not of the kind that its name says: send it whole, or as text")


class Extractor:
    """`characters` is the longest text; `at_once` are the child processes that may run at the same time."""

    def __init__(self, *, characters: int, seconds: float, memory_bytes: int, at_once: int = 2) -> None:
        self._characters = characters
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._turns = asyncio.Semaphore(at_once)

    async def text(self, chunks: AsyncIterator[bytes], *, media_type: str, filename: str) -> str:
        """Raises `errors.InvalidRequest` of code `unreadable_file` where there is no text, or none can be had.

        What the chunks raise goes through.
        """
        form = media_types.format_of(media_type)
        if form is None:
            raise unreadable(
                filename,
                f"is {media_type}, whose text cannot be read here",
                "send it as PDF, Word (.docx), Excel (.xlsx), PowerPoint (.pptx), HTML or text",
            )
        async with self._turns:
            status, told = await self._run(form, chunks, filename)
        if status != 0:
            raise unreadable(filename, *(_SLOW if status < 0 else _REASONS.get(status, _DAMAGED)))
        text = told.decode(errors="replace")
        if len(text) > self._characters:
            return text[: self._characters] + _NOTE.format(self._characters)
        return text.strip("\n")

    async def _run(self, form: media_types.Format, chunks: AsyncIterator[bytes], filename: str) -> tuple[int, bytes]:
        """How the child ended, and what it wrote."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            # Only what comes with Python, unless a format needs more: it starts faster so.
            *(("-I", "-B") if form in _INSTALLED else ("-I", "-B", "-S")),
            str(_PROGRAM),
            form,
            # One more than may be, which tells that there is more.
            str(self._characters + 1),
            str(self._memory_bytes),
            str(int(self._seconds) + 1),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # Nothing of the server's own: its environment has keys.
            env={},
        )
        try:
            async with asyncio.timeout(self._seconds):
                # One after the other: the child says nothing before it has read everything.
                await _feed(child, chunks)
                told = await _read(child, most=_WIDEST * (self._characters + 1))
                return await child.wait(), told
        except TimeoutError:
            raise unreadable(filename, *_SLOW) from None
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()


async def _feed(child: asyncio.subprocess.Process, chunks: AsyncIterator[bytes]) -> None:
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        # A child that is gone has its reasons; its end tells them.
        async for chunk in chunks:
            child.stdin.write(chunk)
            await child.stdin.drain()
        child.stdin.close()
        await child.stdin.wait_closed()


async def _read(child: asyncio.subprocess.Process, *, most: int) -> bytes:
    assert child.stdout is not None
    pieces, length = [], 0
    while length < most and (piece := await child.stdout.read(min(_READ, most - length))):
        pieces.append(piece)
        length += len(piece)
    return b"".join(pieces)


def unreadable(filename: str, what: str, cure: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(f"The file {filename!r} {what}", param="input", code="unreadable_file", details=cure)
