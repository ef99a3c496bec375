"""The engine for real, with the floor model: it answers, survives, makes way and leaves nothing behind."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from freddy.server.providers.embedded import libgomp, weights
from freddy.server.providers.embedded.child import Address, Limits
from freddy.server.providers.embedded.engine import Engine
from freddy.server.providers.embedded.faults import EngineUnavailable
from freddy.server.providers.embedded.keeper import Choice, Patience
from freddy_process import alive

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine")]
BOUND = 30.0
ALONE = Limits(threads=1, batch_threads=1)


@contextlib.asynccontextmanager
async def connected(address: Address) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(address.socket) if address.socket else None
    headers = {"Authorization": f"Bearer {address.api_key}"}
    async with aiohttp.ClientSession(address.base_url, connector=connector, headers=headers) as session:
        yield session


def body(text: str, tokens: int, *, stream: bool = False) -> dict[str, object]:
    messages = [{"role": "user", "content": text}]
    # `ignore_eos`: the model talks until it is cut off.
    return {"messages": messages, "max_tokens": tokens, "stream": stream, "ignore_eos": True}


async def say(address: Address, text: str = "Say hello.", tokens: int = 8) -> str:
    request = body(text, tokens)
    async with (
        asyncio.timeout(BOUND),
        connected(address) as session,
        session.post("/v1/chat/completions", json=request) as answer,
    ):
        assert answer.status == 200
        return (await answer.json())["choices"][0]["message"]["content"]


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND):
        while not condition():  # noqa: ASYNC110 (another process is looked at from outside)
            await asyncio.sleep(0.01)


def computed(pid: int) -> int:
    """Processor time used, in hundredths of a second."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


async def test_it_starts_in_the_background_answers_and_leaves_nothing_behind(floor: Choice):
    async with Engine(floor, limits=ALONE) as engine:
        assert engine.state.phase == "starting"
        address = await engine.wait_ready(BOUND)
        assert engine.state.phase == "ready"
        assert await say(address)
        pid, socket = engine.pid, Path(address.socket or "")
        assert alive(pid)
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        assert address.api_key not in command_line(pid)
        assert address.api_key not in repr(address)
    assert not alive(pid)
    assert not socket.parent.exists()


async def test_it_turns_away_who_does_not_know_the_key(floor: Choice):
    async with Engine(floor, limits=ALONE) as engine:
        address = await engine.wait_ready(BOUND)
        stranger = Address(address.base_url, address.socket, "guess")
        async with connected(stranger) as session:
            async with session.post("/v1/chat/completions", json=body("Hi", 4)) as answer:
                assert answer.status == 401
            for path in ("/", "/slots"):
                async with session.get(path) as answer:
                    assert answer.status in {401, 404}


async def test_a_hung_up_request_frees_its_slot(floor: Choice):
    async with Engine(floor, limits=ALONE) as engine:
        address = await engine.wait_ready(BOUND)
        async with connected(address) as session:
            for stream in (True, False):
                request = body("Count.", 1500, stream=stream)
                before = computed(engine.pid)
                async with asyncio.TaskGroup() as tasks:
                    long = [tasks.create_task(ask(session, request)) for _ in range(4)]
                    await until(lambda before=before: computed(engine.pid) > before + 20)
                    for task in long:
                        task.cancel()
        # Four slots: were they not freed, this would wait for thousands of tokens.
        assert await say(address, tokens=4)


async def ask(session: aiohttp.ClientSession, request: dict[str, object]) -> None:
    async with session.post("/v1/chat/completions", json=request) as answer:
        await answer.read()


async def test_it_is_started_again_when_it_is_killed(floor: Choice):
    async with Engine(floor, limits=ALONE, patience=Patience(first=0.01)) as engine:
        first = await engine.wait_ready(BOUND)
        os.kill(engine.pid, signal.SIGKILL)
        await until(lambda: engine.state.phase != "ready")
        assert engine.state.reason
        second = await engine.wait_ready(BOUND)
        assert second.api_key != first.api_key
        assert engine.state.starts == 2
        assert await say(second)


async def test_it_gives_up_when_it_dies_again_and_again(floor: Choice):
    async with Engine(floor, limits=ALONE, patience=Patience(tries=2, first=0.01)) as engine:
        for _ in range(2):
            await engine.wait_ready(BOUND)
            os.kill(engine.pid, signal.SIGKILL)
            await until(lambda: engine.state.phase in {"restarting", "failed"})
        assert engine.state.phase == "failed"
        with pytest.raises(EngineUnavailable, match=r"killed from outside.*free memory"):
            await engine.wait_ready(BOUND)


