"""Organizations, members and invitations over HTTP, and the log of who changed what."""

from itertools import pairwise

import pytest

from freddy.server.core import errors
from freddy.server.core.accounts import MAY, ROLES
from freddy.server.core.limits import Limits
from people import PASSWORD, Desk


async def refused(reply, status, code=None, param=None):
    error = reply.json()["error"]
    assert reply.status_code == status, reply.text
    assert code is None or error["code"] == code
    assert param is None or error["param"] == param


async def test_who_registers_owns_an_organization(site):
    ann, organization = await site.register("Ann@Example.com")
    me = (await ann.ask("GET", "/v1/user/me")).json()
    assert (me["email"], me["full_name"], me["is_active"]) == ("ann@example.com", "Ann", True)
    assert me["organizations"] == [{"id": organization, "name": "Ann", "role": "owner"}]
    assert me == (await ann.ask("GET", "/v1/user/current")).json()
    await refused(await site.ask("POST", "/v1/auth/register", {"email": "ann@example.com", "password": PASSWORD}), 409)
    for body, param in (
        ({"email": "nobody", "password": PASSWORD}, "email"),
        ({"email": "a@b@c", "password": PASSWORD}, "email"),
        ({"email": "a@users.invalid", "password": PASSWORD}, "email"),
        ({"email": "bob@example.com", "password": "short"}, "password"),
        ({"email": "bob@example.com"}, "password"),
    ):
        await refused(await site.ask("POST", "/v1/auth/register", body), 422, param=param)


async def test_nobody_registers_where_it_is_not_allowed(desk, database, tmp_path):
    closed = Desk(database, tmp_path, registration=False)
    with pytest.raises(errors.PermissionDenied) as error:
        await closed.office.sign_in.register("ann@example.com", PASSWORD, name="", address="a")
    assert error.value.code == "registration_disabled"


async def test_an_organization_is_changed_by_its_owner_alone(site):
    ann, organization = await site.register("ann@example.com")
    path = f"/v1/organizations/{organization}"
    body = {
        "name": "Tea",
        "website": "https://tea.example",
        "domains": ["tea.example"],
        "limits": {"requests_per_minute": 9},
        "api_usage_limit": 50,
    }
    told = (await ann.ask("PATCH", path, body)).json()
    assert (told["name"], told["website"], told["domains"]) == ("Tea", "https://tea.example", ["tea.example"])
    assert (told["api_usage_limit"], told["limits"]["requests_per_minute"]) == (50, 9)
    assert (told["owner_id"], told["is_active"]) == (ann.id, True)
    assert told == (await ann.ask("GET", path)).json()
    assert (await ann.ask("PATCH", path, {"limits": None})).json()["limits"] is None
    for wrong, status, param in (
        ({"is_active": False}, 422, "is_active"),
        ({"name": ""}, 422, "name"),
        ({"domains": "x"}, 422, "domains"),
        ({"api_usage_limit": 2_000_000}, 422, "api_usage_limit"),
        ({"nam": "x"}, 400, "nam"),
    ):
        await refused(await ann.ask("PATCH", path, wrong), status, param=param)
    for role in ("admin", "member", "viewer"):
        person = await site.invite(ann, organization, f"{role}@example.com", role)
        await refused(await person.ask("PATCH", path, {"name": "Mine"}), 403)
        await refused(await person.ask("DELETE", path), 403)
        assert (await person.ask("GET", path)).json()["name"] == "Tea"


