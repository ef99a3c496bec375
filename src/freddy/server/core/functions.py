"""Owns what a registered function is, and what a change makes of it and of its headers."""

import re
from collections.abc import Collection, Mapping
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from freddy.server.core import errors, schemas, signing
from freddy.server.core.headers import (
    LONGEST_HEADER,
    LONGEST_SECRET,
    MOST_HEADERS,
    OF_CONNECTION,
    is_name,
    is_value,
)

REDACTED: Final = "***REDACTED***"
"""Stands for a secret in answers, and in a change for the one that is kept."""
LONGEST_NAME: Final = 64
LONGEST_DESCRIPTION: Final = 2_000
LARGEST_PARAMETERS: Final = 32 * 1024
LARGEST_ARGUMENTS: Final = 256 * 1024
"""Bytes of a schema, and of the arguments that somebody tries it with."""
SECONDS: Final = 30
MOST_SECONDS: Final = 300
OVERLAP_SECONDS: Final = 24 * 3600
"""A secret that was replaced goes on signing for so long, where nobody says another time."""
MOST_OVERLAP_SECONDS: Final = 7 * 24 * 3600
NAME: Final = rf"[a-zA-Z_][a-zA-Z0-9_-]{{0,{LONGEST_NAME - 1}}}"
NOTHING: Final = Raw(b'{"type":"object","properties":{}}')
"""The parameters of a function that takes none."""

_NAME: Final = re.compile(NAME)
_PLAIN: Final = (
    *("description", "parameters", "url", "timeout_seconds"),
    *("require_approval", "idempotent", "enabled", "metadata"),
)
"""What a change says as it is to be."""
_OURS: Final = OF_CONNECTION | signing.HEADERS


class Previous(Struct, frozen=True):
    """A signing secret that was replaced: sealed, and good until then, in Unix seconds."""

    sealed: bytes
    until: int


