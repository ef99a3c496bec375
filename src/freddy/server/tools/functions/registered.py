"""Calls functions at the addresses where organizations registered them."""

import asyncio
import hashlib
import logging
from typing import Final

import httpx2
import msgspec
from msgspec import Raw, Struct

from freddy.server.core import signing
from freddy.server.ports.outward import Outward, Refused
from freddy.server.ports.tools import Answer, Asker, Confided, Registered
from freddy.server.ports.world import Clock
from freddy.server.tools.functions import answers

_log = logging.getLogger(__name__)
_CONNECT_SECONDS: Final = 10.0
_TRIES: Final = 2
"""To connect. Once something was sent, the function may have done its work, and is not asked again."""
_LONGEST_REASON: Final = 2_000
_SHORTEST_HIDDEN: Final = 8
"""Shorter secrets are words that an answer may hold by chance."""
_HIDDEN: Final = "***REDACTED***"
_AGENT: Final = "freddy"
_TO_GET: Final = frozenset((301, 302, 303))
"""Redirects after which a client asks with GET and without the body."""


class _Call(Struct):
    id: str
    name: str
    arguments: Raw
    response_id: str | None
    organization_id: str
    user_id: str | None


class _Unusable(Exception):
    """What was wrong with the answer, in words for the model."""


class HttpCalls:
    """The port `RegisteredCalls`. A call is a POST of JSON, signed as Standard Webhooks says."""

    def __init__(self, outward: Outward, clock: Clock) -> None:
        self._outward = outward
        self._clock = clock

    async def call(self, function: Registered, confided: Confided, *, arguments: str, asker: Asker) -> Answer:
        source = f"registered {function.id}"
        try:
            async with asyncio.timeout(function.timeout_seconds):
                said = await self._posted(function, confided, _body(function, arguments, asker), _message_id(asker))
        except _Unusable as error:
            reason = str(error)
        except TimeoutError:
            reason = f"did not answer within {function.timeout_seconds} seconds"
        except httpx2.InvalidURL:
            reason = "cannot be called: its address is none"
        else:
            return _read(_hidden(said, confided), source)
        _log.info(
            "function_failed",
            extra={"organization_id": function.organization_id, "function_id": function.id, "call_id": asker.call_id},
        )
        return answers.failed(f"the function {function.spec.name} {_hidden(reason, confided)}", source=source)

    async def _posted(self, function: Registered, confided: Confided, body: bytes, message_id: str) -> str:
        """Raises `_Unusable` and TimeoutError."""
        headers = {
            "user-agent": _AGENT,
            **{name.lower(): value for name, value in confided.headers.items()},
            "content-type": "application/json",
            "accept": "application/json, text/plain;q=0.9, */*;q=0.1",
            "accept-encoding": "identity",
            **signing.headers(confided.secrets, message_id=message_id, timestamp=int(self._clock.now()), body=body),
        }
        timeout = httpx2.Timeout(function.timeout_seconds, connect=_CONNECT_SECONDS)
        try:
            # A connection that was kept may end just when the call is on its way: each has one of its own.
            async with self._outward.client(timeout=timeout) as client:
                for left in reversed(range(_TRIES)):
                    try:
                        async with client.stream("POST", function.url, content=body, headers=headers) as answer:
                            return await _text(answer)
                    except (Refused, httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                        if not left or isinstance(error, Refused):
                            raise
        except Refused as error:
            raise _Unusable(f"cannot be called: {error}") from error
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            untrusted = "certificate" in str(error).lower()
            reason = ": its TLS certificate is not trusted" if untrusted else ""
            raise _Unusable(f"cannot be reached{reason}") from error
        except httpx2.TimeoutException as error:
            raise TimeoutError from error
        except httpx2.TooManyRedirects as error:
            raise _Unusable("redirects in circles") from error
        except httpx2.HTTPError as error:
            raise _Unusable("broke off the connection before it had answered") from error
        raise AssertionError


def _message_id(asker: Asker) -> str:
    """The same whenever this call is made again, and of no other: models number the calls of each response anew."""
    return "msg_" + hashlib.sha256(f"{asker.response_id}\n{asker.call_id}".encode()).hexdigest()[:32]


def _body(function: Registered, arguments: str, asker: Asker) -> bytes:
    return msgspec.json.encode(
        _Call(
            id=asker.call_id,
            name=function.spec.name,
            arguments=Raw(arguments.encode() if arguments.strip() else b"{}"),
            response_id=asker.response_id or None,
            organization_id=asker.organization_id,
            user_id=asker.user_id,
        )
    )


async def _text(answer: httpx2.Response) -> str:
    """Raises `_Unusable` for anything but a text with a status of success."""
    redirected = next((one.status_code for one in answer.history if one.status_code in _TO_GET), None)
    if redirected is not None:
        raise _Unusable(f"redirects with status {redirected}, which loses the call; 307 and 308 keep it")
    if answer.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise _Unusable("answered compressed, which it was asked not to do")
    read = bytearray()
    async for piece in answer.aiter_raw():
        read += piece
        if len(read) > answers.LARGEST:
            raise _Unusable(f"answered with more than {answers.LARGEST:,} bytes")
    try:
        text = read.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = None
    if not answer.is_success:
        raise _Unusable(f"answered with status {answer.status_code}{_reason(text or '')}")
    if text is None:
        raise _Unusable("answered with bytes that are no UTF-8 text")
    return text


def _reason(text: str) -> str:
    """What the answer says of its failure: the text under `error`, or `message` in it."""
    try:
        told = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return ""
    error = told.get("error") if isinstance(told, dict) else None
    said = error.get("message") if isinstance(error, dict) else error
    return f": {said[:_LONGEST_REASON]}" if isinstance(said, str) and said else ""


def _read(text: str, source: str) -> Answer:
    """What is under `output`, or else all that was said."""
    try:
        told = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        told = None
    if isinstance(told, dict) and "output" in told:
        return answers.of(told["output"], source=source)
    return answers.of(text, source=source)


def _hidden(text: str, confided: Confided) -> str:
    """Without what was confided: servers that echo what they hear must not tell it to the model."""
    known = {*confided.headers.values(), *confided.secrets}
    for one in sorted((one for one in known if len(one) >= _SHORTEST_HIDDEN), key=len, reverse=True):
        text = text.replace(one, _HIDDEN)
    return text
