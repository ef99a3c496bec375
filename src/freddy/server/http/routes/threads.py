"""The paths of threads: parse, require, one call down, encode."""

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
        asked = wire.decode_create(await body.read(scope, receive, limit=self._max_body_bytes))
        caller = require(scope["caller"], "threads:write", asked.organization_id)
        thread = await self._threads.create(
            caller, thread_id=asked.id, title=asked.title, metadata=asked.metadata
        )
        await send_json(send, wire.encode_thread(thread), status=201)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "threads:read", query.get("organization_id"))
        page = paging.page(query)
        found, more = await self._threads.list(caller, page)
        await send_json(send, wire.encode_threads(found, has_more=more, limit=page.limit))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:read")
        thread = await self._threads.get(scope["path_params"]["thread_id"], caller)
        await send_json(send, wire.encode_thread(thread))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:write")
        thread = await self._threads.get(scope["path_params"]["thread_id"], caller)
        changed = wire.decode_update(
            await body.read(scope, receive, limit=self._max_body_bytes), thread
        )
        await send_json(send, wire.encode_thread(await self._threads.change(changed)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:write")
        thread_id = scope["path_params"]["thread_id"]
        await self._threads.delete(thread_id, caller)
        await send_json(send, wire.encode_deleted(thread_id))

    async def messages(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:read")
        page = paging.page(HttpRequest(scope).query_params)
        thread_id = scope["path_params"]["thread_id"]
        found, more = await self._threads.items(thread_id, caller, page)
        told = [(one.item, one.response_id, one.created_at) for one in found]
        await send_json(send, wire.encode_messages(told, thread_id=thread_id, has_more=more, limit=page.limit))
