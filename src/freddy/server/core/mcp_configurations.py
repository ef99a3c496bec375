"""Owns what a saved MCP configuration is, and what a change makes of it and of its secrets."""

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.headers import LONGEST_HEADER, LONGEST_SECRET, MOST_HEADERS, OF_CONNECTION, is_name, is_value
from freddy.server.core.items import MaybeRaw
from freddy.server.core.toolspec import Approval, Which

Auth: TypeAlias = Literal["none", "api_key", "bearer_token", "oauth"]
"""The token of `oauth` is an access token that the application obtained: it is sent as that of `bearer_token` is."""
Transport: TypeAlias = Literal["auto", "streamable_http", "sse"]
State: TypeAlias = Literal["unknown", "connected", "error"]

REDACTED: Final = "***REDACTED***"
"""Stands for a secret in answers, and in a change for the one that is kept."""
USUAL_HEADER: Final = "X-API-Key"
LONGEST_URL: Final = 2048

_SECRET: Final = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_SECRET}}}")
_URL: Final = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_URL}}}")
_AUTHORIZATION: Final = "Authorization"
_WITHOUT: Final = "must be left out for a program: it is asked without HTTP"
_OURS: Final = OF_CONNECTION | {"last-event-id", "mcp-protocol-version", "mcp-session-id"}
"""Headers that belong to the connection and to the protocol."""


