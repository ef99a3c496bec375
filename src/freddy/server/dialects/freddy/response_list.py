"""Owns how a list of responses is asked for and written."""

from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import errors
from freddy.server.core.response import Status

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
_encode = msgspec.json.Encoder().encode


class ResponseList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[Raw, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool
    limit: int


def decode_status(given: str) -> Status:
    for status in STATUSES:
        if given == status:
            return status
    raise errors.InvalidValue("status", f"must be one of {', '.join(STATUSES)}")


def encode_responses(responses: Sequence[tuple[str, bytes]], *, has_more: bool, limit: int) -> bytes:
    """Each with its id, written already."""
    return _encode(
        ResponseList(
            data=tuple(Raw(written) for _, written in responses),
            first_id=responses[0][0] if responses else None,
            last_id=responses[-1][0] if responses else None,
            has_more=has_more,
            limit=limit,
        )
    )
