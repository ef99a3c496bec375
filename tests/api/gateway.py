"""The whole server behind a socket, in the loop of the test, and the ways to speak with it."""

import asyncio
import atexit
import contextlib
import json
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import httpx2
import openai
import uvicorn

import freddy
from freddy.server.accounts import keys
from freddy.server.config import Settings
from freddy.server.config import Upstream as UpstreamSettings
from freddy.server.config import settings as parts
from freddy.server.core.accounts import ApiKey, Organization, Scope
from freddy.server.http.websockets import listening
from freddy.server.stores.sql import files
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.engine import Database
from freddy.server.wiring import House, open_house
from freddy.server.world import RandomIds, SystemClock
from simulators.server import Simulator
from upstream import PATIENCE

DEV_KEY = "sk-frdy-development-key-of-this-test"
UPSTREAM_KEY = "sk-upstream-0123456789"
PLAIN: dict[str, Any] = {"trust_env": False, "verify": False}
"""How an HTTP client is made that reads neither the environment nor certificates: there is no TLS here."""
MODELS = ("stage", "stage-*", "gpt-*", "claude-*", "o3")


def settings(home: Path, upstream: Simulator, **changes: Any) -> Settings:
    """Of a server without an embedded model; `changes` replace whole sections."""
    sections: dict[str, Any] = {
        "dev": parts.Development(api_key=DEV_KEY),
        "store": parts.Store(database=home / "freddy.db"),
        "model": parts.Model(name="none", pull=False),
        "upstreams": (
            UpstreamSettings(
                name="stage",
                kind=upstream.kind,
                url=upstream.url,
                key=UPSTREAM_KEY,
                models=MODELS,
                default_model="stage",
            ),
        ),
    }
    return Settings(home=home, **{**sections, **changes})


