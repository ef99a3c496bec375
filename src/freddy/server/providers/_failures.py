"""Turns a vendor's refusal (status and body) into the core's words. The vendor's text is never passed on whole."""

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from freddy.server.core import errors

_LONGEST = 300
_KEYS = re.compile(r"\b(?:sk|rk|pk|gsk|xai|org|proj)[-_][\w*-]{6,}|\bAIza[\w-]{10,}|\bBearer\s+\S+", re.IGNORECASE)
_TALKATIVE = (None, 400, 413, 422, 500)
"""Statuses that may mean many things, None being that of a stream: the words of the message count."""
_OF_A_PATH = re.compile(
    r"^(?!.*\b(?:model|deployment)\b).*\b(?:url|path|route|endpoint|resource)\b|^\W*not.found\W*$", re.I
)
"""What vendors say who have no such path; what else they say of 404 is of a model."""
_AGAIN = re.compile(r"try again in (?:(\d+)m(?!s))?(\d+(?:\.\d+)?)(ms|s)\b")

_Case: TypeAlias = Literal[
    "overflow",
    "quota",
    "rate",
    "credentials",
    "model",
    "path",
    "content",
    "schema",
    "rejected",
    "large",
    "busy",
    "late",
    "failed",
]

_CODES: Final[Mapping[str, _Case]] = {
    "context_length_exceeded": "overflow",
    "exceed_context_size_error": "overflow",
    "insufficient_quota": "quota",
    "billing_error": "quota",
    "billing_hard_limit_reached": "quota",
    "payment_required": "quota",
    "rate_limit_exceeded": "rate",
    "rate_limit_error": "rate",
    "too_many_requests": "rate",
    "429": "rate",
    "invalid_api_key": "credentials",
    "authentication_error": "credentials",
    "permission_error": "credentials",
    "model_not_found": "model",
    "DeploymentNotFound": "model",
    "content_filter": "content",
    "content_policy_violation": "content",
    "image_content_policy_violation": "content",
    "bio_policy": "content",
    "misalignment_policy_violation": "content",
    "invalid_json_schema": "schema",
    "invalid_prompt": "rejected",
    "data_residency_mismatch": "rejected",
    "image_too_large": "rejected",
    "image_too_small": "rejected",
    "image_parse_error": "rejected",
    "image_file_too_large": "rejected",
    "image_file_not_found": "rejected",
    "invalid_image": "rejected",
    "invalid_image_format": "rejected",
    "invalid_image_mode": "rejected",
    "invalid_image_url": "rejected",
    "invalid_base64_image": "rejected",
    "unsupported_image_media_type": "rejected",
    "empty_image_file": "rejected",
    "failed_to_download_image": "rejected",
    "request_too_large": "large",
    "server_is_overloaded": "busy",
    "slow_down": "busy",
    "overloaded_error": "busy",
    "unavailable_error": "busy",
    "503": "busy",
    "529": "busy",
    "timeout_error": "late",
    "504": "late",
}
"""What vendors call the same things, as the code or the type of an error."""

_BROAD: Final[Mapping[str, _Case]] = {"invalid_request_error": "rejected", "not_found_error": "model"}
"""Types that say less than a status does: they count where there is none."""

_STATUSES: Final[Mapping[int, _Case]] = {
    400: "rejected",
    401: "credentials",
    402: "quota",
    403: "credentials",
    404: "path",
    405: "path",
    408: "late",
    409: "busy",
    413: "large",
    415: "rejected",
    422: "rejected",
    429: "rate",
    498: "busy",
    503: "busy",
    504: "late",
    524: "late",
    529: "busy",
}


class _Error(Struct):
    message: str = ""
    type: str | None = None
    code: str | int | None = None
    param: str | None = None


class _Body(Struct):
    error: _Error | str | None = None
    message: str | None = None


class _Told(Struct, frozen=True):
    """`names` are the code and the type of the error, as far as it has them."""

    message: str = ""
    names: tuple[str, ...] = ()
    param: str | None = None


def failure(name: str, status: int, headers: Mapping[str, str], body: bytes) -> errors.FreddyError:
    """What an answer with a status other than 2xx means to the caller of the vendor called `name`."""
    told = _told(body)
    case = _named(told, _CODES, status) or _STATUSES.get(status, "failed")
    if status == 404 and case == "path" and told.message and not _OF_A_PATH.search(told.message):
        case = "model"
    return _error(name, case, told, wait=retry_after(headers), status=status)


