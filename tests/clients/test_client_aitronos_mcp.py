"""The platform's published client on MCP configurations: every operation, and its typed answer, field by field."""

import asyncio
import datetime as dt
import sys
from pathlib import Path

import pytest
from aitronos.core.api_error import ApiError
from aitronos.errors.unprocessable_entity_error import UnprocessableEntityError
from aitronos_client import platform

from freddy.server.core import errors

sys.path.insert(0, str(Path(__file__).parents[1] / "mcp_configurations"))  # where `served` is

from mcp_configurations_stage import TestedServers, served

ORGANIZATION = "org_local"
URL = "https://mcp.example.com/mcp"
TOKEN = "secret-token-0123456789"


@pytest.fixture
def servers():
    return TestedServers()


@pytest.fixture
async def stage(tmp_path, servers):
    async with platform(tmp_path) as stage, served(stage.gateway, servers):
        yield stage


async def created(stage, **changes):
    fields = {
        "name": "Wiki",
        "organization_id": ORGANIZATION,
        "server_url": URL,
        "transport_type": "streamable_http",
        "auth_type": "bearer_token",
        "credentials": {"token": TOKEN},
        "tool_configuration": {"enabled": True, "allowed_tools": ["search"]},
    }
    return await stage.client.mcp_configurations.create_mcp_configuration(**fields | changes)


async def test_a_configuration_is_made_and_got(stage):
    made = await created(stage)
    assert made.id.startswith("mcp_config_")
    assert (made.name, made.type, made.organization_id, made.user_id) == ("Wiki", "custom", ORGANIZATION, None)
    assert (made.server_url, made.transport_type, made.auth_type) == (URL, "streamable_http", "bearer_token")
    assert (made.is_active, made.connection_status) == (True, "unknown")
    assert (made.last_connected_at, made.error_message) == (None, None)
    assert isinstance(made.created_at, dt.datetime)
    assert made.updated_at == made.created_at
    assert TOKEN not in made.json()
    assert await stage.client.mcp_configurations.get_mcp_configuration(made.id) == made


async def test_configurations_are_listed_with_filters(stage):
    client = stage.client.mcp_configurations
    made, other = await created(stage), await created(stage, name="Tickets", auth_type="none", credentials={})
    await client.update_mcp_configuration(other.id, is_active=False)
    listed = await client.list_mcp_configurations(organization_id=ORGANIZATION)
    assert (listed.total, [one.name for one in listed.configurations]) == (2, ["Tickets", "Wiki"])
    assert listed.configurations[1] == made
    active = await client.list_mcp_configurations(organization_id=ORGANIZATION, type="custom", is_active=True)
    assert [one.id for one in active.configurations] == [made.id]
    others = await client.list_mcp_configurations(organization_id=ORGANIZATION, type="personal_connector")
    assert (others.total, others.configurations) == (0, [])


async def test_a_program_of_the_operator_has_an_address_to_be_told_by(stage):
    made = await created(stage, server_url="stdio://github", transport_type="auto", auth_type="none", credentials=None)
    assert made.server_url == "stdio://github"
    listed = await stage.client.mcp_configurations.list_mcp_configurations(organization_id=ORGANIZATION)
    assert listed.configurations == [made]


async def test_a_configuration_is_changed_and_deleted(stage):
    client = stage.client.mcp_configurations
    made = await created(stage)
    changed = await client.update_mcp_configuration(
        made.id,
        name="Wiki 2",
        server_url="https://elsewhere.example.com/mcp",
        is_active=False,
        credentials={"token": "another"},
        tool_configuration={"enabled": False},
    )
    assert (changed.name, changed.server_url) == ("Wiki 2", "https://elsewhere.example.com/mcp")
    assert (changed.is_active, changed.transport_type, changed.auth_type) == (False, "streamable_http", "bearer_token")
    with pytest.raises(UnprocessableEntityError) as raised:
        await client.update_mcp_configuration(made.id, server_url=URL)
    assert raised.value.body["error"]["param"] == "credentials"
    await client.delete_mcp_configuration(made.id)
    with pytest.raises(ApiError) as raised:
        await client.get_mcp_configuration(made.id)
    assert raised.value.status_code == 404


async def test_a_connection_is_tested(stage, servers):
    client = stage.client.mcp_configurations
    made = await created(stage)
    tested = await client.test_mcp_connection(made.id)
    assert (tested.success, tested.status, tested.available_tools) == (True, "connected", ["search", "delete"])
    known = await client.get_mcp_configuration(made.id)
    assert (known.connection_status, known.error_message) == ("connected", None)
    assert isinstance(known.last_connected_at, dt.datetime)
    servers.failure = errors.ToolFailed("Nobody is there")
    tested = await client.test_mcp_connection(made.id)
    assert (tested.success, tested.status, tested.message) == (False, "error", "Nobody is there")
    assert (await client.get_mcp_configuration(made.id)).error_message == "Nobody is there"


async def test_the_servers_that_are_saved_are_listed(stage):
    made = await created(stage)
    await created(stage, name="Tickets")
    await stage.client.mcp_configurations.test_mcp_connection(made.id)
    other, one = await stage.client.mcp.list_mcp_servers(organization_id=ORGANIZATION, action_count=True)
    assert (one.id, one.name, one.description, one.mode) == (made.id, "Wiki", None, "streamable_http")
    assert (one.tools_count, one.error) == (2, None)
    assert (other.name, other.tools_count, other.error) == ("Tickets", None, None)


async def test_the_synchronous_client_does_the_same(stage):
    def ask():
        with stage.sync() as client:
            made = client.mcp_configurations.create_mcp_configuration(
                name="Wiki",
                organization_id=ORGANIZATION,
                server_url=URL,
                transport_type="sse",
                auth_type="api_key",
                credentials={"api_key": TOKEN},
            )
            return made, client.mcp_configurations.get_mcp_configuration(made.id)

    made, again = await asyncio.to_thread(ask)
    assert again == made
