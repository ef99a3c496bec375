import json

import pytest

from freddy.server.core import errors
from freddy.server.dialects.openai import OPENAI


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (
            errors.InvalidValue("temperature", "must be between 0 and 2"),
            400,
            "invalid_request_error",
            "invalid_value",
        ),
        (errors.InvalidJson("No JSON"), 400, "invalid_request_error", "invalid_json"),
        (errors.NotAuthenticated("Who?"), 401, "invalid_request_error", "invalid_api_key"),
        (errors.PermissionDenied("No"), 403, "invalid_request_error", "insufficient_permissions"),
        (errors.ModelNotFound("No"), 404, "invalid_request_error", "model_not_found"),
        (
            errors.NotFound("No", code="previous_response_not_found", param="previous_response_id"),
            400,
            "invalid_request_error",
            "previous_response_not_found",
        ),
        (errors.Conflict("No"), 409, "invalid_request_error", "conflict"),
        (errors.TooLarge("No"), 413, "invalid_request_error", "request_too_large"),
        (errors.UnsupportedMediaType("No"), 415, "invalid_request_error", "unsupported_media_type"),
        (errors.RateLimited("Slow"), 429, "rate_limit_error", "rate_limit_exceeded"),
        (
            errors.RateLimited("Pay", code="insufficient_quota"),
            429,
            "insufficient_quota",
            "insufficient_quota",
        ),
        (errors.Internal("Oh"), 500, "server_error", "server_error"),
        (errors.ProviderUnavailable("Oh"), 503, "server_error", "server_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_has_openais_status_type_and_code(error, status, kind, code):
    sent, body = OPENAI.encode_error(error.as_failure())
    written = json.loads(body)["error"]
    assert (sent, written["type"], written["code"]) == (status, kind, code)
    assert set(written) == {"message", "type", "param", "code"}
    assert written["param"] == error.param


def test_what_would_be_right_follows_in_the_message():
    _, body = OPENAI.encode_error(errors.InvalidValue("temperature", "must be between 0 and 2").as_failure())
    assert json.loads(body)["error"]["message"] == ("Invalid parameter value: temperature must be between 0 and 2")


def test_a_wait_is_told_in_words():
    _, body = OPENAI.encode_error(errors.RateLimited("Rate limit reached.", retry_after=20).as_failure())
    assert json.loads(body)["error"]["message"] == "Rate limit reached. Please try again in 20s."
