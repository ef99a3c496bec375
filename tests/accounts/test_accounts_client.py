"""The Python client signs in, and manages people, keys and organizations."""

import pytest

import freddy
from people import PASSWORD


async def test_the_client_signs_in_and_manages_an_organization(site):
    person, organization = await site.register("ann@example.com")
    nobody = site.gateway.freddy("")
    signed_in = await nobody.users.login("ann@example.com", PASSWORD)
    assert signed_in.user.email == "ann@example.com"
    ann = site.gateway.freddy(signed_in.access_token, organization_id=organization)
    assert (await ann.users.me()).organizations[0].role == "owner"
    made = await ann.api_keys.create("app", scopes=["models:read"], monthly_budget=3, metadata={"team": "tea"})
    assert (made.key_name, made.usage_limit_chf, made.metadata) == ("app", 3, {"team": "tea"})
    app = site.gateway.freddy(made.key)
    assert (await app.models.list()).data
    with pytest.raises(freddy.PermissionDeniedError):
        await app.api_keys.list(organization_id=organization)
    assert (await ann.api_keys.pause(made.id)).is_paused
    with pytest.raises(freddy.AuthenticationError):
        await app.models.list()
    assert not (await ann.api_keys.unpause(made.id)).is_paused
    rotated = await ann.api_keys.rotate(made.id)
    assert rotated.key != made.key
    assert (await ann.api_keys.update(made.id, name="other", monthly_budget=None)).usage_limit_chf is None
    assert [one.id for one in await ann.api_keys.list()] == [made.id]
    await ann.api_keys.delete(made.id)
    with pytest.raises(freddy.NotFoundError):
        await ann.api_keys.get(made.id)
    invited = await ann.users.invite("bob@example.com", role="viewer")
    assert [one.email for one in await ann.users.invitations()] == ["bob@example.com"]
    bob = await nobody.users.complete_invitation(invited.email_key, PASSWORD, name="Bob")
    theirs = await site.gateway.freddy(bob.access_token).users.me()
    assert (await ann.users.update(theirs.id, role="member")).role.id == "member"
    assert [one.email for one in await ann.users.list(search="bob")] == ["bob@example.com"]
    reset = await ann.users.reset_password(theirs.id)
    await nobody.users.set_password(reset.reset_key, "another password")
    again = await nobody.users.login("bob@example.com", "another password")
    following = await nobody.users.refresh(again.refresh_token)
    await nobody.users.logout(following.refresh_token)
    await ann.users.remove(theirs.id)
    assert [one.user_id for one in await ann.users.list()] == [person.id]
    assert (await ann.organizations.update(organization, name="Tea", limits={"concurrent_runs": 4})).name == "Tea"
    assert (await ann.organizations.get(organization)).limits["concurrent_runs"] == 4
    assert [role.id for role in await ann.organizations.roles()] == ["owner", "admin", "member", "viewer"]
    entries = [entry.action async for entry in await ann.organizations.audit_log(limit=3)]
    assert entries[:2] == ["organization.update", "member.remove"]
    assert entries[-1] == "user.register"
    second = await ann.organizations.create("Second")
    assert {one.id for one in await ann.organizations.list()} == {organization, second.id}
    await ann.organizations.delete(second.id)
    await ann.users.change_password(PASSWORD, "yet another password")
    await ann.users.logout()
    with pytest.raises(freddy.AuthenticationError):
        await ann.users.me()


async def test_an_organization_has_to_be_known(site):
    client = site.gateway.freddy("sk-frdy-x")
    with pytest.raises(ValueError, match="name the organization"):
        await client.api_keys.list()
