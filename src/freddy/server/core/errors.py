"""Owns every error a caller can meet.

FreddyError                    status  type                        code
├── InvalidRequest                400  invalid_request_error       (its own)
│   ├── InvalidJson               400                              invalid_json
│   ├── InvalidInput              400                              invalid_input
│   ├── UnknownParameter          400                              unknown_parameter
│   └── ContextOverflow           400                              context_length_exceeded
├── InvalidValue                  422  invalid_request_error       invalid_value
├── NotAuthenticated              401  authentication_error        invalid_api_key
├── PermissionDenied              403  permission_error            insufficient_permissions
├── NotFound                      404  invalid_request_error       not_found
│   └── ModelNotFound             404                              model_not_found
├── MethodNotAllowed              405  invalid_request_error       method_not_allowed
├── Conflict                      409  invalid_request_error       conflict
├── TooLarge                      413  invalid_request_error       request_too_large
├── UnsupportedMediaType          415  invalid_request_error       unsupported_media_type
├── RateLimited                   429  rate_limit_error            rate_limit_exceeded
├── Internal                      500  server_error                internal_error
├── ProviderFailed                502  server_error                provider_error
│   └── InvalidOutput             502                              invalid_output
├── ProviderUnavailable           503  service_unavailable_error   provider_unavailable
│   └── ProviderUnreachable       503                              provider_unavailable
├── StorageUnavailable            503  service_unavailable_error   storage_unavailable
│   └── LimitsUnavailable         503                              limits_unavailable
├── ShuttingDown                  503  service_unavailable_error   shutting_down
└── ProviderTimeout               504  server_error                provider_timeout
"""

from typing import ClassVar

from msgspec import Struct

from freddy.server.core.usage import Usage


class Failure(Struct, frozen=True, omit_defaults=True):
    """An error as a value: what a failed response keeps and what a stream tells."""

    message: str
    type: str = "server_error"
    code: str = "internal_error"
    status: int = 500
    param: str | None = None
    details: str | None = None
    retry_after: float | None = None
    headers: tuple[tuple[str, str], ...] = ()


class FreddyError(Exception):
    """`message` says what was wrong, `details` what would be right, `param` where; `retry_after` is in seconds.

    `headers` are told besides, by their names in lower case. `usage` is what answers took that came to nothing, where
    somebody counted.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        details: str | None = None,
        retry_after: float | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.details = details
        self.retry_after = retry_after
        self.headers = headers
        self.usage: Usage | None = None

    def as_failure(self) -> Failure:
        return Failure(
            message=self.message,
            type=self.type,
            code=self.code,
            status=self.status,
            param=self.param,
            details=self.details,
            retry_after=self.retry_after,
            headers=self.headers,
        )


class InvalidRequest(FreddyError):
    status = 400
    type = "invalid_request_error"
    default_code = "invalid_request"


class InvalidJson(InvalidRequest):
    default_code = "invalid_json"


class InvalidInput(InvalidRequest):
    default_code = "invalid_input"


class UnknownParameter(InvalidRequest):
    default_code = "unknown_parameter"


class ContextOverflow(InvalidRequest):
    default_code = "context_length_exceeded"


class InvalidValue(FreddyError):
    """A parameter of a wrong type or out of its range."""

    status = 422
    type = "invalid_request_error"
    default_code = "invalid_value"

    def __init__(self, param: str, want: str) -> None:
        """`want` completes the sentence that starts with the parameter: `must be between 0 and 2`."""
        super().__init__("Invalid parameter value", param=param, details=f"{param} {want}")


class NotAuthenticated(FreddyError):
    status = 401
    type = "authentication_error"
    default_code = "invalid_api_key"


class PermissionDenied(FreddyError):
    status = 403
    type = "permission_error"
    default_code = "insufficient_permissions"


class NotFound(FreddyError):
    status = 404
    type = "invalid_request_error"
    default_code = "not_found"


class ModelNotFound(NotFound):
    default_code = "model_not_found"


class MethodNotAllowed(FreddyError):
    status = 405
    type = "invalid_request_error"
    default_code = "method_not_allowed"


class Conflict(FreddyError):
    status = 409
    type = "invalid_request_error"
    default_code = "conflict"


class TooLarge(FreddyError):
    status = 413
    type = "invalid_request_error"
    default_code = "request_too_large"


class UnsupportedMediaType(FreddyError):
    status = 415
    type = "invalid_request_error"
    default_code = "unsupported_media_type"


class RateLimited(FreddyError):
    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class Internal(FreddyError):
    status = 500


class ProviderFailed(FreddyError):
    """The vendor answered, and what it answered was no use."""

    status = 502
    default_code = "provider_error"


class InvalidOutput(ProviderFailed):
    """The answer does not have the form that was asked for. `usage` is what it took, with what was tried before it."""

    default_code = "invalid_output"

    def __init__(self, message: str, *, details: str | None = None, usage: Usage | None = None) -> None:
        super().__init__(message, details=details)
        self.usage = usage


class ProviderUnavailable(FreddyError):
    """The vendor, or the embedded engine, could not be reached."""

    status = 503
    type = "service_unavailable_error"
    default_code = "provider_unavailable"


class ProviderUnreachable(ProviderUnavailable):
    """Nothing of the request came to the vendor: it may be asked again without being asked twice."""


class ToolFailed(FreddyError):
    """A tool, or the server that has it, did not do what it was asked for. The model is told, and the run goes on."""

    status = 502
    default_code = "tool_failed"


class StorageUnavailable(FreddyError):
    status = 503
    type = "service_unavailable_error"
    default_code = "storage_unavailable"


class LimitsUnavailable(StorageUnavailable):
    """What is used against limits can be neither read nor counted."""

    default_code = "limits_unavailable"


class ClaimLost(Exception):
    """Somebody else performs the run now, or it is over. No caller is told so: whoever meets this lets go."""


class ShuttingDown(FreddyError):
    status = 503
    type = "service_unavailable_error"
    default_code = "shutting_down"


class ProviderTimeout(FreddyError):
    status = 504
    default_code = "provider_timeout"
