"""Who may do what: every request passes here once, with the scope it needs."""

from collections.abc import Mapping

from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.accounts import MAY, SEES_ALL, Caller, Role, Scope


def require(caller: Caller, scope: Scope | None, organization_id: str | None = None) -> Caller:
    """The caller within the organization asked for, or else the one the credential implies.

    Without a scope, to belong there is enough. Raises `errors.PermissionDenied` for an organization out of reach and
    for a missing scope, `errors.InvalidRequest` where a user of several organizations names none.
    """
    caller = _within(caller, organization_id)
    if scope is None or scope in caller.scopes:
        return caller
    if caller.user_id is not None:
        raise errors.PermissionDenied(
            f"Your role lacks the scope {scope!r}", details="ask an owner or admin of the organization for another role"
        )
    raise errors.PermissionDenied(
        f"This key lacks the scope {scope!r}",
        details="use a key that has it, or make one with `freddy keys create`",
    )


def person(
    user_id: str, roles: Mapping[str, Role], *, session_id: str | None = None, named: str | None = None
) -> Caller:
    """A user as a caller, by the role in each organization; `named` is the organization that the headers name.

    Raises `errors.PermissionDenied` where that one is out of reach.
    """
    if named is not None and named not in roles:
        raise errors.PermissionDenied("Organization access denied", param="organization_id")
    chosen = named or next(iter(roles), "")
    return _in_role(
        Caller(
            organization_id=chosen,
            organization_ids=tuple(roles),
            scopes=frozenset(),
            user_id=user_id,
            implied=named is not None or len(roles) == 1,
            roles=roles,
            session_id=session_id,
        ),
        chosen,
    )


def role_of(caller: Caller | None) -> Role:
    """What the caller counts as where roles are compared. None is the command line."""
    if caller is None:
        return "owner"
    if caller.user_id is not None:
        return caller.roles.get(caller.organization_id, "viewer")
    return "owner" if "organizations:manage" in caller.scopes else "admin"


def require_person(caller: Caller) -> str:
    """The user's id. Raises `errors.PermissionDenied` for keys."""
    if caller.user_id is None:
        raise errors.PermissionDenied(
            "This is for users, and a key is none", details="sign in, and send the access token as a bearer token"
        )
    return caller.user_id


def _within(caller: Caller, organization_id: str | None) -> Caller:
    if caller.user_id is not None and not caller.organization_ids:
        raise errors.PermissionDenied(
            "You are a member of no organization", details="accept an invitation, or ask for one"
        )
    if organization_id is None:
        if not caller.implied:
            raise errors.InvalidRequest(
                "A user of several organizations must name one",
                param="organization_id",
                details="send organization_id, or the header aitronos-organization",
            )
        return caller
    if organization_id == caller.organization_id:
        return caller if caller.implied else replace(caller, implied=True)
    if organization_id not in caller.organization_ids:
        raise errors.PermissionDenied("Organization access denied", param="organization_id")
    return _in_role(replace(caller, organization_id=organization_id, implied=True), organization_id)


def _in_role(caller: Caller, organization_id: str) -> Caller:
    """Keys have the same scopes everywhere, users those of their role."""
    role = caller.roles.get(organization_id)
    if role is None:
        return caller
    return replace(caller, scopes=MAY[role], sees_only=None if role in SEES_ALL else caller.user_id)