class Stream:
    """The events of a stream: `events` as parsed, `raw` as they came, `done` whether it ended with `[DONE]`."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.events: list[dict[str, Any]] = []
        self.done = False
        for frame in raw.decode().split("\n\n")[:-1]:
            lines = [line for line in frame.split("\n") if not line.startswith(":")]
            if lines == ["data: [DONE]"]:
                self.done = True
            elif lines:
                name, data = lines
                event = json.loads(data.removeprefix("data: "))
                assert name == f"event: {event['type']}"
                assert not self.done, "nothing comes after [DONE]"
                self.events.append(event)
        assert raw.endswith(b"\n\n") or not raw

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    @property
    def text(self) -> str:
        return "".join(event["delta"] for event in self.of("response.output_text.delta"))


class Gateway:
    def __init__(self, house: House, url: str, settings: Settings, upstream: Simulator) -> None:
        self.house = house
        self.url = url
        self.settings = settings
        self.upstream = upstream
        self._clients: dict[str | None, httpx2.AsyncClient] = {}
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def http(self, key: str | None = DEV_KEY) -> httpx2.AsyncClient:
        """A plain client with this key, closed when the test is over."""
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = httpx2.AsyncClient(
                base_url=self.url, headers={"authorization": f"Bearer {key}"} if key else {}, timeout=PATIENCE, **PLAIN
            )
            self._stack.push_async_callback(client.aclose)
        return client

    def openai(self, key: str = DEV_KEY, **options: Any) -> openai.AsyncOpenAI:
        client = openai.AsyncOpenAI(
            api_key=key,
            base_url=f"{self.url}/v1",
            max_retries=0,
            timeout=PATIENCE,
            http_client=httpx2.AsyncClient(**PLAIN),
            **options,
        )
        self._stack.push_async_callback(client.close)
        return client

    def freddy(self, key: str = DEV_KEY, **options: Any) -> freddy.AsyncFreddyClient:
        client = freddy.AsyncFreddyClient(
            key,
            base_url=self.url,
            http_client=self.http(None),
            **{"max_retries": 0, "timeout": PATIENCE, **options},
        )
        self._stack.push_async_callback(client.close)
        return client

    async def post(self, path: str, body: Any = None, *, key: str | None = DEV_KEY) -> httpx2.Response:
        return await self.http(key).post(path, json=body)

    async def get(self, path: str, *, key: str | None = DEV_KEY) -> httpx2.Response:
        return await self.http(key).get(path)

    async def delete(self, path: str, *, key: str | None = DEV_KEY) -> httpx2.Response:
        return await self.http(key).delete(path)

    async def ask(self, dialect: str, **body: Any) -> dict[str, Any]:
        """The whole answer, which must be one."""
        reply = await self.post(*spelled(dialect, **body))
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def told(self, dialect: str, **body: Any) -> Stream:
        """A stream to its end."""
        reply = await self.post(*spelled(dialect, stream=True, **body))
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"].startswith("text/event-stream")
        return Stream(reply.content)

    @contextlib.asynccontextmanager
    async def listening(self, path: str, body: Any = None) -> AsyncIterator["Listening"]:
        """A stream that is left when the context is."""
        method = "GET" if body is None else "POST"
        async with self.http().stream(method, path, json=body) as reply:
            yield Listening(reply)

    async def ended(self, response_id: str) -> dict[str, Any]:
        """The response, asked for until it is over: never more than a moment."""
        async with asyncio.timeout(PATIENCE):
            while True:
                reply = await self.get(f"/v1/model/response/{response_id}")
                # One that tells nothing before its end may be kept only then.
                if reply.status_code == 200 and reply.json()["status"] not in ("queued", "in_progress"):
                    return reply.json()
                # Who asks without a pause keeps it from ending.
                await asyncio.sleep(0.005)

    @contextlib.asynccontextmanager
    async def accounts(self) -> AsyncIterator[SqlAccounts]:
        """The keys as `freddy keys` reaches them: by the file, while the server runs."""
        async with Database(self.settings.store.database) as database:
            yield SqlAccounts(database)

    async def mint(
        self,
        *organization_ids: str,
        scopes: Sequence[Scope] | None = None,
        expires_at: int | None = None,
    ) -> keys.Minted:
        clock, ids = SystemClock(), RandomIds()
        more = {} if scopes is None else {"scopes": scopes}
        minted = keys.mint("test", organization_ids, clock=clock, ids_from=ids, expires_at=expires_at, **more)
        async with self.accounts() as accounts:
            for name in organization_ids:
                await accounts.add_organization(Organization(id=name, name=name, created_at=0))
            await accounts.add_key(minted.key)
        return minted

    async def change(self, key: ApiKey) -> None:
        async with self.accounts() as accounts:
            assert await accounts.update_key(key)


class Listening:
    """The events of an open stream, one after the other."""

    def __init__(self, reply: httpx2.Response) -> None:
        self.reply = reply
        self._lines = reply.aiter_lines()

    async def next(self, kind: str | None = None) -> dict[str, Any]:
        """The next event, or the next of this type."""
        async with asyncio.timeout(PATIENCE):
            async for line in self._lines:
                if line.startswith("data: {"):
                    event = json.loads(line[6:])
                    if kind in (None, event["type"]):
                        return event
        raise AssertionError(f"the stream ended before {kind or 'another event'}")


def spelled(dialect: str, **body: Any) -> tuple[str, dict[str, Any]]:
    """Path and body of a request in either dialect: `input` and `max_output_tokens` are translated."""
    if dialect == "openai":
        return "/v1/responses", {"model": "stage", "input": "Hi", **body}
    renamed = {"input": "inputs", "max_output_tokens": "max_output_synapses"}
    return "/v1/model/response", {"inputs": "Hi"} | {renamed.get(key, key): value for key, value in body.items()}


@contextlib.asynccontextmanager
async def serving(settings: Settings, upstream: Simulator, **options: Any) -> AsyncIterator[Gateway]:
    """The server as `freddy serve` runs it, but for signals, its greeting, and the pause that uvicorn ends with.

    `options` are uvicorn's, in the place of those for WebSockets.
    """
    more = options or listening.options(
        max_bytes=settings.server.max_body_bytes, ping_seconds=settings.server.ping_seconds
    )
    _lay_database(settings.store.database)
    listener = socket.create_server(("127.0.0.1", 0))
    # As the server's own has it: else every reply on a connection that is kept waits 40 ms for the client's system.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    async with open_house(settings) as house:
        config = uvicorn.Config(
            house.app,
            **more,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        try:
            async with Gateway(house, f"http://127.0.0.1:{listener.getsockname()[1]}", settings, upstream) as gateway:
                yield gateway
        finally:
            for one in server.servers:
                one.close()
            state = server.server_state
            for connection in list(state.connections):
                connection.shutdown()
            async with asyncio.timeout(PATIENCE):
                while state.connections or state.tasks:  # noqa: ASYNC110 uvicorn tells nobody when they are gone
                    await asyncio.sleep(0.001)
                for one in server.servers:
                    await one.wait_closed()


def _lay_database(place: Path | str) -> None:
    """Where there is none yet, an empty one with the schema: making that takes longer than most tests."""
    if isinstance(place, Path) and place.parent.is_dir() and not place.exists():
        shutil.copy(_empty_database(), place)


@cache
def _empty_database() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="freddy-made-"))
    atexit.register(shutil.rmtree, folder)
    files.close_writer(files.open_writer(folder / "freddy.db", throwaway=True, patience=PATIENCE))
    return folder / "freddy.db"
