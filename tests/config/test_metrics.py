"""What Prometheus is told."""

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from freddy.server.core import errors
from freddy.server.core.attempt import Attempt
from freddy.server.core.calls import Call
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage
from freddy.server.listeners.metrics import MOST_MODELS, Metrics


def response(model="m", status="completed", usage=None, code=None):
    return Response(
        failure=errors.Failure("It failed", code=code) if code else None,
        id="resp_1",
        organization_id="org_1",
        created_at=1,
        status=status,
        model=model,
        provider="embedded",
        request=Request(model=model, input=()),
        usage=usage,
    )


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, frozenset(labels.items())]


def models(metrics: Metrics) -> set[str]:
    return {dict(labels)["model"] for name, labels in samples(metrics) if name == "freddy_responses_total"}


def test_requests_are_counted_and_timed():
    metrics = Metrics()
    metrics.request_done("/v1/responses", "POST", 200, 0.02)
    metrics.request_done("/v1/responses", "POST", 422, 0.001)
    labels = {"route": "/v1/responses", "method": "POST"}
    assert value(metrics, "freddy_requests_total", **labels, status="422") == 1
    assert value(metrics, "freddy_request_seconds_count", **labels) == 2
    assert value(metrics, "freddy_request_seconds_sum", **labels) == pytest.approx(0.021)
    assert value(metrics, "freddy_request_seconds_bucket", **labels, le="0.001") == 1
    assert value(metrics, "freddy_request_seconds_bucket", **labels, le="+Inf") == 2


def test_a_run_is_in_progress_until_it_ends_and_then_counts_its_tokens_and_times():
    metrics = Metrics()
    metrics.run_started(response(status="in_progress"))
    assert value(metrics, "freddy_runs_in_progress") == 1
    usage = Usage(input_tokens=10, cached_tokens=4, output_tokens=3)
    metrics.run_finished(response(usage=usage), seconds=1.5, first_delta_seconds=0.2)
    assert value(metrics, "freddy_runs_in_progress") == 0
    labels = {"model": "m", "provider": "embedded"}
    assert value(metrics, "freddy_responses_total", **labels, status="completed") == 1
    for kind, count in {"input": 10, "cached": 4, "output": 3}.items():
        assert value(metrics, "freddy_tokens_total", **labels, kind=kind) == count
    assert value(metrics, "freddy_response_seconds_sum", **labels) == 1.5
    assert value(metrics, "freddy_first_token_seconds_bucket", **labels, le="0.25") == 1


def test_why_a_response_had_to_wait_on_is_counted():
    metrics = Metrics()
    for reason in ("limits", "limits", "unreadable"):
        metrics.gave_back(reason)
    assert value(metrics, "freddy_background_given_back_total", reason="limits") == 2
    assert value(metrics, "freddy_background_given_back_total", reason="unreadable") == 1


def test_a_run_whose_model_said_nothing_has_no_time_to_its_first_word():
    metrics = Metrics()
    metrics.run_finished(response(), seconds=1, first_delta_seconds=None)
    assert value(metrics, "freddy_first_token_seconds_count", model="m", provider="embedded") == 0


def test_a_name_to_which_no_model_ever_answered_makes_no_series():
    metrics = Metrics()
    for number in range(10):
        metrics.run_finished(response(f"made-up-{number}", "failed"), seconds=1, first_delta_seconds=None)
    assert models(metrics) == {"other"}


def test_a_model_that_has_answered_keeps_its_series_when_it_fails():
    metrics = Metrics()
    metrics.run_finished(response(), seconds=1, first_delta_seconds=None)
    metrics.run_finished(response(status="failed"), seconds=1, first_delta_seconds=None)
    assert models(metrics) == {"m"}


def test_the_number_of_series_is_bounded():
    metrics = Metrics()
    for number in range(1000):
        metrics.run_finished(response(f"m{number}"), seconds=1, first_delta_seconds=None)
        metrics.request_done(f"/{number}", "GET", 404, 0.1)
        metrics.request_done("/", f"METHOD{number}", 405, 0.1)
        metrics.run_finished(response(code=f"code{number}"), seconds=1, first_delta_seconds=None)
    assert len(models(metrics)) == MOST_MODELS + 1
    assert len(samples(metrics)) < 10_000


def test_the_engines_state_is_asked_when_the_page_is():
    state = ["starting"]
    metrics = Metrics("1.2.3", lambda: state[0])
    assert value(metrics, "freddy_engine_state", state="starting") == 1
    state[0] = "ready"
    assert value(metrics, "freddy_engine_state", state="starting") == 0
    assert value(metrics, "freddy_engine_state", state="ready") == 1
    assert value(metrics, "freddy_info", version="1.2.3") == 1


def test_failed_tries_are_counted_by_provider_and_code_whoever_answered_in_the_end():
    metrics = Metrics()
    tried = (Attempt("a", "m", 1.0, "provider_timeout", 504), Attempt("b", "m", 1.0))
    for _ in range(2):
        metrics.run_finished(replace(response(), attempts=tried), seconds=1, first_delta_seconds=None)
    assert value(metrics, "freddy_upstream_errors_total", provider="a", code="provider_timeout") == 2


def test_calls_of_tools_are_counted_by_kind_and_status():
    metrics = Metrics()
    called = (
        Call(kind="model", name="m", provider="a", status="completed"),
        Call(kind="tool", name="add", provider="mcp", status="completed"),
        Call(kind="tool", name="add", provider="mcp", status="failed"),
    )
    metrics.run_finished(replace(response(), calls=called), seconds=1, first_delta_seconds=None)
    for status in ("completed", "failed"):
        assert value(metrics, "freddy_tool_calls_total", kind="mcp", status=status) == 1
