"""`freddy users`: the people in the local database, beside a running server or without one."""

import argparse
import asyncio
import getpass
import sys
from datetime import UTC, datetime

from freddy.server import config
from freddy.server.accounts import development
from freddy.server.cli import offices, terminal
from freddy.server.cli.keys import DEFAULT_ORGANIZATION
from freddy.server.core import errors
from freddy.server.core.accounts import Organization, Role
from freddy.server.ports.users import Standing
from freddy.server.world import SystemClock


def run(arguments: argparse.Namespace) -> int:
    settings, _ = config.read(arguments.config)
    try:
        # Asked for before the loop runs: it waits for a person.
        password = _password(arguments.email) if arguments.action == "create" else ""
        asyncio.run(_perform(settings, arguments, password))
    except offices.WrongUse as error:
        terminal.fail(str(error))
        return 2
    except errors.FreddyError as error:
        terminal.fail(f"{error.message} {error.details or ''}".strip())
        return 1
    return 0


async def _perform(settings: config.Settings, arguments: argparse.Namespace, password: str) -> None:
    async with offices.opened(settings) as local:
        users = local.office.users
        match arguments.action:
            case "create":
                await _create(local, arguments, password)
            case "list":
                await _list(local, arguments)
            case "invite":
                place = await _organization(local, arguments)
                invited = await users.invite(None, place.id, arguments.email, arguments.role)
                terminal.note(f"An invitation to {place.id} for {invited.invitation.email}. It is not shown again:")
                terminal.say(invited.secret)
            case "role":
                user = (await users.find(arguments.user)).user
                place = await _organization(local, arguments)
                await users.set_role(None, place.id, user.id, arguments.role)
                terminal.say(f"{user.email} is {arguments.role} of {place.id}")
            case "reset":
                user = (await users.find(arguments.user)).user
                reset = await users.reset_password(None, user.id)
                terminal.note(f"A one-time secret to set a password for {user.email}. It is not shown again:")
                terminal.say(reset.secret)
            case "deactivate":
                user = await users.deactivate(None, (await users.find(arguments.user)).user.id)
                terminal.say(f"{user.email} cannot sign in any more; a running server refuses them within seconds")
            case _:
                user = await users.activate(None, (await users.find(arguments.user)).user.id)
                terminal.say(f"{user.email} can sign in again")


async def _create(local: offices.Local, arguments: argparse.Namespace, password: str) -> None:
    place = await _organization(local, arguments, new=True)
    role: Role = "owner" if arguments.owner else arguments.role
    user = await local.office.users.create(
        None, arguments.email, password=password, name=arguments.name, organization=place, role=role
    )
    if arguments.json:
        offices.write(_fact(await local.office.users.find(user.id)))
    else:
        terminal.say(f"{user.id} ({user.email}) is {role} of {place.id}")


async def _list(local: offices.Local, arguments: argparse.Namespace) -> None:
    found = [await local.office.users.find(user.id) for user in await local.office.users.everybody()]
    if arguments.json:
        offices.write([_fact(standing) for standing in found])
        return
    if not found:
        terminal.note("There are no users. Make the first one with: freddy users create EMAIL --owner")
    for standing in found:
        user = standing.user
        state = "inactive" if user.deactivated_at else "active"
        places = ",".join(f"{member.organization_id}:{member.role}" for member in standing.members)
        seen = f"{datetime.fromtimestamp(user.last_login_at, UTC):%Y-%m-%d}" if user.last_login_at else "never"
        terminal.say(f"{user.id}  {state:<8}  {seen:<10}  {user.email}  {places}")


async def _organization(local: offices.Local, arguments: argparse.Namespace, *, new: bool = False) -> Organization:
    """The one that is named, or the only one; where there is none yet, a first user's is made."""
    now = int(SystemClock().now())
    known = [one for one in await local.accounts.list_organizations() if one.id not in development.ORGANIZATIONS]
    if new and not known and not arguments.organization:
        return Organization(id=DEFAULT_ORGANIZATION.id, name=DEFAULT_ORGANIZATION.name, created_at=now, updated_at=now)
    named = await offices.chosen(local.accounts, arguments.organization, but=development.ORGANIZATIONS)
    return await local.office.organizations.get(named)


def _password(email: str) -> str:
    """From a prompt that shows nothing, or from a pipe: never an argument, which others could see."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass(f"Password for {email}: ")
    if getpass.getpass("The same again: ") != first:
        raise offices.WrongUse("the two passwords differ")
    return first


def _fact(standing: Standing) -> dict[str, object]:
    user = standing.user
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "active": user.deactivated_at is None,
        "last_login_at": user.last_login_at,
        "roles": {member.organization_id: member.role for member in standing.members},
    }
