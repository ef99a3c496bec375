"""The assistants of the platform's published client: every operation that is served, and its typed answer."""

import asyncio

import pytest
from aitronos import ToolConfigurationSchema
from aitronos.core.api_error import ApiError
from aitronos.errors.unprocessable_entity_error import UnprocessableEntityError
from aitronos.types.assistant_response import AssistantResponse
from aitronos.types.assistant_standard_response import AssistantStandardResponse
from aitronos.types.assistant_summary_response import AssistantSummaryResponse
from aitronos.types.audit_log_list_response import AuditLogListResponse
from aitronos.types.reasoning_config_schema import ReasoningConfigSchema
from aitronos.types.system_tool_schema import SystemToolSchema

from freddy.server.accounts import development

ORGANIZATION = development.ORGANIZATIONS[0]
SCHEMA = {"id": "tea", "schema": {"type": "object"}, "description": None, "strict": True}
FIELDS = {
    "description": "For customers",
    "avatar_id": "av_1",
    "icon_id": "icon_1",
    "icon_type": "svg",
    "icon_data": "data",
    "is_default": True,
    "default_model_key": "gpt-4o",
    "allowed_model_providers": ["stage"],
    "instructions": "Be kind.",
    "instructions_thread_id": "thrd_1",
    "system_message": [{"role": "system", "content": "You are a fox."}],
    "context_strategy": "smart",
    "context_window": 4096,
    "max_tool_calls": 3,
    "parallel_tool_calls": True,
    "service_tier": "auto",
    "store_responses": True,
    "temperature": 0.2,
    "frequency_penalty": 0.3,
    "presence_penalty": 0.4,
    "logit_bias": {"50256": -100},
    "top_logprobs": 2,
    "top_p": 0.5,
    "seed": 7,
    "stop_sequences": ["END"],
    "max_completion_tokens": 50,
    "access_mode": "restricted",
    "access_departments": ["dep_1"],
    "access_users": ["usr_1"],
    "editable_by_users": ["*"],
    "visible_in_chat_to_users": ["*"],
    "editable_by_roles": ["role_1"],
    "visible_to_roles": ["role_2"],
    "api_enabled": True,
    "public_enabled": False,
    "is_active": True,
    "streaming": True,
    "memory_enabled": False,
    "moderation_enabled": False,
    "safety_level": "high",
    "truncation": True,
    "preset_prompts": ["What is tea?"],
    "text_config": {"format": "markdown"},
    "vector_store_ids": ["vs_1"],
}
TOOLS = ToolConfigurationSchema(
    system_tools={"web_search": SystemToolSchema(mode="auto", sources=True)}, mcp_tools=[], streamline_tools=["auto_1"]
)
REASONING = ReasoningConfigSchema(effort="low", summary="auto")


async def test_everything_that_is_sent_is_kept_and_comes_back_typed(platform):
    made = await platform.client.assistants.create_assistant(
        name="Support",
        organization_id=ORGANIZATION,
        output_mode="json_schema",
        json_schemas=[SCHEMA],
        metadata={"team": "tea"},
        tool_configurations=TOOLS,
        reasoning=REASONING,
        rule_ids=[],
        **FIELDS,
    )
    assert isinstance(made, AssistantResponse)
    assert {name: getattr(made, name) for name in FIELDS} == FIELDS
    assert (made.name, made.organization_id, made.metadata) == ("Support", ORGANIZATION, {"team": "tea"})
    assert (made.output_mode, made.response_format, made.rule_ids) == ("json_schema", None, [])
    assert made.model_extra["json_schemas"] == [SCHEMA]
    assert made.tool_configurations.system_tools["web_search"].mode == "auto"
    assert made.tool_configurations.streamline_tools == ["auto_1"]
    assert (made.reasoning.effort, made.reasoning.summary) == ("low", "auto")
    assert made.id.startswith("asst_")
    assert made.created_by.startswith("key_")
    assert made.created_at == made.updated_at > 1_700_000_000
    assert (made.deleted_at, made.icon_url, made.tool_capabilities) == (None, None, None)
    assert (made.workflow_id, made.workflow_version, made.workflow_based) == (None, None, False)
    assert made.user_access_level == "owner"
    assert await platform.client.assistants.get_assistant(made.id) == made


async def test_a_name_is_enough(platform):
    made = await platform.client.assistants.create_assistant(name="Fox", organization_id=ORGANIZATION)
    assert (made.temperature, made.default_model_key, made.instructions) == (None, None, None)
    assert (made.context_strategy, made.access_mode, made.is_active) == ("auto", "organization", True)


