"""The office of accounts over the local database, for commands beside a running server or without one."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from msgspec import Struct

from freddy.server import config
from freddy.server.accounts.offices import Office, Terms, office
from freddy.server.cli import terminal
from freddy.server.core.accounts import Organization
from freddy.server.ports.stores import AccountStore
from freddy.server.sealing import DerivedKeys
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.audit import SqlAudit
from freddy.server.stores.sql.opening import opened as opened_database
from freddy.server.stores.sql.users import SqlUsers
from freddy.server.world import RandomIds, SystemClock


class WrongUse(Exception):
    """The message says what would be right."""


class Local(Struct, frozen=True):
    office: Office
    accounts: AccountStore


@asynccontextmanager
async def opened(settings: config.Settings) -> AsyncIterator[Local]:
    """What this process changes a running server sees within seconds."""
    told = settings.accounts
    async with opened_database(settings.store.database) as database:
        accounts = SqlAccounts(database)
        yield Local(
            office(
                accounts,
                SqlUsers(database),
                SqlAudit(database),
                signing=DerivedKeys(settings.secret_keys, file=settings.secret_key_path),
                clock=SystemClock(),
                ids_from=RandomIds(),
                terms=Terms(invitation_seconds=told.invitation_seconds, reset_seconds=told.reset_seconds),
            ),
            accounts,
        )


async def chosen(accounts: AccountStore, named: str | None, *, but: Sequence[str]) -> str:
    """The organization that is named, or the only one; `but` are those that nobody means by default."""
    if named:
        return named
    known = [one.id for one in await accounts.list_organizations() if one.id not in but]
    if len(known) == 1:
        return known[0]
    raise WrongUse(
        f"name one of the organizations with --organization: {', '.join(known)}"
        if known
        else "there is no organization; make one with: freddy organizations create NAME"
    )


def write(value: object) -> None:
    terminal.say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def fact(organization: Organization) -> dict[str, object]:
    return {
        "id": organization.id,
        "name": organization.name,
        "created_at": organization.created_at,
        "deleted_at": organization.deleted_at,
        "limits": organization.limits,
    }
