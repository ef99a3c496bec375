"""The wire to vendors, against servers that behave and servers that do not."""

import asyncio
import json
import socket
from collections.abc import Callable

import pytest
from raw_server import RawServer

from freddy.server.core import deltas, errors, items
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.wire import Limits, Wire
from freddy.server.providers._proxied import ProxiedWire
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.compatible.adapter import Compatible
from freddy_fakes import PATIENCE

PATIENT = Limits(connect=PATIENCE, first=PATIENCE, idle=PATIENCE, total=2 * PATIENCE)
SHORT = 0.05
HEADERS = {"content-type": "application/json", "authorization": "Bearer secret"}
EVENT = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
LAST = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'


async def greet(connection):
    connection.whole(b'{"ok":true}')


async def stall(connection):
    await connection.gone()


def limits(**given: float) -> Limits:
    return Limits(**{"connect": PATIENCE, "first": PATIENCE, "idle": PATIENCE, "total": 2 * PATIENCE} | given)


@pytest.fixture(params=["direct", "proxied"])
def wire_to(request) -> Callable[..., Wire]:
    """A wire to the server, which behind a proxy is the proxy itself."""
    if request.param == "direct":
        return lambda server, given=PATIENT: PooledWire("vendor", server.url + "/v1/", limits=given)
    return lambda server, given=PATIENT: ProxiedWire(
        "vendor", "http://vendor.invalid/v1/", limits=given, proxy=server.url
    )


async def heard(wire: Wire, *, whole: bool = False) -> bytes:
    """The body, as it comes or at once."""
    async with asyncio.timeout(PATIENCE), wire.post("/chat", b"{}", HEADERS) as answer:
        return await answer.read() if whole else b"".join([chunk async for chunk in answer.chunks()])


async def test_a_post_sends_what_it_was_given_and_hears_the_answer(wire_to):
    async with RawServer(greet) as server, wire_to(server) as wire:
        async with wire.post("/chat", b'{"a":1}', HEADERS) as answer:
            assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
            assert answer.headers.get("content-length") == "11"
            assert await answer.read() == b'{"ok":true}'
        (connection,) = server.connections
        first, headers, body = connection.requests[0]
    assert first in ("POST /v1/chat HTTP/1.1", "POST http://vendor.invalid/v1/chat HTTP/1.1")
    assert body == b'{"a":1}'
    assert (headers["authorization"], headers["content-type"]) == ("Bearer secret", "application/json")
    assert "user-agent" not in headers


async def test_a_get_sends_no_body_and_hears_the_answer(wire_to):
    async with RawServer(greet) as server, wire_to(server) as wire:
        for _ in range(2):
            async with wire.get("/models?limit=1", {"authorization": "Bearer secret"}) as answer:
                assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
                assert await answer.read() == b'{"ok":true}'
        assert await heard(wire) == b'{"ok":true}'
        (connection,) = server.connections
        first, headers, body = connection.requests[0]
    assert first in ("GET /v1/models?limit=1 HTTP/1.1", "GET http://vendor.invalid/v1/models?limit=1 HTTP/1.1")
    assert headers["authorization"] == "Bearer secret"
    assert body == b""
    assert not headers.keys() & {"content-length", "transfer-encoding", "user-agent"}


async def test_a_get_that_nobody_answers_fails_like_a_post(wire_to):
    async with RawServer(stall) as server, wire_to(server, limits(first=SHORT)) as wire:
        with pytest.raises(errors.ProviderTimeout):
            async with wire.get("/models", {}):
                pass


async def test_one_connection_serves_one_answer_after_the_other(wire_to):
    async with RawServer(greet) as server, wire_to(server) as wire:
        for _ in range(5):
            assert await heard(wire) == b'{"ok":true}'
        async with wire.post("/chat", b"{}", HEADERS) as answer:
            await answer.read()
        assert len(server.connections) == 1
        assert len(server.connections[0].requests) == 6


async def test_answers_at_the_same_time_have_connections_of_their_own(wire_to):
    waiting = asyncio.Barrier(3)

    async def talk(connection):
        await waiting.wait()
        connection.whole(b"{}")

    async with RawServer(talk) as server, wire_to(server) as wire:
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(heard(wire) for _ in range(3)))
        assert len(server.connections) == 3


async def test_leaving_an_answer_early_closes_its_connection(wire_to):
    async def talk(connection):
        connection.head()
        connection.chunk(EVENT)
        await connection.gone()

    async with RawServer(talk) as server, wire_to(server) as wire:
        async with wire.post("/chat", b"{}", HEADERS) as answer:
            assert await anext(answer.chunks()) == EVENT
        async with asyncio.timeout(PATIENCE):
            await server.left.wait()


