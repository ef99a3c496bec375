"""Every error the SDK raises: one class for each way in which a call can fail.

FreddyError
├── APIError                      the server answered with an error   (also: error event in a stream)
│   ├── BadRequestError           400  invalid_request_error
│   ├── AuthenticationError       401  authentication_error
│   ├── PermissionDeniedError     403  permission_error
│   ├── NotFoundError             404  not_found_error, or code model_not_found
│   ├── ConflictError             409  conflict_error
│   ├── PayloadTooLargeError      413  payload_too_large_error
│   ├── UnprocessableEntityError  422  code invalid_value
│   ├── RateLimitError            429  rate_limit_error               (`retry_after`)
│   └── ServerError               5xx
│       ├── InternalServerError      500  server_error
│       ├── UpstreamError            502  upstream_error
│       ├── ServiceUnavailableError  503  service_unavailable_error
│       └── GatewayTimeoutError      504  timeout_error
├── APIConnectionError            no answer came
│   ├── APITimeoutError           no answer came in time
│   └── StreamInterruptedError    a stream ended before its terminal event
├── InvalidResponseError          the answer was not what the API promises
└── InvalidSignatureError         what came to a webhook was not signed with its secret
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class FreddyError(Exception):
    """What every error of the SDK is."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class APIError(FreddyError):
    """The server answered with an error. `status` is None when it came inside a stream."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        error_type: str | None = None,
        details: object = None,
        request_id: str | None = None,
        body: object = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.type = error_type
        self.details = details
        self.request_id = request_id
        self.body = body

    def __str__(self) -> str:
        facts = {
            "status": self.status,
            "code": self.code,
            "param": self.param,
            "details": self.details if isinstance(self.details, str) else None,
            "request": self.request_id,
        }
        told = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
        return f"{self.message} ({told})" if told else self.message


class BadRequestError(APIError):
    """400: the request cannot be understood, or does not fit the model's context."""


class AuthenticationError(APIError):
    """401: the API key is missing or wrong."""


class PermissionDeniedError(APIError):
    """403: the API key is right but may not do this."""


class NotFoundError(APIError):
    """404: no such response, thread or model (or not one of your organization)."""


class ConflictError(APIError):
    """409: the thing is not in a state that allows this."""


class PayloadTooLargeError(APIError):
    """413: the request is larger than the server accepts."""


class UnprocessableEntityError(APIError):
    """422: a value is out of its range; `param` and `details` say which and why."""


class RateLimitError(APIError):
    """429: too many requests; `retry_after` is the server's advice in seconds, if it gave one."""

    retry_after: float | None = None


class ServerError(APIError):
    """5xx: the server, or something behind it, failed."""


class InternalServerError(ServerError):
    """500: the server failed."""


class UpstreamError(ServerError):
    """502: the model's provider gave no usable answer."""


class ServiceUnavailableError(ServerError):
    """503: the server or the model's provider is unavailable for now."""


class GatewayTimeoutError(ServerError):
    """504: the model's provider did not answer in time."""


class APIConnectionError(FreddyError):
    """The server could not be reached, or the connection broke before the answer."""


class APITimeoutError(APIConnectionError):
    """The server did not answer within the call's timeout."""


class StreamInterruptedError(APIConnectionError):
    """A stream ended before its terminal event: what was received is not the whole answer.

    `response_id` and `sequence_number` (of the last event that arrived) are what
    `responses.follow` needs to go on from there.
    """

    def __init__(
        self,
        message: str,
        *,
        response_id: str | None = None,
        sequence_number: int | None = None,
    ) -> None:
        super().__init__(message)
        self.response_id = response_id
        self.sequence_number = sequence_number


class InvalidResponseError(FreddyError):
    """The answer was not what the API promises, for example a proxy's HTML page."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        body: object = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id
        self.body = body


class InvalidSignatureError(FreddyError):
    """What came to a webhook was not signed with its secret, or not just now."""


BY_STATUS: Mapping[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: PayloadTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    500: InternalServerError,
    502: UpstreamError,
    503: ServiceUnavailableError,
    504: GatewayTimeoutError,
}

# Inside a stream there is no status; the code is asked first because it says more than the type.
BY_CODE: Mapping[str, type[APIError]] = {
    "model_not_found": NotFoundError,
    "not_found": NotFoundError,
    "invalid_value": UnprocessableEntityError,
    "rate_limit_exceeded": RateLimitError,
    "provider_unavailable": ServiceUnavailableError,
}
BY_TYPE: Mapping[str, type[APIError]] = {
    "invalid_request_error": BadRequestError,
    "authentication_error": AuthenticationError,
    "permission_error": PermissionDeniedError,
    "not_found_error": NotFoundError,
    "conflict_error": ConflictError,
    "payload_too_large_error": PayloadTooLargeError,
    "rate_limit_error": RateLimitError,
    "server_error": InternalServerError,
    "upstream_error": UpstreamError,
    "service_unavailable_error": ServiceUnavailableError,
    "timeout_error": GatewayTimeoutError,
}


def from_answer(status: int, body: object, *, request_id: str | None = None) -> APIError:
    """The error that an answer of this status means; `body` is JSON, or text when it was not."""
    kind = BY_STATUS.get(status, ServerError if status >= 500 else APIError)
    return _built(kind, body, status=status, request_id=request_id, otherwise=_phrase(status))


def from_event(data: Mapping[str, Any], *, request_id: str | None = None) -> APIError:
    """The error that an `error` event of a stream means, in its nested or its flat form."""
    fault = {**data, **data["error"]} if isinstance(data.get("error"), Mapping) else dict(data)
    if fault.get("type") == "error":
        del fault["type"]
    status = fault.get("status")
    kind = (
        BY_CODE.get(str(fault.get("code")))
        or BY_TYPE.get(str(fault.get("type")))
        or (BY_STATUS.get(status) if isinstance(status, int) else None)
        or APIError
    )
    return _built(
        kind,
        {"error": fault},
        status=status if isinstance(status, int) else None,
        request_id=request_id,
        otherwise="the server reported an error inside the stream",
    )


def _built(
    kind: type[APIError],
    body: object,
    *,
    status: int | None,
    request_id: str | None,
    otherwise: str,
) -> APIError:
    fault = body.get("error", body) if isinstance(body, Mapping) else None
    if isinstance(fault, str):
        fault = {"message": fault}
    if not isinstance(fault, Mapping):
        fault = {}
    return kind(
        _text(fault.get("message")) or otherwise,
        status=status,
        code=_text(fault.get("code")),
        param=_text(fault.get("param")),
        error_type=_text(fault.get("type")),
        details=fault.get("details"),
        request_id=request_id,
        body=body,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _phrase(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
