"""Owns how files are written and read in OpenAI's shapes. https://platform.openai.com/docs/api-reference/files"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.files import PURPOSES, Draft, File, Purpose

SHORTEST: Final = 3600
LONGEST: Final = 30 * 24 * 3600
_FIELDS: Final = ("purpose", "expires_after[anchor]", "expires_after[seconds]", "organization_id")
_encode = msgspec.json.Encoder().encode


class FileView(Struct, kw_only=True):
    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: Purpose
    status: Literal["processed"] = "processed"
    status_details: None = None


class FileList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[FileView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(Struct):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


def decode_draft(fields: Mapping[str, str]) -> Draft:
    """The fields of the form beside the file."""
    for name in fields:
        if name not in _FIELDS:
            raise errors.UnknownParameter(
                f"Unknown parameter: {name[:100]!r}", param=name[:100], details=f"the form has {', '.join(_FIELDS)}"
            )
    if not fields.get("purpose"):
        raise errors.InvalidRequest(
            "Missing required parameter: 'purpose'",
            param="purpose",
            code="missing_required_parameter",
            details=f"one of {', '.join(PURPOSES)}",
        )
    anchor, seconds = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return Draft(decode_purpose(fields["purpose"]))
    if anchor != "created_at":
        raise errors.InvalidValue("expires_after[anchor]", "must be created_at")
    if seconds is None or not (seconds.isascii() and seconds.isdigit() and SHORTEST <= int(seconds) <= LONGEST):
        raise errors.InvalidValue("expires_after[seconds]", f"must be a whole number from {SHORTEST} to {LONGEST}")
    return Draft(decode_purpose(fields["purpose"]), int(seconds))


def decode_purpose(given: str) -> Purpose:
    for purpose in PURPOSES:
        if given == purpose:
            return purpose
    raise errors.InvalidValue("purpose", f"must be one of {', '.join(PURPOSES)}")


def encode_file(file: File) -> bytes:
    return _encode(_view(file))


def encode_files(files: Sequence[File], *, has_more: bool) -> bytes:
    return _encode(
        FileList(
            data=tuple(_view(file) for file in files),
            first_id=files[0].id if files else None,
            last_id=files[-1].id if files else None,
            has_more=has_more,
        )
    )


def encode_deleted(file_id: str) -> bytes:
    return _encode(FileDeleted(file_id))


def _view(file: File) -> FileView:
    return FileView(
        id=file.id,
        bytes=file.size,
        created_at=file.created_at,
        expires_at=file.expires_at,
        filename=file.filename,
        purpose=file.purpose,
    )