async def test_cancelling_who_waits_for_the_answer_closes_the_connection(wire_to):
    arrived = asyncio.Event()

    async def talk(connection):
        arrived.set()
        await connection.gone()

    async with RawServer(talk) as server, wire_to(server) as wire, asyncio.timeout(PATIENCE):
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(heard(wire))
            await arrived.wait()
            asking.cancel()
        await server.left.wait()


async def test_closing_a_model_that_speaks_closes_its_connection(wire_to):
    async def talk(connection):
        connection.head()
        connection.chunk(EVENT)
        await connection.gone()

    async with RawServer(talk) as server, wire_to(server) as wire, asyncio.timeout(PATIENCE):
        model = Compatible(wire, Profile(name="m", provider="vendor"))
        saying = model.stream(Turn(model="m", items=()))
        assert await anext(saying) == [deltas.Text("Hi")]
        await saying.aclose()
        await server.left.wait()


@pytest.mark.parametrize("apart", [False, True], ids=["at-once", "in-two-turns"])
async def test_a_streamed_answer_gives_its_connection_back(apart, wire_to):
    async def talk(connection):
        connection.head()
        for data in (EVENT, LAST, b"data: [DONE]\n\n"):
            connection.chunk(data)
        if apart:  # Servers often send the end of the body on its own.
            await connection.sent()
        connection.chunk(b"")

    async with RawServer(talk) as server, wire_to(server) as wire, asyncio.timeout(PATIENCE):
        model = Compatible(wire, Profile(name="m", provider="vendor"))
        for _ in range(3):
            said = [delta async for batch in model.stream(Turn(model="m", items=())) for delta in batch]
            assert said == [deltas.Text("Hi"), deltas.Stop("stop")]
        assert len(server.connections) == 1


async def test_a_server_that_never_ends_its_body_does_not_hold_up_the_answer(wire_to):
    async def talk(connection):
        connection.head()
        for data in (EVENT, LAST, b"data: [DONE]\n\n"):
            connection.chunk(data)
        await connection.gone()

    async with RawServer(talk) as server, wire_to(server) as wire, asyncio.timeout(PATIENCE):
        model = Compatible(wire, Profile(name="m", provider="vendor"))
        said = [delta async for batch in model.stream(Turn(model="m", items=())) for delta in batch]
        assert said == [deltas.Text("Hi"), deltas.Stop("stop")]
        await server.left.wait()


async def fault_of(wire: Wire, kind: type[errors.FreddyError], message: str) -> errors.FreddyError:
    with pytest.raises(kind, match=message) as raised:
        await heard(wire)
    assert type(raised.value) is kind
    assert raised.value.__cause__ is not None
    return raised.value


async def test_nobody_at_the_port_is_a_vendor_that_cannot_be_reached():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        async with PooledWire("vendor", f"http://127.0.0.1:{port}", limits=PATIENT) as wire:
            await fault_of(wire, errors.ProviderUnreachable, "vendor could not be reached")


async def test_a_name_that_does_not_exist_cannot_be_found():
    async with PooledWire("vendor", "http://nobody.invalid", limits=PATIENT) as wire:
        fault = await fault_of(wire, errors.ProviderUnavailable, "vendor could not be found")
    assert "host name" in fault.details


async def test_a_server_without_tls_is_not_trusted():
    def answer_in_the_clear(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer_in_the_clear, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with PooledWire("vendor", f"https://127.0.0.1:{port}", limits=PATIENT) as wire:
            fault = await fault_of(wire, errors.ProviderUnavailable, "vendor could not be trusted")
    assert "TLS" in fault.details


@pytest.mark.parametrize("given", [limits(first=SHORT), limits(total=SHORT)], ids=["first", "total"])
async def test_an_answer_that_does_not_begin_takes_too_long(given, wire_to):
    async with RawServer(stall) as server, wire_to(server, given) as wire:
        await fault_of(wire, errors.ProviderTimeout, "vendor did not answer in time")


@pytest.mark.parametrize("given", [limits(idle=SHORT), limits(total=4 * SHORT)], ids=["idle", "total"])
async def test_an_answer_that_stops_in_the_middle_takes_too_long(given, wire_to):
    async def talk(connection):
        connection.head()
        connection.chunk(EVENT)
        await connection.gone()

    async with RawServer(talk) as server, wire_to(server, given) as wire:
        async with asyncio.timeout(PATIENCE), wire.post("/chat", b"{}", HEADERS) as answer:
            chunks = answer.chunks()
            assert await anext(chunks) == EVENT
            with pytest.raises(errors.ProviderTimeout, match="vendor did not answer in time"):
                await anext(chunks)
        async with asyncio.timeout(PATIENCE):
            await server.left.wait()


async def test_a_pause_within_the_limit_of_idleness_is_no_fault_even_above_that_of_the_head(
    wire_to,
):
    resume = asyncio.Event()

    async def talk(connection):
        connection.head()
        connection.chunk(EVENT)
        await resume.wait()
        connection.chunk(EVENT)
        connection.chunk(b"")

    async with RawServer(talk) as server, wire_to(server, limits(first=4 * SHORT)) as wire:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE), wire.post("/chat", b"{}", HEADERS) as answer:
            chunks = answer.chunks()
            assert await anext(chunks) == EVENT
            loop.call_later(6 * SHORT, resume.set)
            assert await anext(chunks) == EVENT


