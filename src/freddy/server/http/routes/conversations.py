"""The paths of OpenAI's conversations, which are threads: parse, require, one call down, encode."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.core import errors
from freddy.server.core.accounts import Caller
from freddy.server.core.items import Item
from freddy.server.core.threads import Change
from freddy.server.dialects.openai import conversations as wire
from freddy.server.dialects.openai.items import Show
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json
from freddy.server.ports.world import IdSource
from freddy.server.runtime.threads import Threads

Resolve: TypeAlias = Callable[[Caller, Sequence[Item]], Awaitable[tuple[Item, ...]]]
"""The items of an organization with every reference replaced by the item it names."""

_PATH: Final = "/v1/conversations"


class ConversationRoutes:
    def __init__(self, threads: Threads, *, resolve: Resolve, ids: IdSource, max_body_bytes: int) -> None:
        self._threads = threads
        self._resolve = resolve
        self._ids = ids
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        one = _PATH + "/{conversation_id}"
        item = one + "/items/{item_id}"
        return [
            route("POST", _PATH, self.create),
            route("GET", one, self.get),
            route("POST", one, self.update),
            route("DELETE", one, self.delete),
            route("POST", one + "/items", self.add_items),
            route("GET", one + "/items", self.list_items),
            route("GET", item, self.get_item),
            route("DELETE", item, self.delete_item),
        ]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_create(await self._read(scope, receive), self._ids.new)
        caller = require(scope["caller"], "threads:write")
        said = await self._resolve(caller, asked.items)
        thread = await self._threads.create(caller, metadata=asked.metadata, messages=said)
        await send_json(send, wire.encode_conversation(thread))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:read")
        with _told(scope):
            thread = await self._threads.get(_id(scope), caller)
        await send_json(send, wire.encode_conversation(thread))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        metadata = wire.decode_update(await self._read(scope, receive))
        caller = require(scope["caller"], "threads:write")
        with _told(scope):
            thread = await self._threads.change(_id(scope), caller, Change(metadata=metadata))
        await send_json(send, wire.encode_conversation(thread))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "threads:write")
        with _told(scope):
            await self._threads.delete(_id(scope), caller)
        await send_json(send, wire.encode_deleted(_id(scope)))

    async def add_items(self, scope: Scope, receive: Receive, send: Send) -> None:
        show = _show(scope)
        asked = wire.decode_items(await self._read(scope, receive), self._ids.new)
        caller = require(scope["caller"], "threads:write")
        said = await self._resolve(caller, asked)
        with _told(scope):
            await self._threads.append(_id(scope), caller, said)
        await send_json(send, wire.encode_items(said, show, has_more=False))

    async def list_items(self, scope: Scope, receive: Receive, send: Send) -> None:
        show, page = _show(scope), paging.page(HttpRequest(scope).query_params)
        caller = require(scope["caller"], "threads:read")
        with _told(scope):
            found, more = await self._threads.items(_id(scope), caller, page)
        await send_json(send, wire.encode_items([placed.item for placed in found], show, has_more=more))

    async def get_item(self, scope: Scope, receive: Receive, send: Send) -> None:
        show = _show(scope)
        caller = require(scope["caller"], "threads:read")
        with _told(scope):
            placed = await self._threads.item(_id(scope), _item_id(scope), caller)
        await send_json(send, wire.encode_item(placed.item, show))

    async def delete_item(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer is the conversation."""
        caller = require(scope["caller"], "threads:write")
        with _told(scope):
            await self._threads.delete_item(_id(scope), _item_id(scope), caller)
            thread = await self._threads.get(_id(scope), caller)
        await send_json(send, wire.encode_conversation(thread))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


@contextmanager
def _told(scope: Scope) -> Iterator[None]:
    """What is not there by the names it has on this path."""
    try:
        yield
    except errors.NotFound as error:
        if error.param == "thread_id":
            raise errors.NotFound(
                f"Conversation with id {_id(scope)[:100]!r} not found",
                param="conversation_id",
                code="conversation_not_found",
            ) from error
        raise errors.NotFound(
            f"Item with id {_item_id(scope)[:100]!r} not found in the conversation", param="item_id"
        ) from error


def _show(scope: Scope) -> Show:
    query = HttpRequest(scope).query_params
    return wire.decode_include((*query.getlist("include"), *query.getlist("include[]")))


def _id(scope: Scope) -> str:
    conversation_id: str = scope["path_params"]["conversation_id"]
    return conversation_id


def _item_id(scope: Scope) -> str:
    item_id: str = scope["path_params"]["item_id"]
    return item_id
