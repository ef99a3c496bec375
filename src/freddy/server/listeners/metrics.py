"""Counts requests and runs, and writes the counts in the form that Prometheus reads.

The counts are plain numbers, written by the event loop alone; prometheus_client sees them when it is asked.
Its own counters take a lock each time, which is most of what they cost.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from freddy.server.core.response import Response

OTHER: Final = "other"
MOST_MODELS: Final = 64
MOST_ROUTES: Final = 128
MOST_CODES: Final = 64
REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
RESPONSE_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
FIRST_TOKEN_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
PHASES: Final = ("absent", "starting", "ready", "restarting", "failed")
_METHODS: Final = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))


class Metrics:
    """A `Listener`. `phase` tells the state of the embedded engine when asked: one of `PHASES`."""

    def __init__(self, version: str = "", phase: Callable[[], str] | None = None) -> None:
        self._version = version
        self._phase = phase
        self._requests: dict[tuple[str, str], _Route] = {}
        self._models: dict[tuple[str, str], _Model] = {}
        self._model_names: set[str] = set()
        self._upstream_errors: dict[tuple[str, str], int] = {}
        self._tool_calls: dict[tuple[str, str], int] = {}
        self._webhooks: dict[str, int] = {}
        self._running = 0
        self._queued = 0
        self._given_back: dict[str, int] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def request_done(self, route: str, method: str, status: int, seconds: float) -> None:
        """`route` is the pattern, such as `/v1/responses/{id}`, not the path that was asked for."""
        found = self._requests.get((route, method)) or self._new_route(route, method)
        found.seconds.observe(seconds)
        found.statuses[status] = found.statuses.get(status, 0) + 1

    def run_started(self, response: Response) -> None:  # noqa: ARG002 (of the port)
        self._running += 1

    def queued(self, count: int) -> None:
        self._queued = count

    def gave_back(self, reason: str) -> None:
        """Why a run that was claimed has to wait on: one of a few words."""
        self._given_back[reason] = self._given_back.get(reason, 0) + 1

    def run_left(self, response: Response) -> None:  # noqa: ARG002
        self._running -= 1

    def run_finished(self, response: Response, *, seconds: float, first_delta_seconds: float | None) -> None:
        """`first_delta_seconds` is None where the model said nothing."""
        self._running -= 1
        found = self._models.get((response.model, response.provider)) or self._new_model(response)
        found.statuses[response.status] = found.statuses.get(response.status, 0) + 1
        found.seconds.observe(seconds)
        if first_delta_seconds is not None:
            found.first_token.observe(first_delta_seconds)
        for attempt in response.attempts:
            if attempt.code:
                self._failed(attempt.provider, attempt.code)
        for call in response.calls:
            if call.kind == "tool":
                self._tool_calls[call.provider, call.status] = self._tool_calls.get((call.provider, call.status), 0) + 1
        if usage := response.usage:
            found.input_tokens += usage.input_tokens
            found.cached_tokens += usage.cached_tokens
            found.output_tokens += usage.output_tokens

    def webhook_attempted(self, outcome: str) -> None:
        """`delivered`, `retried` or `failed`."""
        self._webhooks[outcome] = self._webhooks.get(outcome, 0) + 1

    def _failed(self, provider: str, code: str) -> None:
        key = (provider, code)
        if key not in self._upstream_errors and len(self._upstream_errors) >= MOST_CODES:
            key = (OTHER, OTHER)
        self._upstream_errors[key] = self._upstream_errors.get(key, 0) + 1

    def render(self) -> tuple[bytes, str]:
        """The body and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client asks for."""
        info = GaugeMetricFamily("freddy_info", "The running version.", labels=["version"])
        info.add_metric([self._version], 1)
        yield info
        requests = CounterMetricFamily(
            "freddy_requests", "HTTP requests answered.", labels=["route", "method", "status"]
        )
        request_seconds = HistogramMetricFamily(
            "freddy_request_seconds", "Time to the end of the answer.", labels=["route", "method"]
        )
        for (route, method), one in self._requests.items():
            request_seconds.add_metric([route, method], one.seconds.buckets(), one.seconds.total)
            for status, count in one.statuses.items():
                requests.add_metric([route, method, str(status)], count)
        yield requests
        yield request_seconds
        yield from self._collect_models()
        running = GaugeMetricFamily("freddy_runs_in_progress", "Runs being performed.")
        running.add_metric([], self._running)
        yield running
        queued = GaugeMetricFamily("freddy_background_queued", "Responses in the background that wait for a process.")
        queued.add_metric([], self._queued)
        yield queued
        given_back = CounterMetricFamily(
            "freddy_background_given_back", "Responses in the background that had to wait on.", labels=["reason"]
        )
        for reason, count in self._given_back.items():
            given_back.add_metric([reason], count)
        yield given_back
        tools = CounterMetricFamily(
            "freddy_tool_calls", "Calls of tools that the server ran.", labels=["kind", "status"]
        )
        for called, count in self._tool_calls.items():
            tools.add_metric(called, count)
        yield tools
        webhooks = CounterMetricFamily(
            "freddy_webhook_deliveries", "Attempts to deliver to webhooks.", labels=["outcome"]
        )
        for outcome, count in self._webhooks.items():
            webhooks.add_metric([outcome], count)
        yield webhooks
        failures = CounterMetricFamily(
            "freddy_upstream_errors", "Failed calls of a provider.", labels=["provider", "code"]
        )
        for labels, count in self._upstream_errors.items():
            failures.add_metric(labels, count)
        yield failures
        if self._phase:
            now = self._phase()
            engine = GaugeMetricFamily(
                "freddy_engine_state", "1 for the state that the embedded engine is in.", labels=["state"]
            )
            for phase in PHASES:
                engine.add_metric([phase], int(phase == now))
            yield engine

    def _collect_models(self) -> Iterator[Metric]:
        labels = ["model", "provider"]
        responses = CounterMetricFamily("freddy_responses", "Responses ended.", labels=[*labels, "status"])
        seconds = HistogramMetricFamily("freddy_response_seconds", "Time from start to end.", labels=labels)
        first = HistogramMetricFamily(
            "freddy_first_token_seconds", "Time from start to the model's first word.", labels=labels
        )
        tokens = CounterMetricFamily("freddy_tokens", "Tokens; `cached` are part of `input`.", labels=[*labels, "kind"])
        for (model, provider), one in self._models.items():
            for status, count in one.statuses.items():
                responses.add_metric([model, provider, status], count)
            seconds.add_metric([model, provider], one.seconds.buckets(), one.seconds.total)
            first.add_metric([model, provider], one.first_token.buckets(), one.first_token.total)
            tokens.add_metric([model, provider, "input"], one.input_tokens)
            tokens.add_metric([model, provider, "cached"], one.cached_tokens)
            tokens.add_metric([model, provider, "output"], one.output_tokens)
        yield responses
        yield seconds
        yield first
        yield tokens

    def _new_route(self, route: str, method: str) -> "_Route":
        # Callers choose the method freely, so an unknown one must not make a series.
        method = method if method in _METHODS else OTHER
        if len(self._requests) >= MOST_ROUTES:
            route, method = OTHER, OTHER
        return self._requests.setdefault((route, method), _Route())

    def _new_model(self, response: Response) -> "_Model":
        """A name gets a series only once a model has answered to it: callers may ask for any name."""
        name = response.model
        answered = response.status in ("completed", "incomplete", "requires_action")
        if name not in self._model_names:
            if answered and len(self._model_names) < MOST_MODELS:
                self._model_names.add(name)
            else:
                name = OTHER
        return self._models.setdefault((name, response.provider), _Model())


class _Histogram:
    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Each bound with the count of all values up to it."""
        found: list[tuple[str, float]] = []
        count = 0
        for bound, here in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            count += here
            found.append((bound, count))
        return found


class _Route:
    __slots__ = ("seconds", "statuses")

    def __init__(self) -> None:
        self.seconds = _Histogram(REQUEST_SECONDS)
        self.statuses: dict[int, int] = {}


class _Model:
    __slots__ = ("cached_tokens", "first_token", "input_tokens", "output_tokens", "seconds", "statuses")

    def __init__(self) -> None:
        self.seconds = _Histogram(RESPONSE_SECONDS)
        self.first_token = _Histogram(FIRST_TOKEN_SECONDS)
        self.statuses: dict[str, int] = {}
        self.input_tokens = 0
        self.cached_tokens = 0
        self.output_tokens = 0
