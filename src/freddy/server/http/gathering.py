"""Sends the head of an answer together with the first of its body."""

import asyncio
from collections.abc import Callable
from typing import Any

_HEAD = b"HTTP/1.1 "
"""What heads begin with, as uvicorn writes them: each in a piece of its own."""
_LARGEST = 64 * 1024
"""A longer piece goes on its own: copying it would cost more than another system call."""


class Gathering:
    """A transport over another, which holds a head back until the body begins, or the loop's turn ends.

    Every write is a system call and a packet, and wakes whoever reads: an answer in one piece needs but one of each.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._call_soon = asyncio.get_running_loop().call_soon
        self._head = b""
        # Asked for every request.
        self.is_closing: Callable[[], bool] = transport.is_closing
        self.get_extra_info: Callable[..., Any] = transport.get_extra_info

    def write(self, data: bytes) -> None:
        if self._head:
            if len(data) <= _LARGEST:
                data, self._head = self._head + data, b""
            else:
                self._tell_head()
        elif data.startswith(_HEAD):
            self._head = data
            self._call_soon(self._tell_head)
            return
        self._transport.write(data)

    def close(self) -> None:
        self._tell_head()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """All else is the transport's own."""
        return getattr(self._transport, name)

    def _tell_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)
