"""`freddy providers`: the keys that organizations bring for upstreams, beside a running server or without one."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from freddy.server import config
from freddy.server.accounts import development
from freddy.server.accounts.provider_keys import ProviderKeys
from freddy.server.cli import resealing, terminal
from freddy.server.core import errors, provider_keys
from freddy.server.core.provider_keys import ProviderKey
from freddy.server.ports.stores import AccountStore
from freddy.server.resources.resealing import Resealed
from freddy.server.sealing import AesSealer
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.opening import opened
from freddy.server.stores.sql.provider_keys import SqlProviderKeys
from freddy.server.world import SystemClock


class WrongUse(Exception):
    """The message says what would be right."""


def run(arguments: argparse.Namespace) -> int:
    settings, _ = config.read(arguments.config)
    try:
        # Asked for before the loop runs: it waits for a person.
        secret = _secret(arguments.upstream) if arguments.action == "set" else ""
        return asyncio.run(_perform(settings, arguments, secret))
    except WrongUse as error:
        terminal.fail(str(error))
        return 2
    except errors.FreddyError as error:
        terminal.fail(f"{error.message}: {error.details}" if error.details else error.message)
        return 2 if isinstance(error, errors.NotFound | errors.InvalidValue) else 1


async def _perform(settings: config.Settings, arguments: argparse.Namespace, secret: str) -> int:
    async with opened(settings.store.database) as database:
        sealer = AesSealer(settings.secret_keys, file=settings.secret_key_path)
        keys = ProviderKeys(
            SqlProviderKeys(database),
            sealer=sealer,
            clock=SystemClock(),
            upstreams=[upstream.name for upstream in settings.upstreams],
        )
        if arguments.action == "reseal":
            own = await keys.reseal()
            others = await resealing.resealed(database, sealer=sealer, clock=SystemClock())
            return _tell_resealed(*own, others, arguments)
        organization_id = await _organization(SqlAccounts(database), arguments.organization)
        match arguments.action:
            case "list":
                await _list(keys, organization_id, arguments)
            case "set":
                await _set(keys, organization_id, secret, arguments)
            case _:
                await _remove(keys, organization_id, arguments)
    return 0


async def _list(keys: ProviderKeys, organization_id: str, arguments: argparse.Namespace) -> None:
    found = [(key, await keys.opens(key)) for key in await keys.list(organization_id)]
    if arguments.json:
        _write([{**_fact(key), "opens": opens} for key, opens in found])
        return
    if not found:
        terminal.note(f"{organization_id} has no keys of its own. Bring one with: freddy providers set UPSTREAM")
        return
    for key, opens in found:
        state = "" if opens else "  cannot be opened: its secret key is not in FREDDY_SECRET_KEY"
        since = f"{datetime.fromtimestamp(key.updated_at, UTC):%Y-%m-%d}"
        terminal.say(f"{key.upstream:<20}  {key.hint or '…':<5}  {since}{state}")


async def _set(keys: ProviderKeys, organization_id: str, secret: str, arguments: argparse.Namespace) -> None:
    kept = await keys.put(organization_id, arguments.upstream, secret=secret)
    if arguments.json:
        _write(_fact(kept))
        return
    terminal.say(f"{organization_id} uses its own key {kept.hint or ''} for {kept.upstream}".replace("  ", " "))


async def _remove(keys: ProviderKeys, organization_id: str, arguments: argparse.Namespace) -> None:
    await keys.remove(organization_id, arguments.upstream)
    if arguments.json:
        _write({"upstream": arguments.upstream, "organization_id": organization_id, "deleted": True})
        return
    terminal.say(f"{organization_id} uses the operator's key for {arguments.upstream} again, within seconds")


def _tell_resealed(
    done: int,
    unreadable: Sequence[ProviderKey],
    others: Sequence[tuple[resealing.Words, Resealed]],
    arguments: argparse.Namespace,
) -> int:
    """The exit code."""
    if arguments.json:
        told = {"resealed": done, "unreadable": [_fact(key) for key in unreadable]}
        _write(told | {words.key: _facts(found) for words, found in others})
    else:
        terminal.say(f"{done} sealed with the first secret key")
        for words, found in others:
            if found.done:
                terminal.say(f"{found.done} {words.several} sealed with it, too")
    for key in unreadable:
        terminal.fail(
            f"the key of {key.organization_id} for {key.upstream} cannot be opened: add the secret key that sealed "
            "it to FREDDY_SECRET_KEY, or bring it again"
        )
    for words, found in others:
        for organization_id, id_ in found.unreadable:
            terminal.fail(
                f"{words.lost} {id_} of {organization_id} cannot be opened: add the secret key that sealed it to "
                f"FREDDY_SECRET_KEY, or {words.cure}"
            )
    return 1 if unreadable or any(found.unreadable for _, found in others) else 0


def _facts(found: Resealed) -> dict[str, object]:
    lost = [{"id": id_, "organization_id": organization_id} for organization_id, id_ in found.unreadable]
    return {"resealed": found.done, "unreadable": lost}


async def _organization(accounts: AccountStore, named: str | None) -> str:
    known = [organization.id for organization in await accounts.list_organizations()]
    if named is not None:
        if named not in known:
            raise WrongUse(f"there is no organization {named!r}; there are: {', '.join(known) or 'none'}")
        return named
    # The documentation's own come with development mode, and nobody wants a key of theirs by default.
    known = [one for one in known if one not in development.ORGANIZATIONS[1:]]
    if not known:
        raise WrongUse("there is no organization yet; `freddy keys create` makes one with its first key")
    if len(known) > 1:
        raise WrongUse(f"name one of the organizations with --organization: {', '.join(known)}")
    return known[0]


def _secret(upstream: str) -> str:
    """From a prompt that shows nothing, or from a pipe: arguments are seen by others, and kept in histories."""
    if sys.stdin.isatty():
        return getpass.getpass(f"Key for {terminal.harmless(upstream)}: ").strip()
    given = sys.stdin.read(provider_keys.LONGEST + 3).strip()
    if not given:
        raise WrongUse("stdin is empty; type the key at the prompt, or pipe it in: freddy providers set NAME < FILE")
    return given


def _fact(key: ProviderKey) -> dict[str, object]:
    return {
        "upstream": key.upstream,
        "organization_id": key.organization_id,
        "hint": key.hint,
        "created_at": key.created_at,
        "updated_at": key.updated_at,
    }


def _write(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
