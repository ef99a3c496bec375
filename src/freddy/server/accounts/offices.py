"""Puts together all that has to do with accounts, over whatever keeps them."""

from collections.abc import Iterable

from msgspec import Struct

from freddy.server.accounts.api_keys import ApiKeys
from freddy.server.accounts.audit import Audit
from freddy.server.accounts.keys import Verifier
from freddy.server.accounts.organizations import Organizations
from freddy.server.accounts.passwords import USUAL, Cost, Passwords
from freddy.server.accounts.renewal import Renewal
from freddy.server.accounts.sign_in import SignIn
from freddy.server.accounts.standings import Standings
from freddy.server.accounts.tokens import Tokens
from freddy.server.accounts.users import Users
from freddy.server.core.accounts import ApiKey
from freddy.server.ports.audit import AuditStore
from freddy.server.ports.signing import SigningKeys
from freddy.server.ports.stores import AccountStore
from freddy.server.ports.users import UserStore
from freddy.server.ports.world import Clock, IdSource


class Terms(Struct, frozen=True, kw_only=True):
    """How long things are good for, in seconds. `issuer` is the name of this server in its tokens."""

    issuer: str = "freddy"
    access_seconds: int = 900
    session_seconds: int = 30 * 24 * 3600
    invitation_seconds: int = 7 * 24 * 3600
    reset_seconds: int = 24 * 3600
    registration: bool = False


class Office(Struct, frozen=True, kw_only=True):
    audit: Audit
    verifier: Verifier
    renewal: Renewal
    standings: Standings
    tokens: Tokens
    sign_in: SignIn
    users: Users
    organizations: Organizations
    api_keys: ApiKeys


def office(
    store: AccountStore,
    users: UserStore,
    audit: AuditStore,
    *,
    signing: SigningKeys,
    clock: Clock,
    ids_from: IdSource,
    terms: Terms,
    unkept: Iterable[ApiKey] = (),
    cost: Cost = USUAL,
) -> Office:
    """`unkept` are keys that hold for this process only; `cost` is that of passwords."""
    told = Audit(audit, clock=clock, ids_from=ids_from)
    verifier = Verifier(store, clock=clock, unkept=unkept)
    standings = Standings(users, clock=clock)
    tokens = Tokens(signing, issuer=terms.issuer, clock=clock, seconds=terms.access_seconds)
    passwords = Passwords(cost)
    return Office(
        audit=told,
        verifier=verifier,
        renewal=Renewal(store, users, clock=clock),
        standings=standings,
        tokens=tokens,
        sign_in=SignIn(
            users,
            tokens=tokens,
            standings=standings,
            passwords=passwords,
            audit=told,
            clock=clock,
            ids_from=ids_from,
            seconds=terms.session_seconds,
            registration=terms.registration,
        ),
        users=Users(
            users,
            standings=standings,
            passwords=passwords,
            audit=told,
            clock=clock,
            ids_from=ids_from,
            invitation_seconds=terms.invitation_seconds,
            reset_seconds=terms.reset_seconds,
        ),
        organizations=Organizations(
            store, verifier=verifier, standings=standings, audit=told, clock=clock, ids_from=ids_from
        ),
        api_keys=ApiKeys(store, verifier=verifier, audit=told, clock=clock, ids_from=ids_from),
    )