class Tools(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which of the server's tools requests see, and which calls need a yes.

    `allowed_tools` and `require_approval` are how the caller said it.
    """

    enabled: bool = True
    allowed: Which | None = None
    excluded: Which | None = None
    approval: Approval | None = None
    allowed_tools: MaybeRaw = None
    require_approval: MaybeRaw = None


_ALL_TOOLS: Final = Tools()


class Secrets(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is told in confidence. It is kept sealed, and told to the server alone."""

    api_key: str | None = None
    token: str | None = None
    headers: dict[str, str] = {}

    def __repr__(self) -> str:
        return "Secrets()"

    def hidden(self, text: str) -> str:
        """The text without any of them, for what others say of a server."""
        known = {one for one in (self.api_key, self.token, *self.headers.values()) if one}
        for one in sorted(known, key=len, reverse=True):
            text = text.replace(one, REDACTED)
        return text


class Configuration(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an MCP server is: at `server_url`, or the program that the operator calls `program`.

    `header_name` is where an API key goes, `USUAL_HEADER` where it is None; `header_names` are the further headers.
    `credentials` are the sealed `Secrets`, None where there are none.
    """

    description: str | None = None
    server_url: str | None = None
    program: str | None = None
    transport: Transport = "auto"
    auth: Auth = "none"
    header_name: str | None = None
    header_names: tuple[str, ...] = ()
    credentials: bytes | None = None
    tools: Tools = _ALL_TOOLS
    enabled: bool = True
    metadata: dict[str, str] = {}


class Credentials(Struct, frozen=True, kw_only=True):
    """What a caller gives to be authenticated with."""

    api_key: str | None = None
    token: str | None = None
    header_name: str | None = None

    def __repr__(self) -> str:
        return "Credentials()"


class Change(Struct, frozen=True, kw_only=True):
    """What is to be different; `UNSET` stays as it is. `credentials` and `headers` are whole, but for `REDACTED`."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    server_url: str | UnsetType = UNSET
    program: str | UnsetType = UNSET
    transport: Transport | UnsetType = UNSET
    auth: Auth | UnsetType = UNSET
    credentials: Credentials | UnsetType | None = UNSET
    headers: Mapping[str, str] | UnsetType = UNSET
    tools: Tools | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    organization_id: str | None = None
    expected_version: int | None = None

    def __repr__(self) -> str:
        return "Change()"

    @property
    def confidential(self) -> bool:
        """Whether it is about the server or what it is told: then the secrets must be known."""
        return any(
            one is not UNSET for one in (self.server_url, self.program, self.auth, self.credentials, self.headers)
        )


class Connection(Struct, frozen=True):
    """What the last test of this process found. `connected_at` is in Unix seconds; `tools` is how many there were."""

    state: State = "unknown"
    connected_at: int | None = None
    error: str | None = None
    tools: int | None = None


class Tested(Struct, frozen=True):
    """`tools` are the names of all that the server offers; `error` is why there are none."""

    tools: tuple[str, ...] = ()
    error: str | None = None


def bound_to(organization_id: str, configuration_id: str) -> tuple[str, ...]:
    """What sealed secrets belong to: anywhere else they do not open."""
    return ("mcp_configuration", organization_id, configuration_id)


def sent(configuration: Configuration, secrets: Secrets) -> dict[str, str]:
    """The headers that the server is told."""
    headers = dict(secrets.headers)
    if configuration.auth == "api_key" and secrets.api_key is not None:
        headers[configuration.header_name or USUAL_HEADER] = secrets.api_key
    elif secrets.token is not None:
        headers[_AUTHORIZATION] = f"Bearer {secrets.token}"
    return headers


def changed(before: Configuration, change: Change, kept: Secrets | None) -> tuple[Configuration, Secrets]:
    """The configuration after the change, with what is to be kept in confidence for it; `credentials` are as before.

    `kept` are the secrets there are, None where they cannot be read. They are for the server that they were given for:
    another one has to be given them anew. Raises `errors.InvalidValue`.
    """
    after = altered(before, change)
    after = _placed(before, after, change)
    known = kept or Secrets()
    elsewhere = (after.server_url, after.program) != (before.server_url, before.program)
    # None: there may be secrets, and they must not be used.
    usable = None if kept is None or (elsewhere and known != Secrets()) else known
    if after.program is not None:
        _check_program(after, change)
    secrets, header_name = _credentials(before, after, change, usable)
    headers = _headers(before, change, usable)
    _check_apart(after.auth, header_name, headers)
    after = replace(after, header_name=header_name, header_names=tuple(headers))
    return after, replace(secrets, headers=headers)


def altered(before: Configuration, change: Change) -> Configuration:
    """What of the change has nothing to do with secrets. Raises `errors.InvalidValue`."""
    names = ("description", "transport", "auth", "tools", "enabled", "metadata")
    values = {name: getattr(change, name) for name in names}
    after = replace(before, **{name: value for name, value in values.items() if value is not UNSET})
    if after.tools == _ALL_TOOLS:
        after = replace(after, tools=_ALL_TOOLS)  # this one is not written, so that it makes no version
    if after.program is not None and change.server_url is UNSET and after.transport != "auto":
        raise errors.InvalidValue("transport_type", _WITHOUT)
    return after


def _placed(before: Configuration, after: Configuration, change: Change) -> Configuration:
    if change.server_url is not UNSET and change.program is not UNSET:
        raise errors.InvalidValue("program", "and server_url are two servers: send one of them")
    if change.server_url is not UNSET:
        check_url(change.server_url)
        return replace(after, server_url=change.server_url, program=None)
    if change.program is not UNSET:
        transport = "auto" if change.transport is UNSET else change.transport
        return replace(after, server_url=None, program=change.program, transport=transport)
    if before.server_url is None and before.program is None:
        raise errors.InvalidValue("server_url", "is needed: the address of the server, or send program instead")
    return after


def check_url(url: str, at: str = "server_url") -> None:
    """Raises `errors.InvalidValue` for what is no address of a server. `at` is the parameter that it stands in."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, None
    if not _URL.fullmatch(url) or not host or parts is None or parts.scheme not in ("http", "https"):
        raise errors.InvalidValue(
            at,
            f"must start with https:// or http://, and have at most {LONGEST_URL} characters and no spaces",
        )
    if parts.username is not None or parts.password is not None:
        raise errors.InvalidValue(at, "must hold no user name and password: send them as credentials or headers")
    if parts.fragment:
        raise errors.InvalidValue(at, "must have no fragment (#…)")


def check_headers(headers: Mapping[str, str], at: str) -> None:
    """Those that a request gives a server. Raises `errors.InvalidValue`."""
    if len(headers) > MOST_HEADERS:
        raise errors.InvalidValue(at, f"must be at most {MOST_HEADERS}")
    for name, value in headers.items():
        _check_header(at, name)
        if not is_value(value):
            raise errors.InvalidValue(
                f"{at}.{name}", f"must be 1 to {LONGEST_SECRET} ASCII characters in one line, with no space at an end"
            )
    if len({name.lower() for name in headers}) < len(headers):
        raise errors.InvalidValue(at, "must have no name twice: capital letters make no difference")


def _check_program(after: Configuration, change: Change) -> None:
    if after.auth != "none" or (change.credentials is not UNSET and change.credentials not in (None, Credentials())):
        raise errors.InvalidValue("auth_type", "must be none for a program: the operator gives it what it needs")
    if change.headers if change.headers is not UNSET else after.header_names:
        raise errors.InvalidValue("headers", _WITHOUT)
    if after.transport != "auto":
        raise errors.InvalidValue("transport_type", _WITHOUT)


def _credentials(
    before: Configuration, after: Configuration, change: Change, usable: Secrets | None
) -> tuple[Secrets, str | None]:
    """The API key or the token, and the header of the key."""
    given = Credentials() if change.credentials is None else change.credentials
    if after.auth == "none":
        if given is not UNSET and given != Credentials():
            raise errors.InvalidValue("auth_type", "must be api_key, bearer_token or oauth where there are credentials")
        return Secrets(), None
    name, other = ("api_key", "token") if after.auth == "api_key" else ("token", "api_key")
    if given is UNSET:
        if usable is None:
            raise _again("credentials")
        secret, header = getattr(usable, name), before.header_name if name == "api_key" else None
    else:
        if getattr(given, other) is not None:
            raise errors.InvalidValue(f"credentials.{other}", f"has no use with auth_type {after.auth}: send {name}")
        secret, header = getattr(given, name), given.header_name
        if secret == REDACTED:
            if usable is None:
                raise _again(f"credentials.{name}")
            secret = getattr(usable, name)
            if secret is None:
                raise _stand_in(f"credentials.{name}")
    if secret is None:
        raise errors.InvalidValue(f"credentials.{name}", f"is needed with auth_type {after.auth}")
    _check_secret(f"credentials.{name}", secret)
    if header is not None:
        if name == "token":
            raise errors.InvalidValue("credentials.header_name", f"has no use with auth_type {after.auth}")
        _check_header("credentials.header_name", header)
        header = None if header == USUAL_HEADER else header
    return Secrets(api_key=secret) if name == "api_key" else Secrets(token=secret), header


def _headers(before: Configuration, change: Change, usable: Secrets | None) -> dict[str, str]:
    if change.headers is UNSET:
        if usable is None:
            if before.header_names:
                raise _again("headers")
            return {}
        return usable.headers
    known = {name.lower(): value for name, value in (usable.headers if usable else {}).items()}
    had = {name.lower() for name in before.header_names}
    headers = dict(change.headers)
    for name in [name for name, value in headers.items() if value == REDACTED]:
        if name.lower() not in had:
            raise _stand_in(f"headers.{name}")
        if name.lower() not in known:
            raise _again(f"headers.{name}")
        headers[name] = known[name.lower()]
    check_headers(headers, "headers")
    return headers


def _check_apart(auth: Auth, header_name: str | None, headers: Mapping[str, str]) -> None:
    if auth == "none":
        return
    used = (header_name or USUAL_HEADER) if auth == "api_key" else _AUTHORIZATION
    for name in headers:
        if name.lower() == used.lower():
            raise errors.InvalidValue(f"headers.{name}", f"is what auth_type {auth} sends: leave one of them out")


def _check_secret(place: str, secret: str) -> None:
    if not _SECRET.fullmatch(secret):
        raise errors.InvalidValue(
            place, f"must be 1 to {LONGEST_SECRET} ASCII characters without spaces; the word Bearer is added to a token"
        )


def _check_header(place: str, name: str) -> None:
    if not is_name(name):
        raise errors.InvalidValue(place, f"must be named as headers are: 1 to {LONGEST_HEADER} letters, digits and -_.")
    if name.lower() in _OURS:
        raise errors.InvalidValue(place, f"must not be {name}: this server says that itself")


def _again(place: str) -> errors.InvalidValue:
    return errors.InvalidValue(
        place, "must be sent again: what is kept was given for another server, or cannot be read any more"
    )


def _stand_in(place: str) -> errors.InvalidValue:
    return errors.InvalidValue(
        place, f"must be the secret itself: {REDACTED} stands for one that is kept, and there is none"
    )
