"""What goes wrong on a connection, and what does not go wrong with it."""

import asyncio
import contextlib
import json

import pytest
import sockets
from gateway import DEV_KEY, serving, settings
from websockets.exceptions import ConnectionClosed

from freddy.server.config import settings as parts
from freddy.server.http.websockets import listening
from upstream import PATIENCE, Answer, Gate, text


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("[]", "invalid_json"),
        ("null", "invalid_json"),
        ('"response.create"', "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("{}", "unknown_event_type"),
        ('{"type":"session.update"}', "unknown_event_type"),
        ('{"type":7}', "invalid_value"),
        ('{"type":"response.create"}', "missing_required_parameter"),
        ('{"type":"response.create","model":"stage"}', "missing_required_parameter"),
        ('{"type":"response.create","response":[]}', "invalid_value"),
        ('{"type":"response.create","model":"stage","input":"Hi","generate":"no"}', "invalid_value"),
        ('{"type":"response.create","model":"stage","input":[{"role":"who","content":"Hi"}]}', "invalid_value"),
        ('{"type":"response.steer"}', "missing_required_parameter"),
        ('{"type":"response.cancel"}', "response_not_found"),
    ],
)
async def test_what_cannot_be_read_is_told_and_the_connection_stays(wire, frame, code):
    await wire.send(frame)
    error = await wire.next()
    assert (error["type"], error["error"]["code"]) == ("error", code)
    assert error["status"] in (400, 404)
    assert (await wire.ask())["status"] == "completed"


async def test_a_binary_frame_is_told_and_ends_the_connection(wire):
    await wire.send(b'{"type":"response.create"}')
    error = await wire.next()
    assert (error["status"], error["error"]["code"]) == (415, "unsupported_media_type")
    assert await wire.wait_closed() == 1003


async def test_a_frame_is_no_longer_than_a_body_may_be(opened):
    gateway = await opened(server=parts.Server(max_body_bytes=50_000))
    async with sockets.opened(gateway) as wire:
        assert (await wire.ask("x" * 49_000))["status"] == "completed"
        with contextlib.suppress(ConnectionClosed):
            await wire.create("x" * 60_000)
        assert await wire.wait_closed() == 1009
    async with sockets.opened(gateway) as wire:

        async def pieces():
            for _ in range(100):
                yield "x" * 1_000

        with contextlib.suppress(ConnectionClosed):
            await wire.connection.send(pieces())
        assert await wire.wait_closed() == 1009


async def test_a_frame_may_come_in_pieces(wire):
    frame = json.dumps({"type": "response.create", "model": "stage", "input": "Hi"})
    await wire.connection.send([frame[:10], frame[10:]])
    assert (await wire.whole())[-1]["type"] == "response.completed"


async def test_what_waits_has_a_bound(wire, upstream):
    gate = Gate()
    upstream.says(Answer(text("x"), gate))
    await wire.create()
    await gate.reached()
    for _ in range(65):
        await wire.create(generate=False)
    error = await wire.next("error")
    assert (error["status"], error["error"]["code"]) == (429, "websocket_queue_full")
    gate.open()
    for _ in range(65):
        await wire.next("response.completed")


@pytest.mark.parametrize("how", ["abort", "close"])
async def test_a_client_that_leaves_stops_what_only_it_listens_to(gateway, upstream, how):
    gates = [Gate(), Gate(), Gate()]
    upstream.says(*(Answer(text("Half"), gate) for gate in gates))
    async with sockets.opened(gateway) as wire:
        await wire.create(stream_id="one")
        await wire.create(stream_id="two")
        await wire.create(stream_id="three", store=False)
        await upstream.called(3)
        await asyncio.gather(*(gate.reached() for gate in gates))
        if how == "abort":
            wire.connection.transport.abort()
        else:
            await wire.connection.close()
    for call in upstream.calls:
        await call.let_go()