@pytest.mark.parametrize("when", ["before-the-head", "in-the-body"])
async def test_a_connection_that_is_reset_is_a_failure_of_the_vendor(when, wire_to):
    async def talk(connection):
        if when == "in-the-body":
            connection.head()
            connection.chunk(EVENT)
        connection.reset()

    async with RawServer(talk) as server, wire_to(server) as wire:
        await fault_of(wire, errors.ProviderFailed, "vendor broke the connection off")


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "as-it-comes"])
@pytest.mark.parametrize("cut", [b"", b"10\r\nhalf", b"zz\r\n"], ids=["between-chunks", "in-a-chunk", "not-a-chunk"])
async def test_a_body_that_is_cut_is_no_answer(cut, whole, wire_to):
    async def talk(connection):
        connection.head()
        connection.chunk(EVENT)
        connection.say(cut)
        connection.close()

    async with RawServer(talk) as server, wire_to(server) as wire:
        with pytest.raises(errors.ProviderFailed, match=r"vendor (broke the connection off|did not speak HTTP)"):
            await heard(wire, whole=whole)


async def test_a_body_shorter_than_it_was_announced_is_no_answer(wire_to):
    async def talk(connection):
        connection.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")
        connection.close()

    async with RawServer(talk) as server, wire_to(server) as wire:
        await fault_of(wire, errors.ProviderFailed, "vendor broke the connection off")


async def test_a_server_that_says_goodbye_without_a_word_is_a_failure_of_the_vendor(wire_to):
    async def talk(connection):
        connection.close()

    async with RawServer(talk) as server, wire_to(server) as wire:
        await fault_of(wire, errors.ProviderFailed, "vendor broke the connection off")


