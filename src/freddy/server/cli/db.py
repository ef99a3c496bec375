"""`freddy db`: looks at the database, backs it up, upgrades it, and moves it to another."""

import argparse
import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from freddy.server import config
from freddy.server.cli import terminal
from freddy.server.config import checks
from freddy.server.core import errors
from freddy.server.stores.sql import opening, schema
from freddy.server.stores.sql.backup import back_up
from freddy.server.stores.sql.claim import claimed


class WrongUse(Exception):
    """The message says what would be right."""


def run(arguments: argparse.Namespace) -> int:
    settings, _ = config.read(arguments.config)
    place = settings.store.database
    try:
        match arguments.action:
            case "status":
                return asyncio.run(_status(place, as_json=arguments.json))
            case "backup":
                _back_up(place, arguments.file, settings)
            case "upgrade":
                asyncio.run(_upgrade(place))
            case _:
                source = _place(arguments.source) if arguments.source else place
                asyncio.run(_copy(source, _place(arguments.target)))
    except WrongUse as error:
        terminal.fail(str(error))
        return 2
    except errors.FreddyError as error:
        terminal.fail(f"{error.message} {error.details or ''}")
        return 1
    return 0


async def _status(place: Path | str, *, as_json: bool) -> int:
    found = await opening.version(place)
    current = found == schema.HEAD
    if as_json:
        fact = {"database": _shown(place), "schema": found, "newest": schema.HEAD, "current": current}
        terminal.say(msgspec.json.format(msgspec.json.encode(fact), indent=2).decode())
    else:
        terminal.say(f"database  {_shown(place)}")
        terminal.say(f"schema    {found or 'none: it is made at the first start'}")
        terminal.say(f"newest    {schema.HEAD}")
    return 0 if current or found is None else 1


def _back_up(place: Path | str, target: Path, settings: config.Settings) -> None:
    if not isinstance(place, Path):
        raise WrongUse("the database is PostgreSQL: back it up with pg_dump, which needs no stop either")
    if not place.exists():
        raise WrongUse(f"there is no database at {place} yet")
    if target.exists():
        raise WrongUse(f"{target} is there already; name a file that is not")
    try:
        back_up(place, target)
    except (OSError, sqlite3.Error) as error:
        raise errors.StorageUnavailable(
            f"The backup {str(target)!r} could not be written: {error}.",
            details="Name a place with enough space that you may write to.",
        ) from error
    terminal.say(str(target))
    kept = f"bucket {settings.files.s3_bucket}" if settings.files.s3_bucket else str(settings.files_path)
    terminal.note(f"Not in it: uploaded files ({kept}), which have a backup of their own.")
    if not settings.secret_keys:
        terminal.note(f"Not in it: the secret key {settings.secret_key_path}; without it sealed keys cannot be read.")


async def _upgrade(place: Path | str) -> None:
    found = await opening.version(place)
    if found == schema.HEAD:
        terminal.note(f"The schema is {found} already: nothing to do.")
        return
    with _claimed(place):
        async with opening.opened(place):
            pass
    terminal.note(f"The schema was {found} and is {schema.HEAD}." if found else f"Made with schema {schema.HEAD}.")


async def _copy(source: Path | str, target: Path | str) -> None:
    from freddy.server.stores.sql import copying  # noqa: PLC0415 — describes a statement for each table

    if source == target:
        raise WrongUse("--from and --to are the same database")
    if await opening.version(source) is None:
        raise WrongUse(f"there is nothing of Freddy's at {_shown(source)}")
    with _claimed(source), _claimed(target):
        async with opening.opened(source) as origin, opening.opened(target) as destination:
            counts = await copying.copy(origin, destination, sequences=isinstance(target, str), told=_tell)
    if sys.stderr.isatty():
        terminal.note("")
    terminal.say(f"{sum(counts.values())} rows of {len(counts)} tables are in {_shown(target)}")
    terminal.note("Uploaded files and the secret key stay where they are; now set FREDDY_DATABASE.")


def _tell(table: str, copied: int, total: int) -> None:
    """One line that changes, for a person who waits."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{table}: {copied} of {total}")
        sys.stderr.flush()


@contextlib.contextmanager
def _claimed(place: Path | str) -> Iterator[None]:
    """No server has an SQLite file meanwhile."""
    if not isinstance(place, Path):
        yield
        return
    with claimed(place):
        yield


def _place(text: str) -> Path | str:
    try:
        return checks.postgres_url(text) if checks.is_postgres(text) else Path(text).expanduser().absolute()
    except ValueError as error:
        raise WrongUse(f"{checks.without_password(text)!r} must be {error}") from error


def _shown(place: Path | str) -> str:
    return checks.without_password(str(place))
