"""The published client makes, changes and deletes organizations."""

import pytest
from aitronos.core.api_error import ApiError
from aitronos_client import platform


@pytest.fixture
async def stage(tmp_path):
    async with platform(tmp_path) as stage:
        yield stage


async def test_an_organization_is_made_listed_changed_and_deleted(stage):
    minted = await stage.gateway.mint("org_a")
    async with stage.another(minted.secret) as client:
        api = client.organizations
        made = await api.create_organization(
            name="Tea", type="company", description="A shop", website="https://tea.example", domains=["tea.example"]
        )
        assert (made.name, made.type, made.description) == ("Tea", "company", "A shop")
        assert (made.website, made.domains, made.is_active) == ("https://tea.example", ["tea.example"], True)
        assert (made.api_usage_limit, made.total_usage_limit, made.storage_free_bytes_allowance) == (0.0, 0.0, 0)
        assert made.created_at == made.updated_at
        listed = await api.list_organizations(skip=0, limit=10, active_only=True)
        assert {one.id for one in listed.organizations} == {"org_a", made.id}
        assert (listed.total, listed.skip, listed.limit) == (2, 0, 10)
        changed = await api.update_organization(made.id, name="More tea", api_usage_limit=25.5, industry="food")
        assert (changed.name, changed.api_usage_limit, changed.industry) == ("More tea", 25.5, "food")
        got = await api.get_organization(made.id)
        assert (got.name, got.description, got.api_usage_limit) == ("More tea", "A shop", 25.5)
        roles = await api.list_roles(made.id)
        assert [role.id for role in roles] == ["owner", "admin", "member", "viewer"]
        assert all(role.is_base_role and not role.is_custom for role in roles)
        assert [status.id for status in await api.list_statuses(made.id)] == ["active", "inactive", "invited"]
        await api.delete_organization(made.id)
        with pytest.raises(ApiError) as gone:
            await api.get_organization(made.id)
        assert gone.value.status_code == 403
        assert [one.id for one in (await api.list_organizations()).organizations] == ["org_a"]


async def test_local_development_mode_lists_its_own_and_makes_none(stage):
    listed = await stage.client.organizations.list_organizations()
    assert {one.id for one in listed.organizations} == {"org_local", "org_abc123", "org_your_org_id"}
    with pytest.raises(ApiError) as refused:
        await stage.client.organizations.create_organization(name="Tea", type="company")
    assert refused.value.status_code == 403
