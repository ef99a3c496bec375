"""Turns whatever went wrong into JSON in the caller's dialect."""

import logging
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
    if told.retry_after is not None:
        return {"retry-after": str(max(1, round(told.retry_after)))}
    if told.status == 401:
        return {"www-authenticate": "Bearer"}
    return {}


def encode(error: Exception, dialect: Dialect) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body."""
    told = failure(error)
    status, body = dialect.encode_error(told)
    return status, headers(told), body
