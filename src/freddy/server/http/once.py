"""Answers a POST that is sent again with the same idempotency key as it was answered before."""

import hashlib

import msgspec
from msgspec import Struct
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freddy.server.core.accounts import Caller
from freddy.server.http import body
from freddy.server.http.replies import send_json
from freddy.server.ports.repeats import Kept, RepeatStore
from freddy.server.ports.sealer import Sealer
from freddy.server.ports.world import Clock
from freddy.server.runtime.repeats import (
    REMEMBERED_SECONDS,
    UNDER_WAY_SECONDS,
    answer_bound_to,
    checked,
    other_body,
    under_way,
)

LARGEST = 1024 * 1024
"""Bytes of an answer that is kept. A longer one is given once."""
_REPLAYED = {"idempotent-replayed": "true"}


class _Answer(Struct):
    status: int
    body: str


_decode = msgspec.json.Decoder(_Answer).decode


class Once:
    """Answers that tell of success are kept for a day, sealed: there are secrets among them."""

    def __init__(self, store: RepeatStore, *, sealer: Sealer, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send, *, key: str, app: ASGIApp) -> None:
        """Raises `errors.Conflict` for a key that came with another request, or whose first is not answered yet."""
        place = (scope["caller"].organization_id, checked(key))
        now = int(self._clock.now())
        kept = await self._store.begin(*place, b"", now=now, expires_at=now + UNDER_WAY_SECONDS)
        if kept is None:
            await self._first(place, scope, receive, send, app=app)
            return
        if kept.response_id is not None:
            raise other_body()
        if kept.answer is None:
            raise under_way()
        hashed = _Hashed(scope, receive)
        await hashed.rest()
        if hashed.fingerprint() != kept.fingerprint:
            raise other_body()
        told = _decode(await self._sealer.open(kept.answer, answer_bound_to(*place)))
        await send_json(send, told.body.encode(), status=told.status, headers=_REPLAYED)

    async def _first(self, place: tuple[str, str], scope: Scope, receive: Receive, send: Send, *, app: ASGIApp) -> None:
        hashed, held = _Hashed(scope, receive), _Held(send)
        try:
            await app(scope, hashed, held)
            if held.keepable:
                await hashed.rest()
                answer = msgspec.json.encode(_Answer(held.status, held.body.decode())).decode()
                sealed = await self._sealer.seal(answer, answer_bound_to(*place))
                kept = Kept(hashed.fingerprint(), status=held.status, answer=sealed)
                await self._store.end(*place, kept, expires_at=int(self._clock.now()) + REMEMBERED_SECONDS)
        finally:
            if not held.keepable:
                await self._store.forget(*place)
        await held.let_go()


class _Hashed:
    """What is received, and the fingerprint of all of it, and of what its sender may do: answers are for no other."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        caller: Caller = scope["caller"]
        who = " ".join((caller.user_id or "", *sorted(caller.scopes)))
        asked = f"{who}\n{scope['method']} {scope['path']}?{scope['query_string'].decode('latin-1')}\n"
        self._hash = hashlib.sha256(asked.encode())
        self._whole = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self._hash.update(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        return message

    async def rest(self) -> None:
        """Receives what nobody has asked for. Raises `ClientGone`."""
        if not self._whole:
            async for _ in body.chunks(self):
                pass

    def fingerprint(self) -> bytes:
        return self._hash.digest()


class _Held:
    """Holds an answer back until it is kept; one that is too long, or no JSON, goes through."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: Message | None = None
        self._whole = False
        self._through = False
        self.status = 0
        self.body = b""

    @property
    def keepable(self) -> bool:
        return self._whole and not self._through and 200 <= self.status < 300

    async def __call__(self, message: Message) -> None:
        if self._through:
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._head, self.status = message, message["status"]
            if (b"content-type", b"application/json") not in message["headers"]:
                await self._go_through()
        else:
            self.body += message.get("body", b"")
            self._whole = not message.get("more_body", False)
            if len(self.body) > LARGEST:
                await self._go_through()

    async def let_go(self) -> None:
        if not self._through and self._head is not None:
            await self._send(self._head)
            await self._send({"type": "http.response.body", "body": self.body, "more_body": not self._whole})

    async def _go_through(self) -> None:
        await self.let_go()
        self._through = True
