"""One engine process from its start to its end: launch, first words, the tail of its stderr."""

import asyncio
import json
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
TAIL = 4096
GRACE = 3.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one engine may use. `None` lets the engine look at the machine."""

    parallel: int = 4
    """Requests computed at the same time; more wait."""
    context: int = 8192
    """Tokens kept, shared by all requests that run at the same time."""
    cache_mib: int = 256
    """Memory for the beginnings of earlier prompts."""
    idle_seconds: int = 300
    """After so long without a request the weights leave memory; the next one brings them back."""
    threads: int | None = None
    """Threads that generate; all cores but one."""
    batch_threads: int | None = None
    """Threads that read prompts; all cores."""
    http_threads: int = 32
    gpu_layers: int | None = None
    nice: int = 0
    vectors: bool = False
    """Whether texts are turned into vectors instead of answered. `context` is then shared out in equal parts."""
    batch: int | None = None
    """Tokens computed together; the engine's own number."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine listens: `base_url`, over the unix `socket` when there is one."""

    base_url: str
    socket: str | None
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Death:
    """How an engine process ended: what it said of it, how the system ended it, its last words."""

    code: int | None
    """Exit code; negative for a signal; `None` when it was not ready in time."""
    stage: str = ""
    """`import` or `start` when the process itself says where it failed."""
    detail: str = ""
    tail: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Launch:
    """All it takes to start one engine process."""

    name: str
    model: Path
    limits: Limits
    socket: Path | None
    environment: Mapping[str, str] | None
    timeout: float


class Child:
    def __init__(self, launch: Launch) -> None:
        self.pid: int | None = None
        self._launch = launch
        self._tail = b""

    async def run(self, announce: Callable[[Address], None]) -> Death:
        """Lives as long as the process; cancelling it ends the process."""
        if self._launch.socket:
            self._launch.socket.parent.mkdir(mode=0o700, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(WORKER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._launch.environment,
            start_new_session=True,
        )
        self.pid = process.pid
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(process))
                return await self._live(process, announce)
        finally:
            await _end(process)

    async def _live(self, process: asyncio.subprocess.Process, announce: Callable[[Address], None]) -> Death:
        key = secrets.token_urlsafe(24)
        try:
            async with asyncio.timeout(self._launch.timeout):
                answer = await self._order(process, key)
        except TimeoutError:
            await _end(process)
            return self._death(None)
        if "address" not in answer:
            code = await process.wait()
            return self._death(code, answer.get("failed", ""), answer.get("detail", ""))
        socket = self._launch.socket
        base_url = "http://engine" if socket else _url(answer["address"])
        announce(Address(base_url, str(socket) if socket else None, key))
        return self._death(await process.wait())

    async def _order(self, process: asyncio.subprocess.Process, key: str) -> dict[str, str]:
        order = {
            **asdict(self._launch.limits),
            "name": self._launch.name,
            "model": str(self._launch.model),
            "socket": str(self._launch.socket) if self._launch.socket else None,
            "api_key": key,
        }
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            await process.stdin.drain()
        except ConnectionError:
            return {}  # It died before it read; its exit code says why.
        line = await process.stdout.readline()
        return dict(json.loads(line)) if line else {}

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr
        while chunk := await process.stderr.read(TAIL):
            self._tail = (self._tail + chunk)[-TAIL:]

    def _death(self, code: int | None, stage: str = "", detail: str = "") -> Death:
        return Death(code, stage, detail, self._tail.decode(errors="replace"))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Asks, then makes the process end. Leaves nothing behind even when interrupted."""
    if process.stdin:
        process.stdin.close()
    if process.returncode is not None:
        return
    try:
        process.terminate()
        async with asyncio.timeout(GRACE):
            await process.wait()
    except TimeoutError:
        pass
    except ProcessLookupError:
        return
    finally:
        if process.returncode is None:
            process.kill()
    await process.wait()


def _url(address: str) -> str:
    return address if "://" in address else f"http://{address}"
