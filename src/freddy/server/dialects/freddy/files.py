"""Owns how files are written and read in the platform's shapes, under /v1/organizations/{organization}/files."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core import errors
from freddy.server.core.files import MOST, PURPOSES, Draft, File, Purpose, display_name, known_id
from freddy.server.dialects.freddy.fields import Fields, read, too_deep

_PURPOSES: Final[dict[str, Purpose]] = {
    **{purpose: purpose for purpose in PURPOSES},
    "user_upload": "user_data",
    "assistant": "assistants",
    "vector_store": "assistants",
}
_BATCH: Final = {"files": "files"}
_ANNOUNCED: Final = {
    **dict.fromkeys(("filename", "file_name", "fileName", "original_filename", "originalFilename"), "filename"),
    **dict.fromkeys(("mime_type", "mimeType", "content_type", "contentType"), "mime_type"),
    **dict.fromkeys(("file_size", "fileSize", "size"), "file_size"),
    "purpose": "purpose",
}
_UPLOADED: Final = {
    **dict.fromkeys(("file_id", "fileId", "id"), "file_id"),
    # What the answer to an upload URL said may be sent back whole.
    **{
        name: name
        for name in (
            "filename",
            "mime_type",
            "file_size",
            "purpose",
            "storage_path",
            "upload_url",
            "method",
            "expires_at",
        )
    },
}
_encode = msgspec.json.Encoder().encode


class Announced(Struct, frozen=True):
    """A file that is to come."""

    filename: str
    media_type: str | None
    size: int | None
    purpose: Purpose


class FileView(Struct, kw_only=True):
    id: str
    original_filename: str
    file_size: int
    mime_type: str
    storage_path: str
    organization_id: str
    uploaded_by: None = None
    uploaded_by_api_key_id: str | None
    uploaded_at: str
    purpose: Purpose
    sha256: str
    expires_at: str | None


class FileBatch(Struct, kw_only=True):
    success: bool
    message: str
    files: tuple[FileView, ...]
    total_uploaded: int
    total_failed: int
    errors: tuple["FileFailure", ...] | UnsetType = UNSET


class FileFailure(Struct):
    file_id: str
    code: str
    message: str


class FilePageView(Struct, kw_only=True):
    files: tuple[FileView, ...]
    total: int
    page: int
    limit: int
    has_more: bool


class FileLink(Struct, kw_only=True):
    file_id: str
    filename: str
    mime_type: str
    file_size: int
    download_url: str


class UploadLink(Struct, kw_only=True):
    file_id: str
    filename: str
    mime_type: str | None
    upload_url: str
    method: str = "PUT"
    expires_at: str


class UploadLinks(Struct, kw_only=True):
    success: bool = True
    message: str
    files: tuple[UploadLink, ...]


class FileRemoved(Struct):
    id: str
    object: str = "file"
    deleted: bool = True


def decode_draft(fields: Mapping[str, str]) -> Draft:
    """The fields of the form beside the files."""
    for name in fields:
        if name != "purpose":
            raise errors.UnknownParameter(
                f"Unknown parameter: {name[:100]!r}", param=name[:100], details="the form has files and purpose"
            )
    given = fields.get("purpose", "user_data")
    if given not in _PURPOSES:
        raise errors.InvalidValue("purpose", f"must be one of {', '.join(_PURPOSES)}")
    return Draft(_PURPOSES[given])


def decode_announced(body: bytes) -> Sequence[Announced]:
    return [_announced(Fields(each, _ANNOUNCED, place)) for place, each in _batch(body)]


def decode_uploaded(body: bytes) -> Sequence[str]:
    """The ids of files that were uploaded through links."""
    file_ids = []
    for place, each in _batch(body):
        fields = Fields(each, _UPLOADED, place)
        file_id = fields.identifier("file_id")
        if file_id is None:
            raise fields.wrong("file_id", "is needed: the one that came with the upload URL")
        file_ids.append(known_id(file_id))
    return file_ids


def encode_file(file: File) -> bytes:
    return _encode(_view(file))


def encode_uploaded(files: Sequence[File], missing: Sequence[str] = ()) -> bytes:
    """`missing` are ids of files that did not come."""
    noun = "file" if len(files) == 1 else "files"
    return _encode(
        FileBatch(
            success=not missing,
            message=f"{len(files)} {noun} uploaded" + (f", {len(missing)} missing" if missing else ""),
            files=tuple(_view(file) for file in files),
            total_uploaded=len(files),
            total_failed=len(missing),
            errors=tuple(FileFailure(each, "file_not_found", "Nothing was uploaded under this id") for each in missing)
            or UNSET,
        )
    )


def encode_files(files: Sequence[File], *, total: int, page: int, limit: int, has_more: bool) -> bytes:
    views = tuple(_view(file) for file in files)
    return _encode(FilePageView(files=views, total=total, page=page, limit=limit, has_more=has_more))


def encode_link(file: File, url: str) -> bytes:
    return _encode(
        FileLink(
            file_id=file.id,
            filename=file.filename,
            mime_type=file.media_type,
            file_size=file.size,
            download_url=url,
        )
    )


def encode_upload_links(announced: Sequence[tuple[str, str, Announced]], *, expires_at: int) -> bytes:
    """Each with the id it will have, and its address."""
    links = [
        UploadLink(
            file_id=file_id,
            filename=each.filename,
            mime_type=each.media_type,
            upload_url=url,
            expires_at=_iso(expires_at),
        )
        for file_id, url, each in announced
    ]
    return _encode(UploadLinks(message="Send each file to its upload_url with PUT", files=tuple(links)))


def encode_deleted(file_id: str) -> bytes:
    return _encode(FileRemoved(file_id))


def _batch(body: bytes) -> Sequence[tuple[str, object]]:
    try:
        fields = Fields(read(body), _BATCH)
    except RecursionError:
        raise too_deep() from None
    given = fields.array("files")
    if not 1 <= len(given) <= MOST:
        raise fields.wrong("files", f"must have 1 to {MOST} files")
    return given


def _announced(fields: Fields) -> Announced:
    filename = fields.string("filename", least=1, most=1024)
    if filename is None:
        raise fields.wrong("filename", "is needed")
    return Announced(
        filename=display_name(filename),
        media_type=fields.string("mime_type", most=200),
        size=fields.integer("file_size", 1, 2**53),
        purpose=fields.choice("purpose", _PURPOSES) or "user_data",
    )


def _view(file: File) -> FileView:
    return FileView(
        id=file.id,
        original_filename=file.filename,
        file_size=file.size,
        mime_type=file.media_type,
        storage_path=file.blob,
        organization_id=file.organization_id,
        uploaded_by_api_key_id=file.key_id,
        uploaded_at=_iso(file.created_at),
        purpose=file.purpose,
        sha256=file.sha256,
        expires_at=None if file.expires_at is None else _iso(file.expires_at),
    )


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
