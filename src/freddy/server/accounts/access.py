"""Who may do what: every request passes here once, with the scope it needs."""

from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.accounts import Caller, Scope


def require(caller: Caller, scope: Scope, organization_id: str | None = None) -> Caller:
    """The caller within the organization asked for, or else the one the credential implies.

    Raises `errors.PermissionDenied` for an organization out of reach and for a missing scope.
    """
    if scope not in caller.scopes:
        raise errors.PermissionDenied(
            f"This key lacks the scope {scope!r}",
            details="use a key that has it, or make one with `freddy keys create`",
        )
    if organization_id is None or organization_id == caller.organization_id:
        return caller
    if organization_id not in caller.organization_ids:
        raise errors.PermissionDenied("Organization access denied", param="organization_id")
    return replace(caller, organization_id=organization_id)
