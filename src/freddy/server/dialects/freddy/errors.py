"""Owns how an error is written."""

import msgspec
from msgspec import UNSET, Struct, UnsetType

from freddy.server.core.errors import Failure


class ErrorView(Struct):
    message: str
    type: str
    code: str
    param: str | UnsetType = UNSET
    details: str | UnsetType = UNSET


class ErrorBody(Struct):
    error: ErrorView


_NAMES = {"input": "inputs"}
"""What the core calls otherwise than this dialect."""


def view(failure: Failure) -> ErrorView:
    return ErrorView(
        message=failure.message,
        type=failure.type,
        code=failure.code,
        param=UNSET if failure.param is None else _NAMES.get(failure.param, failure.param),
        details=UNSET if failure.details is None else failure.details,
    )


def encode_error(failure: Failure) -> tuple[int, bytes]:
    return failure.status, msgspec.json.encode(ErrorBody(view(failure)))