async def test_a_response_that_another_follows_goes_on_when_its_connection_is_cut(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("Half"), gate, text(" whole")))
    async with sockets.opened(gateway) as wire:
        await wire.create()
        begun = (await wire.next("response.created"))["response"]
        await wire.next("response.output_text.delta")
        async with gateway.listening(f"/v1/responses/{begun['id']}?stream=true") as told:
            await told.next("response.output_text.delta")
            await wire.connection.close()
            gate.open()
            ended = await told.next("response.completed")
    assert ended["response"]["output"][0]["content"][0]["text"] == "Half whole"


async def test_a_client_that_leaves_while_its_response_begins_leaves_nothing_behind(gateway, upstream):
    for _ in range(10):
        async with sockets.opened(gateway) as wire:
            for lane in range(4):
                await wire.create(stream_id=f"lane-{lane}")
            wire.connection.transport.abort()
    async with asyncio.timeout(PATIENCE), sockets.opened(gateway) as wire:
        while "freddy_runs_in_progress 0.0" not in (await gateway.get("/metrics")).text:
            pass
        assert (await wire.ask())["status"] == "completed"


async def test_a_slow_reader_holds_back_the_sender_and_hears_everything(gateway, upstream):
    words = ["word " * 200] * 400
    upstream.says(Answer(text(*words)), Answer(text("quick")))
    async with sockets.opened(gateway, max_queue=1) as slow, sockets.opened(gateway) as quick:
        await slow.create()
        # Nobody reads yet, and others are answered meanwhile.
        await upstream.called()
        assert (await quick.ask())["output"][0]["content"][0]["text"] == "quick"
        last = (await slow.whole())[-1]
        assert last["response"]["output"][0]["content"][0]["text"] == "".join(words)


async def test_a_client_that_answers_no_ping_is_let_go(upstream, tmp_path):
    chosen = settings(tmp_path, upstream)
    patience = listening.options(max_bytes=1_000_000, ping_seconds=0.05, pong_seconds=0.2)
    async with serving(chosen, upstream, **patience) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(
            b"GET /v1/responses HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"authorization: Bearer " + DEV_KEY.encode() + b"\r\n\r\n"
        )
        async with asyncio.timeout(PATIENCE):
            told = await reader.read()
        assert told.startswith(b"HTTP/1.1 101")
        assert b"keepalive ping timeout" in told
        writer.close()
        async with sockets.opened(gateway) as wire:
            # This one answers, as long as it lasts.
            assert (await wire.ask())["status"] == "completed"


async def test_a_post_that_speaks_of_a_socket_breaks_nothing(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /v1/responses HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        b"content-length: 2\r\n\r\n{}"
    )
    async with asyncio.timeout(PATIENCE):
        told = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert told.startswith(b"HTTP/1.1 400")
    assert (await gateway.get("/health/live")).status_code == 200


async def test_a_connection_begins_nothing_more_when_its_time_is_over(opened, upstream):
    gateway = await opened(server=parts.Server(websocket_minutes=0.01))
    gate = Gate()
    upstream.says(Answer(text("Half"), gate, text(" whole")))
    async with sockets.opened(gateway) as wire:
        await wire.create(stream_id="main")
        await gate.reached()
        async with asyncio.timeout(PATIENCE):
            while True:
                await wire.create(stream_id="other", generate=False)
                last = (await wire.whole("other"))[-1]
                if last["type"] == "error":
                    break
        assert last["error"]["code"] == "websocket_connection_limit_reached"
        assert last["status"] == 400
        gate.open()
        assert (await wire.whole("main"))[-1]["type"] == "response.completed"
        assert await wire.wait_closed() == 1001


async def test_what_is_held_has_a_bound(opened):
    gateway = await opened(server=parts.Server(max_body_bytes=20_000))
    async with sockets.opened(gateway) as wire:
        first = await wire.ask("x" * 15_000, store=False)
        second = await wire.ask("y" * 15_000, store=False)
        third = await wire.ask("z" * 15_000, store=False)
        error = await wire.refused(store=False, previous_response_id=first["id"])
        assert error["error"]["code"] == "previous_response_not_found"
        assert (await wire.ask(store=False, previous_response_id=second["id"]))["status"] == "completed"
        # That was longer by what it followed.
        error = await wire.refused(store=False, previous_response_id=third["id"])
        assert error["error"]["code"] == "previous_response_not_found"