async def test_an_owner_makes_another_organization_and_names_the_one_that_is_meant(site):
    ann, first = await site.register("ann@example.com")
    made = await ann.ask("POST", "/v1/organizations", {"name": "Second", "type": "company"})
    second = made.json()["id"]
    assert (made.status_code, made.json()["owner_id"], made.json()["type"]) == (201, ann.id, "company")
    listed = (await ann.ask("GET", "/v1/organizations?limit=1&skip=1")).json()
    assert ([one["id"] for one in listed["organizations"]], listed["total"]) == ([second], 2)
    await refused(await ann.ask("GET", "/v1/threads"), 400, param="organization_id")
    for reply in (
        await ann.ask("GET", f"/v1/threads?organization_id={second}"),
        await ann.ask("GET", "/v1/threads", aitronos_organization=second),
        await ann.ask("GET", "/v1/threads", openai_organization=first),
    ):
        assert reply.status_code == 200
    await refused(await ann.ask("GET", "/v1/threads", aitronos_organization="org_other"), 403, param="organization_id")
    asked = await ann.ask("POST", "/v1/model/response", {"inputs": "Hi", "organization_id": second})
    assert asked.json()["organization_id"] == second


async def test_a_key_that_makes_an_organization_reaches_it(site):
    ann, organization = await site.register("ann@example.com")
    key = (await ann.ask("POST", f"/v1/organizations/{organization}/api-keys", {"key_name": "a"})).json()["key"]
    made = (await site.ask("POST", "/v1/organizations", {"name": "Second"}, key=key)).json()["id"]
    assert (await site.ask("GET", f"/v1/organizations/{made}", key=key)).status_code == 200
    listed = (await site.ask("GET", "/v1/organizations", key=key)).json()
    assert {one["id"] for one in listed["organizations"]} == {organization, made}
    await refused(await ann.ask("GET", f"/v1/organizations/{made}"), 403)


async def test_only_owners_make_organizations(site):
    ann, organization = await site.register("ann@example.com")
    admin = await site.invite(ann, organization, "admin@example.com", "admin")
    await refused(await admin.ask("POST", "/v1/organizations", {"name": "Mine"}), 403)


async def test_a_deleted_organization_answers_nobody(site):
    ann, organization = await site.register("ann@example.com")
    member = await site.invite(ann, organization, "bob@example.com", "member")
    assert (await ann.ask("DELETE", f"/v1/organizations/{organization}")).status_code == 204
    for person in (ann, member):
        await refused(await person.ask("GET", f"/v1/organizations/{organization}"), 403)
        await refused(await person.ask("GET", "/v1/threads"), 403)
        assert (await person.ask("GET", "/v1/user/me")).json()["organizations"] == []


async def test_an_invitation_is_shown_once_and_accepted_once(site):
    ann, organization = await site.register("ann@example.com")
    path = f"/v1/organizations/{organization}"
    invited = (await ann.ask("POST", f"{path}/invite-user", {"email": "Bob@Example.com", "role_id": "viewer"})).json()
    secret = invited["email_key"]
    assert invited["invitation_link"].endswith(f"/v1/invitations/validate/{secret}")
    kept = (await ann.ask("GET", f"{path}/invitation?email=bob@example.com")).json()
    assert (kept["invitation_id"], kept["email_key"], kept["role_id"]) == (invited["invitation_id"], None, "viewer")
    assert (await ann.ask("GET", f"{path}/invitations")).json()["data"] == [kept]
    summary = (await ann.ask("GET", f"{path}/users/status-summary")).json()["status_counts"]
    assert {one["status_id"]: one["count"] for one in summary} == {"active": 1, "inactive": 0, "invited": 1}
    shown = (await site.ask("GET", f"/v1/invitations/validate/{secret}")).json()
    assert (shown["email"], shown["organization_id"], shown["role_id"]) == ("bob@example.com", organization, "viewer")
    body = {"email_key": secret, "full_name": "Bob", "password": "short"}
    await refused(await site.ask("POST", "/v1/invitations/complete", body), 422, param="password")
    done = (await site.ask("POST", "/v1/invitations/complete", {**body, "password": PASSWORD})).json()
    assert (await site.ask("GET", "/v1/user/me", key=done["token"])).json()["full_name"] == "Bob"
    again = await site.ask("POST", "/v1/invitations/complete", {**body, "password": PASSWORD})
    await refused(again, 404, param="email_key")
    await refused(await site.ask("GET", f"/v1/invitations/validate/{secret}"), 404)
    await refused(await site.ask("GET", "/v1/invitations/validate/inv-frdy-none"), 404)


