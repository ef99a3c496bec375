"""How assistants are written and read."""

import json
from typing import Any

import pytest
from msgspec import Raw

from freddy.server.core import errors
from freddy.server.core.assistants import Assistant, Settings
from freddy.server.core.request import Output, Reasoning, Schema
from freddy.server.core.toolspec import Approval, Which
from freddy.server.dialects.freddy import aliases
from freddy.server.dialects.freddy import assistants as wire
from freddy.server.resources.base import Kept

SCHEMA = {"id": "tea", "schema": {"type": "object"}, "description": "A tea", "strict": False}
EVERYTHING: dict[str, Any] = {
    "name": "Support",
    "organization_id": "org_1",
    "description": "For customers",
    "default_model_key": "gpt-4o",
    "instructions": "Be kind.",
    "system_message": [{"role": "system", "content": "You are a fox."}],
    "temperature": 0.1,
    "top_p": 0.2,
    "presence_penalty": 0.3,
    "frequency_penalty": 0.4,
    "top_logprobs": 2,
    "seed": 7,
    "stop_sequences": ["END"],
    "verbosity": "low",
    "max_completion_tokens": 50,
    "output_mode": "json_schema",
    "json_schemas": [SCHEMA],
    "reasoning": {"effort": "low", "summary": "auto"},
    "max_tool_calls": 3,
    "parallel_tool_calls": True,
    "context_strategy": "smart",
    "truncation": True,
    "store_responses": False,
    "rule_ids": ["rule_1"],
    "vector_store_ids": ["vs_1"],
    "allowed_model_providers": ["openai"],
    "is_active": False,
    "api_enabled": False,
    "access_mode": "restricted",
    "access_users": ["usr_1"],
    "editable_by_users": ["usr_2"],
    "visible_in_chat_to_users": ["usr_3"],
    "metadata": {"a": "b"},
    "access_departments": ["dep_1"],
    "avatar_id": "av_1",
    "context_window": 4096,
    "editable_by_roles": ["role_1"],
    "icon_data": "data",
    "icon_id": "icon_1",
    "icon_type": "svg",
    "instructions_thread_id": "thrd_1",
    "is_default": True,
    "logit_bias": {"50256": -100},
    "memory_enabled": True,
    "moderation_enabled": False,
    "preset_prompts": ["What is tea?"],
    "public_enabled": False,
    "safety_level": "high",
    "service_tier": "auto",
    "streaming": True,
    "text_config": {"a": 1},
    "tool_configurations": {"system_tools": {"web_search": {"mode": "auto"}}, "mcp_tools": [], "streamline_tools": []},
    "visible_to_roles": ["role_2"],
}
SETTINGS = Settings(
    model="gpt-4o",
    instructions="Be kind.",
    system_message=("You are a fox.",),
    temperature=0.1,
    top_p=0.2,
    presence_penalty=0.3,
    frequency_penalty=0.4,
    top_logprobs=2,
    seed=7,
    stop=("END",),
    verbosity="low",
    max_output_tokens=50,
    output=Output("json_schema", (Schema("tea", Raw(b'{"type":"object"}'), "A tea", False),)),
    reasoning=Reasoning("minimal", "auto"),
    max_tool_calls=3,
    parallel_tool_calls=True,
    context_mode="smart",
    truncation="auto",
    store=False,
)


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def new(**changes: Any) -> Assistant:
    return wire.decode_new(body({"name": "Support", **changes})).assistant


def kept(name: str, assistant: Assistant, **changes: Any) -> Kept[Assistant]:
    facts: dict[str, Any] = {"id": "asst_1", "organization_id": "org_1", "created_at": 1_000, "updated_at": 2_000}
    return Kept(name=name, value=assistant, **{**facts, **changes})


def seen(name: str, assistant: Assistant) -> dict[str, Any]:
    return json.loads(wire.encode_assistant(wire.Told(kept(name, assistant), "edit")))


def after(assistant: Assistant, **change: Any) -> Assistant:
    return wire.decode_change(body(change)).apply("Support", assistant)[1]


def test_everything_that_can_be_said_is_read():
    asked = wire.decode_new(body(EVERYTHING))
    assert (asked.name, asked.organization_id) == ("Support", "org_1")
    assert asked.assistant.settings == SETTINGS
    assert asked.assistant == Assistant(
        description="For customers",
        settings=SETTINGS,
        rules=("rule_1",),
        vector_store_ids=("vs_1",),
        providers=("openai",),
        active=False,
        api_enabled=False,
        access="restricted",
        users=("usr_1",),
        editors=("usr_2",),
        chatters=("usr_3",),
        metadata={"a": "b"},
        kept=asked.assistant.kept,
    )
    assert asked.assistant.kept.keys() == wire.KEPT.keys()


