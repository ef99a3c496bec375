"""Turns whatever went wrong into JSON in the caller's dialect."""

import logging
import math
from collections.abc import Mapping

from freddy.server.core import errors
from freddy.server.dialects.base import Dialect

_log = logging.getLogger(__name__)


def failure(error: Exception) -> errors.Failure:
    """What the caller may know of the error: of one that nobody foresaw, only that it happened."""
    if isinstance(error, errors.FreddyError):
        return error.as_failure()
    _log.error("request_fault", exc_info=error)
    return errors.Internal("Internal server error").as_failure()


def headers(told: errors.Failure) -> Mapping[str, str]:
    more = dict(told.headers)
    if told.retry_after is not None:
        # Rounded up: who comes back a moment too early is refused again.
        more["retry-after"] = str(max(1, math.ceil(told.retry_after)))
    if told.status == 401:
        more["www-authenticate"] = "Bearer"
    return more


def encode(error: Exception, dialect: Dialect) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body."""
    told = failure(error)
    status, body = dialect.encode_error(told)
    return status, headers(told), body
