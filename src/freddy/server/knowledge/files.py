"""The use-cases of files: upload, list, get, read, delete."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from freddy.server.core import errors
from freddy.server.core.accounts import Caller
from freddy.server.core.files import File, known_id, text_blob_of
from freddy.server.knowledge.samples import Samples
from freddy.server.knowledge.uploads import Upload
from freddy.server.ports.blobs import Blobs
from freddy.server.ports.stores import FilePage, FileStore
from freddy.server.ports.world import Clock, IdSource

_log = logging.getLogger(__name__)


class Files:
    """`max_bytes` is the largest file. `samples` are there beside what was uploaded, but in no list."""

    def __init__(
        self,
        *,
        store: FileStore,
        blobs: Blobs,
        clock: Clock,
        ids: IdSource,
        max_bytes: int,
        samples: Samples | None = None,
        forget: Callable[[str, str], Awaitable[object]] | None = None,
    ) -> None:
        """`forget` sees to it, before a file goes, that nothing of it stays elsewhere: it gets the ids of the
        organization and of the file.
        """
        self._forget = forget
        self.max_bytes = max_bytes
        self._samples = samples
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._ids = ids
        self._uploads: list[Upload] = []
        self._begun: set[str] = set()
        """Blobs being written when the last sweep began, or begun since: no sweep touches those."""

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[Upload]:
        """What is not kept at the end of the context is removed."""
        upload = Upload(
            store=self._store,
            blobs=self._blobs,
            clock=self._clock,
            ids=self._ids,
            max_bytes=self.max_bytes,
            begun=self._begun,
        )
        self._uploads.append(upload)
        try:
            yield upload
        finally:
            try:
                if upload.blobs_left:
                    await self._drop(upload.blobs_left)
            finally:
                self._uploads.remove(upload)

    async def get(self, file_id: str, caller: Caller) -> File:
        """Raises `errors.NotFound`, also for what has expired or belongs to others."""
        wanted = known_id(file_id)
        for organization_id in caller.organization_ids:
            if found := (await self.there(organization_id, [wanted])).get(wanted):
                return found
        raise missing(file_id)

    async def find(self, organization_id: str, file_ids: Sequence[str]) -> Mapping[str, File]:
        """The files by the ids as they were given. Raises `errors.NotFound` for the first that is not there."""
        found = await self.there(organization_id, file_ids)
        for file_id in file_ids:
            if file_id not in found:
                raise missing(file_id)
        return found

    async def there(self, organization_id: str, file_ids: Sequence[str]) -> Mapping[str, File]:
        """Those of them that are there, by the ids as they were given."""
        known = {file_id: known_id(file_id) for file_id in file_ids}
        found = dict(await self._store.find(organization_id, list(dict.fromkeys(known.values())), self._now()))
        for wanted in known.values():
            if wanted not in found and self._samples and (sample := self._samples.find(organization_id, wanted)):
                found[wanted] = sample
        return {file_id: found[wanted] for file_id, wanted in known.items() if wanted in found}

    async def list(self, caller: Caller, page: FilePage) -> tuple[Sequence[File], bool]:
        return await self._store.list(caller.organization_id, page, self._now())

    async def count(self, caller: Caller) -> int:
        return await self._store.count(caller.organization_id, self._now())

    def read(self, file: File, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The content. Raises `errors.NotFound`, before the first piece, where it is gone."""
        content = self._samples.content(file) if self._samples else None
        return self._blobs.read(file.blob, start, end) if content is None else _whole(content[start:end])

    async def kept_text(self, file: File) -> str | None:
        """The text that `keep_text` has kept."""
        try:
            pieces = [piece async for piece in self._blobs.read(file.text_blob)]
        except errors.NotFound:
            return None
        return b"".join(pieces).decode()

    async def keep_text(self, file: File, text: str) -> None:
        """Keeps the text beside the content: it goes when the file does, and outlives this process."""

        async def whole() -> AsyncIterator[bytes]:
            yield text.encode()

        await self._blobs.write(file.text_blob, whole())
        if not await self._store.find(file.organization_id, [file.id], self._now()):
            # Deleted meanwhile, and its text with it, had it been there.
            await self._blobs.delete([file.text_blob])

    async def delete(self, file_id: str, caller: Caller) -> File:
        """Raises `errors.NotFound`. The file is gone at once; its content may follow later."""
        file = await self.get(file_id, caller)
        if self._forget is not None:
            await self._forget(file.organization_id, file.id)
        if not await self._store.delete(file.organization_id, file.id, self._now()):
            raise missing(file_id)
        await self._drop([file.blob])
        return file

    async def sweep(self) -> None:
        """Removes what has expired, and the content that broken uploads and deletions left behind."""
        self._begun.clear()
        self._begun.update(name for upload in self._uploads for name in upload.blobs_left)
        now = self._now()
        if self._forget is not None:
            for organization_id, file_id in await self._store.expired(now):
                await self._forget(organization_id, file_id)
        await self._store.expire(now)
        orphans = [name for name in await self._store.orphans() if name not in self._begun]
        if orphans:
            await self._remove(orphans)

    async def _drop(self, blobs: Sequence[str]) -> None:
        """What cannot be removed now is left to a later sweep."""
        try:
            await self._remove(blobs)
        except errors.FreddyError as error:
            _log.warning("blobs_left", extra={"count": len(blobs), "reason": error.message})

    async def _remove(self, blobs: Sequence[str]) -> None:
        await self._blobs.delete([name for blob in blobs for name in (blob, text_blob_of(blob))])
        await self._store.forget(blobs)

    def _now(self) -> int:
        return int(self._clock.now())


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


def missing(file_id: str) -> errors.NotFound:
    return errors.NotFound(f"There is no file {file_id[:100]!r}", param="file_id", code="file_not_found")