async def test_an_invitation_can_be_cancelled_replaced_and_is_over_some_day(desk: Desk):
    users, sign_in = desk.office.users, desk.office.sign_in
    await desk.user("boss@example.com", role="owner")
    first = await users.invite(None, "org_a", "bob@example.com", "member")
    second = await users.invite(None, "org_a", "bob@example.com", "admin")
    assert [one.id for one in await users.invitations("org_a")] == [second.invitation.id]
    third = await users.invite(None, "org_a", "eve@example.com", "member")
    await users.cancel_invitation(None, "org_a", third.invitation.id)
    with pytest.raises(errors.NotFound):
        await users.cancel_invitation(None, "org_b", second.invitation.id)
    for gone in (first.secret, third.secret, second.secret + "x", ""):
        with pytest.raises(errors.NotFound):
            await sign_in.complete(gone, PASSWORD, name="Bob", address="a")
    desk.clock.advance(7 * 24 * 3600)
    with pytest.raises(errors.NotFound):
        await sign_in.complete(second.secret, PASSWORD, name="Bob", address="a")
    with pytest.raises(errors.Conflict):
        await users.invite(None, "org_a", "boss@example.com", "member")


async def test_who_has_an_account_joins_with_its_password_or_signed_in(desk: Desk):
    users, sign_in = desk.office.users, desk.office.sign_in
    ann = await desk.user("ann@example.com", organization="org_a")
    await desk.user("boss@example.com", organization="org_b", role="owner")
    await desk.user("chief@example.com", organization="org_c", role="owner")
    invited = await users.invite(None, "org_b", "ann@example.com", "admin")
    with pytest.raises(errors.NotAuthenticated):
        await sign_in.complete(invited.secret, "wrong password", name="Eve", address="a")
    signed_in, _ = await sign_in.complete(invited.secret, PASSWORD, name="Ann", address="a")
    assert signed_in.user.id == ann.id
    other = await users.invite(None, "org_c", "ann@example.com", "viewer")
    boss = await desk.caller("boss@example.com")
    with pytest.raises(errors.PermissionDenied):
        await sign_in.accept(boss, other.secret)
    caller = await desk.caller("ann@example.com")
    await sign_in.accept(caller, other.secret)
    caller = await desk.caller("ann@example.com")
    assert caller.roles == {"org_a": "member", "org_b": "admin", "org_c": "viewer"}
    assert not caller.implied


async def test_the_scopes_of_a_user_are_those_of_the_role_in_the_organization_that_is_meant(desk: Desk):
    from freddy.server.accounts.access import require

    await desk.user("boss@example.com", organization="org_b", role="owner")
    ann = await desk.user("ann@example.com", organization="org_a", role="owner")
    await desk.office.users.set_role(None, "org_b", ann.id, "viewer")
    caller = await desk.caller("ann@example.com")
    with pytest.raises(errors.InvalidRequest) as unnamed:
        require(caller, "models:read")
    assert unnamed.value.param == "organization_id"
    assert require(caller, "organizations:manage", "org_a").sees_only is None
    assert require(caller, "models:read", "org_b").sees_only == ann.id
    for scope in MAY["owner"] - MAY["viewer"]:
        with pytest.raises(errors.PermissionDenied):
            require(caller, scope, "org_b")
    with pytest.raises(errors.PermissionDenied):
        require(caller, "models:read", "org_c")
    named = await desk.caller("ann@example.com", **{"aitronos-organization": "org_b"})
    with pytest.raises(errors.PermissionDenied):
        require(named, "responses:write")
    assert require(named, "organizations:manage", "org_a").organization_id == "org_a"


def test_each_role_may_what_the_one_below_it_may():
    for higher, lower in pairwise(ROLES):
        assert MAY[lower] < MAY[higher]


