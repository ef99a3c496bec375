"""`freddy organizations`: the organizations in the local database, beside a running server or without one."""

import argparse
import asyncio

from msgspec.structs import replace

from freddy.server import config
from freddy.server.cli import offices, terminal
from freddy.server.core import errors
from freddy.server.core.accounts import About, OrganizationChange
from freddy.server.core.limits import Limits

_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrent_runs", "monthly_budget")


def run(arguments: argparse.Namespace) -> int:
    settings, _ = config.read(arguments.config)
    try:
        asyncio.run(_perform(settings, arguments))
    except offices.WrongUse as error:
        terminal.fail(str(error))
        return 2
    except errors.FreddyError as error:
        terminal.fail(f"{error.message} {error.details or ''}".strip())
        return 1
    return 0


async def _perform(settings: config.Settings, arguments: argparse.Namespace) -> None:
    async with offices.opened(settings) as local:
        organizations = local.office.organizations
        match arguments.action:
            case "create":
                made = await organizations.create(None, arguments.name, about=About())
                _tell(arguments, offices.fact(made), made.id)
            case "list":
                await _list(local, arguments)
            case "limit":
                await _limit(local, arguments)
            case "delete":
                gone = await organizations.delete(None, arguments.id)
                _tell(
                    arguments, offices.fact(gone), f"{gone.id} is deleted; a running server refuses it within seconds"
                )
            case "restore":
                back = await organizations.restore(None, arguments.id)
                _tell(arguments, offices.fact(back), f"{back.id} ({back.name}) is back")
            case _:
                await _purge(local, arguments)


async def _list(local: offices.Local, arguments: argparse.Namespace) -> None:
    found = [*await local.accounts.list_organizations(), *await local.accounts.list_deleted_organizations()]
    if arguments.json:
        offices.write([offices.fact(one) for one in found])
        return
    if not found:
        terminal.note("There are no organizations. Make one with: freddy organizations create NAME")
    for one in found:
        terminal.say(f"{one.id}  {'deleted' if one.deleted_at else 'active':<8}  {one.name}")


async def _limit(local: offices.Local, arguments: argparse.Namespace) -> None:
    known = await local.office.organizations.get(arguments.id)
    asked = {name: _number(name, value) for name in _LIMITS if (value := getattr(arguments, name)) is not None}
    limits = replace(known.limits or Limits(), **asked)
    changed = await local.office.organizations.change(None, arguments.id, OrganizationChange(limits=limits))
    told = ", ".join(f"{name}: {getattr(limits, name) or 'no limit'}" for name in _LIMITS)
    _tell(arguments, offices.fact(changed), told)


async def _purge(local: offices.Local, arguments: argparse.Namespace) -> None:
    gone = await local.accounts.purge_organization(arguments.id)
    if not gone:
        raise offices.WrongUse(f"there is no deleted organization {arguments.id!r}; see: freddy organizations list")
    _tell(
        arguments, {"id": arguments.id, "purged": True}, f"{arguments.id} is gone for good, and all that was kept of it"
    )


def _number(name: str, text: str) -> float | int | None:
    if text == "none":
        return None
    try:
        return float(text) if name == "monthly_budget" else int(text)
    except ValueError:
        raise offices.WrongUse(f"--{name.replace('_', '-')} is a number, or none, not {text!r}") from None


def _tell(arguments: argparse.Namespace, fact: object, said: str) -> None:
    if arguments.json:
        offices.write(fact)
    else:
        terminal.say(said)