class Configuration(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A function at `url`. `parameters` is its JSON Schema.

    `secret` is the sealed one that signs calls; `headers` are the sealed values of the headers `header_names`, None
    where there are none.
    """

    description: str | None = None
    parameters: Raw = NOTHING
    url: str = ""
    header_names: tuple[str, ...] = ()
    headers: bytes | None = None
    secret: bytes = b""
    previous: Previous | None = None
    timeout_seconds: int = SECONDS
    require_approval: bool = False
    idempotent: bool = True
    """Whether a call that may have been made can be made again; one that cannot is asked about."""
    enabled: bool = True
    metadata: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Configuration(url={self.url!r})"


class Change(Struct, frozen=True, kw_only=True):
    """What is to be different; `UNSET` stays as it is, or goes where `whole` says so. `headers` are whole, but for
    `REDACTED`.
    """

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    parameters: Raw | UnsetType = UNSET
    url: str | UnsetType = UNSET
    headers: Mapping[str, str] | UnsetType = UNSET
    timeout_seconds: int | UnsetType = UNSET
    require_approval: bool | UnsetType = UNSET
    idempotent: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    organization_id: str | None = None
    expected_version: int | None = None
    whole: bool = False

    def __repr__(self) -> str:
        return "Change()"


def headers_bound_to(organization_id: str, function_id: str, url: str) -> tuple[str, ...]:
    """What sealed headers belong to: for another function, or another address, they do not open."""
    return ("function", organization_id, function_id, "headers", url)


def secret_bound_to(organization_id: str, function_id: str) -> tuple[str, ...]:
    return ("function", organization_id, function_id, "secret")


def changed(
    before: Configuration, change: Change, kept: Mapping[str, str] | None
) -> tuple[Configuration, dict[str, str]]:
    """The function after the change, and the headers it is to have; those that are sealed are as before.

    `kept` are the values of its headers, None where they cannot be read. They are for the address that they were given
    for: another one has to be given them anew. Raises `errors.InvalidValue`.
    """
    told = {name: getattr(change, name) for name in _PLAIN}
    base = before
    if change.whole:
        base = replace(
            Configuration(),
            url=before.url,
            header_names=before.header_names,
            headers=before.headers,
            secret=before.secret,
            previous=before.previous,
        )
    after = replace(base, **{name: value for name, value in told.items() if value is not UNSET})
    if not after.url:
        raise errors.InvalidRequest("Missing required parameter: 'url'", param="url", code="missing_required_parameter")
    check_parameters(after.parameters)
    elsewhere = bool(before.header_names) and after.url != before.url
    headers = _headers(before, change, None if elsewhere else kept)
    return replace(after, header_names=tuple(headers)), headers


def check_name(name: str, *, reserved: Collection[str] = ()) -> None:
    """Raises `errors.InvalidValue`."""
    if not _NAME.fullmatch(name):
        raise errors.InvalidValue(
            "name", f"must be 1 to {LONGEST_NAME} letters, digits, _ and -, and begin with a letter or _"
        )
    if name in reserved:
        raise errors.InvalidValue("name", f"must be another one: {name} is a function that this server has itself")


def check_parameters(schema: Raw) -> None:
    """Raises `errors.InvalidValue` for what is no JSON Schema of an object, and for one that is too large."""
    data = bytes(schema)
    if len(data) > LARGEST_PARAMETERS:
        raise errors.InvalidValue("parameters", f"must have at most {LARGEST_PARAMETERS:,} bytes as JSON")
    _form(data)


def check_arguments(arguments: Raw, schema: Raw) -> None:
    """Raises `errors.InvalidValue` for what does not fit."""
    data = bytes(arguments)
    if len(data) > LARGEST_ARGUMENTS:
        raise errors.InvalidValue("arguments", f"must have at most {LARGEST_ARGUMENTS:,} bytes as JSON")
    values = schemas.values_in(data.decode())
    found = schemas.misfits(_form(bytes(schema)), msgspec.json.decode(data), values=values)
    if found:
        raise errors.InvalidValue("arguments", f"does not fit the function's parameters: {found[0]}")


def _form(data: bytes) -> schemas.Form:
    try:
        schema = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise errors.InvalidValue("parameters", 'must be a JSON Schema with "type": "object"')
    try:
        return schemas.form_of(data)
    except schemas.Unfit as unfit:
        raise errors.InvalidValue("parameters", str(unfit)) from None


def _headers(before: Configuration, change: Change, usable: Mapping[str, str] | None) -> dict[str, str]:
    """`usable` are the kept values, None where there may be some that must not be used."""
    if change.headers is UNSET:
        if before.header_names and usable is None:
            raise _again("headers")
        return {} if change.whole or usable is None else dict(usable)
    if len(change.headers) > MOST_HEADERS:
        raise errors.InvalidValue("headers", f"must be at most {MOST_HEADERS}")
    known = {name.lower(): value for name, value in (usable or {}).items()}
    had = {name.lower() for name in before.header_names}
    headers = {}
    for name, value in change.headers.items():
        place = f"headers.{name[:LONGEST_HEADER]}"
        if not is_name(name):
            raise errors.InvalidValue(
                place, f"must be named as headers are: 1 to {LONGEST_HEADER} letters, digits and -_."
            )
        if name.lower() in _OURS:
            raise errors.InvalidValue(place, "must be left out: this server says that itself")
        if value == REDACTED:
            if name.lower() not in had:
                raise errors.InvalidValue(place, f"must be the value: {REDACTED} stands for one that is kept")
            if name.lower() not in known:
                raise _again(place)
            headers[name] = known[name.lower()]
            continue
        if not is_value(value):
            raise errors.InvalidValue(
                place, f"must be 1 to {LONGEST_SECRET} ASCII characters in one line, with no space at an end"
            )
        headers[name] = value
    if len({name.lower() for name in headers}) < len(headers):
        raise errors.InvalidValue("headers", "must have no name twice: capital letters make no difference")
    return headers


def _again(place: str) -> errors.InvalidValue:
    return errors.InvalidValue(
        place,
        "must be sent again: what is kept was given for another url, or cannot be read any more. "
        "Send {} for headers to have none",
    )
