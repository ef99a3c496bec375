"""Keeps people: users, members, sessions, invitations."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.accounts import Invitation, Member, Organization, Reset, Session, User
from freddy.server.core.audit import Entry
from freddy.server.ports.users import AlterMember, AlterUser, Standing
from freddy.server.stores.sql import accounts, audit, rows, statements, tables
from freddy.server.stores.sql.connection import Connection, Database, Taken
from freddy.server.stores.sql.statements import Row, Statement, Value, param

_users, _members, _sessions, _invitations = tables.users, tables.members, tables.sessions, tables.invitations
_this_member = (_members.c.organization_id == param("organization_id"), _members.c.user_id == param("user_id"))
_open = (_invitations.c.organization_id == param("organization_id"), _invitations.c.accepted_at.is_(None))
_changeable = [column.name for column in _users.columns if column.name not in ("id", "created_at")]

_ADD = Statement(_users.insert().values(statements.params(_users)))
_GET = Statement(sa.select(_users).where(_users.c.id == param("id")))
_FIND = Statement(sa.select(_users).where(_users.c.email == param("email")))
_FIND_SUBJECT = Statement(
    sa.select(_users).where(_users.c.issuer == param("issuer"), _users.c.subject == param("subject"))
)
_LIST = Statement(sa.select(_users).order_by(_users.c.created_at, _users.c.id))
_UPDATE = Statement(
    _users.update().where(_users.c.id == param("id")).values({name: param(name) for name in _changeable})
)
_MEMBERSHIPS = Statement(
    sa.select(_members)
    .join(tables.organizations, tables.organizations.c.id == _members.c.organization_id)
    .where(_members.c.user_id == param("user_id"), tables.organizations.c.deleted_at.is_(None))
    .order_by(_members.c.created_at, _members.c.organization_id)
)
_people = sa.select(_members, _users).join(_users, _users.c.id == _members.c.user_id)
_in_order = (_members.c.created_at, _members.c.user_id)
_MEMBERS = Statement(_people.where(_members.c.organization_id == param("organization_id")).order_by(*_in_order))
_PERSON = Statement(_people.where(*_this_member))
_MEMBER = Statement(sa.select(_members).where(*_this_member))
_OWNER = Statement(
    sa.select(_members.c.user_id)
    .where(_members.c.organization_id == param("organization_id"), _members.c.role == "owner")
    .order_by(*_in_order)
    .limit(sa.literal_column("1"))
)
_OWNERS = Statement(
    sa.select(_members.c.user_id)
    .join(_users, _users.c.id == _members.c.user_id)
    .where(
        _members.c.organization_id == param("organization_id"),
        _members.c.role == "owner",
        _users.c.deactivated_at.is_(None),
    )
)
_ADD_MEMBER = Statement(statements.insert(_members).values(statements.params(_members)).on_conflict_do_nothing())
_SET_ROLE = Statement(_members.update().where(*_this_member).values({"role": param("role")}))
_REMOVE_MEMBER = Statement(_members.delete().where(*_this_member))
_ADD_SESSION = Statement(_sessions.insert().values(statements.params(_sessions)))
_SESSION = Statement(sa.select(_sessions).where(_sessions.c.id == param("id")))
_SESSIONS = Statement(
    sa.select(_sessions)
    .where(_sessions.c.user_id == param("user_id"))
    .order_by(_sessions.c.created_at.desc(), _sessions.c.id.desc())
)
_FORGET_SESSIONS = Statement(
    _sessions.delete().where(_sessions.c.user_id == param("user_id"), _sessions.c.expires_at <= param("now"))
)
_ROTATE = Statement(
    _sessions.update()
    .where(_sessions.c.id == param("id"), _sessions.c.digest == param("known"), _sessions.c.revoked_at.is_(None))
    .values(
        {
            "digest": param("new"),
            "previous": param("previous"),
            "refreshed_at": param("now"),
            "expires_at": param("expires_at"),
        }
    )
)
_END_SESSION = Statement(
    _sessions.update()
    .where(_sessions.c.id == param("id"), _sessions.c.revoked_at.is_(None))
    .values({"revoked_at": param("now")})
)
_END_SESSIONS = Statement(
    _sessions.update()
    .where(_sessions.c.user_id == param("user_id"), _sessions.c.id != param("but"), _sessions.c.revoked_at.is_(None))
    .values({"revoked_at": param("now")})
)
_INVITE = Statement(_invitations.insert().values(statements.params(_invitations)))
_UNINVITE = Statement(_invitations.delete().where(*_open, _invitations.c.email == param("email")))
_INVITATIONS = Statement(
    sa.select(_invitations).where(*_open).order_by(_invitations.c.created_at.desc(), _invitations.c.id.desc())
)
_INVITATION = Statement(sa.select(_invitations).where(_invitations.c.digest == param("digest")))
_CANCEL = Statement(_invitations.delete().where(*_open, _invitations.c.id == param("id")))
_ACCEPT = Statement(
    _invitations.update()
    .where(_invitations.c.id == param("id"), _invitations.c.accepted_at.is_(None))
    .values({"accepted_at": param("now")})
)


class _Rest(Struct, frozen=True, omit_defaults=True):
    """What of a user is never asked for alone."""

    name: str = ""
    last_login_at: int | None = None
    reset: Reset | None = None


_rest = msgspec.json.Decoder(_Rest)


class SqlUsers:
    """The port `UserStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        user: User,
        *,
        member: Member | None = None,
        organization: Organization | None = None,
        told: Sequence[Entry] = (),
    ) -> None:
        async def work(connection: Connection) -> None:
            await _add(connection, user)
            if organization is not None:
                await accounts.insert_organization(connection, organization)
            if member is not None:
                await connection.run(_ADD_MEMBER, **_member_values(member))
            await audit.keep(connection, told)

        await self._database.write(work)

    async def get(self, user_id: str) -> Standing | None:
        async def work(connection: Connection) -> Standing | None:
            row = await connection.one(_GET, id=user_id)
            if row is None:
                return None
            members = await connection.all(_MEMBERSHIPS, user_id=user_id)
            return Standing(_user(row), tuple(_member(each) for each in members))

        return await self._database.read(work)

    async def find(self, email: str) -> User | None:
        return await self._one(_FIND, email=email)

    async def find_subject(self, issuer: str, subject: str) -> User | None:
        return await self._one(_FIND_SUBJECT, issuer=issuer, subject=subject)

    async def list(self) -> Sequence[User]:
        return [_user(row) for row in await self._all(_LIST)]

    async def change(
        self, user_id: str, alter: AlterUser, *, sessions_end: int | None = None, but: str | None = None
    ) -> User | None:
        async def work(connection: Connection) -> User | None:
            row = await connection.one(_GET, id=user_id)
            if row is None:
                return None
            altered, told = alter(_user(row), await _alone(connection, user_id))
            try:
                await connection.run(_UPDATE, id=user_id, **_user_values(altered))
            except Taken as error:
                raise _taken(altered) from error
            if sessions_end is not None:
                await connection.run(_END_SESSIONS, user_id=user_id, but=but or "", now=sessions_end)
            await audit.keep(connection, told)
            return altered

        return await self._database.write(work)

    async def members(self, organization_id: str) -> Sequence[tuple[Member, User]]:
        return [_person(row) for row in await self._all(_MEMBERS, organization_id=organization_id)]

    async def member(self, organization_id: str, user_id: str) -> tuple[Member, User] | None:
        found = await self._all(_PERSON, organization_id=organization_id, user_id=user_id)
        return _person(found[0]) if found else None

    async def owner(self, organization_id: str) -> str | None:
        found = await self._all(_OWNER, organization_id=organization_id)
        return found[0][0] if found else None

    async def change_member(self, organization_id: str, user_id: str, alter: AlterMember) -> Member | None:
        async def work(connection: Connection) -> Member | None:
            row = await connection.one(_MEMBER, organization_id=organization_id, user_id=user_id)
            owners = await connection.all(_OWNERS, organization_id=organization_id)
            known = None if row is None else _member(row)
            altered, told = alter(known, [owner[0] for owner in owners])
            if altered is None:
                await connection.run(_REMOVE_MEMBER, organization_id=organization_id, user_id=user_id)
            elif known is None:
                await connection.run(_ADD_MEMBER, **_member_values(altered))
            else:
                await connection.run(_SET_ROLE, organization_id=organization_id, user_id=user_id, role=altered.role)
            await audit.keep(connection, told)
            return altered

        return await self._database.write(work)

    async def open_session(self, session: Session, *, password: str | None) -> bool:
        async def work(connection: Connection) -> bool:
            row = await connection.one(_GET, id=session.user_id)
            if row is None:
                return False
            user = _user(row)
            if user.deactivated_at is not None or user.password != password:
                return False
            await connection.run(_FORGET_SESSIONS, user_id=user.id, now=session.created_at)
            await connection.run(_ADD_SESSION, **_session_values(session))
            signed_in = msgspec.structs.replace(user, last_login_at=session.created_at)
            await connection.run(_UPDATE, id=user.id, **_user_values(signed_in))
            return True

        return await self._database.write(work)

    async def session(self, session_id: str) -> Session | None:
        found = await self._all(_SESSION, id=session_id)
        return _session(found[0]) if found else None

    async def sessions(self, user_id: str) -> Sequence[Session]:
        return [_session(row) for row in await self._all(_SESSIONS, user_id=user_id)]

    async def rotate_session(self, session: Session, *, digest: bytes, now: int, expires_at: int) -> bool:
        return await self._write(
            _ROTATE,
            id=session.id,
            known=session.digest,
            new=digest,
            previous=session.digest,
            now=now,
            expires_at=expires_at,
        )

    async def end_session(self, session_id: str, now: int) -> bool:
        return await self._write(_END_SESSION, id=session_id, now=now)

    async def invite(self, invitation: Invitation, *, told: Sequence[Entry] = ()) -> None:
        async def work(connection: Connection) -> None:
            await connection.run(_UNINVITE, organization_id=invitation.organization_id, email=invitation.email)
            await connection.run(_INVITE, **_invitation_values(invitation))
            await audit.keep(connection, told)

        await self._database.write(work)

    async def invitations(self, organization_id: str) -> Sequence[Invitation]:
        return [_invitation(row) for row in await self._all(_INVITATIONS, organization_id=organization_id)]

    async def invitation(self, digest: bytes) -> Invitation | None:
        found = await self._all(_INVITATION, digest=digest)
        return _invitation(found[0]) if found else None

    async def cancel_invitation(self, organization_id: str, invitation_id: str, *, told: Sequence[Entry] = ()) -> bool:
        async def work(connection: Connection) -> bool:
            gone = await connection.run(_CANCEL, organization_id=organization_id, id=invitation_id) > 0
            if gone:
                await audit.keep(connection, told)
            return gone

        return await self._database.write(work)

    async def accept(
        self, invitation: Invitation, member: Member, *, user: User | None, now: int, told: Sequence[Entry] = ()
    ) -> bool:
        async def work(connection: Connection) -> bool:
            if not await connection.run(_ACCEPT, id=invitation.id, now=now):
                return False
            if user is not None:
                await _add(connection, user)
            if await connection.run(_ADD_MEMBER, **_member_values(member)):
                await audit.keep(connection, told)
            return True

        return await self._database.write(work)

    async def _one(self, statement: Statement, **values: Value) -> User | None:
        found = await self._all(statement, **values)
        return _user(found[0]) if found else None

    async def _all(self, statement: Statement, **values: Value) -> Sequence[Row]:
        async def work(connection: Connection) -> Sequence[Row]:
            return await connection.all(statement, **values)

        return await self._database.read(work)

    async def _write(self, statement: Statement, **values: Value) -> bool:
        async def work(connection: Connection) -> bool:
            return await connection.run(statement, **values) > 0

        return await self._database.write(work)


async def _add(connection: Connection, user: User) -> None:
    try:
        await connection.run(_ADD, id=user.id, created_at=user.created_at, **_user_values(user))
    except Taken as error:
        raise _taken(user) from error


async def _alone(connection: Connection, user_id: str) -> Sequence[str]:
    """The organizations of which nobody else is an owner who can sign in."""
    alone = []
    for row in await connection.all(_MEMBERSHIPS, user_id=user_id):
        member = _member(row)
        if member.role != "owner":
            continue
        owners = await connection.all(_OWNERS, organization_id=member.organization_id)
        if all(owner[0] == user_id for owner in owners):
            alone.append(member.organization_id)
    return alone


def _taken(user: User) -> errors.Conflict:
    return errors.Conflict(
        f"There is a user {user.email!r} already", param="email", details="name another, or let them sign in"
    )


def _user_values(user: User) -> dict[str, Value]:
    return {
        "email": user.email,
        "password": user.password,
        "issuer": user.issuer,
        "subject": user.subject,
        "updated_at": user.updated_at,
        "deactivated_at": user.deactivated_at,
        "data": rows.text(_Rest(user.name, user.last_login_at, user.reset)),
    }


def _user(row: Row) -> User:
    user_id, email, password, issuer, subject, created_at, updated_at, deactivated_at, data = row
    rest = _rest.decode(data)
    return User(
        id=user_id,
        email=email,
        name=rest.name,
        password=password,
        issuer=issuer,
        subject=subject,
        created_at=created_at,
        updated_at=updated_at,
        deactivated_at=deactivated_at,
        last_login_at=rest.last_login_at,
        reset=rest.reset,
    )


def _member_values(member: Member) -> dict[str, Value]:
    return msgspec.structs.asdict(member)


def _member(row: Row) -> Member:
    organization_id, user_id, role, created_at = row
    return Member(organization_id=organization_id, user_id=user_id, role=role, created_at=created_at)


def _person(row: Row) -> tuple[Member, User]:
    width = len(_members.columns)
    return _member(row[:width]), _user(row[width:])


def _session_values(session: Session) -> dict[str, Value]:
    return msgspec.structs.asdict(session)


def _session(row: Row) -> Session:
    session_id, user_id, digest, previous, created_at, refreshed_at, expires_at, revoked_at = row
    return Session(
        id=session_id,
        user_id=user_id,
        digest=digest,
        previous=previous,
        created_at=created_at,
        refreshed_at=refreshed_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
    )


def _invitation_values(invitation: Invitation) -> dict[str, Value]:
    return msgspec.structs.asdict(invitation)


def _invitation(row: Row) -> Invitation:
    invitation_id, organization_id, email, role, digest, invited_by, created_at, expires_at, accepted_at = row
    return Invitation(
        id=invitation_id,
        organization_id=organization_id,
        email=email,
        role=role,
        digest=digest,
        invited_by=invited_by,
        created_at=created_at,
        expires_at=expires_at,
        accepted_at=accepted_at,
    )
