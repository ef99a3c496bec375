"""`client.files`: what requests name by `file_id`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Literal

from freddy._async.paging import AsyncPage, fetch_page
from freddy._async.transport import AsyncTransport, Call
from freddy._settings import path
from freddy.types.files import File, FileDeleted
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven

Content = str | os.PathLike[str] | bytes | IO[bytes]


class AsyncFiles:
    """Uploaded files. Give a file's id to a message: `{"texts": ["Read this."], "files": [{"file_id": file.id}]}`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        file: Content,
        *,
        purpose: str = "user_data",
        filename: str | None = None,
        expires_after: int | None = None,
        organization_id: Maybe[str] = NOT_GIVEN,
    ) -> File:
        """Uploads a file: a path, its bytes, or an object open for reading in binary.

        `filename` should be given with bytes, for they have no name of their own.
        `expires_after` counts seconds, from an hour to thirty days; without it the file stays until it is deleted.
        """
        fields = {"purpose": purpose}
        if expires_after is not None:
            fields |= {"expires_after[anchor]": "created_at", "expires_after[seconds]": str(expires_after)}
        organization = organization_id or self._transport.settings.organization_id
        if isinstance(organization, str):
            fields["organization_id"] = organization
        if isinstance(file, str | os.PathLike):
            with Path(file).open("rb") as opened:  # noqa: ASYNC230 a part of it is read with each part that is sent
                return await self._send(fields, filename or Path(file).name, opened)
        return await self._send(fields, filename or _name(file), file)

    async def _send(self, fields: dict[str, str], name: str, content: bytes | IO[bytes]) -> File:
        call = Call(method="POST", path=path("files"), form=fields, file=(name, content))
        return File((await self._transport.send(call)).body)

    async def get(self, file_id: str) -> File:
        """What is known of a file."""
        call = Call(method="GET", path=path("files", file_id))
        return File((await self._transport.send(call)).body)

    async def content(self, file_id: str) -> bytes:
        """The file itself."""
        return await self._transport.fetch(Call(method="GET", path=path("files", file_id, "content")))

    async def delete(self, file_id: str) -> FileDeleted:
        call = Call(method="DELETE", path=path("files", file_id))
        return FileDeleted((await self._transport.send(call)).body)

    async def list(
        self,
        *,
        purpose: str | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
    ) -> AsyncPage[File]:
        """The files of the organization, the newest first."""
        query = {"purpose": purpose, "limit": limit, "order": order, "after": after}
        organization = organization_id or self._transport.settings.organization_id
        if organization is not None:
            query["organization_id"] = organization
        return await fetch_page(self._transport, path("files"), query, File)


def _name(content: bytes | IO[bytes]) -> str:
    """What an open file is called, where it is one of a disk."""
    name = getattr(content, "name", None)
    return Path(name).name if isinstance(name, str) else "file"