def test_everything_that_was_said_is_told():
    told = seen("Support", new(**EVERYTHING))
    assert {name: told[name] for name in EVERYTHING} == EVERYTHING
    assert (
        told
        | {
            "id": "asst_1",
            "object": "assistant",
            "version": 1,
            "created_by": "anonymous",
            "created_at": 1_000,
            "updated_at": 2_000,
            "deleted_at": None,
            "user_access_level": "edit",
            "response_format": None,
            "workflow_id": None,
            "workflow_based": False,
        }
        == told
    )


def test_every_field_is_tried_here():
    said = {aliases.ASSISTANT[name] for name in EVERYTHING}
    assert said == set(aliases.ASSISTANT.values()) - {"expected_version", "response_format"}


def test_a_name_is_enough():
    assert new() == Assistant()
    told = seen("Support", Assistant())
    assert (told["temperature"], told["default_model_key"], told["context_strategy"]) == (None, None, "auto")
    assert (told["access_mode"], told["is_active"], told["rule_ids"]) == ("organization", True, [])


@pytest.mark.parametrize("spelling", sorted(set(aliases.ASSISTANT) - {"name"}))
def test_every_spelling_of_a_field_says_the_same(spelling):
    canonical = {aliases.ASSISTANT[name]: value for name, value in EVERYTHING.items()}
    canonical |= {"expected_version": 1, "response_format": {"type": "json_schema", **SCHEMA}}
    name = aliases.ASSISTANT[spelling]
    value = canonical[name]
    more = {"json_schema": [SCHEMA]} if name == "output_mode" else {}
    reference = {**more, name: value}
    assert wire.decode_new(body({"name": "S", **more, spelling: value})) == wire.decode_new(
        body({"name": "S", **reference})
    )


def test_null_is_as_good_as_absent():
    nulls = dict.fromkeys(set(aliases.ASSISTANT) - {"name"})
    assert wire.decode_new(body({"name": "S", **nulls})).assistant == Assistant()


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": 3}, "name"),
        ({"instructions": "x" * 5_001}, "instructions"),
        ({"description": "x" * 2_001}, "description"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"topP": -1}, "topP"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"seed": 1.5}, "seed"),
        ({"stop_sequences": list("abcde")}, "stop_sequences"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"output_mode": "json_schema"}, "json_schema"),
        ({"output_mode": "xml"}, "output_mode"),
        ({"json_schemas": [{"id": "a b", "schema": {}}]}, "json_schemas[0].id"),
        ({"reasoning": {"effort": "hard"}}, "reasoning.effort"),
        ({"system_message": [{"role": "user", "content": "x"}]}, "system_message[0].role"),
        ({"system_message": [{"role": "system"}]}, "system_message[0].content"),
        ({"system_message": ["ok", 3]}, "system_message[1]"),
        ({"system_message": ["x" * 5_001]}, "system_message[0]"),
        ({"max_tool_calls": -1}, "max_tool_calls"),
        ({"truncation": "sometimes"}, "truncation"),
        ({"context_strategy": "new"}, "context_strategy"),
        ({"access_mode": "secret"}, "access_mode"),
        ({"access_users": ["usr_1", ""]}, "access_users"),
        ({"access_users": [f"usr_{n}" for n in range(101)]}, "access_users"),
        ({"rule_ids": ["rule_1", 3]}, "rule_ids[1]"),
        ({"rule_ids": "rule_1"}, "rule_ids"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"is_active": "yes"}, "is_active"),
        ({"icon_id": 3}, "icon_id"),
        ({"logit_bias": []}, "logit_bias"),
        ({"preset_prompts": [1]}, "preset_prompts[0]"),
        ({"context_window": -1}, "context_window"),
        ({"organization_id": ""}, "organization_id"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(said, param):
    with pytest.raises(errors.InvalidValue) as refused:
        wire.decode_new(body({"name": "S", **said}))
    assert refused.value.param == param
    assert refused.value.details


def test_an_unknown_field_is_refused_with_the_nearest_known_one():
    with pytest.raises(errors.UnknownParameter) as refused:
        wire.decode_new(body({"name": "S", "instruction": "x"}))
    assert (refused.value.param, refused.value.details) == ("instruction", "did you mean instructions?")
    with pytest.raises(errors.UnknownParameter):
        wire.decode_change(body({"instruction": "x"}))


def test_two_spellings_that_disagree_are_refused():
    with pytest.raises(errors.InvalidValue):
        new(model="a", default_model_key="b")


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("You are a fox.", ("You are a fox.",)),
        (["A", {"text": "B"}, {"type": "text", "content": "C"}, {"role": "developer", "content": "D"}], tuple("ABCD")),
        ([], ()),
        ("", ()),
    ],
)
def test_system_messages_may_be_texts_or_objects(said, read):
    assert new(system_message=said).settings.system_message == read


