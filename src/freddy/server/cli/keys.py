"""`freddy keys`: the API keys in the local database, beside a running server or without one."""

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

import msgspec

from freddy.server import config
from freddy.server.accounts import development, keys
from freddy.server.accounts.api_keys import facts
from freddy.server.accounts.audit import Audit
from freddy.server.cli import terminal
from freddy.server.core import errors
from freddy.server.core.accounts import SCOPES, ApiKey, Organization, Scope
from freddy.server.core.audit import Entry, changes
from freddy.server.ports.stores import AccountStore
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.audit import SqlAudit
from freddy.server.stores.sql.opening import opened
from freddy.server.world import RandomIds, SystemClock

DEFAULT_ORGANIZATION = Organization(id="org_default", name="Default", created_at=0)
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}


class WrongUse(Exception):
    """The message says what would be right."""


def run(arguments: argparse.Namespace) -> int:
    settings, _ = config.read(arguments.config)
    try:
        asyncio.run(_perform(settings, arguments))
    except WrongUse as error:
        terminal.fail(str(error))
        return 2
    except errors.FreddyError as error:
        terminal.fail(f"{error.message} {error.details or ''}")
        return 1
    return 0


async def _perform(settings: config.Settings, arguments: argparse.Namespace) -> None:
    async with opened(settings.store.database) as database:
        accounts = SqlAccounts(database)
        audit = Audit(SqlAudit(database), clock=SystemClock(), ids_from=RandomIds())
        match arguments.action:
            case "create":
                await _create(accounts, audit, arguments)
            case "list":
                await _list(accounts, arguments)
            case _:
                await _revoke(accounts, audit, arguments)


async def _create(accounts: AccountStore, audit: Audit, arguments: argparse.Namespace) -> None:
    clock = SystemClock()
    if not arguments.name.strip() or not arguments.name.isprintable():
        raise WrongUse("a key's name is a text without control characters, such as my-app")
    organization_id = await _organization(accounts, arguments.organization, clock)
    lifetime = seconds(arguments.expires) if arguments.expires else None
    minted = keys.mint(
        arguments.name,
        [organization_id],
        clock=clock,
        ids_from=RandomIds(),
        scopes=scopes(arguments.scopes) if arguments.scopes else SCOPES,
        expires_at=int(clock.now()) + lifetime if lifetime else None,
    )
    told = audit.entry(
        None,
        "key.create",
        organization_id=organization_id,
        resource_type="api_key",
        resource_id=minted.key.id,
        name=minted.key.name,
        changes=changes({}, facts(minted.key)),
    )
    await accounts.add_key(minted.key, told=(told,))
    if arguments.json:
        _write({**_fact(minted.key), "secret": minted.secret})
        return
    terminal.note(f"The key {minted.key.id} of {organization_id}. Its secret is not shown again:")
    terminal.say(minted.secret)


async def _list(accounts: AccountStore, arguments: argparse.Namespace) -> None:
    found = await _keys(accounts, arguments.organization)
    if arguments.json:
        _write([_fact(key) for key in found])
        return
    if not found:
        terminal.note("There are no keys. Make one with: freddy keys create NAME")
        return
    now = SystemClock().now()
    for key in found:
        organizations = ",".join(key.organization_ids)
        given = "everything" if set(key.scopes) == set(SCOPES) else ",".join(key.scopes)
        terminal.say(f"{key.id}  {key.prefix}…  {_state(key, now):<18}  {organizations}  {given}  {key.name}")


async def _revoke(accounts: AccountStore, audit: Audit, arguments: argparse.Namespace) -> None:
    wanted: str = arguments.key.removesuffix("…")
    digest = keys.digest(wanted)
    found = [
        key
        for key in await _keys(accounts, arguments.organization)
        if wanted in (key.id, key.prefix) or digest == key.digest
    ]
    if not found:
        raise WrongUse(f"there is no key {_shortened(wanted)!r}; see: freddy keys list")
    if len(found) > 1:
        raise WrongUse(f"{len(found)} keys begin like this; name one by its id: freddy keys list")
    key = found[0]
    if key.revoked_at is None:
        await accounts.change_key(key.organization_ids[0], key.id, lambda known: _revoked(known, audit))
    if arguments.json:
        _write({"id": key.id, "revoked": True})
    else:
        terminal.say(f"{key.id} ({key.name}) is revoked; a running server refuses it within seconds")


def _revoked(key: ApiKey, audit: Audit) -> tuple[ApiKey, Sequence[Entry]]:
    revoked = msgspec.structs.replace(key, revoked_at=int(SystemClock().now()))
    told = audit.entry(
        None,
        "key.revoke",
        organization_id=key.organization_ids[0],
        resource_type="api_key",
        resource_id=key.id,
        name=key.name,
        changes=changes(facts(key), facts(revoked)),
    )
    return revoked, (told,)


async def _organization(accounts: AccountStore, named: str | None, clock: SystemClock) -> str:
    if named:
        if not re.fullmatch(r"[\w.-]{1,128}", named):
            raise WrongUse("an organization's id is letters, digits and ._- (at most 128)")
        wanted = Organization(id=named, name=named, created_at=int(clock.now()))
        await accounts.add_organization(wanted)
        return named
    known = [organization.id for organization in await accounts.list_organizations()]
    # The documentation's own come with development mode, and nobody wants a key of theirs by default.
    known = [one for one in known if one not in development.ORGANIZATIONS[1:]]
    if len(known) == 1:
        return known[0]
    if known and DEFAULT_ORGANIZATION.id not in known:
        raise WrongUse(f"name one of the organizations with --organization: {', '.join(known)}")
    await accounts.add_organization(msgspec.structs.replace(DEFAULT_ORGANIZATION, created_at=int(clock.now())))
    return DEFAULT_ORGANIZATION.id


async def _keys(accounts: AccountStore, organization_id: str | None) -> Sequence[ApiKey]:
    if organization_id:
        return await accounts.list_keys(organization_id)
    found: dict[str, ApiKey] = {}
    for organization in await accounts.list_organizations():
        found |= {key.id: key for key in await accounts.list_keys(organization.id)}
    return list(found.values())


def seconds(text: str) -> int:
    """`30d` in seconds."""
    match = re.fullmatch(r"(\d{1,6})([mhdwy])", text.strip().lower())
    if not match or int(match[1]) == 0:
        raise WrongUse(f"--expires is a number with m, h, d, w or y, such as 30d, not {text!r}")
    return int(match[1]) * _UNITS[match[2]]


def scopes(text: str) -> tuple[Scope, ...]:
    wanted = {word.strip() for word in text.split(",") if word.strip()}
    unknown = sorted(wanted - set(get_args(Scope)))
    if unknown or not wanted:
        raise WrongUse(f"--scopes takes {', '.join(SCOPES)}, not {', '.join(unknown) or 'nothing'}")
    return tuple(scope for scope in SCOPES if scope in wanted)


def _state(key: ApiKey, now: float) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "good"
    word = "expired" if key.expires_at <= now else "until"
    return f"{word} {datetime.fromtimestamp(key.expires_at, UTC):%Y-%m-%d}"


def _fact(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "organization_ids": key.organization_ids,
        "scopes": key.scopes,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def _shortened(wanted: str) -> str:
    """People name keys by their secret, too; it is not to stand in a terminal's history twice."""
    return wanted[:16] + "…" if len(wanted) > 40 else wanted


def _write(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
