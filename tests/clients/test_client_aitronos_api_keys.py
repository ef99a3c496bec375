"""The published client makes, changes and ends API keys."""

import datetime

import pytest
from aitronos.core.api_error import ApiError
from aitronos_client import platform

ORGANIZATION = "org_local"


@pytest.fixture
async def stage(tmp_path):
    async with platform(tmp_path) as stage:
        yield stage


async def test_a_key_goes_through_all_its_states(stage):
    api = stage.client.api_keys
    expires_at = datetime.datetime(2100, 1, 31, 12, tzinfo=datetime.UTC)
    made = await api.create_api_key(
        ORGANIZATION,
        key_name="my-app",
        usage_limit_chf=12.5,
        scopes=["models:read", "threads:read"],
        expires_at=expires_at,
        metadata={"team": "tea"},
    )
    assert made.key.startswith(made.key_prefix)
    assert (made.organization_id, made.key_name, made.is_active) == (ORGANIZATION, "my-app", True)
    assert (made.usage_limit_chf, made.expires_at, made.metadata) == (12.5, expires_at, {"team": "tea"})
    assert made.scopes == ["threads:read", "models:read"]
    listed = await api.list_api_keys(ORGANIZATION, page=1, page_size=10)
    assert ([key.id for key in listed.keys], listed.total, listed.page, listed.page_size) == ([made.id], 1, 1, 10)
    assert (await api.list_api_keys(ORGANIZATION, skip=1, take=1)).keys == []
    got = await api.get_api_key(ORGANIZATION, made.id)
    assert (got.id, got.is_paused, got.last_used_at, got.created_at) == (made.id, False, None, made.created_at)

    async def works(secret=made.key):
        async with stage.another(secret) as client:
            try:
                await client.threads.list_threads()
            except ApiError as error:
                if error.status_code != 401:
                    raise
                return False
            return True

    assert await works()
    assert (await api.get_api_key(ORGANIZATION, made.id)).last_used_at is not None
    for off, on in (("pause", "unpause"), ("deactivate", "activate")):
        done = await getattr(api, f"{off}_api_key")(ORGANIZATION, made.id)
        assert (done.success, done.key.id) == (True, made.id)
        assert not await works()
        assert (await getattr(api, f"{on}_api_key")(ORGANIZATION, made.id)).success
        assert await works()
    changed = await api.update_api_key(ORGANIZATION, made.id, key_name="other", usage_limit_chf=1)
    assert (changed.key_name, changed.usage_limit_chf) == ("other", 1)
    rotated = await api.rotate_api_key(ORGANIZATION, made.id)
    assert (rotated.success, rotated.old_key_id, rotated.new_key.id) == (True, made.id, made.id)
    assert not await works()
    assert await works(rotated.new_key.key)
    assert (await api.delete_api_key(ORGANIZATION, made.id)).success
    assert not await works(rotated.new_key.key)
    with pytest.raises(ApiError) as gone:
        await api.get_api_key(ORGANIZATION, made.id)
    assert gone.value.status_code == 404
