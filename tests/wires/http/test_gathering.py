"""What of an answer leaves in one piece."""

import asyncio
from typing import cast

from freddy.server.http.gathering import Gathering

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Written:
    """As much of a transport as a server uses."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = False
        self.paused = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.pieces.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> str:
        return name

    def pause_reading(self) -> None:
        self.paused = True


def gathering(written: Written) -> Gathering:
    return Gathering(cast("asyncio.Transport", written))


async def test_a_head_goes_with_the_body_that_follows() -> None:
    written = Written()
    transport = gathering(written)
    transport.write(HEAD)
    transport.write(b"{}")
    transport.write(b"more")
    assert written.pieces == [HEAD + b"{}", b"more"]
    await asyncio.sleep(0)
    assert written.pieces == [HEAD + b"{}", b"more"]


async def test_a_head_that_nothing_follows_goes_at_the_end_of_the_turn() -> None:
    written = Written()
    transport = gathering(written)
    transport.write(HEAD)
    await asyncio.sleep(0)
    transport.write(b"event")
    assert written.pieces == [HEAD, b"event"]


async def test_a_head_goes_before_the_connection_is_closed() -> None:
    written = Written()
    transport = gathering(written)
    transport.write(HEAD)
    transport.close()
    assert (written.pieces, written.closed) == ([HEAD], True)


async def test_a_large_body_is_not_copied() -> None:
    written = Written()
    transport = gathering(written)
    large = bytes(1024 * 1024)
    transport.write(HEAD)
    transport.write(large)
    assert written.pieces[0] == HEAD
    assert written.pieces[1] is large


async def test_all_else_is_the_transports_own() -> None:
    written = Written()
    transport = gathering(written)
    transport.pause_reading()
    assert written.paused
    assert not transport.is_closing()
    assert transport.get_extra_info("peername") == "peername"