async def test_what_is_not_http_is_a_failure_of_the_vendor(wire_to):
    async def talk(connection):
        connection.say(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")

    async with RawServer(talk) as server, wire_to(server) as wire:
        await fault_of(wire, errors.ProviderFailed, "vendor did not speak HTTP")


async def test_a_redirect_is_not_followed(wire_to):
    async def talk(connection):
        connection.say(b"HTTP/1.1 302 Found\r\nlocation: http://nobody.invalid/\r\ncontent-length: 0\r\n\r\n")

    async with RawServer(talk) as server, wire_to(server) as wire:
        async with wire.post("/chat", b"{}", HEADERS) as answer:
            assert answer.status == 302
        assert len(server.connections) == 1


async def test_a_body_may_end_with_its_connection(wire_to):
    async def talk(connection):
        connection.say(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + EVENT)
        connection.close()

    async with RawServer(talk) as server, wire_to(server) as wire:
        assert await heard(wire) == EVENT


async def test_a_very_long_event_comes_whole(wire_to):
    words = "word " * 400_000
    event = b"data: " + json.dumps({"choices": [{"delta": {"content": words}}]}).encode() + b"\n\n"
    assert len(event) > 2_000_000

    async def talk(connection):
        connection.head()
        connection.chunk(event)
        connection.chunk(LAST)
        connection.chunk(b"")

    async with RawServer(talk) as server, wire_to(server) as wire, asyncio.timeout(PATIENCE):
        model = Compatible(wire, Profile(name="m", provider="vendor"))
        said = [delta async for batch in model.stream(Turn(model="m", items=())) for delta in batch]
    assert said == [deltas.Text(words), deltas.Stop("stop")]


async def test_a_very_long_question_is_sent_whole(wire_to):
    async with RawServer(greet) as server, wire_to(server) as wire:
        model = Compatible(wire, Profile(name="m", provider="vendor"))
        question = items.Message("msg_1", "user", (items.Text("word " * 400_000),))
        with pytest.raises(errors.ProviderFailed):
            await anext(model.stream(Turn(model="m", items=(question,))))
        sent = json.loads(server.connections[0].requests[0][2])
    assert sent["messages"] == [{"role": "user", "content": "word " * 400_000}]


async def test_a_wire_may_lead_to_a_unix_socket(tmp_path):
    path = str(tmp_path / "s")
    async with (
        RawServer(greet, path=path) as server,
        PooledWire("engine", "http://engine", limits=PATIENT, socket=path) as wire,
    ):
        assert await heard(wire) == b'{"ok":true}'
        assert await heard(wire) == b'{"ok":true}'
        assert server.connections[0].requests[0][1]["host"] == "engine"


async def test_a_unix_socket_that_is_not_there_cannot_be_reached(tmp_path):
    async with PooledWire("engine", "http://engine", limits=PATIENT, socket=str(tmp_path / "none")) as wire:
        await fault_of(wire, errors.ProviderUnreachable, "engine could not be reached")


async def test_a_wire_that_was_closed_calls_nobody(wire_to):
    async with RawServer(greet) as server:
        async with wire_to(server) as wire:
            pass
        with pytest.raises(errors.ShuttingDown):
            await heard(wire)
        assert server.connections == []


@pytest.mark.parametrize("size", [10, 3_000_000], ids=["short", "long"])
async def test_what_was_left_unread_of_one_answer_is_never_part_of_the_next(size, wire_to):
    async def talk(connection):
        asked = len(connection.requests)
        connection.whole(str(asked).encode() * size)
        await connection.sent()

    async with RawServer(talk) as server, wire_to(server) as wire, asyncio.timeout(PATIENCE):
        async with wire.post("/chat", b"{}", HEADERS) as answer:
            assert answer.status == 200
            for _ in range(50):
                await asyncio.sleep(0)
        for _ in range(2):
            body = await heard(wire)
            assert (len(body), len(set(body))) == (size, 1)


async def test_a_connection_that_the_server_closed_while_it_was_unused_is_not_used_again():
    async def talk(connection):
        connection.whole(b"{}")
        connection.close()

    async with RawServer(talk) as server, PooledWire("vendor", server.url, limits=PATIENT) as wire:
        for _ in range(3):
            assert await heard(wire) == b"{}"
        assert [len(connection.requests) for connection in server.connections] == [1, 1, 1]


async def test_a_request_that_kills_its_server_is_sent_again_once_at_most(wire_to):
    together = asyncio.Barrier(4)

    async def talk(connection):
        if len(connection.requests) > 1 or together.broken:
            connection.close()
            return
        await together.wait()
        connection.whole(b"{}")

    async with RawServer(talk) as server, wire_to(server) as wire, asyncio.timeout(PATIENCE):
        await asyncio.gather(*(heard(wire) for _ in range(4)))
        await together.abort()
        before = sum(len(connection.requests) for connection in server.connections)
        with pytest.raises(errors.ProviderFailed):
            await heard(wire)
        after = sum(len(connection.requests) for connection in server.connections)
        assert after - before <= 2


async def test_a_word_before_the_head_is_not_the_answer(wire_to):
    async def talk(connection):
        connection.say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n")
        connection.whole(b'{"ok":true}')

    async with (
        asyncio.timeout(PATIENCE),
        RawServer(talk) as server,
        wire_to(server) as wire,
        wire.post("/chat", b"{}", HEADERS) as answer,
    ):
        assert (answer.status, answer.headers.get("link")) == (200, None)
        assert await answer.read() == b'{"ok":true}'


async def test_an_answer_without_a_body_ends_at_once(wire_to):
    async def talk(connection):
        connection.say(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with RawServer(talk) as server, wire_to(server) as wire:
        for _ in range(2):
            assert await heard(wire) == b""


async def test_names_of_headers_are_told_in_lower_case(wire_to):
    async def talk(connection):
        connection.say(b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")

    async with (
        asyncio.timeout(PATIENCE),
        RawServer(talk) as server,
        wire_to(server) as wire,
        wire.post("/chat", b"{}", HEADERS) as answer,
    ):
        assert (answer.status, answer.headers["retry-after"]) == (429, "7")


async def test_a_slow_reader_holds_the_vendor_back_and_gets_everything(wire_to):
    piece = b"x" * 100_000

    async def talk(connection):
        connection.head()
        for _ in range(60):
            connection.chunk(piece)
        connection.chunk(b"")

    async with RawServer(talk) as server, wire_to(server) as wire, asyncio.timeout(PATIENCE):
        came = 0
        async with wire.post("/chat", b"{}", HEADERS) as answer:
            async for chunk in answer.chunks():
                came += len(chunk)
                for _ in range(20):
                    await asyncio.sleep(0)
        assert came == 60 * len(piece)
        async with wire.post("/chat", b"{}", HEADERS) as answer:
            assert len(await answer.read()) == 60 * len(piece)
