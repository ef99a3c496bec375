"""A server that answers what it was told, and one way to use both clients in a test."""

import inspect
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

import httpx2

from freddy import _settings
from freddy._async.client import AsyncFreddyClient
from freddy._async.transport import AsyncTransport
from freddy._sync.client import FreddyClient
from freddy._sync.transport import Transport

NOW = 1_700_000_000.0
BASE_URL = "http://freddy.test"


class Pieces(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """A body in pieces; a piece that is an exception breaks the connection there."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class Server:
    """Answers the requests one after the other with its `script`, and keeps what was asked."""

    def __init__(self, *, kind: str) -> None:
        self.kind = kind
        self.script: list[httpx2.Response | Exception] = []
        self.requests: list[httpx2.Request] = []
        self.slept: list[float] = []
        self._clients: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            await settled(client.close())

    def answers(self, *script: httpx2.Response | Exception) -> None:
        self.script.extend(script)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    @property
    def request(self) -> httpx2.Request:
        """The last one."""
        return self.requests[-1]

    @property
    def body(self) -> Any:
        return json.loads(self.request.content)

    def http(self) -> Any:
        transport = httpx2.MockTransport(self.handle)
        return httpx2.Client(transport=transport) if self.kind == "sync" else httpx2.AsyncClient(transport=transport)

    def public_client(self, *args: Any, **options: Any) -> Any:
        """A client made the way a user makes it."""
        http = self.http()
        made = (FreddyClient if self.kind == "sync" else AsyncFreddyClient)(*args, http_client=http, **options)
        self._clients += [made, Closing(http)]
        return made

    def client(self, *, chance: float = 1.0, **options: Any) -> Any:
        """A client that never really sleeps, and that finds its tries in `slept`."""
        known = {name: options.pop(name, None) for name in ("base_url", "organization_id")}
        key = options.pop("api_key", "key")
        settings = _settings.complete(
            key, base_url=known["base_url"] or BASE_URL, organization_id=known["organization_id"]
        )
        keys = iter(f"try-{number}" for number in range(1, 100))
        options |= {"chance": lambda: chance, "clock": lambda: NOW, "new_key": lambda: next(keys)}
        http = self.http()
        if self.kind == "sync":
            transport: Any = Transport(settings, http_client=http, sleep=self.slept.append, **options)
            client: Any = FreddyClient.over(transport)
        else:
            transport = AsyncTransport(settings, http_client=http, sleep=self._sleep, **options)
            client = AsyncFreddyClient.over(transport)
        self._clients += [client, Closing(http)]
        return client

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Closing:
    def __init__(self, http: Any) -> None:
        self._http = http

    def close(self) -> Any:
        return self._http.close() if hasattr(self._http, "close") else self._http.aclose()


async def settled(value: Any) -> Any:
    """The value, awaited if the asynchronous client gave it."""
    return await value if inspect.isawaitable(value) else value


async def gathered(source: Any) -> list[Any]:
    """Everything that a stream, a page or an iterator gives."""
    if hasattr(source, "__aiter__"):
        return [each async for each in source]
    return list(source)


async def told_before_failing(source: Any, failure: type[Exception]) -> tuple[list[Any], Exception]:
    """What an iterator gives before it fails as it should."""
    told = []
    try:
        if hasattr(source, "__aiter__"):
            async for each in source:
                told.append(each)  # noqa: PERF401 what came before the failure counts
        else:
            for each in source:
                told.append(each)  # noqa: PERF402 what came before the failure counts
    except failure as error:
        return told, error
    raise AssertionError(f"{failure.__name__} was not raised")


def response(**fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "ftg-3.0",
        "output": [message("Hello!")],
        "usage": {"input_tokens": 2, "output_tokens": 3, "total_tokens": 5},
        "thread": "thrd_1",
    } | fields


def message(text: str, identity: str = "msg_1") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {
        "type": "message",
        "id": identity,
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }


def ok(body: Any = None, **headers: str) -> httpx2.Response:
    return httpx2.Response(200, json=response() if body is None else body, headers=headers)


def fault(status: int, *, headers: dict[str, str] | None = None, **fields: Any) -> httpx2.Response:
    error = {"message": "No.", "type": "some_error", "code": "some_code"} | fields
    return httpx2.Response(status, json={"error": error}, headers=headers)


def events(*told: dict[str, Any] | str) -> list[bytes]:
    """The frames of a stream; a string stands for a raw frame."""
    return [
        (each if isinstance(each, str) else f"event: {each['type']}\ndata: {json.dumps(each)}\n\n").encode()
        for each in told
    ]


def stream_of(*pieces: bytes | Exception, **headers: str) -> httpx2.Response:
    return httpx2.Response(200, stream=Pieces(*pieces), headers={"content-type": "text/event-stream"} | headers)


def told_events(*, status: str = "completed") -> list[dict[str, Any]]:
    """A short response as it is streamed."""
    return [
        {"type": "response.created", "sequence_number": 0, "id": "resp_1", "status": "in_progress"},
        {
            "type": "response.output_item.added",
            "sequence_number": 1,
            "index": 0,
            "item": {"type": "message"},
        },
        {"type": "response.output_text.delta", "sequence_number": 2, "index": 0, "delta": "Hel"},
        {"type": "response.output_text.delta", "sequence_number": 3, "index": 0, "delta": "lo!"},
        {"type": "response.output_text.done", "sequence_number": 4, "index": 0, "text": "Hello!"},
        {
            "type": f"response.{status}",
            "sequence_number": 5,
            "status": status,
            "response": response(status=status),
        },
    ]
