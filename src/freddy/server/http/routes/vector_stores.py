"""The paths of vector stores, in both dialects: parse, require, one call down, encode."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from msgspec.structs import replace
from starlette.datastructures import QueryParams
from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.core import errors
from freddy.server.core.accounts import Caller
from freddy.server.core.accounts import Scope as Right
from freddy.server.core.files import Draft, File
from freddy.server.core.stocking import NewFile
from freddy.server.core.vector_stores import StoreFile, VectorStore
from freddy.server.dialects.freddy import vector_store_views as platform_views
from freddy.server.dialects.freddy import vector_stores as platform
from freddy.server.dialects.openai import vector_store_views as openai_views
from freddy.server.dialects.openai import vector_stores as openai
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json
from freddy.server.knowledge.files import Files
from freddy.server.knowledge.vector_stores import Knowledge
from freddy.server.ports.stores import Page
from freddy.server.ports.world import Clock

_PATH: Final = "/v1/vector_stores"
_OWNED: Final = "/v1/organizations/{organization}/vector-stores"
_READ: Final = "vector_stores:read"
_WRITE: Final = "vector_stores:write"
_MOST: Final = 100
_PAGES: Final = 1_000_000


class VectorStoreRoutes:
    def __init__(self, knowledge: Knowledge, files: Files, *, clock: Clock, max_body_bytes: int) -> None:
        self._knowledge = knowledge
        self._files = files
        self._clock = clock
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        one = _PATH + "/{vector_store_id}"
        files, file = one + "/files", one + "/files/{file_id}"
        batch = one + "/file_batches/{batch_id}"
        owned = _OWNED + "/{vector_store_id}"
        owned_files, owned_file = owned + "/files", owned + "/files/{file_id}"
        return [
            route("POST", _PATH, self.create),
            route("GET", _PATH, self.list),
            route("GET", one, self.get),
            route("POST", one, self.update),
            route("DELETE", one, self.delete),
            route("POST", one + "/search", self.search),
            route("POST", files, self.add_file),
            route("GET", files, self.list_files),
            route("GET", file, self.get_file),
            route("POST", file, self.update_file),
            route("DELETE", file, self.delete_file),
            route("GET", file + "/content", self.content),
            route("POST", one + "/file_batches", self.add_batch),
            route("GET", batch, self.get_batch),
            route("POST", batch + "/cancel", self.cancel_batch),
            route("GET", batch + "/files", self.list_files),
            route("POST", _OWNED, self.make),
            route("GET", _OWNED, self.slice),
            route("GET", _OWNED + "/usage", self.usage),
            route("GET", owned, self.one),
            route("PATCH", owned, self.change),
            route("DELETE", owned, self.remove),
            route("POST", owned_files, self.put_files),
            route("GET", owned_files, self.page_files),
            route("POST", owned_files + "/upload-base64", self.upload),
            route("GET", owned_file, self.one_file),
            route("DELETE", owned_file, self.remove_file),
            route("GET", owned_file + "/status", self.file_status),
            route("POST", owned_file + "/retry", self.retry),
            route("GET", owned_file + "/logs", self.file_log),
        ]

    # OpenAI's shapes

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = openai.decode_create(await self._read(scope, receive))
        caller = require(scope["caller"], _WRITE, asked.organization_id)
        if asked.store.files:
            require(caller, "files:read")
        store = await self._knowledge.create(caller, asked.store)
        await send_json(send, openai_views.encode_store(store, self._now()))

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _caller(scope, _READ)
        found, more = await self._knowledge.list(caller, paging.page(HttpRequest(scope).query_params))
        await send_json(send, openai_views.encode_stores(found, self._now(), has_more=more))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        store = await self._knowledge.get(_caller(scope, _READ), _store(scope))
        await send_json(send, openai_views.encode_store(store, self._now()))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _caller(scope, _WRITE)
        change = openai.decode_update(await self._read(scope, receive))
        store = await self._knowledge.change(caller, _store(scope), change)
        await send_json(send, openai_views.encode_store(store, self._now()))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        store = await self._knowledge.delete(_caller(scope, _WRITE), _store(scope))
        await send_json(send, openai_views.encode_deleted(store.id))

    async def search(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _caller(scope, _READ)
        asked = openai.decode_search(await self._read(scope, receive))
        found = await self._knowledge.search(caller, _store(scope), asked)
        await send_json(send, openai_views.encode_results(found))

    async def add_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(_caller(scope, _WRITE), "files:read")
        asked = openai.decode_file(await self._read(scope, receive))
        await send_json(send, openai_views.encode_file(await self._knowledge.add_file(caller, _store(scope), asked)))

    async def list_files(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Of a store, or of a batch."""
        query = HttpRequest(scope).query_params
        found, more = await self._knowledge.list_files(
            _caller(scope, _READ),
            _store(scope),
            paging.page(query),
            status=openai.decode_status(query["filter"]) if query.get("filter") else None,
            batch_id=scope["path_params"].get("batch_id"),
        )
        await send_json(send, openai_views.encode_files(found, has_more=more))

    async def get_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = await self._knowledge.get_file(_caller(scope, _READ), _store(scope), _file(scope))
        await send_json(send, openai_views.encode_file(file))

    async def update_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _caller(scope, _WRITE)
        attributes = openai.decode_file_update(await self._read(scope, receive))
        file = await self._knowledge.set_attributes(caller, _store(scope), _file(scope), attributes)
        await send_json(send, openai_views.encode_file(file))

    async def delete_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._knowledge.remove_file(_caller(scope, _WRITE), _store(scope), _file(scope))
        await send_json(send, openai_views.encode_file_deleted(_file(scope)))

    async def content(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, chunks = await self._knowledge.content(_caller(scope, _READ), _store(scope), _file(scope))
        await send_json(send, openai_views.encode_content(chunks))

    async def add_batch(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(_caller(scope, _WRITE), "files:read")
        asked = openai.decode_batch(await self._read(scope, receive))
        await send_json(send, openai_views.encode_batch(await self._knowledge.add_batch(caller, _store(scope), asked)))

    async def get_batch(self, scope: Scope, receive: Receive, send: Send) -> None:
        batch = await self._knowledge.get_batch(_caller(scope, _READ), _store(scope), _batch(scope))
        await send_json(send, openai_views.encode_batch(batch))

    async def cancel_batch(self, scope: Scope, receive: Receive, send: Send) -> None:
        batch = await self._knowledge.cancel_batch(_caller(scope, _WRITE), _store(scope), _batch(scope))
        await send_json(send, openai_views.encode_batch(batch))

    # The platform's shapes

    async def make(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _caller(scope, _WRITE)
        asked = platform.decode_new(await self._read(scope, receive))
        store = await self._knowledge.create(caller, asked)
        await send_json(send, platform_views.encode_store(store, "Vector store created", now=self._now()), status=201)

    async def slice(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = _caller(scope, _READ)
        skip = paging.whole_number(query, "skip", default=0, low=0, high=_PAGES)
        take = paging.whole_number(query, "take", default=20, low=1, high=_MOST)
        wanted = _wanted(query)
        _, stores = await self._knowledge.usage(caller)
        found = [store for store in _sorted(stores, query) if wanted.fits(store)]
        told = platform_views.encode_stores(found[skip : skip + take], total=len(found), now=self._now())
        await send_json(send, told)

    async def usage(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, stores = await self._knowledge.usage(_caller(scope, _READ))
        await send_json(send, platform_views.encode_usage(stores))

    async def one(self, scope: Scope, receive: Receive, send: Send) -> None:
        store = await self._knowledge.get(_caller(scope, _READ), _store(scope))
        await send_json(send, platform_views.encode_store(store, "Vector store found", now=self._now()))

    async def change(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _caller(scope, _WRITE)
        change = platform.decode_change(await self._read(scope, receive))
        store = await self._knowledge.change(caller, _store(scope), change)
        await send_json(send, platform_views.encode_store(store, "Vector store changed", now=self._now()))

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        store = await self._knowledge.delete(_caller(scope, _WRITE), _store(scope))
        await send_json(send, platform_views.encode_deleted("Vector store deleted", store.id))

    async def put_files(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(_caller(scope, _WRITE), "files:read")
        asked = platform.decode_added(await self._read(scope, receive))
        added = await self._knowledge.add_files(caller, _store(scope), asked.files, param=asked.param)
        store = await self._knowledge.get(caller, _store(scope))
        uploaded = await self._uploaded(store, added)
        if asked.alone:
            told = platform_views.encode_file(added[0], store, uploaded.get(added[0].file_id), "File added")
        else:
            told = platform_views.encode_added(added, store, uploaded)
        await send_json(send, told, status=201)

    async def page_files(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = _caller(scope, _READ)
        number = paging.whole_number(query, "page", default=1, low=1, high=_PAGES)
        size = paging.whole_number(query, "page_size", default=20, low=1, high=_MOST)
        wanted = platform.decode_statuses(query["status"]) if query.get("status") else None
        store = await self._knowledge.get(caller, _store(scope))
        # What is counted is known: only for some of the files all have to be looked at.
        most = max(1, store.files if wanted else min(number * size, store.files))
        found, _ = await self._knowledge.list_files(caller, store.id, Page(limit=most))
        fitting = [file for file in found if wanted is None or platform_views.status_of(file) in wanted]
        files = fitting[(number - 1) * size : number * size]
        total = len(fitting) if wanted else store.files
        uploaded = await self._uploaded(store, files)
        told = platform_views.encode_files(files, store, uploaded, total=total, page=number, size=size)
        await send_json(send, told)

    async def upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Uploads what came with the request, and puts it into the store: all that can be kept."""
        caller = require(_caller(scope, _WRITE), "files:write")
        sent = platform.decode_sent(await self._read(scope, receive))
        store = await self._knowledge.get(caller, _store(scope))
        kept: list[File] = []
        failed: list[platform_views.Failed] = []
        added: Sequence[StoreFile] = ()
        try:
            for each in sent:
                try:
                    kept.append(await self._keep(caller, each))
                except (errors.InvalidRequest, errors.TooLarge) as error:
                    failed.append(platform_views.Failed(each.filename, error.code, error.message))
            if kept:
                added = await self._knowledge.add_files(caller, store.id, [NewFile(file.id) for file in kept])
        except errors.FreddyError:
            # In no store they would be nobody's.
            for file in kept:
                await self._files.delete(file.id, caller)
            raise
        told = platform_views.encode_upload(added, store, {file.id: file for file in kept}, failed=failed)
        await send_json(send, told, status=201)

    async def one_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _caller(scope, _READ)
        file = await self._knowledge.get_file(caller, _store(scope), _file(scope))
        store = await self._knowledge.get(caller, _store(scope))
        uploaded = await self._uploaded(store, [file])
        await send_json(send, platform_views.encode_file(file, store, uploaded.get(file.file_id), "File found"))

    async def remove_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._knowledge.remove_file(_caller(scope, _WRITE), _store(scope), _file(scope))
        await send_json(send, platform_views.encode_deleted("File taken out of the vector store", _file(scope)))

    async def file_status(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _caller(scope, _READ)
        file = await self._knowledge.get_file(caller, _store(scope), _file(scope))
        await send_json(send, platform_views.encode_status(file, await self._knowledge.get(caller, _store(scope))))

    async def retry(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _caller(scope, _WRITE)
        platform.decode_retry(await self._read(scope, receive))
        file = await self._knowledge.retry(caller, _store(scope), _file(scope))
        await send_json(send, platform_views.encode_status(file, await self._knowledge.get(caller, _store(scope))))

    async def file_log(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = await self._knowledge.get_file(_caller(scope, _READ), _store(scope), _file(scope))
        await send_json(send, platform_views.encode_log(file))

    async def _keep(self, caller: Caller, sent: platform.Sent) -> File:
        """Raises `errors.InvalidRequest` and `errors.TooLarge`."""
        if sent.content is None:
            raise errors.InvalidRequest("The content is not base64", param="files", code="invalid_base64")
        async with self._files.upload() as upload:
            await upload.receive(_whole(sent.content), filename=sent.filename, declared=sent.media_type)
            file, *_ = await upload.keep(caller, Draft("assistants"))
        return file

    async def _uploaded(self, store: VectorStore, files: Sequence[StoreFile]) -> dict[str, File]:
        return dict(await self._files.there(store.organization_id, [file.file_id for file in files]))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)

    def _now(self) -> int:
        return int(self._clock.now())


class _Wanted:
    """Which stores a query asks for."""

    def __init__(self, query: QueryParams) -> None:
        self._search = query.get("search", "").casefold()
        self._mode = query.get("access_mode") or None
        self._scoping = {name: query[name] for name in platform_views.SCOPING if query.get(name)}
        if self._mode is not None and self._mode not in platform.ACCESS_MODES:
            raise errors.InvalidValue("access_mode", f"must be one of {', '.join(platform.ACCESS_MODES)}")

    def fits(self, store: VectorStore) -> bool:
        return (
            self._search in store.name.casefold()
            and self._mode in (None, store.access_mode)
            and self._scoping.items() <= store.metadata.items()
        )


def _wanted(query: QueryParams) -> _Wanted:
    return _Wanted(query)


def _sorted(stores: Sequence[VectorStore], query: QueryParams) -> Sequence[VectorStore]:
    given = query.get("sort") or "created_at"
    if given not in platform.SORTS:
        raise errors.InvalidValue("sort", f"must be one of {', '.join(platform.SORTS)}")
    field, descending = platform.SORTS[given], paging.order(query) == "desc"
    if field == "name":
        return sorted(stores, key=lambda store: (store.name.casefold(), store.id), reverse=descending)
    return sorted(stores, key=lambda store: (getattr(store, field), store.id), reverse=descending)


def _caller(scope: Scope, right: Right) -> Caller:
    """Within the path's organization, where it names one; else within the query's, or all that the caller reaches."""
    named = scope["path_params"].get("organization")
    if named is None:
        return require(scope["caller"], right, HttpRequest(scope).query_params.get("organization_id"))
    caller = require(scope["caller"], right, named)
    return replace(caller, organization_ids=(caller.organization_id,))


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content


def _store(scope: Scope) -> str:
    store_id: str = scope["path_params"]["vector_store_id"]
    return store_id


def _file(scope: Scope) -> str:
    file_id: str = scope["path_params"]["file_id"]
    return file_id


def _batch(scope: Scope) -> str:
    batch_id: str = scope["path_params"]["batch_id"]
    return batch_id