async def test_an_update_changes_what_it_names(platform):
    assistants = platform.client.assistants
    made = await assistants.create_assistant(name="Fox", organization_id=ORGANIZATION, **FIELDS)
    changed = await assistants.update_assistant(
        made.id,
        name="Vixen",
        temperature=0.9,
        assistant_metadata={"c": "d"},
        tool_configurations=TOOLS,
        reasoning=REASONING,
        vector_store_ids=[],
        rule_ids=[],
    )
    assert isinstance(changed, AssistantResponse)
    expected = FIELDS | {"temperature": 0.9, "vector_store_ids": []}
    assert {name: getattr(changed, name) for name in FIELDS} == expected
    assert (changed.name, changed.metadata, changed.reasoning.effort) == ("Vixen", {"c": "d"}, "low")
    everything = await assistants.update_assistant(made.id, **FIELDS)
    assert {name: getattr(everything, name) for name in FIELDS} == FIELDS


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (None, AssistantStandardResponse),
        ("summary", AssistantSummaryResponse),
        ("standard", AssistantStandardResponse),
        ("full", AssistantResponse),
    ],
)
async def test_a_list_has_assistants_as_detailed_as_asked(platform, fields, kind):
    assistants = platform.client.assistants
    made = await assistants.create_assistant(name="Fox", organization_id=ORGANIZATION, **FIELDS)
    page = await assistants.list_assistants(organization_id=ORGANIZATION, fields=fields)
    (one,) = page.assistants
    assert isinstance(one, kind)
    for name, value in one.model_dump().items():
        if name != "object":
            assert getattr(made, name, value) == value
    assert (page.total, page.organization_id) == (1, ORGANIZATION)
    assert page.pagination.model_dump() == {"total": 1, "limit": 20, "offset": 0, "has_more": False}
    assert page.user_context.user_id == made.created_by
    assert page.user_context.organization_count >= 1


async def test_a_list_is_filtered_sorted_and_cut(platform):
    assistants = platform.client.assistants
    for name in ("beta", "Alpha", "gamma"):
        await assistants.create_assistant(
            name=name,
            organization_id=ORGANIZATION,
            vector_store_ids=["vs_1"] if name == "beta" else [],
            is_active=name != "gamma",
            access_mode="public" if name == "Alpha" else "organization",
        )

    async def names(**query):
        page = await assistants.list_assistants(organization_id=ORGANIZATION, **query)
        return [one.name for one in page.assistants]

    assert await names(sort_by="name", sort_order="asc") == ["Alpha", "beta"]
    assert await names(sort_by="name", sort_order="desc", include_inactive=True) == ["gamma", "beta", "Alpha"]
    assert await names(search="ALP") == ["Alpha"]
    assert await names(access_mode="public") == ["Alpha"]
    assert await names(vector_store_id="vs_1") == ["beta"]
    assert await names(visible_in_chat=True, for_chat=True, limit=1, offset=1, sort_by="name") == ["Alpha"]
    page = await assistants.list_assistants(organization_id=ORGANIZATION, search="a", limit=1)
    assert page.pagination.model_dump() == {"total": 2, "limit": 1, "offset": 0, "has_more": True}
    assert page.filters_applied.model_dump() == {
        "search": "a",
        "access_mode": None,
        "include_inactive": False,
        "sort_by": "created_at",
        "sort_order": "desc",
    }


async def test_the_history_tells_who_changed_what(platform):
    assistants = platform.client.assistants
    made = await assistants.create_assistant(name="Fox", organization_id=ORGANIZATION, temperature=0.1)
    await assistants.update_assistant(made.id, temperature=0.2)
    told = await assistants.get_assistant_history(made.id)
    assert isinstance(told, AuditLogListResponse)
    newest, oldest = told.audit_logs
    assert (newest.action, oldest.action) == ("updated", "created")
    assert (newest.resource_type, newest.resource_id, newest.resource_name) == ("assistant", made.id, "Fox")
    assert (newest.user_id, newest.user_name, newest.user_email) == (made.created_by, "", "")
    assert newest.timestamp >= oldest.timestamp == made.created_at
    assert [(one.field, one.old_value, one.new_value) for one in newest.changes] == [("temperature", 0.1, 0.2)]
    assert (newest.metadata, oldest.changes) == ({"version": 2}, [])
    assert told.pagination.model_dump() == {"total": 2, "limit": 20, "offset": 0, "has_more": False}
    some = await assistants.get_assistant_history(
        made.id, action="created", user_id=made.created_by, start_date="2001-01-01", end_date="2999-01-01", limit=5
    )
    assert [one.id for one in some.audit_logs] == [oldest.id]


async def test_a_deleted_assistant_is_gone(platform):
    assistants = platform.client.assistants
    made = await assistants.create_assistant(name="Fox", organization_id=ORGANIZATION)
    assert await assistants.delete_assistant(made.id) is None
    for ask in (assistants.get_assistant, assistants.delete_assistant, assistants.get_assistant_history):
        with pytest.raises(ApiError) as missing:
            await ask(made.id)
        assert missing.value.status_code == 404


async def test_what_makes_no_sense_is_told_in_the_clients_own_error(platform):
    with pytest.raises(UnprocessableEntityError) as refused:
        await platform.client.assistants.create_assistant(name="Fox", organization_id=ORGANIZATION, temperature=3)
    assert refused.value.body["error"]["param"] == "temperature"
    with pytest.raises(ApiError) as away:
        await platform.client.assistants.list_assistants(organization_id="org_elsewhere")
    assert away.value.status_code == 403


async def test_the_synchronous_client_does_the_same(platform):
    def use():
        with platform.sync() as client:
            made = client.assistants.create_assistant(name="Fox", organization_id=ORGANIZATION, **FIELDS)
            changed = client.assistants.update_assistant(made.id, name="Vixen")
            page = client.assistants.list_assistants(organization_id=ORGANIZATION, fields="full")
            history = client.assistants.get_assistant_history(made.id)
            same = client.assistants.get_assistant(made.id)
            client.assistants.delete_assistant(made.id)
            return changed, page, history, same

    changed, page, history, same = await asyncio.to_thread(use)
    assert (changed.name, page.assistants, same) == ("Vixen", [changed], changed)
    assert len(history.audit_logs) == 2
