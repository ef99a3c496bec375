"""Owns how invitations into an organization are written and read."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from freddy.server.core.accounts import Invitation, Role
from freddy.server.dialects.freddy import accounts
from freddy.server.dialects.freddy.fields import Fields

INVITE: Final = accounts.names("email", "send_invitation", role_id=("role",))
_encode = msgspec.json.Encoder().encode


class Invite(Struct, frozen=True):
    email: str
    role: Role


class InvitationView(Struct, kw_only=True):
    object: Literal["invitation"] = "invitation"
    invitation_id: str
    email: str
    user_id: str
    organization_id: str
    role_id: str
    invitation_link: str
    email_key: str | None
    expires_at: str
    created_at: str


class InvitationList(Struct):
    object: Literal["list"]
    data: tuple[InvitationView, ...]


class InvitationShown(Struct, kw_only=True):
    is_valid: bool = True
    email: str
    organization_id: str
    organization_name: str
    role_id: str
    expires_at: str


class InvitationAccepted(Struct, kw_only=True):
    success: bool = True
    organization_id: str
    role_id: str


def decode_invite(body: bytes) -> Invite:
    def take(fields: Fields) -> Invite:
        return Invite(accounts.required(fields, "email"), accounts.role(fields, "role_id") or "member")

    return accounts.decoded(body, INVITE, take)


def encode_invitation(invitation: Invitation, *, secret: str | None = None, link: str = "") -> bytes:
    """With its secret where it is new."""
    return _encode(_invitation(invitation, secret, link))


def encode_invitations(invitations: Sequence[Invitation]) -> bytes:
    return _encode(InvitationList("list", tuple(_invitation(one, None, "") for one in invitations)))


def encode_shown(invitation: Invitation, organization_name: str) -> bytes:
    return _encode(
        InvitationShown(
            email=invitation.email,
            organization_id=invitation.organization_id,
            organization_name=organization_name,
            role_id=invitation.role,
            expires_at=accounts.iso(invitation.expires_at),
        )
    )


def encode_accepted(invitation: Invitation) -> bytes:
    return _encode(InvitationAccepted(organization_id=invitation.organization_id, role_id=invitation.role))


def _invitation(invitation: Invitation, secret: str | None, link: str) -> InvitationView:
    return InvitationView(
        invitation_id=invitation.id,
        email=invitation.email,
        # There is no user before somebody accepts.
        user_id=invitation.id,
        organization_id=invitation.organization_id,
        role_id=invitation.role,
        invitation_link=link,
        email_key=secret,
        expires_at=accounts.iso(invitation.expires_at),
        created_at=accounts.iso(invitation.created_at),
    )
