"""Files: what was uploaded, as the server tells it."""

from __future__ import annotations

from freddy.types._view import View


class File(View):
    """An uploaded file. Its id goes into the `files`, `images` or `audio` of a message."""

    id: str
    object: str
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: str | None


class FileDeleted(View):
    """That a file is gone."""

    id: str
    object: str
    deleted: bool
