"""Signing in and out: passwords and invitations to sessions, sessions to tokens."""

import hashlib
import logging
import secrets
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.accounts import access, tokens
from freddy.server.accounts.attempts import Attempts
from freddy.server.accounts.audit import Audit
from freddy.server.accounts.passwords import Passwords
from freddy.server.accounts.standings import Standings
from freddy.server.core import errors, ids
from freddy.server.core.accounts import Caller, Invitation, Member, Organization, Session, User
from freddy.server.core.audit import Change, Entry
from freddy.server.ports.users import UserStore
from freddy.server.ports.world import Clock, IdSource

_log = logging.getLogger(__name__)
INVITATION_PREFIX = "inv-frdy-"
RESET_PREFIX = "reset-frdy-"


class SignedIn(Struct, frozen=True):
    """`seconds` is how long the access token is good for."""

    user: User
    access_token: str
    refresh_token: str
    session_id: str
    seconds: int


class SignIn:
    """`seconds` is how long a session lives after it was last refreshed; `registration` whether strangers may come."""

    def __init__(
        self,
        store: UserStore,
        *,
        tokens: tokens.Tokens,
        standings: Standings,
        passwords: Passwords,
        audit: Audit,
        clock: Clock,
        ids_from: IdSource,
        seconds: int,
        registration: bool = False,
    ) -> None:
        self.registration = registration
        self._store = store
        self._tokens = tokens
        self._standings = standings
        self._passwords = passwords
        self._attempts = Attempts(clock)
        self._audit = audit
        self._clock = clock
        self._ids = ids_from
        self._seconds = seconds

    async def login(self, email: str, password: str, *, address: str) -> SignedIn:
        """Raises `errors.NotAuthenticated`: a wrong password, an unknown and a deactivated user are not told apart.

        Raises `errors.RateLimited` after too many wrong attempts.
        """
        user = await self._proven(email, password, address=address)
        if user.password is not None and self._passwords.is_outdated(user.password):
            user = await self._rehashed(user, password)
        return await self._open(user)

    async def refresh(self, refresh_token: str) -> SignedIn:
        """Another pair of tokens; the old refresh token ends with it. Raises `errors.NotAuthenticated`.

        One that was used before ends the session: it is in two hands, and one of them may be a thief's.
        """
        session_id = await self._tokens.session_of(refresh_token)
        session = await self._store.session(session_id)
        now = int(self._clock.now())
        if session is None or not session.lives(now):
            raise tokens.refused()
        standing = await self._store.get(session.user_id)
        if standing is None or standing.user.deactivated_at is not None:
            raise tokens.refused()
        following = await self._tokens.refresh(session.id)
        rotated = digest(refresh_token) == session.digest and await self._store.rotate_session(
            session, digest=digest(following), now=now, expires_at=now + self._seconds
        )
        if not rotated:
            await self._end(session.id)
            _log.warning("refresh_token_reused", extra={"user_id": session.user_id, "session_id": session.id})
            raise tokens.refused()
        self._standings.forget_session(session.id)
        return await self._signed_in(standing.user, session.id, following)

    async def logout(self, session_id: str) -> None:
        await self._end(session_id)

    async def logout_by(self, refresh_token: str) -> None:
        """Raises `errors.NotAuthenticated` for one that this server never made."""
        await self._end(await self._tokens.session_of(refresh_token))

    async def sessions(self, user_id: str) -> Sequence[Session]:
        """Those that live, the newest first."""
        now = self._clock.now()
        return [session for session in await self._store.sessions(user_id) if session.lives(now)]

    async def end_session(self, user_id: str, session_id: str) -> None:
        """Raises `errors.NotFound`."""
        if session_id not in {session.id for session in await self.sessions(user_id)}:
            raise errors.NotFound(f"There is no sign-in {session_id[:64]!r}", param="session_id")
        await self._end(session_id)

    async def change_password(self, caller: Caller, current: str, new: str, *, address: str) -> None:
        """Every other session of the user ends. Raises `errors.NotAuthenticated` for a wrong current password."""
        standing = await self._store.get(access.require_person(caller))
        if standing is None:
            raise tokens.refused()
        user = standing.user
        attempt = self._attempts.begin(user.email, address)
        if not await self._passwords.fits(current, user.password):
            raise wrong()
        attempt.was_right()
        hashed = await self._passwords.hashed(new, param="new_password")
        now = int(self._clock.now())

        def alter(known: User, _: Sequence[str]) -> tuple[User, Sequence[Entry]]:
            if known.password != user.password:
                raise wrong()
            told = self._audit.of_user(caller, "user.password", known, standing.members)
            return replace(known, password=hashed, updated_at=now, reset=None), told

        await self._store.change(user.id, alter, sessions_end=now, but=caller.session_id)
        self._standings.forget()

    async def set_password(self, secret: str, new: str) -> None:
        """With the one-time secret of a reset. All sessions end. Raises `errors.NotAuthenticated` for a wrong one."""
        user_id = secret.removeprefix(RESET_PREFIX).partition(".")[0]
        standing = await self._store.get(user_id)
        now = int(self._clock.now())
        wanted = digest(secret).hex()
        if standing is None or not _fits(standing.user, wanted, now):
            raise unusable("reset_key")
        hashed = await self._passwords.hashed(new, param="new_password")

        def alter(known: User, _: Sequence[str]) -> tuple[User, Sequence[Entry]]:
            if not _fits(known, wanted, now):
                raise unusable("reset_key")
            told = self._audit.of_user(_as_caller(known), "user.password", known, standing.members)
            return replace(known, password=hashed, updated_at=now, reset=None), told

        await self._store.change(user_id, alter, sessions_end=now)
        self._standings.forget()

    async def register(self, email: str, password: str, *, name: str, address: str) -> User:
        """A new user with an organization of their own. Raises `errors.PermissionDenied` where nobody may come so."""
        if not self.registration:
            raise errors.PermissionDenied(
                "Nobody can register here",
                code="registration_disabled",
                details="ask for an invitation; operators allow it with FREDDY_REGISTRATION",
            )
        # What tells whether there is an account is as dear as a wrong password.
        attempt = self._attempts.begin(email, address)
        user = await self._new_user(email, password, name)
        organization = Organization(
            id=self._ids.new(ids.ORGANIZATION),
            name=name or email,
            created_at=user.created_at,
            updated_at=user.created_at,
        )
        member = Member(organization_id=organization.id, user_id=user.id, role="owner", created_at=user.created_at)
        told = self._audit.of_user(_as_caller(user), "user.register", user, (member,))
        await self._store.add(user, member=member, organization=organization, told=told)
        attempt.was_right()
        return user

    async def invitation(self, secret: str) -> Invitation:
        """Raises `errors.NotFound` for one that was accepted, cancelled, never made, or is over."""
        found = await self._store.invitation(digest(secret)) if secret.startswith(INVITATION_PREFIX) else None
        if found is None or found.accepted_at is not None or found.expires_at <= self._clock.now():
            raise over()
        return found

    async def accept(self, caller: Caller, secret: str) -> Invitation:
        """As who is signed in. Raises `errors.PermissionDenied` where somebody else was invited."""
        invitation = await self.invitation(secret)
        standing = await self._store.get(access.require_person(caller))
        if standing is None or standing.user.email != invitation.email:
            raise errors.PermissionDenied("The invitation is for another e-mail address", param="email_key")
        await self._join(invitation, standing.user, new=False)
        return invitation

    async def complete(self, secret: str, password: str, *, name: str, address: str) -> tuple[SignedIn, Invitation]:
        """As somebody new, with the password to be; or as who has an account, with the password of that."""
        invitation = await self.invitation(secret)
        known = await self._store.find(invitation.email)
        if known is None:
            user = await self._new_user(invitation.email, password, name)
        else:
            user = await self._proven(invitation.email, password, address=address)
        await self._join(invitation, user, new=known is None)
        return await self._open(user), invitation

    async def _join(self, invitation: Invitation, user: User, *, new: bool) -> None:
        now = int(self._clock.now())
        member = Member(
            organization_id=invitation.organization_id, user_id=user.id, role=invitation.role, created_at=now
        )
        entry = self._audit.entry(
            _as_caller(user),
            "invitation.accept",
            organization_id=invitation.organization_id,
            resource_type="member",
            resource_id=user.id,
            name=user.email,
            changes=(Change("role", None, invitation.role),),
        )
        if not await self._store.accept(invitation, member, user=user if new else None, now=now, told=(entry,)):
            raise over()
        self._standings.forget()

    async def _proven(self, email: str, password: str, *, address: str) -> User:
        """The user whose password this is."""
        attempt = self._attempts.begin(email, address)
        user = await self._store.find(email)
        fits = await self._passwords.fits(password, user.password if user else None)
        if user is None or not fits or user.deactivated_at is not None:
            _log.info("sign_in_refused", extra={"address": address})
            raise wrong()
        attempt.was_right()
        return user

    async def _new_user(self, email: str, password: str, name: str) -> User:
        hashed = await self._passwords.hashed(password)
        now = int(self._clock.now())
        return User(id=self._ids.new(ids.USER), email=email, name=name, password=hashed, created_at=now, updated_at=now)

    async def _rehashed(self, user: User, password: str) -> User:
        hashed = await self._passwords.hashed(password)

        def alter(known: User, _: Sequence[str]) -> tuple[User, Sequence[Entry]]:
            return (replace(known, password=hashed) if known.password == user.password else known), ()

        return await self._store.change(user.id, alter) or user

    async def _open(self, user: User) -> SignedIn:
        now = int(self._clock.now())
        session_id = self._ids.new(ids.SESSION)
        refresh_token = await self._tokens.refresh(session_id)
        session = Session(
            id=session_id,
            user_id=user.id,
            digest=digest(refresh_token),
            created_at=now,
            refreshed_at=now,
            expires_at=now + self._seconds,
        )
        if not await self._store.open_session(session, password=user.password):
            raise wrong()
        return await self._signed_in(replace(user, last_login_at=now), session_id, refresh_token)

    async def _signed_in(self, user: User, session_id: str, refresh_token: str) -> SignedIn:
        access_token = await self._tokens.access(user.id, session_id)
        return SignedIn(user, access_token, refresh_token, session_id, self._tokens.seconds)

    async def _end(self, session_id: str) -> None:
        await self._store.end_session(session_id, int(self._clock.now()))
        self._standings.forget_session(session_id)


def digest(secret: str) -> bytes:
    # A plain SHA-256: secrets are random, and no slower hash would protect them better.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def new_secret(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)


def wrong() -> errors.NotAuthenticated:
    return errors.NotAuthenticated("Wrong e-mail address or password", code="invalid_credentials")


def unusable(param: str) -> errors.NotAuthenticated:
    return errors.NotAuthenticated(
        "The secret was used already, is over, or never was",
        param=param,
        code="invalid_credentials",
        details="ask for another",
    )


def over() -> errors.NotFound:
    return errors.NotFound("There is no such invitation, or it is over", param="email_key", details="ask for another")


def _fits(user: User, wanted: str, now: int) -> bool:
    reset = user.reset
    return (
        reset is not None
        and user.deactivated_at is None
        and now < reset.expires_at
        and secrets.compare_digest(reset.digest, wanted)
    )


def _as_caller(user: User) -> Caller:
    return Caller("", (), frozenset(), user_id=user.id)
