# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""Sends one call: credentials, timeouts, retries, and every failure as an error of the SDK."""

from __future__ import annotations

import time
import json
import secrets
from collections.abc import Generator, Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

import httpx2

from freddy import _errors as errors
from freddy import _retries as retries
from freddy import _settings
from freddy.types._view import View
from freddy.types.requests import NOT_GIVEN, NotGiven

T = TypeVar("T")
Timeout = float | httpx2.Timeout | None

# A small model on a slow machine may be silent for minutes; a dead address should not be.
DEFAULT_TIMEOUT = httpx2.Timeout(600.0, connect=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the API, however often it is tried."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    file: tuple[str, bytes | IO[bytes]] | None = None
    """Name and content: with it the call is a form, whose other fields are `form`."""
    extra_headers: Mapping[str, str] | None = None
    timeout: Timeout | NotGiven = NOT_GIVEN
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The JSON object of an answer; empty when the answer had no body."""

    body: Mapping[str, Any]
    request_id: str | None


class Chunks:
    """The bytes of an open stream, as they arrive."""

    def __init__(self, response: httpx2.Response, chunks: Generator[bytes, None, None], first: bytes) -> None:
        self._response = response
        self._chunks = chunks
        self._first: bytes | None = first
        self.request_id: str | None = response.headers.get("x-request-id")

    def read(self) -> bytes | None:
        """The next bytes, or None at the end."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            return next(self._chunks, None)
        except httpx2.RequestError as error:
            raise _no_answer(error, self._response.request) from error

    def close(self) -> None:
        self._chunks.close()
        self._response.close()


class Transport:
    """Speaks HTTP with one server. `sleep`, `chance`, `clock` and `new_key` are its sources."""

    def __init__(
        self,
        settings: _settings.Settings,
        *,
        http_client: httpx2.Client | None = None,
        timeout: Timeout = DEFAULT_TIMEOUT,
        max_retries: int = 2,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = retries.chance,
        clock: Callable[[], float] = retries.wall_clock,
        new_key: Callable[[], str] = secrets.token_hex,
    ) -> None:
        if http_client is not None and not isinstance(http_client, httpx2.Client):
            given = type(http_client).__name__
            raise TypeError(f"http_client is a {given}; this client needs an httpx2.Client")
        if max_retries < 0:
            raise ValueError(f"max_retries is {max_retries}; it is 0 or more")
        self.settings = settings
        # A client that was handed in belongs to whoever made it.
        self._owns_http = http_client is None
        self._http = http_client or httpx2.Client(
            # A proxy cannot reach this machine's own loopback.
            trust_env=not settings.is_loopback,
        )
        self._timeout = timeout
        self._max_retries = max_retries
        self._sleep = sleep
        self._chance = chance
        self._clock = clock
        self._new_key = new_key
        self._headers = {
            "Accept": "application/json",
            "User-Agent": f"freddy-python/{_settings.version()}",
        }
        if settings.api_key is not None:
            self._headers["Authorization"] = f"Bearer {settings.api_key}"

    def close(self) -> None:
        if self._owns_http:
            self._http.close()

    def send(self, call: Call) -> Reply:
        """The whole answer."""
        return self._perform(call, _read_reply)

    def fetch(self, call: Call) -> bytes:
        """The whole answer, as it is."""
        return self._perform(call, _read_content, accept="*/*")

    def open(self, call: Call) -> Chunks:
        """The answer's bytes as they come; open as soon as the first are here."""
        return self._perform(call, _read_first_chunk, accept="text/event-stream")

    def _perform(
        self,
        call: Call,
        receive: Callable[[httpx2.Response], T],
        *,
        accept: str | None = None,
    ) -> T:
        request = self._request(call, accept)
        attempt = 0
        while True:
            told: float | None = None
            try:
                response = self._http.send(request, stream=True)
                try:
                    if response.is_success:
                        return receive(response)
                    response.read()
                except BaseException:
                    response.close()
                    raise
            except httpx2.RequestError as error:
                failure: errors.FreddyError = _no_answer(error, request)
                failure.__cause__ = error
                retried = not isinstance(
                    error,
                    httpx2.UnsupportedProtocol | httpx2.LocalProtocolError | httpx2.DecodingError,
                )
            else:
                told = retries.told_delay(response.headers, now=self._clock())
                failure = _refusal(response, told)
                retried = retries.is_retried(response.status_code, response.headers)
            if not retried or attempt >= self._max_retries:
                raise failure
            if told is not None and told > retries.LONGEST_TOLD_DELAY:
                raise failure
            # An advice of zero seconds is one, too: the next try goes out at once.
            wait = told if told is not None else retries.backoff(attempt, chance=self._chance())
            self._sleep(wait)
            attempt += 1

    def _request(self, call: Call, accept: str | None) -> httpx2.Request:
        headers = dict(self._headers)
        if accept is not None:
            # A compressed stream would be held back until its compressor has enough.
            headers |= {"Accept": accept, "Accept-Encoding": "identity"}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.method == "POST":
            # The same over all tries, so that a try whose answer was lost is not done twice.
            headers["Idempotency-Key"] = call.idempotency_key or self._new_key()
        names = {name.lower() for name in call.extra_headers or {}}
        merged = {name: value for name, value in headers.items() if name.lower() not in names}
        timeout = self._timeout if isinstance(call.timeout, NotGiven) else call.timeout
        return self._http.build_request(
            call.method,
            self.settings.base_url + call.path,
            params={name: _spelled(value) for name, value in call.query.items()} or None,
            content=None if call.body is None else _encoded(call.body),
            data=call.form,
            files=None if call.file is None else {"file": call.file},
            headers=merged | dict(call.extra_headers or {}),
            timeout=timeout,
        )


def _read_reply(response: httpx2.Response) -> Reply:
    content = response.read()
    request_id = response.headers.get("x-request-id")
    if not content:
        return Reply({}, request_id)
    body = _decoded(response)
    if isinstance(body, dict):
        return Reply(body, request_id)
    kind = response.headers.get("content-type", "no content type")
    raise errors.InvalidResponseError(
        f"{response.request.method} {response.request.url.path} should answer with a JSON object, "
        f"but the answer was {len(content)} bytes of {kind}; is base_url right?",
        status=response.status_code,
        request_id=request_id,
        body=body,
    )


def _read_content(response: httpx2.Response) -> bytes:
    return response.read()


def _read_first_chunk(response: httpx2.Response) -> Chunks:
    kind = response.headers.get("content-type", "no content type")
    if not kind.startswith("text/event-stream"):
        response.read()
        raise errors.InvalidResponseError(
            f"{response.request.method} {response.request.url.path} should answer with an event "
            f"stream, but the answer was {kind}; is base_url right?",
            status=response.status_code,
            request_id=response.headers.get("x-request-id"),
            body=_decoded(response),
        )
    chunks = response.iter_bytes()
    first = next(chunks, None)
    if first is None:
        raise httpx2.RemoteProtocolError("the stream ended before its first byte", request=response.request)
    # httpx2 calls the synchronous generator an iterator.
    return Chunks(response, chunks, first)  # type: ignore[arg-type,unused-ignore]


def _no_answer(error: httpx2.RequestError, request: httpx2.Request) -> errors.APIConnectionError:
    where = f"{request.method} {request.url.path}"
    if isinstance(error, httpx2.TimeoutException):
        return errors.APITimeoutError(f"{where}: no answer in time ({type(error).__name__})")
    return errors.APIConnectionError(f"{where}: {error or type(error).__name__}")


def _refusal(response: httpx2.Response, told: float | None) -> errors.APIError:
    error = errors.from_answer(
        response.status_code,
        _decoded(response),
        request_id=response.headers.get("x-request-id"),
    )
    if isinstance(error, errors.RateLimitError):
        error.retry_after = told
    return error


def _decoded(response: httpx2.Response) -> object:
    """The answer as JSON, or as text when it is none."""
    try:
        return json.loads(response.content)
    except ValueError:
        return response.text


def _encoded(body: Mapping[str, Any]) -> bytes:
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_as_json)
    return text.encode()


def _as_json(value: object) -> object:
    # An item of a response can be sent back as it is.
    if isinstance(value, View):
        return value.to_dict()
    raise TypeError(f"a {type(value).__name__} cannot be sent as JSON")


def _spelled(value: Any) -> Any:  # noqa: ANN401 what a query takes
    return str(value).lower() if isinstance(value, bool) else value