@pytest.mark.parametrize(
    ("said", "read"), [(False, "disabled"), ("auto", "auto"), ("disabled", "disabled"), (None, None)]
)
def test_truncation_is_a_flag_or_a_word(said, read):
    assert new(truncation=said).settings.truncation == read


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({"output_mode": "text"}, Output()),
        ({"output_mode": "plain"}, Output()),
        ({"response_format": "json_object"}, Output("json")),
        ({"response_format": {"type": "json_object"}}, Output("json")),
        ({"json_schemas": []}, None),
        ({"json_schemas": [], "output_mode": "json"}, Output("json")),
    ],
)
def test_the_form_of_the_answer_has_several_spellings(said, read):
    assert new(**said).settings.output == read


@pytest.mark.parametrize("spelling", ["mcp_tools", "mcpTools"])
def test_mcp_servers_are_read_as_those_of_a_request_and_come_back_as_they_came(spelling):
    entries = [
        {"server_label": "wiki", "server_url": "https://mcp.example.com/mcp", "allowed_tools": ["search"]},
        {"type": "mcp", "server_label": "sums", "configuration_id": "mcp_config_1", "require_approval": "never"},
    ]
    assistant = new(tool_configurations={spelling: entries, "system_tools": {}})
    assert json.loads(bytes(assistant.kept["tool_configurations"])) == {spelling: entries, "system_tools": {}}
    wiki, sums = assistant.servers
    assert (wiki.server_label, wiki.server_url, wiki.allowed) == ("wiki", entries[0]["server_url"], Which(("search",)))
    assert (sums.server_label, sums.configuration_id, sums.approval) == ("sums", "mcp_config_1", Approval("never"))
    assert after(assistant, name="Another").servers == assistant.servers
    assert after(assistant, tool_configurations=None).servers == ()


@pytest.mark.parametrize(
    ("entry", "param"),
    [
        ({"server_label": "x", "server_url": "https://a.example", "authorization": "s3cret"}, "authorization"),
        ({"server_label": "x", "server_url": "https://a.example", "headers": {"a": "s3cret"}}, "headers"),
        ({"server_label": "x", "connector_id": "connector_gmail"}, "connector_id"),
        ({"server_label": "x"}, ""),
        ({"server_label": "x", "server_url": "https://a.example", "type": "function"}, "type"),
        ({"server_label": "functions", "server_url": "https://a.example"}, "server_label"),
        ({"server_label": "x", "server_url": "https://a.example", "unknown": 1}, "unknown"),
        ("odd", ""),
    ],
)
def test_an_mcp_server_that_could_not_be_called_is_refused_with_its_place(entry, param):
    with pytest.raises(errors.FreddyError) as raised:
        new(tool_configurations={"mcp_tools": [entry]})
    place = "tool_configurations.mcp_tools[0]"
    assert raised.value.param == (f"{place}.{param}" if param else place)
    assert "s3cret" not in str(raised.value)


# --- Changes ----------------------------------------------------------------------------------

FULL = new(**EVERYTHING)


def test_a_change_that_says_nothing_changes_nothing():
    assert wire.decode_change(b"").apply("Support", FULL) == ("Support", FULL)


def test_what_a_change_leaves_out_stays():
    changed = after(FULL, temperature=1, isActive=True)
    assert seen("Support", changed) == seen("Support", FULL) | {"temperature": 1.0, "is_active": True}


def test_null_takes_away():
    gone = dict.fromkeys(set(EVERYTHING) - {"name", "organization_id"})
    assert after(FULL, **gone) == Assistant()


def test_the_name_can_be_changed_and_not_taken_away():
    assert wire.decode_change(body({"name": "New"})).apply("Old", FULL) == ("New", FULL)
    with pytest.raises(errors.InvalidValue) as refused:
        after(FULL, name=None)
    assert refused.value.param == "name"


def test_a_change_tells_its_rules_organization_and_version():
    change = wire.decode_change(body({"ruleIds": ["rule_2"], "organizationId": "org_1", "expected_version": 4}))
    assert (change.rules, change.organization_id, change.expected_version) == (("rule_2",), "org_1", 4)
    assert change.apply("Support", FULL)[1].rules == ("rule_2",)


def test_metadata_may_be_called_as_the_published_client_calls_it():
    assert after(FULL, assistant_metadata={"c": "d"}).metadata == {"c": "d"}


