"""Says in plain words why an MCP server gave nothing. Only its host, or its program's name, is ever named."""

import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2

from freddy.server.core import errors
from freddy.server.ports.mcp import Server
from freddy.server.ports.outward import Refused

_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class Unsent(Exception):
    """Nothing of a request came to the server, or it did not look at it: asking again asks once. `failure` says why."""

    def __init__(self, failure: errors.ToolFailed) -> None:
        super().__init__()
        self.failure = failure


class Told(Exception):
    """The server answered that it will not do what it was asked for, in these words of its own."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words


def place(server: Server) -> str:
    """What a server is called where others read it: an address may hold a key."""
    if server.url is None:
        return repr(server.program)
    try:
        return urlsplit(server.url).hostname or "without a host"
    except ValueError:
        return "with an address that cannot be read"


def unsent(error: BaseException) -> bool:
    """Whether nothing of the request was written."""
    return isinstance(error, _UNSENT)


def connection(where: str, error: BaseException) -> errors.ToolFailed:
    """For what went wrong with HTTP, or with a program."""
    for one in _within(error):
        match one:
            case Refused():
                return errors.ToolFailed(
                    f"The MCP server {where} may not be called from here",
                    details="private and local addresses need the operator's allow-list (`network.allow_private`)",
                )
            case ssl.SSLCertVerificationError():
                return errors.ToolFailed(f"The MCP server {where} has no certificate that this machine trusts")
            case httpx2.TimeoutException() | TimeoutError():
                return slow(where)
            case httpx2.LocalProtocolError():
                return errors.ToolFailed(
                    f"The MCP server {where} cannot be asked with these headers",
                    details="header names are tokens, and values are printable text on one line",
                )
            case httpx2.DecodingError():
                return errors.ToolFailed(
                    f"The MCP server {where} answered compressed, which it was asked not to do",
                    details="whoever runs it can let it keep to `Accept-Encoding: identity`",
                )
            case httpx2.ConnectError():
                return errors.ToolFailed(f"The MCP server {where} could not be reached")
            case httpx2.RequestError():
                return ended(where)
            case OSError():
                return errors.ToolFailed(f"The MCP server {where} could not be started")
    return errors.ToolFailed(f"The MCP server {where} did not answer as the protocol says")


def status(where: str, code: int) -> errors.ToolFailed:
    match code:
        case 401:
            return errors.ToolFailed(
                f"The MCP server {where} wants authorization, or another than it was given (HTTP status 401)",
                details="send its token as `authorization`, or what it wants in `headers`",
            )
        case 403:
            return errors.ToolFailed(
                f"The MCP server {where} does not allow this with the authorization it was given (HTTP status 403)",
                details="send another token as `authorization`, or what it wants in `headers`",
            )
        case _ if 300 <= code < 400:
            return errors.ToolFailed(
                f"The MCP server {where} sends callers to another address (HTTP status {code})",
                details="give the address that it leads to",
            )
        case 404 | 405:
            return errors.ToolFailed(
                f"The MCP server {where} has no MCP at this address (HTTP status {code})",
                details="look at the path of its address, which often ends with /mcp or /sse",
            )
    return errors.ToolFailed(f"The MCP server {where} answered with HTTP status {code}")


def slow(where: str, seconds: float | None = None) -> errors.ToolFailed:
    within = "" if seconds is None else f" within {seconds:g} seconds"
    return errors.ToolFailed(f"The MCP server {where} did not answer{within or ' in time'}")


def ended(where: str) -> errors.ToolFailed:
    return errors.ToolFailed(f"The MCP server {where} ended the connection before it answered")


def too_large(where: str, most: int) -> errors.ToolFailed:
    return errors.ToolFailed(f"The MCP server {where} answered with more than {most:,} bytes")


def garbled(where: str) -> errors.ToolFailed:
    return errors.ToolFailed(f"The MCP server {where} did not answer as the protocol says")


def _within(error: BaseException) -> Iterator[BaseException]:
    """The failures at the bottom first: groups are opened, and what caused them is what is to be told."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _within(one)
        return
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            yield cause
        cause = cause.__cause__ or cause.__context__
    yield error