async def test_nobody_raises_themselves_or_touches_who_is_above(site):
    ann, organization = await site.register("ann@example.com")
    path = f"/v1/organizations/{organization}"
    admin = await site.invite(ann, organization, "admin@example.com", "admin")
    member = await site.invite(ann, organization, "member@example.com", "member")
    for whom, role in ((admin.id, "owner"), (member.id, "owner"), (ann.id, "viewer"), (ann.id, "owner")):
        await refused(await admin.ask("PUT", f"{path}/users/{whom}", {"role_id": role}), 403)
    await refused(await admin.ask("PUT", f"{path}/users/{ann.id}", {"status_id": "inactive"}), 403)
    await refused(await admin.ask("DELETE", f"{path}/users/{ann.id}/delete"), 403)
    await refused(await admin.ask("POST", f"{path}/users/{ann.id}/reset-password"), 403)
    await refused(await admin.ask("POST", f"{path}/invite-user", {"email": "x@example.com", "role_id": "owner"}), 403)
    assert (await admin.ask("PUT", f"{path}/users/{member.id}", {"role_id": "admin"})).status_code == 200
    assert (await admin.ask("PUT", f"{path}/users/{member.id}", {"role_id": "member"})).status_code == 200
    for method, where, body in (
        ("PUT", f"users/{member.id}", {"role_id": "admin"}),
        ("DELETE", f"users/{admin.id}/delete", None),
        ("POST", "invite-user", {"email": "x@example.com"}),
        ("GET", "invitations", None),
        ("GET", "audit-log", None),
    ):
        await refused(await member.ask(method, f"{path}/{where}", body), 403)


async def test_the_last_owner_stays(site):
    ann, organization = await site.register("ann@example.com")
    path = f"/v1/organizations/{organization}/users/{ann.id}"
    await refused(await ann.ask("PUT", path, {"role_id": "admin"}), 409, "last_owner")
    await refused(await ann.ask("PUT", path, {"status_id": "inactive"}), 409, "last_owner")
    await refused(await ann.ask("DELETE", f"{path}/delete"), 409, "last_owner")
    bob = await site.invite(ann, organization, "bob@example.com", "owner")
    reply = await bob.ask("PUT", path, {"status_id": "inactive"})
    assert (reply.status_code, reply.json()["status"]["id"]) == (200, "inactive")
    # Who cannot sign in is no owner that could be left alone.
    gone = f"/v1/organizations/{organization}/users/{bob.id}/delete"
    await refused(await bob.ask("DELETE", gone), 409, "last_owner")
    assert (await bob.ask("PUT", path, {"status_id": "active"})).status_code == 200
    assert (await bob.ask("DELETE", gone)).status_code == 204
    await refused(await bob.ask("GET", "/v1/threads"), 403)


async def test_an_admin_of_one_organization_does_nothing_to_the_accounts_of_others(desk: Desk):
    boss = await desk.user("boss@example.com", organization="org_b", role="owner")
    await desk.user("ann@example.com", organization="org_a", role="owner")
    await desk.office.users.set_role(None, "org_a", boss.id, "member")
    ann = await desk.caller("ann@example.com")
    for attempt in (desk.office.users.deactivate, desk.office.users.reset_password, desk.office.users.activate):
        with pytest.raises(errors.PermissionDenied):
            await attempt(ann, boss.id)
    stranger = await desk.user("eve@example.com", organization="org_c")
    with pytest.raises(errors.NotFound):
        await desk.office.users.reset_password(ann, stranger.id)
    await desk.office.users.remove_member(ann, "org_a", boss.id)
    assert await desk.caller("boss@example.com")


