"""The need to keep people: users, members, sessions, invitations. A method is one transaction.

`told` are entries of the audit log, kept together with what they tell of.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from freddy.server.core.accounts import Invitation, Member, Organization, Session, User
from freddy.server.core.audit import Entry


class Standing(Struct, frozen=True):
    """A user, and the memberships in organizations that are not deleted."""

    user: User
    members: tuple[Member, ...]


AlterUser: TypeAlias = Callable[[User, Sequence[str]], tuple[User, Sequence[Entry]]]
"""Is handed the user, and the organizations of which nobody else is an owner who can sign in.

What it raises is raised, and nothing is changed. It may be called twice; so may `AlterMember`.
"""
AlterMember: TypeAlias = Callable[[Member | None, Sequence[str]], tuple[Member | None, Sequence[Entry]]]
"""Is handed the member and the ids of the owners who can sign in. None is no member: there before, or afterwards."""


class UserStore(Protocol):
    """E-mail addresses are in lower case."""

    async def add(
        self,
        user: User,
        *,
        member: Member | None = None,
        organization: Organization | None = None,
        told: Sequence[Entry] = (),
    ) -> None:
        """Also the organization, where one is new. Raises `errors.Conflict` when e-mail or subject are taken."""
        ...

    async def get(self, user_id: str) -> Standing | None: ...

    async def find(self, email: str) -> User | None: ...

    async def find_subject(self, issuer: str, subject: str) -> User | None:
        """Who another issuer calls so."""
        ...

    async def list(self) -> Sequence[User]:
        """All, in the order they came."""
        ...

    async def change(
        self, user_id: str, alter: AlterUser, *, sessions_end: int | None = None, but: str | None = None
    ) -> User | None:
        """Reads, alters and keeps, as one. Where `sessions_end` says when, every session ends but the one named."""
        ...

    async def members(self, organization_id: str) -> Sequence[tuple[Member, User]]:
        """In the order they came."""
        ...

    async def member(self, organization_id: str, user_id: str) -> tuple[Member, User] | None: ...

    async def owner(self, organization_id: str) -> str | None:
        """The id of the first of the owners."""
        ...

    async def change_member(self, organization_id: str, user_id: str, alter: AlterMember) -> Member | None:
        """Reads, alters and keeps, as one: nobody else comes between."""
        ...

    async def open_session(self, session: Session, *, password: str | None) -> bool:
        """Whether the user is active and the kept password still this. Sessions that have expired are forgotten."""
        ...

    async def session(self, session_id: str) -> Session | None: ...

    async def sessions(self, user_id: str) -> Sequence[Session]:
        """The newest first."""
        ...

    async def rotate_session(self, session: Session, *, digest: bytes, now: int, expires_at: int) -> bool:
        """Gives it another refresh token; whether its newest was still the one that `session` says, and it lives."""
        ...

    async def end_session(self, session_id: str, now: int) -> bool:
        """Whether it had not ended."""
        ...

    async def invite(self, invitation: Invitation, *, told: Sequence[Entry] = ()) -> None:
        """In the place of an earlier one to the same address."""
        ...

    async def invitations(self, organization_id: str) -> Sequence[Invitation]:
        """Those not accepted, the newest first."""
        ...

    async def invitation(self, digest: bytes) -> Invitation | None: ...

    async def cancel_invitation(self, organization_id: str, invitation_id: str, *, told: Sequence[Entry] = ()) -> bool:
        """Whether there was one not accepted."""
        ...

    async def accept(
        self, invitation: Invitation, member: Member, *, user: User | None, now: int, told: Sequence[Entry] = ()
    ) -> bool:
        """Makes the member, and the user where there is a new one; whether the invitation was still open.

        One who is a member already keeps the role. Raises `errors.Conflict` when the new user's e-mail is taken.
        """
        ...
