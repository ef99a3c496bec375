"""The paths of threads: parse, require, one call down, encode."""

from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.core import errors
from freddy.server.dialects.freddy import threads as wire
from freddy.server.http import body, paging
from freddy.server.http.replies import send_json
from freddy.server.ports.stores import PlacedItem, ThreadFilter
from freddy.server.ports.world import IdSource
from freddy.server.runtime.threads import Threads


class ThreadRoutes:
    def __init__(self, threads: Threads, *, ids: IdSource, max_body_bytes: int) -> None:
        self._threads = threads
        self._ids = ids
        self._max_body_bytes = max_body_bytes

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_thread_create(await self._read(scope, receive), self._ids.new)
        caller = require(scope["caller"], "threads:write", asked.organization_id)
        thread = await self._threads.create(
            caller,
            thread_id=asked.id,
            title=asked.title,
            metadata=asked.metadata,
            assistant_id=asked.assistant_id,
            visible=asked.visible,
            messages=asked.messages,
        )
        await send_json(send, wire.encode_thread(thread), status=201)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "threads:read", query.get("organization_id"))
        page = paging.page(query)
        having = ThreadFilter(
            user_id=query.get("user_id") or None,
            assistant_id=query.get("assistant_id") or None,
            visible=paging.maybe(query, "visible_in_ui"),
            pinned=paging.maybe(query, "is_pinned"),
            metadata=paging.metadata(query),
        )
        found, more = await self._threads.list(caller, page, having)
        total = await self._threads.count(caller, having) if paging.truth(query, "include_total") else None
        told = [(thread, self._threads.busy(thread)) for thread in found]
        await send_json(send, wire.encode_threads(told, has_more=more, limit=page.limit, total=total))

    async def delete_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "threads:write", query.get("organization_id"))
        await send_json(send, wire.encode_all_deleted(await self._threads.delete_all(caller)))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        thread = await self._threads.get(_id(scope), require(scope["caller"], "threads:read"))
        await send_json(send, wire.encode_thread(thread, busy=self._threads.busy(thread)))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        change = wire.decode_thread_update(await self._read(scope, receive))
        thread = await self._threads.change(_id(scope), require(scope["caller"], "threads:write"), change)
        await send_json(send, wire.encode_thread(thread, busy=self._threads.busy(thread)))

    async def pin(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:write")
        await send_json(send, wire.encode_pin(await self._threads.pin(_id(scope), caller)))

    async def unpin(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:write")
        await send_json(send, wire.encode_pin(await self._threads.unpin(_id(scope), caller)))

    async def name(self, scope: Scope, receive: Receive, send: Send) -> None:
        if paging.truth(HttpRequest(scope).query_params, "stream"):
            raise errors.InvalidValue("stream", "must be false: a name is there at once")
        text = wire.decode_naming(await self._read(scope, receive))
        caller = require(scope["caller"], "threads:write")
        await send_json(send, wire.encode_name(await self._threads.give_name(_id(scope), caller, text=text)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:write")
        thread = await self._threads.delete(_id(scope), caller)
        await send_json(send, wire.encode_deleted(thread.id))

    async def messages(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:read")
        page = paging.page(HttpRequest(scope).query_params)
        found, more = await self._threads.items(_id(scope), caller, page, messages=True)
        entries = [_entry(one) for one in found]
        await send_json(send, wire.encode_messages(_id(scope), entries, has_more=more, limit=page.limit))

    async def update_message(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = wire.decode_message_update(await self._read(scope, receive))
        caller = require(scope["caller"], "threads:write")
        changed = await self._threads.rewrite(_id(scope), _message_id(scope), caller, text)
        await send_json(send, wire.encode_message(_id(scope), _entry(changed)))

    async def delete_message(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:write")
        await self._threads.delete_item(_id(scope), _message_id(scope), caller)
        await send_json(send, wire.encode_message_deleted(_message_id(scope)))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


def _id(scope: Scope) -> str:
    thread_id: str = scope["path_params"]["thread_id"]
    return thread_id


def _message_id(scope: Scope) -> str:
    message_id: str = scope["path_params"]["message_id"]
    return message_id


def _entry(placed: PlacedItem) -> wire.Entry:
    return placed.item, placed.owner_id, placed.created_at
