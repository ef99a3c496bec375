"""What a vendor's refusal becomes, before a stream and in one."""

import json

import msgspec
import pytest

from freddy.server.core import errors
from freddy.server.providers import _failures


@pytest.mark.parametrize(
    "told",
    [
        "Incorrect key sk-proj-1234abcd",
        "You sent Bearer abc.def",
        "xai-0123456789 is over",
        "AIzaSyA0123456789 is not valid",
        "Rate limit reached in organization org-0123456789",
        "Project proj_0123456789 is closed",
    ],
)
def test_a_key_that_a_vendor_repeats_is_not_passed_on(told):
    body = msgspec.json.encode({"error": {"message": told, "code": "invalid_request"}})
    refused = _failures.failure("vendor", 400, {}, body)
    assert "***" in refused.message
    assert not any(secret in refused.message for secret in ("1234abcd", "abc.def", "0123456789"))


def test_what_a_vendor_says_otherwise_is_passed_on():
    body = b'{"error": {"message": "non-streaming answers are limited to risk-averse sizes"}}'
    told = _failures.failure("vendor", 400, {}, body).message
    assert told == "vendor refused the request: non-streaming answers are limited to risk-averse sizes"


STATUSES = {
    400: (errors.InvalidRequest, "provider_rejected"),
    401: (errors.ProviderFailed, "provider_authentication"),
    402: (errors.RateLimited, "insufficient_quota"),
    403: (errors.ProviderFailed, "provider_authentication"),
    404: (errors.ProviderFailed, "provider_error"),
    405: (errors.ProviderFailed, "provider_error"),
    408: (errors.ProviderTimeout, "provider_timeout"),
    409: (errors.ProviderUnavailable, "provider_unavailable"),
    413: (errors.TooLarge, "request_too_large"),
    415: (errors.InvalidRequest, "provider_rejected"),
    418: (errors.ProviderFailed, "provider_error"),
    422: (errors.InvalidRequest, "provider_rejected"),
    429: (errors.RateLimited, "rate_limit_exceeded"),
    498: (errors.ProviderUnavailable, "provider_unavailable"),
    500: (errors.ProviderFailed, "provider_error"),
    501: (errors.ProviderFailed, "provider_error"),
    502: (errors.ProviderFailed, "provider_error"),
    503: (errors.ProviderUnavailable, "provider_unavailable"),
    504: (errors.ProviderTimeout, "provider_timeout"),
    524: (errors.ProviderTimeout, "provider_timeout"),
    529: (errors.ProviderUnavailable, "provider_unavailable"),
    302: (errors.ProviderFailed, "provider_error"),
    599: (errors.ProviderFailed, "provider_error"),
}


@pytest.mark.parametrize("body", [b"", b"<html>No</html>", b'{"error":{"message":"No","type":"some_error"}}'])
@pytest.mark.parametrize("status", STATUSES)
def test_a_status_alone_says_what_is_wrong(status, body):
    error = _failures.failure("vendor", status, {}, body)
    if status == 404 and b"message" in body:
        # Who says something of it is an API, and has the path.
        assert type(error) is errors.ModelNotFound
        return
    assert (type(error), error.code) == STATUSES[status]


NAMED = {
    "insufficient_quota": (errors.RateLimited, "insufficient_quota"),
    "billing_error": (errors.RateLimited, "insufficient_quota"),
    "billing_hard_limit_reached": (errors.RateLimited, "insufficient_quota"),
    "rate_limit_exceeded": (errors.RateLimited, "rate_limit_exceeded"),
    "rate_limit_error": (errors.RateLimited, "rate_limit_exceeded"),
    "invalid_api_key": (errors.ProviderFailed, "provider_authentication"),
    "authentication_error": (errors.ProviderFailed, "provider_authentication"),
    "permission_error": (errors.ProviderFailed, "provider_authentication"),
    "model_not_found": (errors.ModelNotFound, "model_not_found"),
    "DeploymentNotFound": (errors.ModelNotFound, "model_not_found"),
    "context_length_exceeded": (errors.ContextOverflow, "context_length_exceeded"),
    "content_filter": (errors.InvalidRequest, "content_filter"),
    "image_content_policy_violation": (errors.InvalidRequest, "content_filter"),
    "bio_policy": (errors.InvalidRequest, "content_filter"),
    "invalid_json_schema": (errors.InvalidRequest, "unsupported_schema"),
    "invalid_prompt": (errors.InvalidRequest, "provider_rejected"),
    "invalid_image_url": (errors.InvalidRequest, "provider_rejected"),
    "request_too_large": (errors.TooLarge, "request_too_large"),
    "server_is_overloaded": (errors.ProviderUnavailable, "provider_unavailable"),
    "overloaded_error": (errors.ProviderUnavailable, "provider_unavailable"),
    "timeout_error": (errors.ProviderTimeout, "provider_timeout"),
}