def in_stream(name: str, body: bytes) -> errors.FreddyError:
    """What an error object in the middle of a stream means: the same as it would before the stream."""
    told = _told(body)
    return _error(name, _named(told, _CODES, None) or _named(told, _BROAD, None) or "failed", told)


def code(body: bytes) -> str:
    """What the vendor itself calls its error; empty where it does not say."""
    return next(iter(_told(body).names), "")


def message(body: bytes) -> str:
    """What the vendor says of its error, without keys."""
    return _told(body).message


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from `retry-after-ms` or from a `retry-after` in seconds or as a date.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    for header, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[header]) / unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        # By the vendor's own clock, which need not be ours.
        wait = parsedate_to_datetime(headers["retry-after"]) - parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError):
        return None
    return max(0.0, wait.total_seconds())


def _error(
    name: str, case: _Case, told: _Told, *, wait: float | None = None, status: int | None = None
) -> errors.FreddyError:
    said = f": {told.message}" if told.message else ""
    details = told.message or None
    match case:
        case "overflow":
            return errors.ContextOverflow("The input is longer than the model can read", param="input", details=details)
        case "quota":
            # Waiting does not help: somebody must pay.
            return errors.RateLimited(f"{name} has no quota left", code="insufficient_quota", details=details)
        case "rate":
            wait = _again(told.message) if wait is None else wait
            return errors.RateLimited(f"{name} limits the rate of requests", retry_after=wait, details=details)
        case "credentials":
            # The vendor's message may repeat part of the key.
            return errors.ProviderFailed(
                f"{name} refused its credentials",
                code="provider_authentication",
                details="check the key of this upstream in the settings",
            )
        case "model":
            return errors.ModelNotFound(f"{name} has no such model{said}", param="model")
        case "path":
            return errors.ProviderFailed(
                f"{name} does not know the path", details="check the url and the kind of this upstream in the settings"
            )
        case "content":
            return errors.InvalidRequest(f"{name} refused the content{said}", param=told.param, code="content_filter")
        case "schema":
            return errors.InvalidRequest(
                f"{name} refused the JSON Schema{said}", param="json_schema.schema", code="unsupported_schema"
            )
        case "rejected":
            return errors.InvalidRequest(
                f"{name} refused the request{said}", param=told.param, code="provider_rejected"
            )
        case "large":
            return errors.TooLarge(f"{name} takes no request of this size{said}", param=told.param)
        case "busy":
            return errors.ProviderUnavailable(f"{name} is unavailable", retry_after=wait, details=details)
        case "late":
            return errors.ProviderTimeout(f"{name} did not answer in time")
        case "failed":
            how = "while it answered" if status is None else f"with status {status}"
            return errors.ProviderFailed(f"{name} failed {how}", details=details)


def _named(told: _Told, table: Mapping[str, _Case], status: int | None) -> _Case | None:
    """What the error is by its names, or by its message where those say nothing: some have one name for many things."""
    named = next((table[one] for one in told.names if one in table), None)
    if named is not None or status not in _TALKATIVE:
        return named
    if _overflows(told.message):
        return "overflow"
    return "quota" if "credit balance is too low" in told.message else None


def _overflows(message: str) -> bool:
    return "prompt is too long" in message or (
        "context" in message and ("exceed" in message or "maximum context length" in message)
    )


def _again(message: str) -> float | None:
    """Seconds that a message says to wait."""
    told = _AGAIN.search(message)
    if told is None:
        return None
    return int(told[1] or 0) * 60 + float(told[2]) / (1000 if told[3] == "ms" else 1)


def _told(body: bytes) -> _Told:
    try:
        told = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Told()
    if isinstance(told.error, _Error):
        one = told.error
        names = tuple(str(name) for name in (one.code, one.type) if name not in (None, ""))
        return _Told(_shown(one.message), names, one.param)
    return _Told(_shown(told.error or told.message or ""))


def _shown(message: str) -> str:
    """A vendor may repeat the key it was sent, or name the account: they are the operator's, not the caller's."""
    return _KEYS.sub("***", message)[:_LONGEST]
