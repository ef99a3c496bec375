"""What the paths of sign-in, organizations, people, API keys and the audit log do, take and answer."""

from typing import Literal

from freddy.server.accounts import passwords
from freddy.server.core.accounts import ROLES, SCOPES
from freddy.server.core.limits import LARGEST, LARGEST_BUDGET
from freddy.server.dialects.freddy import (
    accounts,
    api_keys,
    audit,
    invitations,
    members,
    organizations,
    signing_in,
    users,
)
from freddy.server.http.openapi import assistants
from freddy.server.http.openapi.paths import Area, Operation, Tag
from freddy.server.http.openapi.schemas import METADATA, Schema, Types, either, many, number, ref, text, thing, word

_OWN = "/v1/organizations/{organization}"
_KEYS = _OWN + "/api-keys"
_WRITE = (400, 413, 422)
_STRING: Schema = {"type": "string"}
_EMAIL = text("An e-mail address.", maxLength=254)
_NAME = text("As people read it.", maxLength=accounts.LONGEST_NAME)
_NEW_PASSWORD = text("The password to be.", minLength=passwords.SHORTEST, maxLength=passwords.LONGEST)
_ROLE = word("What the member may do.", ROLES)
_TIME = either("ISO 8601, or Unix seconds.", _STRING, {"type": "integer"})
_BUDGET = number("US dollars for a month of the calendar, whatever the name says. Null is no limit.", 0, LARGEST_BUDGET)


def _count(says: str) -> Schema:
    return {"type": ["integer", "null"], "minimum": 1, "maximum": LARGEST, "description": says}


_LIMITS = either(
    "All limits at once; null is none.",
    thing(
        "",
        {
            "requests_per_minute": _count("Requests in any minute."),
            "tokens_per_minute": _count("Tokens of input and output in any minute."),
            "concurrent_runs": _count("Responses that run at the same time."),
            "monthly_budget": _BUDGET,
        },
    ),
    {"type": "null"},
)
_KEY_FIELDS: dict[str, Schema] = {
    "key_name": text("What the key is for. Also `name`.", minLength=1, maxLength=accounts.LONGEST_NAME),
    "usage_limit_chf": {**_BUDGET, "description": _BUDGET["description"] + " Also `monthly_budget`."},
    "limits": _LIMITS,
    "scopes": many("What it may do: nothing that you may not.", word("", SCOPES)),
    "expires_at": {**_TIME, "description": "When it ends: ISO 8601, or Unix seconds."},
    "metadata": METADATA,
}
_ABOUT: dict[str, Schema] = {
    "type": text("A word of yours."),
    **{
        name: text("Kept and told; changes nothing.")
        for name in ("description", "website", "industry", "company_size", "logo_image", "image_url")
    },
    "domains": many("Kept and told; changes nothing.", _STRING),
}
_DEVICE = thing("Taken, and not kept.", {})

