"""The Codex CLI from the npm registry, and what it says on its way to a server."""

import asyncio
import contextlib
import fcntl
import json
import os
import platform
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from mcp_servers import node
from npm import installed

VERSION = "0.169.0"
BOUND = 60.0
"""Seconds that a turn may take before it counts as never: the program is large, and machines that test are slow."""
_NPM = Path(__file__).parents[2] / ".tools" / "npm"
_KEPT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH")


@dataclass
class Session:
    """A run of `codex exec`: `events` are what it wrote, one a line."""

    code: int
    events: list[dict[str, Any]]
    errors: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The items of this type that were completed."""
        ended = (event["item"] for event in self.events if event["type"] == "item.completed")
        return [item for item in ended if item["type"] == kind]


@dataclass
class Overheard:
    """What clients said to a server: the heads of their requests, and the frames of their WebSockets."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)


@contextlib.asynccontextmanager
async def overhearing(port: int) -> AsyncIterator[Overheard]:
    """An address that leads to the server of this port."""
    overheard, tasks = Overheard(), set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ear: ServerProtocol | None) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if ear is not None:
                    _hear(ear, data, overheard)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        there, back = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(pass_on(reader, back, ServerProtocol(max_size=None)), pass_on(there, writer, None))
        writer.close()
        back.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    overheard.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield overheard
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def _hear(ear: ServerProtocol, data: bytes, overheard: Overheard) -> None:
    """As a server would, but that nobody answers: the real one does."""
    ear.receive_data(data)
    for event in ear.events_received():
        if isinstance(event, Request):
            overheard.requests.append(event)
            ear.send_response(ear.accept(event))
        elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
            overheard.frames.append(json.loads(event.data))


async def run(home: Path, url: str, prompt: str, *, key: str, model: str, sockets: bool) -> Session:
    """One turn without anybody to ask, in the folder `work` of this home. Nothing stands between it and the folder."""
    program = await asyncio.to_thread(_fetched)
    work, settings = home / "work", home / "codex"
    for folder in (work, settings, home / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    (settings / "config.toml").write_text(_CONFIG.format(url=url, model=model, sockets=str(sockets).lower()))
    ours = os.environ  # noqa: TID251 what the program under test will read
    process = await asyncio.create_subprocess_exec(
        program,
        *("exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-C", work, prompt),
        env={
            **{name: value for name, value in ours.items() if name in _KEPT},
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "CODEX_HOME": str(settings),
            "FREDDY_API_KEY": key,
            "NO_PROXY": "127.0.0.1",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(BOUND):
            said, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Session(process.returncode, [json.loads(line) for line in said.splitlines()], errors.decode())


# Nothing of it may look beyond this machine: no update, no telemetry, no plugins.
_CONFIG = """
model = "{model}"
model_provider = "freddy"
check_for_update_on_startup = false

[analytics]
enabled = false

[feedback]
enabled = false

[features]
plugins = false
remote_plugin = false
apps = false
shell_snapshot = false

[model_providers.freddy]
name = "Freddy"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "FREDDY_API_KEY"
supports_websockets = {sockets}
request_max_retries = 0
stream_max_retries = 0
"""


def _fetched() -> Path:
    """The program. Several processes of tests may ask at once: one fetches."""
    folder = _NPM / f"codex-{VERSION}"
    with contextlib.ExitStack() as stack:
        if not (folder / "done").exists():
            _NPM.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((_NPM / "codex-lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            if (folder / "failed").exists() or not _installed(folder):
                (folder / "failed").touch()
                pytest.skip("the npm registry cannot be reached: the Codex CLI is not here")
            (folder / "done").touch()
    found = [path for path in folder.glob("node_modules/@openai/codex-*/vendor/*/bin/codex") if path.is_file()]
    if not found:
        pytest.skip(f"there is no Codex CLI for {platform.system()} on {platform.machine()}")
    return found[0]


def _installed(folder: Path) -> bool:
    npm = Path(node()).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [node(), str(npm), "install", "--prefix", str(folder), "--no-audit", "--no-fund"]
    command += ["--ignore-scripts", "--omit=dev", f"@openai/codex@{VERSION}"]
    return installed(command, folder, seconds=240)
