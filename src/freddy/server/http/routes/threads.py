"""The paths of threads: parse, require, one call down, encode."""

from msgspec import UNSET
from msgspec.structs import replace
from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.dialects.freddy import threads as wire
from freddy.server.http import body, paging
from freddy.server.http.replies import send_json
from freddy.server.runtime.threads import Threads


class ThreadRoutes:
    def __init__(self, threads: Threads, *, max_body_bytes: int) -> None:
        self._threads = threads
        self._max_body_bytes = max_body_bytes

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_thread_create(await self._read(scope, receive))
        caller = require(scope["caller"], "threads:write", asked.organization_id)
        thread = await self._threads.create(caller, thread_id=asked.id, title=asked.title, metadata=asked.metadata)
        await send_json(send, wire.encode_thread(thread), status=201)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "threads:read", query.get("organization_id"))
        page = paging.page(query)
        found, more = await self._threads.list(caller, page)
        await send_json(send, wire.encode_threads(found, has_more=more, limit=page.limit))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:read")
        await send_json(send, wire.encode_thread(await self._threads.get(_id(scope), caller)))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_thread_update(await self._read(scope, receive))
        caller = require(scope["caller"], "threads:write")
        thread = await self._threads.get(_id(scope), caller)
        if asked.title is not UNSET:
            thread = replace(thread, title=asked.title)
        if asked.metadata is not UNSET:
            thread = replace(thread, metadata=asked.metadata)
        await send_json(send, wire.encode_thread(await self._threads.change(thread)))

    async def pin(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:write")
        await send_json(send, wire.encode_pin(await self._threads.pin(_id(scope), caller)))

    async def unpin(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:write")
        await send_json(send, wire.encode_pin(await self._threads.unpin(_id(scope), caller)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:write")
        await self._threads.delete(_id(scope), caller)
        await send_json(send, wire.encode_deleted(_id(scope)))

    async def messages(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:read")
        page = paging.page(HttpRequest(scope).query_params)
        found, more = await self._threads.items(_id(scope), caller, page)
        entries = [(one.item, one.response_id, one.created_at) for one in found]
        await send_json(send, wire.encode_messages(_id(scope), entries, has_more=more, limit=page.limit))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


def _id(scope: Scope) -> str:
    thread_id: str = scope["path_params"]["thread_id"]
    return thread_id
