"""What a value must look like, and what is said when it does not."""

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from freddy.server.config.declarations import Declared
from freddy.server.core.networks import Opening

_PASSWORD = re.compile(r"//[^/@\s]*@")
_DATABASE_PASSWORD = re.compile(r"(?i)(?<=postgresql://)\S*@|(?<=postgres://)\S*@")
_PASSWORD_PARAMETER = re.compile(r"(?i)(?<=password=)[^&\s'\"]*")
_POSTGRES = ("postgresql", "postgres")
_REDIS = ("redis", "rediss", "valkey", "valkeys", "unix")
_SHORTEST_KEY = 32
"""Characters of a secret key: 24 random bytes in base64."""


def want(one: Declared) -> str:
    """What a setting accepts, as the end of a sentence."""
    kind, low, high = plain(one.type), one.setting.low, one.setting.high
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    if kind is bool:
        return "true or false"
    if kind is Path:
        return "a path"
    if one.setting.form == "networks":
        return "networks and hosts, such as 10.0.0.0/8 and mcp.internal: a list, or a text with commas between them"
    if one.setting.form == "database":
        return "a path, or an address that starts with postgresql://"
    if kind is str and one.setting.form == "redis":
        return _redis_address()
    if kind is str:
        return "an address that starts with http:// or https://" if one.setting.form == "url" else "a text"
    noun = "a whole number" if kind is int else "a number"
    return f"{noun} from {low:.10g} to {high:.10g}" if low is not None else noun


def plain(kind: Any) -> Any:  # noqa: ANN401 (a type form has no type of its own yet)
    """The type without `| None`."""
    rest = [part for part in get_args(kind) if part is not type(None)]
    return rest[0] if type(None) in get_args(kind) else kind


def networks(raw: object) -> tuple[str, ...]:
    """Raises ValueError with what would be right."""
    entries = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError('a list such as ["10.0.0.0/8", "mcp.internal"]')
    told = tuple(entry.strip() for entry in entries if entry.strip())
    try:
        Opening.of(told)
    except ValueError as error:
        raise ValueError(f"networks and names of hosts: {error}") from None
    return told


def secret_keys(text: str) -> str:
    """Raises ValueError with what would be right."""
    keys = [key.strip() for key in text.split(",")]
    if not all(len(key) >= _SHORTEST_KEY and re.fullmatch(r"[\x21-\x7e]+", key) for key in keys):
        raise ValueError(
            f"random keys of at least {_SHORTEST_KEY} characters, with commas between them; "
            "make one with: openssl rand -base64 32"
        )
    return ",".join(keys)


def url(text: object) -> str:
    """Raises ValueError with what would be right."""
    address = str(text).strip().rstrip("/")
    try:
        parts = urlsplit(address)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not address.isprintable() or " " in address:
        raise ValueError("an address that starts with http:// or https://")
    if parts.query or parts.fragment:
        raise ValueError("an address without query or fragment")
    return address


def redis_url(text: object) -> str:
    """Raises ValueError with what would be right."""
    address = str(text).strip()
    try:
        parts = urlsplit(address)
        place = parts.path if parts.scheme == "unix" else parts.hostname
        fine = parts.scheme in _REDIS and bool(place) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not address.isprintable() or " " in address:
        raise ValueError(_redis_address())
    return address


def _redis_address() -> str:
    return "an address that starts with " + ", ".join(f"{scheme}://" for scheme in _REDIS)


def disabling(*, failing_days: float, kept_days: float) -> Iterator[str]:
    """What keeps webhooks that nobody is behind from ever being disabled."""
    if failing_days >= kept_days:
        yield (
            f"webhooks.failing_days is {failing_days:g}, but must be less than webhooks.kept_days, which is "
            f"{kept_days:g}: what failed is forgotten by then, and no webhook would ever be disabled"
        )


def is_postgres(text: object) -> bool:
    return isinstance(text, str) and text.strip().partition("://")[0].lower() in _POSTGRES


def postgres_url(text: str) -> str:
    """Raises ValueError with what would be right."""
    address = text.strip()
    try:
        fine = urlsplit(address).port != 0
    except ValueError:
        fine = False
    if not fine or not address.isprintable() or " " in address:
        raise ValueError("an address such as postgresql://user:password@host/name, percent-encoded, or a path")
    return address


def without_password(text: str) -> str:
    """An address with nothing in it that must not be shown."""
    text = _PASSWORD_PARAMETER.sub("***", text)
    return _PASSWORD.sub("//***@", _DATABASE_PASSWORD.sub("***@", text))


def meant(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
