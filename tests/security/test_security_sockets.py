"""What a client of a WebSocket cannot do: fill the memory, be heard after its key was taken back, be written down."""

import asyncio
import base64
import gc
import logging
import os
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "websocket"))

import sockets
from gateway import DEV_KEY, Gateway, serving, settings

from freddy.server.accounts import development
from freddy.server.config import settings as parts
from freddy.server.http.websockets.protocol import Socket
from upstream import PATIENCE, Answer, Gate, text

CONTINUED, TEXT, PING = 0, 1, 9
MEGABYTE = 1_000_000
KEYS = f"/v1/organizations/{development.ORGANIZATIONS[0]}/api-keys"


@asynccontextmanager
async def wired(gateway: Gateway) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """An open WebSocket, byte by byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        (
            f"GET /v1/responses HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nAuthorization: Bearer {DEV_KEY}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        ).encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    try:
        yield reader, writer
    finally:
        writer.close()


def frame(kind: int, data: bytes = b"", *, last: bool = True) -> bytes:
    """https://www.rfc-editor.org/rfc/rfc6455#section-5.2"""
    length = bytes([0x80 | len(data)]) if len(data) < 126 else struct.pack("!BH", 0x80 | 126, len(data))
    return bytes([0x80 * last | kind]) + length + b"\0\0\0\0" + data


async def heard(reader: asyncio.StreamReader, word: bytes) -> None:
    """Reads until the word comes."""
    end = b""
    async with asyncio.timeout(4 * PATIENCE):
        while word not in end:
            piece = await reader.read(65536)
            assert piece, "the connection was closed"
            end = end[-len(word) :] + piece


async def test_who_asks_again_and_again_and_reads_no_answer_is_not_heard_until_it_does(gateway):
    async with wired(gateway) as (reader, writer):
        (served,) = [one for one in gc.get_objects() if isinstance(one, Socket)]
        writer.transport.pause_reading()
        pings = frame(PING, b"x" * 125) * 2000
        sent = 0
        while sent < 60 * MEGABYTE:
            writer.write(pings)
            sent += len(pings)
            try:
                async with asyncio.timeout(2):
                    await writer.drain()
            except TimeoutError:
                break
        assert served.transport.get_write_buffer_size() < 2 * MEGABYTE
        writer.transport.resume_reading()
        writer.write(frame(TEXT, b"{}"))
        await heard(reader, b"unknown_event_type")


async def test_a_message_in_thousands_of_pieces_takes_no_more_than_it_is_long(gateway):
    async with wired(gateway) as (reader, writer):
        (served,) = [one for one in gc.get_objects() if isinstance(one, Socket)]
        writer.write(frame(TEXT, b"{", last=False))
        for _ in range(5):
            writer.write(frame(CONTINUED, b"  ", last=False) * 2000 + frame(CONTINUED, b"", last=False) * 2000)
            await writer.drain()
        writer.write(frame(PING, b"so far"))
        await heard(reader, b"so far")
        assert [len(piece) for piece in served.frames] == [1 + 5 * 2000 * 2]
        writer.write(frame(CONTINUED, b"}"))
        await heard(reader, b"unknown_event_type")


async def test_no_log_holds_what_is_said_on_a_connection_or_its_key(gateway, upstream, caplog):
    caplog.set_level(logging.DEBUG)
    upstream.says(Answer(text("the secret answer")))
    async with sockets.opened(gateway, None, headers={"x-api-key": DEV_KEY}) as wire:
        assert (await wire.ask("the secret prompt"))["status"] == "completed"
    # The client's own library has a log of its own.
    told = repr([vars(record) for record in caplog.records if not record.name.startswith("websockets.client")])
    for secret in (DEV_KEY, "the secret prompt", "the secret answer"):
        assert secret not in told


async def test_a_key_that_was_taken_back_steers_to_no_other_response(gateway, upstream):
    made = (await gateway.post(KEYS, {"name": "agent"})).json()
    gate = Gate()
    upstream.says(Answer(text("Long"), gate))
    async with sockets.opened(gateway, made["key"]) as wire:
        await wire.create("Plan it.")
        first = (await wire.next("response.created"))["response"]["id"]
        await wire.next("response.output_text.delta")
        await wire.send({"type": "response.steer", "previous_response_id": first, "input": "Go on."})
        await wire.next("response.steer.accepted")
        assert (await gateway.delete(f"{KEYS}/{made['id']}")).status_code in (200, 204)
        gate.open()
        await wire.next("response.completed")
        failed = await wire.next()
        assert (failed["type"], failed["error"]["code"]) == ("response.steer.failed", "successor_creation_failed")
        error = await wire.next("error")
    assert (error["status"], error["error"]["code"]) == (401, "invalid_api_key")
    assert len(upstream.calls) == 1


async def test_steers_that_wait_are_no_longer_together_than_a_body(upstream, tmp_path):
    changed = settings(tmp_path, upstream, server=parts.Server(max_body_bytes=50_000))
    gate = Gate()
    upstream.says(Answer(text("Long"), gate))
    async with serving(changed, upstream) as gateway, sockets.opened(gateway) as wire:
        await wire.create("Plan it.")
        first = (await wire.next("response.created"))["response"]["id"]
        await wire.next("response.output_text.delta")
        for kind in ("accepted", "failed"):
            await wire.send({"type": "response.steer", "previous_response_id": first, "input": "x" * 30_000})
            told = await wire.next()
            assert told["type"] == f"response.steer.{kind}"
        assert told["error"]["code"] == "too_many_pending_steers"
        gate.open()
