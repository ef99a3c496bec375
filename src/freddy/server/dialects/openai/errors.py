"""Owns how an error is written: OpenAI's statuses, its names for types and codes, its one sentence."""

import msgspec
from msgspec import Struct

from freddy.server.core import errors

_RESPONSE_CODES = frozenset(
    (
        "server_error",
        "rate_limit_exceeded",
        "invalid_prompt",
        "data_residency_mismatch",
        "bio_policy",
        "misalignment_policy_violation",
        "vector_store_timeout",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
        # Not in OpenAI's published list, yet sent by it and looked for by its own clients.
        "context_length_exceeded",
        "insufficient_quota",
    )
)

_SPENT = frozenset(("insufficient_quota", "budget_exceeded"))
"""The provider's account, or who asks, has nothing left to spend: OpenAI has one name for both, which ends retries."""

_NAMES = {"json_schema.schema": "text.format.schema"}
"""What the core calls otherwise than this dialect."""


class Error(Struct, frozen=True):
    message: str
    type: str
    param: str | None
    code: str | None


class ResponseError(Struct, frozen=True):
    """What a failed response says of its failure: `code` is out of a closed list."""

    code: str
    message: str


class _Body(Struct):
    error: Error


def encode(failure: errors.Failure) -> tuple[int, bytes]:
    return _status(failure), msgspec.json.encode(_Body(spell(failure)))


def spell(failure: errors.Failure) -> Error:
    param = None if failure.param is None else _NAMES.get(failure.param, failure.param)
    return Error(_message(failure), _type(failure), param, _code(failure))


def spell_in_response(failure: errors.Failure) -> ResponseError:
    code = failure.code if failure.code in _RESPONSE_CODES else "server_error"
    return ResponseError(code, _message(failure))


def _status(failure: errors.Failure) -> int:
    # OpenAI has no 422, and a response to go on from is a parameter, not a place.
    if failure.status == 422 or failure.code == "previous_response_not_found":
        return 400
    return failure.status


def _type(failure: errors.Failure) -> str:
    if failure.status >= 500:
        return "server_error"
    if failure.status == 429:
        return "insufficient_quota" if failure.code in _SPENT else "rate_limit_error"
    return "invalid_request_error"


def _code(failure: errors.Failure) -> str:
    if failure.code in _SPENT:
        return "insufficient_quota"
    return "server_error" if failure.status >= 500 else failure.code


def _message(failure: errors.Failure) -> str:
    """OpenAI has no field for details, so they follow in the message."""
    message = failure.message
    if failure.details:
        message = f"{message.rstrip('.')}: {failure.details}"
    if failure.status == 429 and failure.retry_after is not None and failure.code not in _SPENT:
        # Clients that see only a stream read the wait out of this very sentence.
        message = f"{message.rstrip('.')}. Please try again in {failure.retry_after:g}s."
    return message
