"""The Python client of Freddy, a self-hosted model-response API. These names are all there is."""

from importlib import import_module
from typing import TYPE_CHECKING

from freddy._errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    FreddyError,
    GatewayTimeoutError,
    InternalServerError,
    InvalidResponseError,
    InvalidSignatureError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
    StreamInterruptedError,
    UnprocessableEntityError,
    UpstreamError,
)

if TYPE_CHECKING:
    from freddy import types
    from freddy._async.client import AsyncFreddyClient
    from freddy._async.paging import AsyncPage
    from freddy._async.stream import AsyncStream
    from freddy._sync.client import FreddyClient
    from freddy._sync.paging import Page
    from freddy._sync.stream import Stream
    from freddy.types import NOT_GIVEN, Response

    __version__: str

__all__ = [
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "AsyncFreddyClient",
    "AsyncPage",
    "AsyncStream",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "FreddyClient",
    "FreddyError",
    "GatewayTimeoutError",
    "InternalServerError",
    "InvalidResponseError",
    "InvalidSignatureError",
    "NotFoundError",
    "Page",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "RateLimitError",
    "Response",
    "ServerError",
    "ServiceUnavailableError",
    "Stream",
    "StreamInterruptedError",
    "UnprocessableEntityError",
    "UpstreamError",
    "__version__",
    "types",
]

# Loaded when first asked for: the server and the command line import this package without a client.
_HOMES = {
    "AsyncFreddyClient": "freddy._async.client",
    "AsyncPage": "freddy._async.paging",
    "AsyncStream": "freddy._async.stream",
    "FreddyClient": "freddy._sync.client",
    "Page": "freddy._sync.paging",
    "Stream": "freddy._sync.stream",
    "NOT_GIVEN": "freddy.types",
    "Response": "freddy.types",
}


def __getattr__(name: str) -> object:
    if name == "types":
        return import_module("freddy.types")
    if name == "__version__":
        return import_module("freddy._settings").version()
    if name not in _HOMES:
        raise AttributeError(f"module 'freddy' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