@pytest.mark.parametrize("field", ["code", "type"])
@pytest.mark.parametrize("name", NAMED)
def test_a_name_says_the_same_before_a_stream_and_in_it(name, field):
    body = json.dumps({"error": {"message": "No", field: name}}).encode()
    for error in (_failures.failure("vendor", 400, {}, body), _failures.in_stream("vendor", body)):
        assert (type(error), error.code) == NAMED[name]


@pytest.mark.parametrize(
    ("message", "kind", "code"),
    [
        ("prompt is too long: 9 tokens > 8 maximum", errors.ContextOverflow, "context_length_exceeded"),
        ("This model's maximum context length is 4096 tokens.", errors.ContextOverflow, "context_length_exceeded"),
        ("Your credit balance is too low to access the API", errors.RateLimited, "insufficient_quota"),
        ("No", errors.InvalidRequest, "provider_rejected"),
    ],
)
def test_a_message_counts_where_a_type_says_little(message, kind, code):
    body = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": message}}).encode()
    for error in (_failures.failure("vendor", 400, {}, body), _failures.in_stream("vendor", body)):
        assert (type(error), error.code) == (kind, code)


def test_a_rate_is_a_rate_whatever_its_message_has_in_it():
    body = b'{"error":{"message":"you exceed the requests for this context"}}'
    assert type(_failures.failure("vendor", 429, {}, body)) is errors.RateLimited


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"type":"not_found_error","message":"model: claude-0"}}', errors.ModelNotFound),
        (b'{"error":{"message":"The API deployment for this resource does not exist"}}', errors.ModelNotFound),
        (b'{"error":"model \\"x\\" not found"}', errors.ModelNotFound),
        (b'{"error":{"message":"there is no such resource as this model"}}', errors.ModelNotFound),
        (b'{"error":{"message":"no"}}', errors.ModelNotFound),
        (b'{"error":{"type":"not_found_error","message":"Not Found"}}', errors.ProviderFailed),
        (b'{"error":{"code":"404","message":"Resource not found"}}', errors.ProviderFailed),
        (
            b'{"error":{"message":"Invalid URL (POST /v1/respond)","type":"invalid_request_error"}}',
            errors.ProviderFailed,
        ),
        (b'{"detail":"Not Found"}', errors.ProviderFailed),
        (b"<html>", errors.ProviderFailed),
    ],
)
def test_a_model_that_is_not_there_is_told_from_a_path_that_is_not(body, kind):
    error = _failures.failure("vendor", 404, {}, body)
    assert type(error) is kind
    if kind is errors.ProviderFailed:
        assert error.details == "check the url and the kind of this upstream in the settings"


DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": DATE}, None),
        ({"retry-after": DATE, "date": "today"}, None),
        ({"retry-after": "soon", "date": DATE}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 -0000", "date": DATE}, None),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"date": DATE}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_vendor_says_when_to_come_back(status, headers, seconds):
    assert _failures.failure("vendor", status, headers, b"").retry_after == seconds


def test_without_a_header_the_message_says_when_to_come_back():
    body = b'{"error":{"message":"Please try again in 1m2.5s.","code":"rate_limit_exceeded"}}'
    assert _failures.failure("vendor", 429, {}, body).retry_after == 62.5
    assert _failures.failure("vendor", 429, {"retry-after": "1"}, body).retry_after == 1.0


def test_who_has_no_quota_left_is_not_told_to_come_back():
    body = b'{"error":{"message":"Pay","code":"insufficient_quota"}}'
    error = _failures.failure("vendor", 429, {"retry-after": "1"}, body)
    assert (error.message, error.details, error.retry_after) == ("vendor has no quota left", "Pay", None)
