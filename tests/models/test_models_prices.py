"""What usage costs, and how cost, estimates and logs of a response are told."""

import json

import pytest
from msgspec.structs import replace

from freddy.server.core.attempt import Attempt
from freddy.server.core.pricing import Price
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage
from freddy.server.dialects.freddy import FREDDY
from freddy.server.dialects.openai import OPENAI
from freddy.server.providers.embedded.adapter import Embedded
from freddy.server.providers.embedded.engine import Engine

RESPONSE = Response(
    id="resp_1",
    organization_id="org_1",
    created_at=1,
    status="completed",
    model="smart",
    request=Request(model="smart", input=()),
    usage=Usage(10, 8, reasoning_tokens=3),
    cost=0.25,
    attempts=(
        Attempt("first", "smart-1", 0.5, "provider_unavailable", 503),
        Attempt("second", "smart-2", 1.25, note="the answer was repaired"),
    ),
    warnings=("temperature was left out",),
)
LONG = Price(1, 2, above=1000, long=Price(3, 4, 1, above=2000, long=Price(5, 6)))


def told(*include: str, **changes: object) -> dict:
    request = replace(RESPONSE.request, include=include)
    return json.loads(FREDDY.encode_response(replace(RESPONSE, request=request, **changes)))


# What it costs


@pytest.mark.parametrize(
    ("price", "usage", "dollars"),
    [
        (Price(2.5, 10), Usage(1_000_000, 100_000), 3.5),
        (Price(2.5, 10), Usage(), 0.0),
        (Price(2.5, 10, 1.25), Usage(1_000_000, cached_tokens=400_000), 2.0),
        (Price(2.5, 10), Usage(1_000_000, cached_tokens=400_000), 2.5),
        (Price(3, 15, 0.3, 3.75), Usage(1_000_000, cached_tokens=500_000, cache_write_tokens=100_000), 1.725),
        (Price(2.5, 10, 1.25), Usage(10, cached_tokens=20), 0.000025),
        (Price(0, 0), Usage(10, 10), 0.0),
        (LONG, Usage(1000, 1000), 0.003),
        (LONG, Usage(1001, 1000), 0.007003),
        (LONG, Usage(2000, 1000, cached_tokens=1000), 0.008),
        (LONG, Usage(2001, 0), 0.010005),
    ],
)
def test_every_token_costs_what_its_kind_costs(price, usage, dollars):
    assert price.cost(usage) == pytest.approx(dollars)


def test_the_embedded_model_costs_nothing():
    assert Embedded(Engine(None), connect=lambda _: None).profile.price == Price(0, 0)


# How it is told


@pytest.mark.parametrize("include", ["usage.detailed", "all"])
def test_cost_and_estimates_are_told_when_asked_for(include):
    usage = told(include)["usage"]
    assert (usage["cost"], usage["estimated"]) == ({"total": 0.25, "currency": "USD"}, False)
    guessed = told(include, usage=Usage(10, 8, estimated=True), cost=0.0)["usage"]
    assert (guessed["cost"], guessed["estimated"]) == ({"total": 0.0, "currency": "USD"}, True)


def test_a_cost_that_is_not_known_is_null_and_never_0():
    assert told("usage.detailed", cost=None)["usage"]["cost"] is None


@pytest.mark.parametrize("include", ["request.logs", "all"])
def test_the_logs_of_a_request_are_its_tries_and_warnings(include):
    assert told(include)["request_logs"] == [
        {
            "type": "attempt",
            "provider": "first",
            "model": "smart-1",
            "seconds": 0.5,
            "code": "provider_unavailable",
            "status": 503,
            "note": None,
        },
        {
            "type": "attempt",
            "provider": "second",
            "model": "smart-2",
            "seconds": 1.25,
            "code": None,
            "status": None,
            "note": "the answer was repaired",
        },
        {"type": "warning", "message": "temperature was left out"},
    ]


def test_nothing_of_it_is_told_to_those_who_do_not_ask():
    assert set(told()["usage"]) == {"input_tokens", "output_tokens", "total_tokens"}
    assert "request_logs" not in told("usage.detailed")
    openai = json.loads(OPENAI.encode_response(replace(RESPONSE, request=replace(RESPONSE.request, include=("all",)))))
    assert "request_logs" not in openai
    assert "cost" not in openai["usage"]
    assert "estimated" not in openai["usage"]