_BODIES: dict[str, Schema] = {
    "AccountLogin": thing(
        "Who signs in.",
        {
            "email_or_username": {**_EMAIL, "description": "The e-mail address. Also `email`."},
            "password": text("The password."),
            "device_information": _DEVICE,
        },
        required=("email_or_username", "password"),
    ),
    "AccountRegistration": thing(
        "A new account.",
        {
            "email": _EMAIL,
            "password": _NEW_PASSWORD,
            "full_name": _NAME,
            "user_name": text("Taken, and not kept."),
            "device_information": _DEVICE,
        },
        required=("email", "password"),
    ),
    "AccountRefresh": thing("The newest refresh token.", {"refresh_token": _STRING}),
    "AccountNewPassword": thing(
        "Both passwords.",
        {
            "current_password": text("The one that holds."),
            "new_password": _NEW_PASSWORD,
            "confirm_password": text("The new one again."),
        },
        required=("current_password", "new_password"),
    ),
    "AccountPasswordReset": thing(
        "What an admin handed over.",
        {"reset_key": text("The one-time secret."), "new_password": _NEW_PASSWORD},
        required=("reset_key", "new_password"),
    ),
    "AccountCompletion": thing(
        "The secret of an invitation.",
        {
            "email_key": text("The secret."),
            "full_name": _NAME,
            "password": text("The password to be; where the address has an account, the password of that."),
        },
        required=("email_key", "password"),
    ),
    "AccountProfile": thing(
        "What is to be different.",
        {"full_name": _NAME, "first_name": text("Instead of `full_name`."), "last_name": text("The rest of it.")},
    ),
    "AccountInvite": thing(
        "Whom to invite.",
        {
            "email": _EMAIL,
            "role_id": {**_ROLE, "default": "member", "description": "Not above your own. Also `role`."},
            "send_invitation": {"type": "boolean", "description": "Taken; no mail is sent."},
        },
        required=("email",),
    ),
    "AccountMembersAsked": thing(
        "Which members.",
        {
            "skip": {"type": "integer", "minimum": 0, "default": 0},
            "take": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
            "search_term": text("A part of name or e-mail address."),
            "role_id": _ROLE,
            "status_id": word("Whether they can sign in.", ("active", "inactive")),
            "sort_field": word("By what they are sorted.", ("joined_at", "email", "full_name", "role")),
            "sort_direction": word("Which comes first.", ("asc", "desc")),
            "include_deleted": {"const": False},
        },
    ),
    "AccountMemberIds": thing("Whose.", {"user_ids": many("Ids of users.", _STRING)}),
    "AccountMemberChange": thing(
        "What is to be different.",
        {"role_id": _ROLE, "status_id": word("`inactive` ends all their sign-ins.", ("active", "inactive"))},
    ),
    "AccountOrganizationCreate": thing("A new organization.", {"name": _NAME, **_ABOUT}, required=("name",)),
    "AccountOrganizationUpdate": thing(
        "What is to be different. Null takes away.",
        {
            "name": _NAME,
            **_ABOUT,
            "is_active": {"const": True},
            "api_usage_limit": {**_BUDGET, "description": _BUDGET["description"] + " Also `monthly_budget`."},
            "limits": _LIMITS,
            "defaults": either(
                "What holds for requests where neither they nor their assistants say otherwise: all of it at once; "
                "null is none.",
                thing("", assistants.settings()),
                {"type": "null"},
            ),
        },
    ),
    "AccountKeyCreate": thing("A new key.", _KEY_FIELDS, required=("key_name",)),
    "AccountKeyUpdate": thing("What is to be different. Null takes away.", _KEY_FIELDS),
    "AccountChangeLogsAsked": thing(
        "Which changes.",
        {
            "skip": {"type": "integer", "minimum": 0, "default": 0},
            "take": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
            "start_date": {**_TIME, "description": "Not before this time."},
            "end_date": {**_TIME, "description": "Before this time."},
            "resource_type": text("Only of such things, such as `api_key`."),
            "action": text("Only this, such as `key.create`."),
        },
    ),
}
_WORDS: dict[str, dict[str, Schema]] = {
    "AccountApiKey": {
        "usage_limit_chf": {"description": "US dollars for a month, whatever the name says."},
        "key_prefix": {"description": "How the secret begins."},
        "created_by": {"description": "A user or a key; empty for the command line."},
        "last_used_at": {"description": "To the minute."},
    },
    "AccountApiKeyCreated": {"key": {"description": "The secret. It is not shown again."}},
    "AccountApiKeyRotated": {"old_key_id": {"description": "The same key: only its secret is another."}},
    "AccountOrganization": {
        "owner_id": {"description": "The first of its owners."},
        "api_usage_limit": {"description": "US dollars for a month; 0 is no limit."},
        "total_usage_limit": {"description": "The same."},
        "storage_free_bytes_allowance": {"description": "Always 0."},
    },
    "AccountSignedIn": {
        "expires_in": {"description": "Seconds that the access token is good for."},
        "device_id": {"description": "The id of the session."},
        "email_key": {"description": "Always empty: nothing has to be verified."},
    },
    "AccountInvitation": {
        "email_key": {"description": "The secret; null once it was shown."},
        "user_id": {"description": "The invitation's own id: there is no user before somebody accepts."},
        "invitation_link": {"description": "Where the invitation can be looked at; empty once it was shown."},
    },
    "AccountInvitationCompleted": {"token": {"description": "The access token."}},
    "AccountAuditEntry": {
        "actor_type": word("Who it was.", ("user", "key", "development", "cli")),
        "actor_id": {"description": "Of the user or the key."},
    },
    "AccountChangeLog": {"user_id": {"description": "Of the user or the key; else the kind of actor."}},
    "AccountTokenValidity": {"error": {"description": "Why not."}},
}


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    written = Types(found, "Account", words=_WORDS)
    for answer in (
        api_keys.ApiKeyCreated,
        api_keys.ApiKeyList,
        api_keys.ApiKeyAction,
        api_keys.ApiKeyRotated,
        organizations.OrganizationList,
        signing_in.SignedInView,
        signing_in.RegisteredView,
        signing_in.RefreshedView,
        signing_in.LoggedOut,
        signing_in.TokenValidity,
        signing_in.AuthMode,
        users.MyselfView,
        members.MemberList,
        members.StatusSummary,
        invitations.InvitationView,
        invitations.InvitationList,
        invitations.InvitationShown,
        invitations.InvitationAccepted,
        signing_in.InvitationCompleted,
        members.ResetView,
        accounts.Success,
        audit.AuditLog,
        audit.ChangeLogList,
    ):
        written.add(answer)
    lists = {
        "AccountRoles": written.add(organizations.RoleView),
        "AccountStatuses": written.add(organizations.StatusView),
        "AccountDevices": written.add(users.DeviceView),
        "AccountIds": _STRING,
    }
    arrays: dict[str, Schema] = {name: {"type": "array", "items": items} for name, items in lists.items()}
    profile = thing(
        "",
        {"success": {"type": "boolean"}, "message": _STRING, "profile": written.add(users.UserView)},
        required=("success", "message", "profile"),
    )
    by_id = thing("", {"users": many("Those that are members.", ref("AccountMember"))}, required=("users",))
    return found | arrays | _BODIES | {"AccountProfileChanged": profile, "AccountMembersById": by_id}


