"""Settings of users: how they come, and how long they stay signed in."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Struct

from freddy.server.config.declarations import ONE_YEAR, Setting

OidcRole: TypeAlias = Literal["owner", "admin", "member", "viewer"]


class Accounts(Struct, frozen=True, kw_only=True):
    """How long users stay signed in, and how they come."""

    access_token_seconds: Annotated[
        int,
        Setting("FREDDY_ACCESS_TOKEN_SECONDS", "How long an access token is good for.", low=60, high=86400),
    ] = 900
    session_seconds: Annotated[
        int,
        Setting(
            "FREDDY_SESSION_SECONDS", "A sign-in ends when it was not refreshed for so long.", low=300, high=ONE_YEAR
        ),
    ] = 30 * 24 * 3600
    invitation_seconds: Annotated[
        int, Setting("FREDDY_INVITATION_SECONDS", "How long an invitation can be accepted.", low=60, high=ONE_YEAR)
    ] = 7 * 24 * 3600
    reset_seconds: Annotated[
        int,
        Setting("FREDDY_RESET_SECONDS", "How long the secret for a new password is good for.", low=60, high=ONE_YEAR),
    ] = 24 * 3600
    registration: Annotated[
        bool,
        Setting(
            "FREDDY_REGISTRATION",
            "Whether anybody may make an account, with an organization of their own. Nobody looks whether the e-mail "
            "address is theirs.",
        ),
    ] = False
    password_cost: Annotated[
        int,
        Setting(
            "FREDDY_PASSWORD_COST",
            "What it takes to check a password: the logarithm of scrypt's N. 15 takes 32 MiB; a step more twice that, "
            "and twice the time.",
            low=8,
            high=20,
        ),
    ] = 15


class Oidc(Struct, frozen=True, kw_only=True):
    """Another issuer whose tokens are accepted, by OpenID Connect."""

    issuer: Annotated[
        str | None,
        Setting("FREDDY_OIDC_ISSUER", "Its address, exactly as it writes it in its tokens (`iss`)."),
    ] = None
    audience: Annotated[
        str | None,
        Setting("FREDDY_OIDC_AUDIENCE", "Whom its tokens must be for (`aud`): how this server is called there."),
    ] = None
    organization: Annotated[
        str, Setting("FREDDY_OIDC_ORGANIZATION", "The organization that its users become members of when first seen.")
    ] = "org_default"
    role: Annotated[OidcRole, Setting("FREDDY_OIDC_ROLE", "The role that they are given then.")] = "member"
    email_claim: Annotated[
        str,
        Setting("FREDDY_OIDC_EMAIL_CLAIM", "The claim that has the e-mail address. It counts with `email_verified`."),
    ] = "email"
    name_claim: Annotated[str, Setting("FREDDY_OIDC_NAME_CLAIM", "The claim that has the name.")] = "name"