async def test_members_are_found_sorted_and_told_to_colleagues(site):
    ann, organization = await site.register("ann@example.com")
    path = f"/v1/organizations/{organization}/users"
    bob = await site.invite(ann, organization, "bob@example.com", "member")
    eve = await site.invite(ann, organization, "eve@example.com", "viewer")
    listed = (await bob.ask("POST", path, {"sort_field": "email", "sort_direction": "desc", "take": 2})).json()
    assert [one["user_id"] for one in listed["users"]] == [eve.id, bob.id]
    assert (listed["total_users_count"], listed["skip"], listed["take"]) == (3, 0, 2)
    assert len((await bob.ask("GET", path)).json()["users"]) == 3
    found = (await bob.ask("POST", path, {"search_term": "BOB", "role_id": "member"})).json()["users"]
    assert [one["email"] for one in found] == ["bob@example.com"]
    assert found[0] == (await bob.ask("GET", f"{path}/{bob.id}")).json()
    assert set((await bob.ask("POST", f"{path}/ids")).json()) == {ann.id, bob.id, eve.id}
    by_ids = (await bob.ask("POST", f"{path}/by-ids", {"user_ids": [eve.id, "usr_none"]})).json()["users"]
    assert [one["user_id"] for one in by_ids] == [eve.id]
    stranger, _ = await site.register("zoe@example.com")
    await refused(await stranger.ask("POST", path, {}), 403)
    await refused(await ann.ask("GET", f"{path}/usr_none"), 404)
    roles = (await bob.ask("GET", f"/v1/organizations/{organization}/roles")).json()
    assert {one["id"]: set(one["permissions"]) for one in roles} == {role: set(MAY[role]) for role in ROLES}


async def test_own_account_and_sign_ins(site):
    ann, _ = await site.register("ann@example.com")
    other = await site.login("ann@example.com")
    changed = (await ann.ask("PATCH", "/v1/user/profile", {"full_name": "Ann Miller"})).json()
    assert (changed["profile"]["first_name"], changed["profile"]["last_name"]) == ("Ann", "Miller")
    devices = (await ann.ask("GET", "/v1/user/devices")).json()
    (current,) = [one for one in devices if one["is_current"]]
    (theirs,) = [one["id"] for one in devices if one["id"] != current["id"] and one["created_at"]][:1]
    assert len(devices) == 2
    assert (await ann.ask("DELETE", f"/v1/user/devices/{theirs}")).status_code == 204
    await refused(await other.ask("GET", "/v1/user/me"), 401)
    await refused(await ann.ask("DELETE", f"/v1/user/devices/{theirs}"), 404)
    assert (await ann.ask("GET", "/v1/auth/validate")).json()["is_valid"] is True
    assert (await ann.ask("POST", "/v1/auth/logout", {})).status_code == 200
    assert (await ann.ask("GET", "/v1/auth/validate")).json()["is_valid"] is False
    assert (await site.ask("GET", "/v1/config/auth-mode")).json()["registration_enabled"] is True
    key = (await site.gateway.mint("org_x")).secret
    await refused(await site.ask("GET", "/v1/user/me", key=key), 403)
    await refused(await site.ask("POST", "/v1/auth/logout", {}, key=key), 403)


async def test_wrong_passwords_are_slowed_down_over_http(site):
    await site.register("ann@example.com")
    body = {"email_or_username": "ann@example.com", "password": "wrong password"}
    for _ in range(5):
        await refused(await site.ask("POST", "/v1/auth/login", body), 401, "invalid_credentials")
    reply = await site.ask("POST", "/v1/auth/login", {**body, "password": PASSWORD})
    await refused(reply, 429, "too_many_attempts")
    assert 1 <= int(reply.headers["retry-after"]) <= 30


