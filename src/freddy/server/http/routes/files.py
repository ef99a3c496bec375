"""The paths of files, in both dialects: parse, require, one call down, encode."""

import re
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.core import errors, ids
from freddy.server.core.accounts import Caller
from freddy.server.core.accounts import Scope as Right
from freddy.server.core.files import MOST, Draft, File
from freddy.server.dialects.freddy import files as platform
from freddy.server.dialects.openai import files as openai
from freddy.server.http import body, paging
from freddy.server.http.hangups import Hangups
from freddy.server.http.multipart import Form
from freddy.server.http.replies import send_json
from freddy.server.http.sending import send_file
from freddy.server.knowledge.files import Files
from freddy.server.knowledge.links import Links, Ticket
from freddy.server.knowledge.uploads import Upload, too_large
from freddy.server.ports.stores import FilePage
from freddy.server.ports.world import IdSource

_LONGEST_LIST: Final = 10_000
_DOWNLOAD: Final = re.compile(r"/v1/organizations/[^/]+/files/[^/]+/download")
_UPLOAD: Final = re.compile(r"/v1/organizations/[^/]+/files/uploads/[^/]+")


class FileRoutes:
    """`public_url` is the server's address in links; without one it is the address that was called."""

    def __init__(
        self,
        files: Files,
        links: Links,
        *,
        ids: IdSource,
        hangups: Hangups,
        max_body_bytes: int,
        public_url: str | None,
    ) -> None:
        self._files = files
        self._links = links
        self._ids = ids
        self._hangups = hangups
        self._max_body_bytes = max_body_bytes
        self._public_url = public_url

    # OpenAI's shapes

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "files:write")
        form = self._form(scope, receive, most=1)
        async with self._files.upload() as upload:
            fields = await _receive(form, upload, names=("file",), most=1)
            caller = require(caller, "files:write", fields.get("organization_id"))
            file, *_ = await upload.keep(caller, openai.decode_draft(fields))
        await send_json(send, openai.encode_file(file))

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "files:read", query.get("organization_id"))
        page = FilePage(
            limit=paging.whole_number(query, "limit", default=_LONGEST_LIST, low=1, high=_LONGEST_LIST),
            order=paging.order(query),
            after=query.get("after") or None,
            purpose=openai.decode_purpose(query["purpose"]) if query.get("purpose") else None,
        )
        found, more = await self._files.list(caller, page)
        await send_json(send, openai.encode_files(found, has_more=more))

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, openai.encode_file(await self._file(scope, "files:read")))

    async def content(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = await self._file(scope, "files:read")
        async with self._hangups.watch(receive):
            await send_file(self._files, file, scope, send)

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = await self._files.delete(_id(scope), self._caller(scope, "files:write"))
        await send_json(send, openai.encode_deleted(file.id))

    # The platform's shapes

    async def upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = self._caller(scope, "files:write")
        form = self._form(scope, receive, most=MOST)
        async with self._files.upload() as upload:
            fields = await _receive(form, upload, names=("files", "file"), most=MOST)
            files = await upload.keep(caller, platform.decode_draft(fields))
        await send_json(send, platform.encode_uploaded(files))

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = self._caller(scope, "files:read")
        number = paging.whole_number(query, "page", default=1, low=1, high=1_000_000)
        limit = paging.whole_number(query, "limit", default=20, low=1, high=100)
        found, more = await self._files.list(caller, FilePage(limit=limit, skip=(number - 1) * limit))
        total = await self._files.count(caller)
        await send_json(send, platform.encode_files(found, total=total, page=number, limit=limit, has_more=more))

    async def one(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, platform.encode_file(await self._file(scope, "files:read")))

    async def link(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = await self._file(scope, "files:read")
        token, expires_at = await self._links.to_download(file)
        path = f"/v1/organizations/{file.organization_id}/files/{file.id}/download"
        url = f"{self._address(scope)}{path}?token={token}&expires={expires_at}"
        await send_json(send, platform.encode_link(file, url))

    async def download(self, scope: Scope, receive: Receive, send: Send) -> None:
        """With a key, or with a link of `link`."""
        if "caller" in scope:
            file = await self._file(scope, "files:read")
        else:
            query = HttpRequest(scope).query_params
            caller = await self._links.check_download(
                scope["path_params"]["organization"],
                _id(scope),
                token=query.get("token", ""),
                expires_at=paging.whole_number(query, "expires", default=0, low=0),
            )
            file = await self._files.get(_id(scope), caller)
        async with self._hangups.watch(receive):
            await send_file(self._files, file, scope, send)

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = await self._files.delete(_id(scope), self._caller(scope, "files:write"))
        await send_json(send, platform.encode_deleted(file.id))

    async def upload_links(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave to send files without a key, one after the other."""
        caller = self._caller(scope, "files:write")
        sent = await body.read(scope, receive, limit=self._max_body_bytes)
        expires_at = self._links.expiry()
        told = []
        for each in platform.decode_announced(sent):
            if each.size is not None and each.size > self._files.max_bytes:
                raise too_large(self._files.max_bytes)
            ticket = Ticket(
                organization_id=caller.organization_id,
                file_id=self._ids.new(ids.FILE),
                filename=each.filename,
                media_type=each.media_type,
                purpose=each.purpose,
                key_id=caller.key_id,
                expires_at=expires_at,
            )
            path = f"/v1/organizations/{caller.organization_id}/files/uploads/{await self._links.to_upload(ticket)}"
            told.append((ticket.file_id, self._address(scope) + path, each))
        await send_json(send, platform.encode_upload_links(told, expires_at=expires_at))

    async def put(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The content of a file, sent to a link of `upload_links`."""
        path = scope["path_params"]
        ticket = await self._links.check_upload(path["organization"], path["ticket"])
        _check_whole(Headers(scope=scope), most=self._files.max_bytes)
        async with self._files.upload() as upload:
            await upload.receive(
                body.chunks(receive), filename=ticket.filename, declared=ticket.media_type, file_id=ticket.file_id
            )
            file, *_ = await upload.keep(ticket.caller, Draft(ticket.purpose))
        await send_json(send, platform.encode_file(file))

    async def register(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Says which of the files are there: they are from the moment they were sent."""
        caller = self._caller(scope, "files:write")
        wanted = platform.decode_uploaded(await body.read(scope, receive, limit=self._max_body_bytes))
        found, missing = [], []
        for file_id in wanted:
            try:
                found.append(await self._files.get(file_id, caller))
            except errors.NotFound:
                missing.append(file_id)
        await send_json(send, platform.encode_uploaded(found, missing))

    def _caller(self, scope: Scope, right: Right) -> Caller:
        """Within the path's organization, where it names one; else in all that the caller reaches."""
        organization_id = scope["path_params"].get("organization")
        caller = require(scope["caller"], right, organization_id)
        if organization_id is None:
            return caller
        return Caller(organization_id, (organization_id,), caller.scopes, caller.key_id)

    async def _file(self, scope: Scope, right: Right) -> File:
        return await self._files.get(_id(scope), self._caller(scope, right))

    def _form(self, scope: Scope, receive: Receive, *, most: int) -> Form:
        limit = self._files.max_bytes
        return Form(scope, receive, limit=most * limit, too_large=too_large(limit))

    def _address(self, scope: Scope) -> str:
        host = Headers(scope=scope).get("host", "localhost")
        return self._public_url or f"{scope['scheme']}://{host}"


def is_link(scope: Scope) -> bool:
    """Whether the address itself is the credential: `download` and `put` see to that."""
    path: str = scope["path"]
    if scope["method"] == "PUT" and _UPLOAD.fullmatch(path):
        return True
    return _DOWNLOAD.fullmatch(path) is not None and b"token=" in scope["query_string"]


async def _receive(form: Form, upload: Upload, *, names: tuple[str, ...], most: int) -> Mapping[str, str]:
    """Receives the files, and gives the other fields. Raises `errors.InvalidRequest`."""
    fields: dict[str, str] = {}
    count = 0
    async for part in form.parts():
        if part.name.removesuffix("[]") in names:
            count += 1
            if count > most:
                raise errors.InvalidRequest(
                    f"More than {most} {'file' if most == 1 else 'files'} in one upload",
                    param=names[0],
                    code="too_many_files",
                    details="send the others in uploads of their own",
                )
            if part.filename is None:
                raise errors.InvalidRequest(
                    f"The field {part.name[:100]!r} is not a file",
                    param=names[0],
                    code="invalid_file",
                    details="send it with a filename, as with `curl -F file=@name`",
                )
            await upload.receive(form.chunks(), filename=part.filename, declared=part.media_type)
        elif part.filename is not None:
            raise errors.UnknownParameter(
                f"Unknown parameter: {part.name[:100]!r}",
                param=part.name[:100],
                details=f"the file goes into the field {names[0]}",
            )
        elif part.name in fields:
            raise errors.InvalidRequest(f"The field {part.name[:100]!r} was sent twice", param=part.name[:100])
        else:
            fields[part.name] = await form.text(part)
    if not count:
        raise errors.InvalidRequest(
            f"Missing required parameter: {names[0]!r}",
            param=names[0],
            code="missing_required_parameter",
            details=f"send the file in the field {names[0]}, as with `curl -F {names[0]}=@name`",
        )
    return fields


def _check_whole(headers: Headers, *, most: int) -> None:
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise too_large(most)
    if "content-range" in headers:
        raise errors.InvalidRequest(
            "A part of a file was sent", code="invalid_file", details="send the whole file in one request"
        )
    if headers.get("content-encoding", "identity") != "identity":
        raise errors.UnsupportedMediaType(
            "The content is encoded", details="send it as it is, without the header Content-Encoding"
        )


def _id(scope: Scope) -> str:
    file_id: str = scope["path_params"]["file_id"]
    return file_id
