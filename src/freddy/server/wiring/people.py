"""Who may come in: users, keys, organizations, and whoever is on this machine in local development mode."""

import asyncio
import os
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack

from msgspec import Struct

from freddy.server import world
from freddy.server.accounts import development, keys
from freddy.server.accounts.offices import Office, Terms, office
from freddy.server.accounts.passwords import Cost
from freddy.server.config import Settings, dev_key
from freddy.server.core.accounts import ApiKey, Caller, Organization
from freddy.server.fetching import Fetching
from freddy.server.http.auth import Issued
from freddy.server.ports.stores import AccountStore
from freddy.server.ports.world import Clock, IdSource
from freddy.server.sealing import DerivedKeys
from freddy.server.sweeping import swept
from freddy.server.wiring.storage import Stores

_USE_SECONDS = 60.0
"""When keys were last used is kept so often."""


class Locals(Struct, frozen=True):
    """Who may call in local development mode, and nobody outside it. `secret` is the ready key."""

    secret: str | None = None
    ring: Sequence[ApiKey] = ()
    anonymous: Caller | None = None


async def locals_of(settings: Settings, accounts: AccountStore, *, clock: Clock, ids: IdSource) -> Locals:
    if not settings.development:
        return Locals()
    secret = await asyncio.to_thread(_development_key, settings)
    for organization in development.organizations(clock):
        await accounts.add_organization(organization)
    return Locals(secret, development.key_ring(secret, clock=clock, ids_from=ids), development.anonymous())


async def offices(
    settings: Settings, stack: AsyncExitStack, kept: Stores, ring: Sequence[ApiKey], *, clock: Clock, ids: IdSource
) -> Office:
    """`ring` are keys that hold for this process only."""
    people = office(
        kept.accounts,
        kept.users,
        kept.audit,
        signing=DerivedKeys(settings.secret_keys, file=settings.secret_key_path),
        clock=clock,
        ids_from=ids,
        terms=_terms(settings),
        unkept=ring,
        cost=Cost(memory=settings.accounts.password_cost),
    )
    stack.push_async_callback(people.verifier.write_used)
    await stack.enter_async_context(swept({"key_uses": people.verifier.write_used}, seconds=_USE_SECONDS))
    return people


async def issued(settings: Settings, people: Office, accounts: AccountStore, stack: AsyncExitStack) -> Issued | None:
    """Whom another issuer signs in, where one is set."""
    told, clock = settings.oidc, world.SystemClock()
    if told.issuer is None or told.audience is None:
        return None
    from freddy.server.accounts.oidc import Accepted, Oidc  # noqa: PLC0415 — imports cryptography

    now = int(clock.now())
    await accounts.add_organization(
        Organization(id=told.organization, name=told.organization, created_at=now, updated_at=now)
    )
    documents = await stack.enter_async_context(Fetching())
    accepted = Accepted(told.issuer, told.audience, told.email_claim, told.name_claim)
    oidc = Oidc(documents, accepted, clock=clock)
    return Issued(oidc, people.users, organization_id=told.organization, role=told.role)


def _terms(settings: Settings) -> Terms:
    told = settings.accounts
    return Terms(
        issuer=settings.server.public_url or "freddy",
        access_seconds=told.access_token_seconds,
        session_seconds=told.session_seconds,
        invitation_seconds=told.invitation_seconds,
        reset_seconds=told.reset_seconds,
        registration=told.registration,
    )


def _development_key(settings: Settings) -> str:
    """The key that the settings name, or else one that is made once and kept for this machine's user alone."""
    if known := dev_key(settings):
        return known
    secret = keys.PREFIX + secrets.token_urlsafe(32)
    with os.fdopen(os.open(settings.dev_key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret + "\n")
    return secret
