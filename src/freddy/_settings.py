"""Where the server is and who calls it: the client's arguments, completed from the environment."""

import os
from dataclasses import dataclass, field
from importlib import metadata
from urllib.parse import quote, urlsplit

DEFAULT_BASE_URL = "http://127.0.0.1:8000"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Settings:
    """`base_url` ends before `/v1`; an `api_key` of None means that no credential is sent."""

    base_url: str
    api_key: str | None = field(repr=False)
    organization_id: str | None

    @property
    def is_loopback(self) -> bool:
        return urlsplit(self.base_url).hostname in _LOOPBACK


def complete(api_key: str | None, *, base_url: str | None, organization_id: str | None) -> Settings:
    """What was given, else the environment, else the default.

    An empty `api_key` is an answer, too: it sends no credential although the environment has one.
    """
    return Settings(
        base_url=_root(_given_or_environment(base_url, "FREDDY_BASE_URL") or DEFAULT_BASE_URL),
        api_key=_credential(_given_or_environment(api_key, "FREDDY_API_KEY")),
        organization_id=_given_or_environment(organization_id, "FREDDY_ORG_ID") or None,
    )


def version() -> str:
    try:
        return metadata.version("freddy-gateway")
    except metadata.PackageNotFoundError:
        return "0"


def path(*segments: str) -> str:
    """A path of the API; every segment is quoted, so that an id never changes which path it is."""
    for segment in segments:
        if segment in {"", ".", ".."}:
            raise ValueError(f"an id is needed, not {segment!r}")
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)


def _given_or_environment(given: str | None, name: str) -> str | None:
    if given is not None:
        return given
    return os.environ.get(name)  # noqa: TID251 the one place where the SDK reads the environment


def _root(base_url: str) -> str:
    root = base_url.strip().rstrip("/").removesuffix("/v1").rstrip("/")
    parts = urlsplit(root)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"base_url is {base_url!r}; it needs the form http://host or https://host")
    return root


def _credential(api_key: str | None) -> str | None:
    key = (api_key or "").strip()
    if not key:
        return None
    if not (key.isascii() and key.isprintable()):
        raise ValueError("api_key has characters that cannot stand in an HTTP header")
    return key
