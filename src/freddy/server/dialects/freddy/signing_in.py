"""Owns how signing in is written and read: by password, by invitation, and what a sign-in gives."""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from freddy.server.core.accounts import Invitation, User
from freddy.server.dialects.freddy import accounts, users
from freddy.server.dialects.freddy.accounts import Success
from freddy.server.dialects.freddy.fields import Fields
from freddy.server.dialects.freddy.users import UserView

_DEVICE: Final = "device_information"
LOGIN: Final = accounts.names("password", _DEVICE, email=("email_or_username", "username"))
REGISTER: Final = accounts.names("email", "password", "user_name", _DEVICE, full_name=("name",))
REFRESH: Final = accounts.names("refresh_token")
PASSWORD: Final = accounts.names("current_password", "new_password", "confirm_password")
RESET: Final = accounts.names("reset_key", "new_password")
COMPLETE: Final = accounts.names("email_key", "password", full_name=("name",))
_encode = msgspec.json.Encoder().encode


class Login(Struct, frozen=True):
    email: str
    password: str


class Registration(Struct, frozen=True):
    email: str
    password: str
    name: str


class NewPassword(Struct, frozen=True):
    current: str
    new: str


class ResetPassword(Struct, frozen=True):
    secret: str
    new: str


class Completion(Struct, frozen=True):
    secret: str
    password: str
    name: str


class SignedInView(Struct, kw_only=True):
    success: bool = True
    message: str = "Signed in"
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 as OAuth calls it
    expires_in: int
    device_id: str
    user: UserView
    email: str
    email_key: str = ""
    requires_verification: bool = False
    next_step: str = "done"
    type: str = "login"


class RefreshedView(Struct, kw_only=True):
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 as OAuth calls it
    expires_in: int
    device_id: str


class RegisteredView(Struct, kw_only=True):
    success: bool = True
    user_id: str
    email: str
    email_key: str = ""
    verification_required: bool = False
    type: str = "register"
    message: str = "Registered: sign in"


class LoggedOut(Struct):
    message: str
    logged_out_at: str


class TokenValidity(Struct, kw_only=True):
    is_valid: bool
    error: str | None
    requires_reconnect: bool


class AuthMode(Struct, kw_only=True):
    authentication_mode: str
    dev_login_enabled: bool
    registration_enabled: bool
    issuer: str | None


class InvitationCompleted(Struct, kw_only=True):
    success: bool = True
    user_id: str
    email: str
    organization_id: str
    token: str
    access_token: str
    refresh_token: RefreshedView
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 as OAuth calls it
    expires_in: int
    device_id: str
    recommended_username: str


def decode_login(body: bytes) -> Login:
    def take(fields: Fields) -> Login:
        return Login(accounts.required(fields, "email").lower(), accounts.password(fields))

    return accounts.decoded(body, LOGIN, take)


def decode_registration(body: bytes) -> Registration:
    def take(fields: Fields) -> Registration:
        email = accounts.required(fields, "email")
        return Registration(email, accounts.password(fields), accounts.name_of(fields, "full_name") or "")

    return accounts.decoded(body, REGISTER, take)


def decode_refresh(body: bytes) -> str | None:
    return accounts.decoded(body, REFRESH, lambda fields: fields.string("refresh_token", most=1000))


def decode_new_password(body: bytes) -> NewPassword:
    def take(fields: Fields) -> NewPassword:
        new = accounts.password(fields, "new_password")
        if fields.string("confirm_password") not in (None, new):
            raise fields.wrong("confirm_password", "must be the same as new_password")
        return NewPassword(accounts.password(fields, "current_password"), new)

    return accounts.decoded(body, PASSWORD, take)


def decode_reset(body: bytes) -> ResetPassword:
    def take(fields: Fields) -> ResetPassword:
        return ResetPassword(accounts.required(fields, "reset_key"), accounts.password(fields, "new_password"))

    return accounts.decoded(body, RESET, take)


def decode_completion(body: bytes) -> Completion:
    def take(fields: Fields) -> Completion:
        secret = accounts.required(fields, "email_key")
        return Completion(secret, accounts.password(fields), accounts.name_of(fields, "full_name") or "")

    return accounts.decoded(body, COMPLETE, take)


def encode_signed_in(user: User, *, access_token: str, refresh_token: str, expires_in: int, session_id: str) -> bytes:
    return _encode(
        SignedInView(
            access_token=access_token,
            refresh_token=refresh_token,
            expires_in=expires_in,
            device_id=session_id,
            user=users.view(user),
            email=user.email,
        )
    )


def encode_refreshed(*, access_token: str, refresh_token: str, expires_in: int, session_id: str) -> bytes:
    return _encode(
        RefreshedView(
            access_token=access_token, refresh_token=refresh_token, expires_in=expires_in, device_id=session_id
        )
    )


def encode_registered(user: User) -> bytes:
    return _encode(RegisteredView(user_id=user.id, email=user.email))


def encode_logged_out(now: int) -> bytes:
    return _encode(LoggedOut("Signed out", accounts.iso(now)))


def encode_validity(error: str | None) -> bytes:
    return _encode(TokenValidity(is_valid=error is None, error=error, requires_reconnect=error is not None))


def encode_mode(*, issuer: str | None, registration: bool) -> bytes:
    mode = "password" if issuer is None else "password_and_issuer"
    return _encode(
        AuthMode(authentication_mode=mode, dev_login_enabled=True, registration_enabled=registration, issuer=issuer)
    )


def encode_success(message: str) -> bytes:
    return _encode(Success(True, message))  # noqa: FBT003 a field of the wire


def encode_completed(
    invitation: Invitation, user: User, *, access_token: str, refresh_token: str, expires_in: int, session_id: str
) -> bytes:
    return _encode(
        InvitationCompleted(
            user_id=user.id,
            email=user.email,
            organization_id=invitation.organization_id,
            token=access_token,
            access_token=access_token,
            refresh_token=RefreshedView(
                access_token=access_token, refresh_token=refresh_token, expires_in=expires_in, device_id=session_id
            ),
            expires_in=expires_in,
            device_id=session_id,
            recommended_username=user.email.partition("@")[0],
        )
    )
