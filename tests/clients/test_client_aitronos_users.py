"""The published client signs in, invites, and manages members."""

import contextlib

import httpx
import pytest
from aitronos import AsyncAitronos
from aitronos.core.api_error import ApiError
from aitronos_client import Platform, platform

from freddy.server.config import settings as parts
from promises import promise

PASSWORD = "correct horse battery"
REGISTER = {"email": "ann@example.com", "password": PASSWORD, "full_name": "Ann Miller"}


@pytest.fixture
async def stage(tmp_path):
    async with platform(tmp_path, accounts=parts.Accounts(registration=True, password_cost=8)) as stage:
        yield stage


@contextlib.asynccontextmanager
async def signed_in(stage: Platform, token: str):
    """The client has to have a key, too: an empty one says nothing."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        yield AsyncAitronos(base_url=stage.gateway.url, api_key="", token=token, httpx_client=http)


@promise(17)
async def test_a_user_registers_signs_in_refreshes_and_signs_out(stage):
    auth = stage.client.authentication
    mode = await stage.client.config.get_auth_mode()
    assert (mode.authentication_mode, mode.dev_login_enabled) == ("password", True)
    made = await auth.register(**REGISTER)
    assert (made.success, made.email, made.verification_required) == (True, "ann@example.com", False)
    told = await auth.login(email_or_username="ann@example.com", password=PASSWORD)
    assert (told.success, told.requires_verification, told.user["id"]) == (True, False, made.user_id)
    first = await auth.dev_login(email_or_username="ann@example.com", password=PASSWORD)
    assert (first.token_type, first.expires_in, first.user["email"]) == ("bearer", 900, "ann@example.com")
    async with signed_in(stage, first.access_token) as ann:
        assert (await ann.authentication.validate_token()).is_valid
        me = await ann.user_management.get_current_user_profile()
        assert (me.id, me.email, me.full_name, me.first_name) == (made.user_id, "ann@example.com", "Ann Miller", "Ann")
        assert me.is_active
        assert me.last_login is not None
        current = await ann.user_management.get_user()
        assert (current.id, current.last_name) == (made.user_id, "Miller")
        changed = await ann.user_management.update_user_profile(full_name="Ann")
        assert (changed.success, changed.profile.full_name) == (True, "Ann")
        devices = await ann.user_management.get_user_devices()
        assert {first.device_id} < {device.id for device in devices}
        updated = await ann.authentication.update_password(
            current_password=PASSWORD, new_password="another password", confirm_password="another password"
        )
        assert updated.success
        following = await auth.refresh_token(refresh_token=first.refresh_token)
        assert (await ann.authentication.logout(refresh_token=following.refresh_token)).logged_out_at
        validity = await ann.authentication.validate_token()
        assert (validity.is_valid, validity.requires_reconnect) == (False, True)
    with pytest.raises(ApiError) as wrong:
        await auth.login(email_or_username="ann@example.com", password=PASSWORD)
    assert wrong.value.status_code == 401


async def test_members_are_invited_found_changed_and_removed(stage):
    auth = stage.client.authentication
    await auth.register(**REGISTER)
    first = await auth.dev_login(email_or_username="ann@example.com", password=PASSWORD)
    async with signed_in(stage, first.access_token) as ann:
        organization = (await ann.organizations.list_organizations()).organizations[0].id
        invited = await ann.crew_management_invitations.invite_user(
            organization, email="bob@example.com", role_id="member"
        )
        assert (invited.email, invited.role_id) == ("bob@example.com", "member")
        secret = invited.invitation_link.rpartition("/")[2]
        kept = await ann.crew_management_invitations.get_invitation(organization, invitation_id=invited.invitation_id)
        assert (kept.organization_id, kept.email) == (organization, "bob@example.com")
        assert kept.expires_at > kept.created_at
        shown = await stage.client.crew_management_invitations.validate_invitation(secret)
        assert (shown["is_valid"], shown["email"]) == (True, "bob@example.com")
        done = await stage.client.crew_management_invitations.complete_invitation(
            email_key=secret, full_name="Bob", password=PASSWORD
        )
        assert (done.success, done.email, done.organization_id) == (True, "bob@example.com", organization)
        assert done.refresh_token["refresh_token"].startswith("rt-frdy-")
        crew = ann.crew_management_members
        listed = await crew.list_members(organization, sort_field="email", take=10)
        assert [member.email for member in listed.users] == ["ann@example.com", "bob@example.com"]
        assert (listed.total_users_count, listed.skip, listed.take) == (2, 0, 10)
        assert (listed.users[1].role.id, listed.users[1].status.id) == ("member", "active")
        assert set(await crew.get_member_ids(organization)) == {listed.users[0].user_id, done.user_id}
        by_ids = await crew.get_members_by_ids(organization, request={"user_ids": [done.user_id]})
        assert by_ids["users"][0]["email"] == "bob@example.com"
        counts = (await crew.get_status_summary(organization)).status_counts
        assert {one.status_id: one.count for one in counts} == {"active": 2, "inactive": 0, "invited": 0}
        changed = await crew.update_member(organization, done.user_id, role_id="viewer", status_id="inactive")
        assert (changed.role.id, changed.status.id) == ("viewer", "inactive")
        assert (await crew.get_member(organization, done.user_id)).full_name == "Bob"
        logs = await ann.crew_management_admin.get_organization_change_logs(organization, take=2)
        assert [log.action for log in logs.logs] == ["user.deactivate", "member.update"]
        assert (logs.total_count, logs.logs[1].user_email) == (5, "ann@example.com")
        assert (logs.logs[1].changes[0].old_value, logs.logs[1].changes[0].new_value) == ("member", "viewer")
        about = await ann.crew_management_admin.get_member_change_logs(organization, done.user_id)
        assert {log.resource_id for log in about.logs} == {done.user_id}
        await crew.delete_member(organization, done.user_id)
        assert await crew.get_member_ids(organization) == [listed.users[0].user_id]
        other = await ann.crew_management_invitations.invite_user(
            organization, email="eve@example.com", role_id="admin"
        )
        await ann.crew_management_invitations.cancel_invitation(organization, other.invitation_id)
        again = await ann.crew_management_invitations.invite_user(
            organization, email="bob@example.com", role_id="admin"
        )
        back = await stage.client.authentication.register(
            email="zoe@example.com", password=PASSWORD, full_name="Zoe", user_name="zoe"
        )
        assert back.success
        with pytest.raises(ApiError) as refused:
            await ann.crew_management_invitations.accept_invitation(email_key=again.invitation_link.rpartition("/")[2])
        assert refused.value.status_code == 403