async def test_another_model_takes_over_without_dropping_a_request(models: Path, floor: Choice):
    other = Choice("other", lambda: weights.resolve("smollm2-135m", models))
    async with Engine(floor, limits=ALONE) as engine:
        old = await engine.wait_ready(BOUND)
        old_pid = engine.pid
        async with (
            engine.lease(BOUND) as address,
            connected(address) as session,
            session.post("/v1/chat/completions", json=body("Tell.", 40, stream=True)) as answer,
        ):
            switched = await engine.switch(other)
            assert switched.model == engine.state.model == "other"
            assert engine.address != old
            assert alive(old_pid)
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        await until(lambda: not alive(old_pid))
        assert await say(await engine.wait_ready(BOUND))


async def test_a_model_that_fails_does_not_take_over(floor: Choice, tmp_path: Path):
    async with Engine(floor, limits=ALONE) as engine:
        await engine.wait_ready(BOUND)
        with pytest.raises(EngineUnavailable):
            await engine.switch(Choice("bad", lambda: tmp_path / "none.gguf"))
        assert engine.state.phase == "ready"
        assert engine.state.model == "smollm2-135m"


async def test_a_broken_file_fails_with_a_reason_and_a_cure(models: Path, tmp_path: Path):
    whole = weights.resolve("smollm2-135m", models).read_bytes()
    broken = tmp_path / "broken.gguf"
    for content in (whole[:5_000_000], b"GGUF" + bytes(1000)):
        broken.write_bytes(content)
        async with Engine(Choice("broken", lambda: broken)) as engine:
            with pytest.raises(EngineUnavailable) as caught:
                await engine.wait_ready(BOUND)
            assert engine.state.phase == "failed"
        assert caught.value.reason == "the model file of 'broken' is broken or no GGUF file"
        assert "freddy models pull" in caught.value.cure


async def test_a_model_that_is_not_there_fails_with_the_command_to_get_it(tmp_path: Path):
    choice = Choice("qwen2.5-coder-0.5b", lambda: weights.resolve("qwen2.5-coder-0.5b", tmp_path))
    async with Engine(choice) as engine:
        with pytest.raises(EngineUnavailable, match=r"freddy models pull qwen2\.5-coder-0\.5b"):
            await engine.wait_ready(BOUND)


async def test_without_a_model_it_is_absent():
    async with Engine(None) as engine:
        assert engine.state.phase == "absent"
        with pytest.raises(EngineUnavailable, match="no embedded model is set up"):
            await engine.wait_ready(BOUND)


@pytest.mark.skipif(libgomp.find() is not None, reason="another package brings the library")
@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux build needs the library")
async def test_a_missing_openmp_library_is_named_with_its_package(floor: Choice, tmp_path: Path):
    (tmp_path / "libgomp.so.1").write_bytes(b"not a library")
    environment = {"LD_LIBRARY_PATH": str(tmp_path)}
    async with Engine(floor, limits=ALONE, environment=environment) as engine:
        with pytest.raises(EngineUnavailable, match=r"libgomp\.so\.1 is missing: .*libgomp1 on Debian"):
            await engine.wait_ready(BOUND)


def test_an_openmp_library_of_another_package_is_found_and_linked(tmp_path: Path):
    library = tmp_path / "site" / "numbers.libs" / "libgomp-a34b3233.so.1.0.0"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"")
    assert libgomp.find(("", str(tmp_path / "none"), str(tmp_path / "site"))) == library
    folder = libgomp.link(library, tmp_path)
    assert (folder / "libgomp.so.1").resolve() == library


async def test_it_listens_on_loopback_where_there_are_no_unix_sockets(floor: Choice):
    async with Engine(floor, limits=ALONE, tcp=True) as engine:
        address = await engine.wait_ready(BOUND)
        assert address.socket is None
        assert address.base_url.startswith("http://127.0.0.1:")
        assert await say(address)


PARENT = """
import asyncio, sys
from pathlib import Path
from freddy.server.providers.embedded.engine import Engine
from freddy.server.providers.embedded.keeper import Choice

async def main():
    async with Engine(Choice("m", lambda: Path(sys.argv[1]))) as engine:
        address = await engine.wait_ready(30)
        print(engine.pid, address.socket, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_it_ends_with_its_parent_however_that_ends(models: Path):
    path = weights.resolve("smollm2-135m", models)
    for end in (signal.SIGKILL, signal.SIGINT):
        parent = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PARENT,
            str(path),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(BOUND):
            pid, socket = (await parent.stdout.readline()).split()
        assert alive(int(pid))
        parent.send_signal(end)
        await parent.wait()
        await until(lambda pid=pid: not alive(int(pid)))
        await until(lambda socket=socket: not Path(socket.decode()).parent.exists())


def test_the_floor_model_is_rewritten_once(models: Path):
    ready = weights.resolve("smollm2-135m", models)
    before = ready.stat()
    assert weights.resolve("smollm2", models) == ready
    after = ready.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert before.st_size > 140_000_000
    assert [path.name for path in models.glob("*.gguf")] == [ready.name]
    assert list(models.glob("*.part")) == []
