"""Turns a vendor's refusal (status and body) into the core's words. The vendor's text is never passed on whole."""

import math
import re
from collections.abc import Mapping

import msgspec

from freddy.server.core import errors

_LONGEST = 300
_KEYS = re.compile(r"\b(?:sk|rk|pk|gsk|xai)[-_][\w*-]{6,}|\bBearer\s+\S+", re.IGNORECASE)


class _Error(msgspec.Struct):
    message: str = ""
    type: str | None = None
    code: str | int | None = None
    param: str | None = None


class _Body(msgspec.Struct):
    error: _Error | str | None = None
    message: str | None = None


def failure(name: str, status: int, headers: Mapping[str, str], body: bytes) -> errors.FreddyError:
    """What an answer with a status other than 2xx means to the caller of the vendor called `name`."""
    message, code, param = _told(body)
    said = f": {message}" if message else ""
    if status == 429:
        return errors.RateLimited(
            f"{name} limits the rate of requests", retry_after=retry_after(headers), details=message or None
        )
    if status in (401, 403):
        # The vendor's message may repeat part of the key.
        return errors.ProviderFailed(
            f"{name} refused its credentials",
            code="provider_authentication",
            details="check the key of this upstream in the settings",
        )
    if status == 404:
        return errors.ModelNotFound(f"{name} has no such model or path{said}", param="model")
    if overflows(code, message):
        return errors.ContextOverflow(
            "The input is longer than the model can read", param="input", details=message or None
        )
    if status in (400, 409, 413, 415, 422):
        return errors.InvalidRequest(f"{name} refused the request{said}", param=param, code="provider_rejected")
    if status in (408, 504):
        return errors.ProviderTimeout(f"{name} did not answer in time")
    if status in (503, 529):
        return errors.ProviderUnavailable(
            f"{name} is unavailable", retry_after=retry_after(headers), details=message or None
        )
    return errors.ProviderFailed(f"{name} failed with status {status}", details=message or None)


def in_stream(name: str, body: bytes) -> errors.FreddyError:
    """What an error object in the middle of a stream means."""
    message, code, param = _told(body)
    if overflows(code, message):
        return errors.ContextOverflow("The input is longer than the model can read", param="input")
    if code in ("rate_limit_exceeded", "429"):
        return errors.RateLimited(f"{name} limits the rate of requests", details=message or None)
    return errors.ProviderFailed(f"{name} failed while it answered", param=param, details=message or None)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from `retry-after-ms` or a `retry-after` in seconds."""
    for header, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[header]) / unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def overflows(code: str, message: str) -> bool:
    return (
        code in ("context_length_exceeded", "exceed_context_size_error")
        or "prompt is too long" in message
        or ("context" in message and ("exceed" in message or "maximum context length" in message))
    )


def _told(body: bytes) -> tuple[str, str, str | None]:
    """Message, code and param, as far as the body tells them."""
    try:
        told = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", "", None
    if isinstance(told.error, _Error):
        code = told.error.code if told.error.code not in (None, "") else told.error.type
        return _shown(told.error.message), str(code or ""), told.error.param
    return _shown(told.error or told.message or ""), "", None


def _shown(message: str) -> str:
    """A vendor may repeat the key it was sent, which is the operator's and not the caller's."""
    return _KEYS.sub("***", message)[:_LONGEST]