async def test_every_change_is_told_with_who_and_what_and_no_secret(site):
    ann, organization = await site.register("ann@example.com")
    path = f"/v1/organizations/{organization}"
    key = (await ann.ask("POST", f"{path}/api-keys", {"key_name": "a", "usage_limit_chf": 5})).json()
    await ann.ask("PATCH", f"{path}/api-keys/{key['id']}", {"usage_limit_chf": 7, "scopes": ["models:read"]})
    rotated = (await ann.ask("POST", f"{path}/api-keys/{key['id']}/rotate")).json()["new_key"]
    await ann.ask("DELETE", f"{path}/api-keys/{key['id']}")
    bob = await site.invite(ann, organization, "bob@example.com", "member")
    await ann.ask("PUT", f"{path}/users/{bob.id}", {"role_id": "admin"})
    await ann.ask("PATCH", path, {"name": "Tea", "limits": {"requests_per_minute": 9}})
    reply = await ann.ask("GET", f"{path}/audit-log?order=asc&limit=100")
    told = reply.json()["data"]
    assert [one["action"] for one in told] == [
        "user.register",
        "key.create",
        "key.update",
        "key.rotate",
        "key.delete",
        "invitation.create",
        "invitation.accept",
        "member.update",
        "organization.update",
    ]
    assert {one["actor_id"] for one in told} == {ann.id, bob.id}
    assert told[7]["changes"] == [{"field": "role", "old_value": "member", "new_value": "admin"}]
    changed = {one["field"]: (one["old_value"], one["new_value"]) for one in told[2]["changes"]}
    assert changed["limits"] == ('{"monthly_budget":5.0}', '{"monthly_budget":7.0}')
    assert changed["scopes"][1] == '["models:read"]'
    for secret in (key["key"], rotated["key"], PASSWORD, ann.token, ann.refresh_token):
        assert secret not in reply.text
    page = (await ann.ask("GET", f"{path}/audit-log?limit=2")).json()
    assert ([one["action"] for one in page["data"]], page["has_more"]) == (
        ["organization.update", "member.update"],
        True,
    )
    following = (await ann.ask("GET", f"{path}/audit-log?limit=1&after={page['last_id']}")).json()["data"]
    assert following == [told[6]]
    for query, count in (
        ("action=key.create", 1),
        ("resource_type=api_key", 4),
        (f"resource_id={key['id']}", 4),
        (f"actor_id={bob.id}", 1),
        ("since=99999999999", 0),
        ("until=1", 0),
    ):
        assert len((await ann.ask("GET", f"{path}/audit-log?{query}")).json()["data"]) == count, query
    await refused(await ann.ask("GET", f"{path}/audit-log?after=audit_none"), 422, param="after")
    logs = (await ann.ask("POST", f"{path}/dashboard/change-logs", {"take": 1, "skip": 1})).json()
    assert (logs["total_count"], logs["skip"], logs["take"]) == (9, 1, 1)
    assert (logs["logs"][0]["action"], logs["logs"][0]["user_email"]) == ("member.update", "ann@example.com")
    about = (await ann.ask("POST", f"{path}/users/{bob.id}/change-logs", {})).json()["logs"]
    assert [one["action"] for one in about] == ["member.update", "invitation.accept"]
    stranger, _ = await site.register("eve@example.com")
    await refused(await stranger.ask("GET", f"{path}/audit-log"), 403)


async def test_what_is_not_done_is_not_told(desk: Desk):
    await desk.user("ann@example.com", role="owner")
    ann = await desk.caller("ann@example.com")
    with pytest.raises(errors.Conflict):
        await desk.office.users.set_role(ann, "org_a", ann.user_id, "viewer")
    with pytest.raises(errors.Conflict):
        await desk.user("ann@example.com", organization="org_b")
    from freddy.server.ports.audit import Wanted
    from freddy.server.ports.stores import Page

    found, _ = await desk.office.audit.page("org_a", Wanted(), Page())
    assert [(entry.action, entry.actor_type) for entry in found] == [("user.create", "cli")]
    assert (await desk.office.audit.page("org_b", Wanted(), Page()))[0] == []


async def test_limits_of_an_organization_are_known_at_once_here_and_within_seconds_elsewhere(
    desk: Desk, database, tmp_path
):
    await desk.user("ann@example.com", role="owner")
    ann = await desk.caller("ann@example.com")
    elsewhere = Desk(database, tmp_path, clock=desk.clock)
    assert await elsewhere.office.organizations.limits("org_a") is None
    from freddy.server.core.accounts import OrganizationChange

    change = OrganizationChange(limits=Limits(requests_per_minute=3))
    await desk.office.organizations.change(ann, "org_a", change)
    assert await desk.office.organizations.limits("org_a") == Limits(requests_per_minute=3)
    desk.clock.advance(5)
    assert await elsewhere.office.organizations.limits("org_a") == Limits(requests_per_minute=3)
    assert await desk.office.organizations.limits("org_none") is None