def _query(name: str, schema: Schema) -> Schema:
    says = schema.pop("description")
    return {"name": name, "in": "query", "schema": schema, "description": says}


def _path(name: str, says: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": says}


def _whole(says: str, low: int, high: int | None = None) -> Schema:
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return {"type": "integer", **bounds, "description": says}


_PARAMETERS: dict[str, Schema] = {
    "key_id": _path("key_id", "Begins with `key_`."),
    "user_id": _path("user_id", "Begins with `usr_`."),
    "invitation_id": _path("invitation_id", "Begins with `inv_`."),
    "session_id": _path("session_id", "Begins with `sess_`."),
    "email_key": _path("email_key", "The secret of an invitation."),
    "accounts_email_key": _query("email_key", text("The secret of an invitation.")),
    "accounts_skip": _query("skip", _whole("How many to skip.", 0)),
    "accounts_take": _query("take", _whole("How many, instead of `page_size`.", 1, 100)),
    "accounts_limit": _query("limit", _whole("How many.", 1, 100)),
    "accounts_page_size": _query("page_size", _whole("Keys of a page.", 1, 100)),
    "accounts_active_only": _query(
        "active_only", word("Changes nothing: those deleted are never told.", ("true", "false"))
    ),
    "accounts_email": _query("email", text("Whom it is for.")),
    "accounts_invitation_id": _query("invitation_id", text("Its id.")),
    "accounts_user_id": _query("user_id", text("Its id, too.")),
    "audit_action": _query("action", text("Only this, such as `key.create`.")),
    "audit_actor_id": _query("actor_id", text("Only what this user or key did.")),
    "audit_resource_type": _query("resource_type", text("Only of such things, such as `api_key`.")),
    "audit_resource_id": _query("resource_id", text("Only of this thing.")),
    "audit_since": _query("since", _whole("Not before: Unix seconds.", 0)),
    "audit_until": _query("until", _whole("Before: Unix seconds.", 0)),
}
_LOGIN = {"email_or_username": "ann@example.com", "password": "correct horse battery"}


def _operation(
    tag: Tag,
    how: tuple[Literal["get", "post", "put", "patch", "delete"], str],
    name: str,
    title: str,
    *,
    says: str = "",
    query: tuple[str, ...] = (),
    body: str | None = None,
    example: Schema | None = None,
    answer: str | None = None,
    status: int = 200,
    statuses: tuple[int, ...] = (),
    open_: bool = False,
) -> Operation:
    method, path = how
    return Operation(
        method=method,
        path=path,
        name=name,
        tag=tag,
        title=title,
        says=says,
        query=query,
        body=body,
        requests={} if example is None else {"example": example},
        answer=answer,
        status=status,
        statuses=statuses + (_WRITE if body else ()),
        open=open_,
    )


_SIGN_IN = (
    _operation(
        "Sign-in", ("post", "/v1/auth/login"), "login", "Sign in",
        says="Too many wrong attempts are 429 `too_many_attempts`.",
        body="AccountLogin", example=_LOGIN, answer="AccountSignedIn", statuses=(429,), open_=True,
    ),
    _operation(
        "Sign-in", ("post", "/v1/auth/dev-login"), "devLogin", "Sign in", says="The same as /v1/auth/login.",
        body="AccountLogin", example=_LOGIN, answer="AccountSignedIn", statuses=(429,), open_=True,
    ),
    _operation(
        "Sign-in", ("post", "/v1/auth/register"), "register", "Make an account",
        says="Where `accounts.registration` allows it; else 403.",
        body="AccountRegistration", answer="AccountRegistered", status=201, statuses=(409, 429), open_=True,
    ),
    _operation(
        "Sign-in", ("post", "/v1/auth/refresh"), "refreshToken", "Get the next tokens",
        says="A refresh token holds once: one that is used again ends the session.",
        body="AccountRefresh", answer="AccountRefreshed", open_=True,
    ),
    _operation(
        "Sign-in", ("post", "/v1/auth/logout"), "logout", "Sign out",
        says="By the refresh token, or by the access token of the header.",
        body="AccountRefresh", answer="AccountLoggedOut", open_=True,
    ),
    _operation(
        "Sign-in", ("get", "/v1/auth/validate"), "validateToken", "Whether a credential holds",
        answer="AccountTokenValidity", open_=True,
    ),
    _operation(
        "Sign-in", ("put", "/v1/auth/password/update"), "updatePassword", "Change one's password",
        says="Every other sign-in of the user ends.",
        body="AccountNewPassword", answer="AccountSuccess", statuses=(429,),
    ),
    _operation(
        "Sign-in", ("post", "/v1/auth/password/set"), "setPassword", "Set a password with a one-time secret",
        says="Every sign-in of the user ends.", body="AccountPasswordReset", answer="AccountSuccess", open_=True,
    ),
    _operation(
        "Sign-in", ("get", "/v1/config/auth-mode"), "authMode", "How one signs in",
        answer="AccountAuthMode", open_=True,
    ),
    _operation(
        "Sign-in", ("get", "/v1/invitations/validate/{email_key}"), "showInvitation", "Look at an invitation",
        says="Its secret is the credential.", answer="AccountInvitationShown", statuses=(404,),
    ),
    _operation(
        "Sign-in", ("post", "/v1/invitations/complete"), "completeInvitation", "Accept an invitation, and sign in",
        body="AccountCompletion", answer="AccountInvitationCompleted", statuses=(404, 409, 429), open_=True,
    ),
    _operation(
        "Sign-in", ("post", "/v1/invitations/accept"), "acceptInvitation", "Accept an invitation as who is signed in",
        query=("accounts_email_key",), answer="AccountInvitationAccepted", statuses=(404,),
    ),
    _operation("Sign-in", ("get", "/v1/user/me"), "getMyself", "Who is signed in", answer="AccountMyself"),
    _operation("Sign-in", ("get", "/v1/user/current"), "getCurrentUser", "The same", answer="AccountMyself"),
    _operation(
        "Sign-in", ("patch", "/v1/user/profile"), "updateProfile", "Change one's name",
        body="AccountProfile", answer="AccountProfileChanged",
    ),
    _operation("Sign-in", ("get", "/v1/user/devices"), "listSessions", "One's sign-ins", answer="AccountDevices"),
    _operation(
        "Sign-in", ("delete", "/v1/user/devices/{session_id}"), "endSession", "End one of them",
        status=204, statuses=(404,),
    ),
)  # fmt: skip
_ORGANIZATIONS = (
    _operation(
        "Organizations", ("get", "/v1/organizations"), "listOrganizations", "List organizations",
        says="Those that the credential reaches.",
        query=("accounts_skip", "accounts_limit", "accounts_active_only"), answer="AccountOrganizationList",
        statuses=(422,),
    ),
    _operation(
        "Organizations", ("post", "/v1/organizations"), "createOrganization", "Create an organization",
        says="A user who owns one already becomes its owner; a key reaches it from then on.",
        body="AccountOrganizationCreate", example={"name": "Acme", "type": "company"},
        answer="AccountOrganization", status=201,
    ),
    _operation("Organizations", ("get", _OWN), "getOrganization", "Get an organization", answer="AccountOrganization"),
    _operation(
        "Organizations", ("patch", _OWN), "updateOrganization", "Change an organization",
        body="AccountOrganizationUpdate", example={"limits": {"requests_per_minute": 600, "monthly_budget": 100}},
        answer="AccountOrganization",
    ),
    _operation(
        "Organizations", ("delete", _OWN), "deleteOrganization", "Delete an organization",
        says="Its keys and members are refused at once. What is kept of it stays, until the operator purges it.",
        status=204,
    ),
    _operation("Organizations", (("get"), _OWN + "/roles"), "listRoles", "List roles", answer="AccountRoles"),
    _operation("Organizations", ("get", _OWN + "/statuses"), "listStatuses", "List states", answer="AccountStatuses"),
    _operation(
        "Organizations", ("get", _OWN + "/users"), "getMembers", "List members", answer="AccountMemberList",
        says="The first twenty. The same path takes POST, with what to look for.",
    ),
    _operation(
        "Organizations", ("post", _OWN + "/users"), "listMembers", "List members",
        body="AccountMembersAsked", example={"search_term": "ann", "take": 50}, answer="AccountMemberList",
    ),
    _operation(
        "Organizations", ("post", _OWN + "/users/ids"), "listMemberIds", "List the ids of members", answer="AccountIds",
    ),
    _operation(
        "Organizations", ("post", _OWN + "/users/by-ids"), "getMembersByIds", "Get members by their ids",
        body="AccountMemberIds", answer="AccountMembersById",
    ),
    _operation(
        "Organizations", ("get", _OWN + "/users/status-summary"), "summarizeMembers", "Count members by state",
        answer="AccountStatusSummary",
    ),
    _operation(
        "Organizations", ("get", _OWN + "/users/{user_id}"), "getMember", "Get a member",
        answer="AccountMember", statuses=(404,),
    ),
    _operation(
        "Organizations", ("put", _OWN + "/users/{user_id}"), "updateMember", "Change role or state of a member",
        says="Of the last owner: 409 `last_owner`.", body="AccountMemberChange", answer="AccountMember",
        statuses=(404, 409),
    ),
    _operation(
        "Organizations", ("delete", _OWN + "/users/{user_id}/delete"), "removeMember", "Remove a member",
        says="The user stays, without this organization. The last owner: 409 `last_owner`.",
        status=204, statuses=(404, 409),
    ),
    _operation(
        "Organizations", ("post", _OWN + "/users/{user_id}/reset-password"), "resetPassword",
        "Make a one-time secret for a new password", says="Hand it over: no mail is sent.",
        answer="AccountReset", statuses=(404, 409),
    ),
    _operation(
        "Organizations", ("post", _OWN + "/invite-user"), "inviteUser", "Invite somebody",
        says="The secret is shown once. Hand it over: no mail is sent.",
        body="AccountInvite", example={"email": "bob@example.com", "role_id": "member"},
        answer="AccountInvitation", status=201, statuses=(409,),
    ),
    _operation(
        "Organizations", ("get", _OWN + "/invitation"), "getInvitation", "Get an invitation",
        query=("accounts_email", "accounts_invitation_id", "accounts_user_id"), answer="AccountInvitation",
        statuses=(404, 422),
    ),
    _operation(
        "Organizations", ("get", _OWN + "/invitations"), "listInvitations", "List invitations",
        says="Those that nobody has accepted yet.", answer="AccountInvitationList",
    ),
    _operation(
        "Organizations", ("delete", _OWN + "/invitations/{invitation_id}"), "cancelInvitation", "Cancel an invitation",
        status=204, statuses=(404,),
    ),
    _operation(
        "Organizations", ("get", _OWN + "/audit-log"), "listAuditLog", "Who changed what",
        query=(
            "limit", "order", "after", "before", "audit_action", "audit_actor_id", "audit_resource_type",
            "audit_resource_id", "audit_since", "audit_until",
        ),
        answer="AccountAuditLog", statuses=(422,),
    ),
    _operation(
        "Organizations", ("post", _OWN + "/dashboard/change-logs"), "listChangeLogs", "The same, by POST",
        body="AccountChangeLogsAsked", answer="AccountChangeLogList",
    ),
    _operation(
        "Organizations", ("post", _OWN + "/users/{user_id}/change-logs"), "listMemberChangeLogs",
        "What a member changed, and what was changed of them",
        body="AccountChangeLogsAsked", answer="AccountChangeLogList",
    ),
)  # fmt: skip
_API_KEYS = (
    _operation(
        "API keys", ("get", _KEYS), "listApiKeys", "List keys", says="The newest first.",
        query=("page", "accounts_page_size", "accounts_skip", "accounts_take"), answer="AccountApiKeyList",
        statuses=(422,),
    ),
    _operation(
        "API keys", ("post", _KEYS), "createApiKey", "Create a key", says="The secret is shown once.",
        body="AccountKeyCreate", example={"key_name": "my-app", "scopes": ["responses:write", "responses:read"]},
        answer="AccountApiKeyCreated", status=201,
    ),
    _operation(
        "API keys", ("get", _KEYS + "/{key_id}"), "getApiKey", "Get a key", answer="AccountApiKey", statuses=(404,),
    ),
    _operation(
        "API keys", ("patch", _KEYS + "/{key_id}"), "updateApiKey", "Change a key",
        body="AccountKeyUpdate", example={"usage_limit_chf": 20}, answer="AccountApiKey", statuses=(404,),
    ),
    _operation(
        "API keys", ("delete", _KEYS + "/{key_id}"), "deleteApiKey", "Delete a key",
        answer="AccountApiKeyAction", statuses=(404,),
    ),
    *(
        _operation(
            "API keys", ("post", f"{_KEYS}/{{key_id}}/{how}"), f"{how}ApiKey", title,
            answer="AccountApiKeyAction", statuses=(404, 409),
        )
        for how, title in (
            ("activate", "Activate a key"),
            ("deactivate", "Deactivate a key"),
            ("pause", "Pause a key"),
            ("unpause", "End the pause of a key"),
        )
    ),
    _operation(
        "API keys", ("post", _KEYS + "/{key_id}/rotate"), "rotateApiKey", "Give a key another secret",
        says="The old one is refused at once. The id, and with it usage and budget, stays.",
        answer="AccountApiKeyRotated", statuses=(404, 409),
    ),
)  # fmt: skip

AREA = Area(operations=(*_SIGN_IN, *_ORGANIZATIONS, *_API_KEYS), components=_components(), parameters=_PARAMETERS)
