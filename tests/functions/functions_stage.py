"""A server of functions on a real socket, and registered functions over a database of their own."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
from gateway import Gateway

from callers import caller
from freddy.server.accounts.audit import Audit
from freddy.server.core.accounts import Caller
from freddy.server.core.functions import Change
from freddy.server.core.networks import Opening
from freddy.server.http.routes.functions import FunctionRoutes
from freddy.server.outward import CheckedOutward
from freddy.server.ports.outward import Outward
from freddy.server.resources.functions import Functions, Made
from freddy.server.sealing import AesSealer
from freddy.server.stores.sql.audit import SqlAudit
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.engine import Database as SqliteDatabase
from freddy.server.stores.sql.records import SqlRecords
from freddy.server.tools.functions.builtin import built_in
from freddy.server.tools.functions.chain import Chain
from freddy.server.tools.functions.registered import HttpCalls
from freddy.server.world import RandomIds, SystemClock
from freddy_fakes import FixedClock

THEIRS = "org_theirs"
TOKEN = "Bearer token-of-the-function-0123456789"
PARAMETERS = {"type": "object", "properties": {"article": {"type": "string"}}, "required": ["article"]}
NAMES = ("get_cities", "get_temperature")


def verified(secret: str, headers: Mapping[str, str], body: bytes, *, now: float, tolerance: int = 300) -> bool:
    """As the specification of Standard Webhooks has it."""
    message_id, timestamp = headers["webhook-id"], int(headers["webhook-timestamp"])
    if abs(now - timestamp) > tolerance:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    for each in headers["webhook-signature"].split(" "):
        version, _, signature = each.partition(",")
        if version == "v1" and hmac.compare_digest(signature, expected):
            return True
    return False


class Heard:
    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body

    @property
    def told(self) -> Any:
        return json.loads(self.body)


class FunctionServer:
    """Answers each call with the next of `answers`, the last again and again: bytes of HTTP, or None for silence."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.connections = 0
        self.answers: list[bytes | None] = [reply({"output": "42 pieces"})]
        self.asked = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stock"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in rest)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = line.split()
                self.heard.append(Heard(method, path, headers, body))
                self.asked.set()
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    await reader.read()
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()


def reply(body: object, *, status: int = 200, kind: str = "application/json", **headers: str) -> bytes:
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} Status",
        f"content-type: {kind}",
        f"content-length: {len(content)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class FunctionStage:
    def __init__(self, database: Database, home: Path, **more: Any) -> None:
        self.clock = FixedClock()
        self.changes: list[Any] = []
        self.database = database
        self.records = SqlRecords(database)
        self.outward = CheckedOutward(Opening.of([], loopback=True))
        self.calls = HttpCalls(self.outward, self.clock)
        self.secret_key = home / "secret_key"
        self.functions = self.opened(**more)
        self.chain = Chain(built_in(self.clock), self.functions, self.calls)

    def opened(self, **more: Any) -> Functions:
        """As another process has it, which remembers nothing."""
        fields: dict[str, Any] = {
            "sealer": AesSealer((), file=self.secret_key),
            "outward": self.outward,
            "calls": self.calls,
            "clock": self.clock,
            "ids_from": RandomIds(),
            "reserved": NAMES,
            "changed": self._changed,
        }
        return Functions(self.records, **fields | more)

    async def made(self, url: str, *, by: Caller | None = None, **fields: Any) -> Made:
        fields.setdefault("parameters", PARAMETERS)
        fields["parameters"] = msgspec.Raw(msgspec.json.encode(fields["parameters"]))
        return await self.functions.create(by or caller(), Change(**{"name": "stock_of", "url": url} | fields))

    async def _changed(self, caller: Any, action: Any, kind: Any, before: Any, after: Any) -> None:
        self.changes.append((action, kind, before and before.data, after and after.data))


@contextlib.asynccontextmanager
async def served(gateway: Gateway, *, outward: Outward | None = None) -> AsyncIterator[None]:
    """The paths of functions on the server."""
    clock, ids = SystemClock(), RandomIds()
    outward = outward or CheckedOutward(Opening.of([], loopback=True))
    async with SqliteDatabase(gateway.settings.store.database) as database:
        functions = Functions(
            SqlRecords(database),
            sealer=AesSealer((), file=gateway.settings.secret_key_path),
            outward=outward,
            calls=HttpCalls(outward, clock),
            clock=clock,
            ids_from=ids,
            reserved=NAMES,
            changed=Audit(SqlAudit(database), clock=clock, ids_from=ids).changed,
        )
        door: Any = gateway.house.app
        door._app.routes[:0] = FunctionRoutes(functions, max_body_bytes=1_000_000).routes()
        yield
