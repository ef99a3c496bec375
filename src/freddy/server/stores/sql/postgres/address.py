"""Owns the address of a PostgreSQL database."""

from msgspec import Struct

from freddy.server.core import errors

_SCHEMES = ("postgresql", "postgres")
_CACHED_STATEMENTS = 512
_OURS = "statement_cache_size="


class Address(Struct, frozen=True):
    """`dsn` is what asyncpg reads. `cached_statements` is 0 behind a pooler that gives each transaction another server
    connection."""

    dsn: str
    cached_statements: int = _CACHED_STATEMENTS


def parse(url: str) -> Address:
    """Raises `errors.StorageUnavailable` for what is none."""
    scheme, _, rest = url.strip().partition("://")
    place, _, query = rest.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    ours = [pair for pair in pairs if pair.startswith(_OURS)]
    size = ours[-1].removeprefix(_OURS) if ours else str(_CACHED_STATEMENTS)
    if scheme.lower() not in _SCHEMES or not size.isdecimal():
        raise unreadable()
    kept = "&".join(pair for pair in pairs if pair not in ours)
    return Address(f"postgresql://{place}?{kept}", int(size))


def unreadable() -> errors.StorageUnavailable:
    """What was given is not told: it may hold a password."""
    return errors.StorageUnavailable(
        "The address of the database cannot be read.",
        details="Write it as postgresql://user:password@host:5432/name, with special characters percent-encoded, "
        "and after a ? its parameters, such as sslmode=require or statement_cache_size=0.",
    )
