"""What a vendor's refusal becomes."""

import msgspec
import pytest

from freddy.server.providers import _failures


@pytest.mark.parametrize(
    "told", ["Incorrect key sk-proj-1234abcd", "You sent Bearer abc.def", "xai-0123456789 is over"]
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
