"""Receives files: their content first, and all of them or none."""

import hashlib
from collections.abc import AsyncIterator, Sequence

from msgspec import Struct

from freddy.server.core import errors, ids, media_types
from freddy.server.core.accounts import Caller
from freddy.server.core.files import Draft, File, blob_of, display_name
from freddy.server.ports.blobs import Blobs
from freddy.server.ports.stores import FileStore
from freddy.server.ports.world import Clock, IdSource


class _Received(Struct, frozen=True):
    """A file whose content is kept, before it counts as a file."""

    id: str
    filename: str
    media_type: str
    size: int
    sha256: str


class Upload:
    """One upload, of one file or several. `blobs_left` are those that no file has got; all are told to `begun`."""

    def __init__(
        self, *, store: FileStore, blobs: Blobs, clock: Clock, ids: IdSource, max_bytes: int, begun: set[str]
    ) -> None:
        self.blobs_left: list[str] = []
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._ids = ids
        self._max_bytes = max_bytes
        self._begun = begun
        self._received: list[_Received] = []

    async def receive(
        self, chunks: AsyncIterator[bytes], *, filename: str, declared: str | None, file_id: str | None = None
    ) -> None:
        """Keeps the content; `declared` is its type as the sender says.

        Raises `errors.InvalidRequest` when there is none, `errors.TooLarge` when there is too much, and
        `errors.Conflict` when the id is taken.
        """
        name = display_name(filename)
        head = await _head(chunks)
        if not head:
            raise errors.InvalidRequest(
                f"The file {name!r} is empty", param="file", code="empty_file", details="send a file with content"
            )
        file_id = file_id or self._ids.new(ids.FILE)
        self._begun.add(blob_of(file_id))
        await self._store.begin(file_id)
        self.blobs_left.append(blob_of(file_id))
        counted = _Counted(head, chunks, most=self._max_bytes)
        await self._blobs.write(blob_of(file_id), counted.pieces())
        media_type = media_types.told(declared, name, head[: media_types.HEAD])
        self._received.append(_Received(file_id, name, media_type, counted.size, counted.digest.hexdigest()))

    async def keep(self, caller: Caller, draft: Draft) -> Sequence[File]:
        """Makes files of the caller's organization of what was received."""
        now = int(self._clock.now())
        files = [
            File(
                id=each.id,
                organization_id=caller.organization_id,
                filename=each.filename,
                media_type=each.media_type,
                size=each.size,
                sha256=each.sha256,
                purpose=draft.purpose,
                created_at=now,
                expires_at=None if draft.expires_after is None else now + draft.expires_after,
                key_id=caller.key_id,
            )
            for each in self._received
        ]
        await self._store.add(files)
        self.blobs_left.clear()
        return files


class _Counted:
    def __init__(self, head: bytes, rest: AsyncIterator[bytes], *, most: int) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self._head = head
        self._rest = rest
        self._most = most

    async def pieces(self) -> AsyncIterator[bytes]:
        piece = self._head
        while piece:
            self.size += len(piece)
            if self.size > self._most:
                raise too_large(self._most)
            # A piece is at most what a socket gives at once: the loop is not held up.
            self.digest.update(piece)
            yield piece
            piece = await anext(self._rest, b"")


async def _head(chunks: AsyncIterator[bytes]) -> bytes:
    """Enough of the beginning to tell what it is."""
    head = b""
    while len(head) < media_types.HEAD and (piece := await anext(chunks, b"")):
        head += piece
    return head


def too_large(limit: int) -> errors.TooLarge:
    return errors.TooLarge(
        f"The file is larger than {limit:,} bytes",
        param="file",
        code="file_too_large",
        details="send a smaller one, or raise `files.max_bytes`",
    )
