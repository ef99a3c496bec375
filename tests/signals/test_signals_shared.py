"""What processes tell each other by Redis, and what is left of it when Redis goes away."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import freddy_process
from freddy.server.ports.signals import Hearing, Signals
from freddy.server.stores.signals.redis import RedisSignals
from freddy.server.world import RandomIds
from freddy_process import BOUND
from valkeys import Valkey, valkey

LOGGER = "freddy.server.stores.signals.redis"


@asynccontextmanager
async def opened(url: str, **changes: float) -> AsyncIterator[RedisSignals]:
    async with RedisSignals(url, ids=RandomIds(), **{"timeout_seconds": BOUND, **changes}) as signals:
        yield signals


async def told(signals: Signals, hearing: Hearing, word: bytes) -> None:
    """Tells the word until it is heard: while the way is broken, words are lost."""
    async with asyncio.timeout(BOUND):
        while True:
            signals.tell("t", word)
            while (found := await hearing.next(0.1)) is not None:
                if found == word:
                    return


async def missed(hearing: Hearing) -> None:
    """Waits for the sign that it is time to look."""
    async with asyncio.timeout(BOUND):
        assert await hearing.next(2 * BOUND) is None


async def test_a_server_that_was_killed_and_came_back_is_told_of_and_heard(caplog) -> None:
    caplog.set_level("INFO", LOGGER)
    with valkey() as server:
        async with opened(server.url) as here, opened(server.url) as there, there.hear("t") as hearing:
            await told(here, hearing, b"before")
            server.stop()
            await missed(hearing)
            for number in range(100):
                here.tell("t", b"lost %d" % number)
            assert await hearing.next(0.2) is None
            server.start()
            await missed(hearing)
            await told(here, hearing, b"after")
            async with there.hear("another") as new:
                here.tell("another", b"new")
                assert await new.next(BOUND) == b"new"
    heard = [record.message for record in caplog.records]
    # Of each of the two processes.
    assert (heard.count("signals_away"), heard.count("signals_back")) == (2, 2)
    assert len(heard) == 4


async def test_who_begins_to_listen_while_the_server_is_away_hears_when_it_is_back() -> None:
    with valkey() as server:
        async with opened(server.url) as here, opened(server.url) as there:
            async with there.hear("first") as first:
                server.stop()
                await missed(first)
            async with asyncio.timeout(BOUND), there.hear("t") as hearing:
                assert await hearing.next(0.01) is None
                server.start()
                await missed(hearing)
                await told(here, hearing, b"after")


async def test_those_in_the_process_that_tells_hear_while_the_server_is_away() -> None:
    with valkey() as server:
        async with opened(server.url) as here, here.hear("t") as hearing:
            here.tell("t", b"before")
            assert await hearing.next(BOUND) == b"before"
            server.stop()
            await missed(hearing)
            here.tell("t", b"away")
            assert await hearing.next(BOUND) == b"away"


async def test_a_server_that_never_answers_stops_nobody(caplog) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://:secret-password@127.0.0.1:{silent.getsockname()[1]}"
        async with asyncio.timeout(BOUND), opened(url, timeout_seconds=0.2) as signals:
            for number in range(50):
                signals.tell("t", b"%d" % number)
            async with signals.hear("t") as hearing:
                while await hearing.next(0.3) is not None:
                    pass
    assert [record.message for record in caplog.records] == ["signals_away"]
    assert "secret" not in str(vars(caplog.records[0]))


async def test_a_server_that_falls_silent_is_left(caplog) -> None:
    caplog.set_level("INFO", LOGGER)
    with valkey() as server:
        async with opened(server.url, silence_seconds=0.5) as here, here.hear("t") as hearing:
            with server.client() as client:
                client.client_pause(round(BOUND * 1000), all=True)
            await missed(hearing)
    assert caplog.records[0].message == "signals_away"


async def test_more_than_can_be_told_is_dropped_and_that_is_told_once(caplog) -> None:
    with valkey() as server:
        async with opened(server.url) as here, opened(server.url) as there, there.hear("t") as hearing:
            for number in range(30_000):
                here.tell("other", b"%d" % number)
            assert [record.message for record in caplog.records] == ["signals_dropped"]
            await told(here, hearing, b"on")


async def test_what_was_told_is_on_its_way_when_a_process_ends(valkey: Valkey) -> None:
    async with opened(valkey.url) as there, there.hear("t") as hearing:
        async with opened(valkey.url) as here:
            for number in range(500):
                here.tell("t", b"%d" % number)
        assert [await hearing.next(BOUND) for _ in range(500)] == [b"%d" % number for number in range(500)]


async def test_the_server_is_told_of_nobody_who_does_not_listen(valkey: Valkey) -> None:
    with valkey.client() as client:
        async with opened(valkey.url) as signals:
            async with signals.hear("t"), signals.hear("t"):
                assert client.pubsub_channels("freddy:*") == [b"freddy:signals:t"]
                assert client.pubsub_numsub("freddy:signals:t") == [(b"freddy:signals:t", 1)]

            async with asyncio.timeout(BOUND):
                while client.pubsub_channels("freddy:*"):  # noqa: ASYNC110 (nobody tells)
                    await asyncio.sleep(0.02)


async def test_one_connection_hears_and_one_tells(valkey: Valkey) -> None:
    with valkey.client() as client:
        before = client.info("clients")["connected_clients"]
        async with opened(valkey.url) as signals, signals.hear("a") as a, signals.hear("b"), signals.hear("c"):
            signals.tell("a")
            assert await a.next(BOUND) == b""
            async with asyncio.timeout(BOUND):
                while client.info("clients")["connected_clients"] != before + 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


async def test_a_user_who_may_not_use_the_channels_is_told_why(caplog) -> None:
    with valkey() as server:
        with server.client() as client:
            client.acl_setuser("small", enabled=True, passwords=["+pw"], commands=["+@all"], keys=["*"])
        url = f"{server.url}?username=small&password=pw"
        # Who hears waits so long for a channel that it never gets.
        async with opened(url, timeout_seconds=10.0) as signals, signals.hear("t") as hearing:
            await missed(hearing)
    assert "permission" in caplog.records[0].reason.lower()


@pytest.mark.parametrize("options", ["?surprise=1", "?db=many"])
def test_an_address_that_makes_no_sense_is_refused_at_once(options: str) -> None:
    with pytest.raises(ValueError, match="FREDDY_REDIS_URL has an option"):
        RedisSignals(f"redis://:secret@cache{options}", ids=RandomIds())


async def test_a_node_of_a_cluster_passes_words_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        port, bus = free.getsockname()[1], other.getsockname()[1]
    options = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes", "--cluster-port", str(bus))
    with valkey("--port", str(port), *options) as server:
        with server.client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            freddy_process.wait_until(lambda: client.cluster("INFO")["cluster_state"] == "ok")
        url = f"valkey://127.0.0.1:{port}"
        async with opened(url) as here, opened(url) as there, there.hear("t") as hearing:
            here.tell("t", b"1")
            assert await hearing.next(BOUND) == b"1"