@pytest.mark.parametrize(
    ("change", "mode", "schemas"),
    [
        ({"output_mode": "text"}, "text", 0),
        ({"outputMode": "json"}, "json", 0),
        ({"output_mode": "json_schema"}, "json_schema", 1),
        ({"output_mode": None}, None, 0),
        ({"json_schemas": [SCHEMA, {**SCHEMA, "id": "b"}]}, "json_schema", 2),
        ({"json_schemas": None}, None, 0),
        ({"response_format": "json_object"}, "json", 0),
        ({"temperature": 0}, "json_schema", 1),
    ],
)
def test_an_answer_has_one_form_after_a_change(change, mode, schemas):
    told = seen("Support", after(FULL, **change))
    assert (told["output_mode"], len(told["json_schemas"])) == (mode, schemas)


def test_schemas_replace_another_mode():
    assert after(new(output_mode="text"), json_schemas=[SCHEMA]).settings.output == SETTINGS.output


# --- Lists, history, defaults -----------------------------------------------------------------


def listed(detail: wire.Detail, assistant: Assistant) -> dict[str, Any]:
    answer = wire.encode_list(
        [wire.Told(kept("Support", assistant), "view")],
        detail=detail,
        pagination=wire.Pagination(total=1, limit=20, offset=0, has_more=False),
        filters=wire.AssistantFilters(
            search=None, access_mode=None, include_inactive=False, sort_by="name", sort_order="asc"
        ),
        user=wire.AssistantUser(user_id="key_1", organization_count=1),
        organization_id="org_1",
    )
    (one,) = json.loads(answer)["assistants"]
    return one


def test_a_list_tells_more_or_less():
    summary, standard, full = (listed(detail, FULL) for detail in ("summary", "standard", "full"))
    assert summary == {
        "id": "asst_1",
        "object": "assistant",
        "name": "Support",
        "description": "For customers",
        "icon_id": "icon_1",
        "icon_url": None,
        "icon_type": "svg",
        "icon_data": "data",
        "is_default": True,
        "created_at": 1_000,
        "updated_at": 2_000,
        "version": 1,
        "access_mode": "restricted",
        "api_enabled": False,
        "is_active": False,
        "temperature": 0.1,
        "user_access_level": "view",
        "workflow_id": None,
        "workflow_version": None,
        "workflow_based": False,
    }
    assert standard == summary | {
        "default_model_key": "gpt-4o",
        "allowed_model_providers": ["openai"],
        "context_strategy": "smart",
    }
    assert full == seen("Support", FULL) | {"user_access_level": "view"}


def test_a_short_list_has_a_value_for_everything():
    told = listed("standard", Assistant())
    assert (told["temperature"], told["default_model_key"], told["context_strategy"]) == (1.0, "ftg-3.0", "auto")


def test_history_tells_what_each_version_changed():
    first = kept("Support", new(temperature=0.1, icon_id="a"), created_by="usr_1")
    second = kept("Help", new(temperature=0.2), created_by=None, version=2, updated_at=3_000)
    told = json.loads(
        wire.encode_history(
            [wire.entry(second, first), wire.entry(first, None)],
            pagination=wire.Pagination(total=2, limit=20, offset=0, has_more=False),
        )
    )
    facts = {"resource_type": "assistant", "resource_id": "asst_1", "user_name": "", "user_email": ""}
    assert told["audit_logs"] == [
        {
            **facts,
            "id": "asst_1:2",
            "timestamp": 3_000,
            "resource_name": "Help",
            "action": "updated",
            "user_id": "anonymous",
            "changes": [
                {"field": "icon_id", "old_value": "a", "new_value": None},
                {"field": "name", "old_value": "Support", "new_value": "Help"},
                {"field": "temperature", "old_value": 0.1, "new_value": 0.2},
            ],
            "metadata": {"version": 2},
        },
        {
            **facts,
            "id": "asst_1:1",
            "timestamp": 2_000,
            "resource_name": "Support",
            "action": "created",
            "user_id": "usr_1",
            "changes": [],
            "metadata": {"version": 1},
        },
    ]


def test_defaults_of_an_organization_are_read_and_told_like_an_assistants():
    said = {name: value for name, value in EVERYTHING.items() if name in aliases.DEFAULTS}
    settings = wire.decode_defaults(said, "defaults")
    assert settings == SETTINGS
    assert json.loads(json.dumps(said)) == json.loads(wire.encode_defaults(settings))
    assert wire.decode_defaults({}, "defaults") == Settings()
    with pytest.raises(errors.InvalidValue) as refused:
        wire.decode_defaults({"temperature": 3}, "defaults")
    assert refused.value.param == "defaults.temperature"
    with pytest.raises(errors.UnknownParameter) as unknown:
        wire.decode_defaults({"rule_ids": []}, "defaults")
    assert unknown.value.param == "defaults.rule_ids"
    with pytest.raises(errors.InvalidValue):
        wire.decode_defaults("none", "defaults")


def test_a_body_that_is_nested_too_deeply_is_refused():
    with pytest.raises(errors.InvalidJson):
        wire.decode_new(b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
