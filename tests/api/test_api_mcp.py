"""MCP servers of requests: how they are named and reached, what may be seen and called, and what stays secret."""

import json
import logging
from typing import Any

import pytest
from gateway import MODELS, serving, settings, spelled
from tool_stage import (
    ASKS,
    FIVE,
    TWO_AND_THREE,
    approval,
    both,
    called,
    calls,
    files_below,
    item,
    kinds,
    listed,
    mcp,
    offered,
    outputs,
    refused,
)

from freddy.server.config import Upstream as UpstreamSettings
from freddy.server.config import settings as parts
from mcp_servers import PIXEL, everything, python_server
from promises import promise
from seen import check_stream
from simulators.messages import Messages
from simulators.responses import Responses
from upstream import Answer, text

TOKEN = "token-of-the-mcp-server-0123456789"
HEADER = "header-of-the-mcp-server-0123456789"
NOWHERE = "http://127.0.0.1:9/mcp"
LOCAL = parts.Network(allow_private=("127.0.0.0/8",))


@promise(187, 188, 191, 193, 195, 196)
@both
async def test_a_server_is_called_with_its_secrets_which_are_told_to_nobody_else(
    gateway, upstream, tmp_path, caplog, dialect
):
    caplog.set_level(logging.DEBUG)
    async with python_server(token=TOKEN) as server:
        tool = mcp(
            server,
            "always",
            authorization=TOKEN,
            headers={"x-team": HEADER},
            server_description="Sums of all kinds",
            server_label="deep-sums",
        )
        upstream.says(Answer(calls()), FIVE)
        told = await gateway.told(dialect, tools=[tool], background=True)
        check_stream(told, dialect)
        response = told.last["response"]
        answered = await gateway.told(
            dialect,
            tools=[tool],
            previous_response_id=response["id"],
            input=[approval(item(response, ASKS[dialect])["id"])],
        )
        wrong = await gateway.post(*spelled(dialect, tools=[{**tool, "server_label": "deep sums"}]))
        unknown = await gateway.post(*spelled(dialect, tools=[tool], model="nobody"))
    made = item(answered.last["response"], "mcp_call")
    assert (made["server_label"], made["output"]) == ("deep-sums", "5")
    assert item(response, "mcp_list_tools")["server_label"] == "deep-sums"
    asked = [seen.headers for seen in server.ledger.requests]
    assert {headers.get("authorization") for headers in asked} == {f"Bearer {TOKEN}"}
    assert {headers.get("x-team") for headers in asked} == {HEADER}
    assert wrong.status_code in (400, 422)
    assert unknown.status_code == 404
    kept = [json.dumps(await listed(gateway, one["id"], way)) for one in (response,) for way in ("freddy", "openai")]
    everything_told = [
        told.raw.decode(),
        answered.raw.decode(),
        wrong.text,
        unknown.text,
        *kept,
        (await gateway.get(f"/v1/responses/{response['id']}/input_items")).text,
        (await gateway.get("/metrics")).text,
        json.dumps([one.body for one in upstream.calls]),
        "\n".join(record.getMessage() + str(record.__dict__) for record in caplog.records if record.name != "httpx2"),
    ]
    for secret in (TOKEN, HEADER):
        assert all(secret not in one for one in everything_told)
        assert secret.encode() not in files_below(tmp_path)


@promise(193)
@both
async def test_a_server_that_repeats_its_secret_is_not_repeated(gateway, upstream, server, dialect):
    upstream.says(
        Answer(calls("whoami", "{}")),
        Answer(calls("fail", f'{{"reason":"no use for Bearer {TOKEN[:20]}"}}', "call_2")),
        FIVE,
    )
    told = await gateway.told(dialect, tools=[mcp(server, authorization=TOKEN[:20])])
    first, second = (one for one in told.last["response"]["output"] if one["type"] == "mcp_call")
    assert (first["status"], second["status"]) == ("completed", "failed")
    assert TOKEN[:20] not in json.dumps([first, outputs(upstream.last.body)[0]])
    assert TOKEN[:20] not in json.dumps(second["error"])


@both
async def test_a_server_that_wants_another_token_is_told_to_the_model(gateway, upstream, dialect):
    async with python_server(token=TOKEN) as server:
        upstream.says(FIVE)
        response = await gateway.ask(dialect, tools=[mcp(server, authorization="token-of-nobody")])
    assert kinds(response) == ["mcp_list_tools", "message"]
    assert response["status"] == "completed"
    error = item(response, "mcp_list_tools")["error"]
    assert "401" in error or "credential" in error
    assert "of-nobody" not in json.dumps(response)


@promise(190)
@both
async def test_a_saved_server_is_used_with_what_is_saved(gateway, upstream, dialect):
    async with python_server(token=TOKEN) as server:
        reply = await gateway.post(
            "/v1/mcp-configurations",
            {
                "name": "Sums",
                "server_url": server.url,
                "auth_type": "bearer_token",
                "credentials": {"token": TOKEN},
                "headers": {"x-team": HEADER},
                "tool_configuration": {"allowed_tools": ["add", "echo"], "require_approval": {"allow": ["add"]}},
            },
        )
        assert reply.status_code == 201, reply.text
        tool = {"type": "mcp", "server_label": "saved", "configuration_id": reply.json()["id"]}
        upstream.says(Answer(calls(), calls("echo", '{"text":"six"}', "call_2", 1)))
        response = await gateway.ask(dialect, tools=[tool], parallel_tool_calls=True)
        assert offered(upstream.last.body) == ["add", "echo"]
        assert kinds(response) == ["mcp_list_tools", "mcp_call", ASKS[dialect]]
        assert item(response, "mcp_call")["output"] == "5"
        assert server.ledger.requests[-1].headers["x-team"] == HEADER
        upstream.says(FIVE)
        narrower = {**tool, "allowed_tools": ["echo", "sleep"], "require_approval": "never"}
        response = await gateway.ask(dialect, tools=[narrower])
        assert offered(upstream.last.body) == ["echo"]
    assert TOKEN not in json.dumps(response)


@both
async def test_a_saved_server_of_others_is_like_an_unknown_one(opened, upstream, server, dialect):
    gateway = await opened(dev=parts.Development(mode="off"), network=LOCAL)
    ours, theirs = await gateway.mint("org_ours"), await gateway.mint("org_theirs")
    reply = await gateway.post("/v1/mcp-configurations", {"name": "Sums", "server_url": server.url}, key=ours.secret)
    saved = reply.json()["id"]
    unknown = saved[:-4] + ("0000" if not saved.endswith("0000") else "1111")

    async def tried(configuration_id: str) -> tuple[int, str]:
        tool = {"type": "mcp", "server_label": "saved", "configuration_id": configuration_id}
        reply = await gateway.post(*spelled(dialect, tools=[tool]), key=theirs.secret)
        return reply.status_code, reply.text.replace(configuration_id, "ID")

    assert (await tried(saved))[0] == 404
    assert await tried(saved) == await tried(unknown)
    assert upstream.calls == []


ALLOWED: list[tuple[Any, list[str]]] = [
    (["add", "echo"], ["add", "echo"]),
    ({"tool_names": ["add", "echo"]}, ["add", "echo"]),
    ({"read_only": True}, ["add"]),
    ({"tool_names": ["add", "echo"], "read_only": False}, ["echo"]),
]
WIDER: list[tuple[str, Any]] = [
    ("allowed_tools", {"include": ["add"]}),
    ("allowed_tools", {"tool_names": ["add"], "exclude": ["ask"]}),
    ("require_approval", {"always": {"names": ["add"]}}),
    ("require_approval", {"allow": ["add"]}),
]


@pytest.mark.parametrize(("name", "value"), WIDER, ids=str)
async def test_what_is_not_understood_of_a_restriction_does_not_widen_it(gateway, upstream, server, name, value):
    told = await gateway.post("/v1/responses", {"model": "m", "input": "Hi", "tools": [mcp(server, **{name: value})]})
    assert told.status_code == 400
    assert told.json()["error"]["param"].startswith(f"tools[0].{name}")
    assert upstream.calls == []


@both
async def test_a_choice_of_a_tool_that_the_server_does_not_have_is_refused(gateway, upstream, server, dialect):
    choice = {"type": "mcp", "server_label": mcp(server)["server_label"], "name": "nope"}
    reply = await gateway.post(*spelled(dialect, tools=[mcp(server)], tool_choice=choice))
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "tool_choice")
    assert upstream.calls == []


@promise(197)
@both
@pytest.mark.parametrize(("allowed", "seen"), ALLOWED, ids=str)
async def test_a_request_says_which_tools_may_be_seen(gateway, upstream, server, dialect, allowed, seen):
    upstream.says(Answer(calls("sleep", '{"seconds":0}')), FIVE)
    response = await gateway.ask(dialect, tools=[mcp(server, allowed_tools=allowed)])
    assert offered(upstream.calls[0].body) == seen
    assert [tool["name"] for tool in item(response, "mcp_list_tools")["tools"]] == seen
    # What was not offered is nobody's: the model is told so.
    assert kinds(response) == ["mcp_list_tools", "function_call", "function_call_output", "message"]
    assert server.ledger.calls == []


@promise(198)
@pytest.mark.parametrize(
    ("allowed", "seen"),
    [
        ({"include": ["*o*"], "exclude": ["who*"]}, ["echo", "count", "sound", "grow"]),
        ({"include": ["add", "pic*"]}, ["add", "picture"]),
        ({"exclude": ["*e*", "*i*", "s*"]}, ["add", "count", "grow", "ask"]),
    ],
    ids=str,
)
async def test_patterns_include_and_exclude_tools(gateway, upstream, server, allowed, seen):
    await gateway.ask("freddy", tools=[mcp(server, allowed_tools=allowed)])
    assert offered(upstream.last.body) == seen


APPROVALS: list[tuple[Any, bool, bool]] = [  # as asked, whether `add` (which only reads) waits, and `echo`
    ("always", True, True),
    ("never", False, False),
    (None, True, True),
    ({"always": {"tool_names": ["echo"]}, "never": {"read_only": True}}, False, True),
    ({"never": {"tool_names": ["echo"]}}, True, False),
]


@promise(199)
@both
@pytest.mark.parametrize(("asked", "add", "echo"), APPROVALS, ids=str)
async def test_a_request_says_which_calls_wait(gateway, upstream, server, dialect, asked, add, echo):
    tool = mcp(server, asked)
    if asked is None:
        del tool["require_approval"]
    both_called = Answer(calls(), calls("echo", '{"text":"six"}', "call_2", 1))
    upstream.says(both_called, FIVE)
    response = await gateway.ask(dialect, tools=[tool], parallel_tool_calls=True)
    waits = {one["name"]: one["type"] == ASKS[dialect] for one in response["output"] if "name" in one}
    assert waits == {"add": add, "echo": echo}
    assert [one.tool for one in server.ledger.calls] == [
        name for name, waiting in (("add", add), ("echo", echo)) if not waiting
    ]


@promise(200)
@pytest.mark.parametrize(
    ("asked", "add", "echo"),
    [
        ({"require": ["a*"], "allow": ["*"]}, True, False),
        ({"allow": ["e*"]}, True, False),
        ({"require": ["echo"]}, True, True),
    ],
    ids=str,
)
async def test_patterns_say_which_calls_wait(gateway, upstream, server, asked, add, echo):
    await test_a_request_says_which_calls_wait(gateway, upstream, server, "freddy", asked, add, echo)


@both
async def test_tools_are_listed_once_in_a_conversation(gateway, upstream, server, dialect):
    first = await gateway.ask(dialect, tools=[mcp(server)])
    second = await gateway.ask(dialect, tools=[mcp(server)], previous_response_id=first["id"])
    third = await gateway.ask(dialect, tools=[mcp(server)], previous_response_id=second["id"])
    assert [kinds(one) for one in (first, second, third)] == [["mcp_list_tools", "message"], ["message"], ["message"]]
    assert server.ledger.asked("tools/list") == 1
    assert offered(upstream.last.body) == offered(upstream.calls[0].body)
    other = await gateway.ask(dialect, tools=[mcp(server)])
    assert kinds(other) == ["mcp_list_tools", "message"]


async def test_tools_are_listed_once_where_items_are_handed_back(gateway, server):
    for dialect in ("freddy", "openai"):
        before = server.ledger.asked("tools/list")
        user = {"role": "user", "content": "Hi"}
        first = await gateway.ask(dialect, tools=[mcp(server)], store=False, input=[user])
        inputs = [user, *first["output"], {"role": "user", "content": "So?"}]
        second = await gateway.ask(dialect, tools=[mcp(server)], store=False, input=inputs)
        assert kinds(second) == ["message"]
        assert server.ledger.asked("tools/list") - before <= 1


@both
async def test_two_servers_may_have_tools_of_the_same_name(gateway, upstream, server, dialect):
    async with python_server() as other:
        tools = [
            mcp(server, server_label="first", allowed_tools=["add"]),
            mcp(other, server_label="second", allowed_tools=["add"]),
        ]
        upstream.says(
            Answer(calls("first__add"), calls("second__add", '{"a":4,"b":4}', "call_2", 1)),
            FIVE,
        )
        response = await gateway.ask(dialect, tools=tools, parallel_tool_calls=True)
        assert offered(upstream.calls[0].body) == ["first__add", "second__add"]
        made = [one for one in response["output"] if one["type"] == "mcp_call"]
        assert [(one["server_label"], one["name"], one["output"]) for one in made] == [
            ("first", "add", "5"),
            ("second", "add", "8"),
        ]
        assert [len(called(one)) for one in (server, other)] == [1, 1]
        again = await gateway.ask(dialect, tools=tools, previous_response_id=response["id"])
        said = [message for message in upstream.last.body["messages"] if message.get("tool_calls")]
        assert [one["function"]["name"] for one in said[0]["tool_calls"]] == ["first__add", "second__add"]
        assert kinds(again) == ["message"]


@promise(194)
@both
async def test_a_server_that_is_not_there_leaves_its_tools_out(gateway, upstream, server, dialect):
    upstream.says(Answer(calls()), FIVE)
    tools = [mcp(NOWHERE, server_label="gone"), mcp(server)]
    told = await gateway.told(dialect, tools=tools)
    check_stream(told, dialect)
    assert "response.mcp_list_tools.failed" in told.types
    gone, there = (one for one in told.last["response"]["output"] if one["type"] == "mcp_list_tools")
    assert (gone["server_label"], gone["tools"]) == ("gone", [])
    assert gone["error"]
    assert there["error"] is None
    assert told.last["response"]["output"][-1]["content"][0]["text"] == "Five."


@promise(194)
@both
async def test_a_call_of_a_tool_whose_server_is_away_is_not_handed_to_the_caller(gateway, upstream, dialect):
    upstream.says(Answer(calls()), Answer(text("It is away.")))
    response = await gateway.ask(dialect, tools=[mcp(NOWHERE, server_label="gone")])
    assert kinds(response) == ["mcp_list_tools", "function_call", "function_call_output", "message"]
    assert response["output"][-1]["content"][0]["text"] == "It is away."


@promise(194)
@both
async def test_a_server_that_goes_away_between_its_calls_is_told_to_the_model(gateway, upstream, dialect):
    async with python_server() as server:
        upstream.says(Answer(calls()), FIVE, Answer(calls(call_id="call_2")), Answer(text("It is away.")))
        first = await gateway.ask(dialect, tools=[mcp(server)])
        server.refuse = 503
        second = await gateway.ask(dialect, tools=[mcp(server)], previous_response_id=first["id"])
    assert (item(second, "mcp_call")["status"], item(second, "mcp_call")["output"]) == ("failed", None)
    assert second["output"][-1]["content"][0]["text"] == "It is away."
    assert outputs(upstream.last.body)[-1].startswith("Error: ")


@both
async def test_a_server_that_forgot_its_sessions_is_called_all_the_same(gateway, upstream, server, dialect):
    upstream.says(Answer(calls()), FIVE, Answer(calls(call_id="call_2")), FIVE)
    first = await gateway.ask(dialect, tools=[mcp(server)])
    await server.restart()
    second = await gateway.ask(dialect, tools=[mcp(server)], previous_response_id=first["id"])
    assert item(second, "mcp_call")["output"] == "5"
    assert len(called(server)) == 2


@both
async def test_private_addresses_are_called_only_where_that_is_allowed(closed, upstream, server, dialect):
    minted = await closed.mint("org_ours")
    for url in (server.url, "http://10.0.0.7/mcp", "http://[::1]/mcp", "http://169.254.169.254/latest/meta-data"):
        reply = await closed.post(*spelled(dialect, tools=[mcp(url)]), key=minted.secret)
        error = refused(reply, 400 if dialect == "openai" else 422)
        assert error["param"] == "tools[0].server_url"
    assert server.ledger.requests == []
    assert upstream.calls == []


async def test_networks_that_are_allowed_may_be_called(opened, upstream, server):
    gateway = await opened(dev=parts.Development(mode="off"), network=LOCAL)
    minted = await gateway.mint("org_ours")
    upstream.says(Answer(calls()), FIVE)
    reply = await gateway.post(*spelled("openai", tools=[mcp(server)]), key=minted.secret)
    assert item(reply.json(), "mcp_call")["output"] == "5"


@promise(188, 189, 192)
@both
async def test_a_server_is_named_once_and_in_one_way(gateway, upstream, server, dialect):
    status = 400 if dialect == "openai" else 422

    async def tried(*tools: Any) -> Any:
        return await gateway.post(*spelled(dialect, tools=list(tools)))

    plain = {"type": "mcp", "server_label": "sums"}
    for wrong in (
        plain,
        {**plain, "server_url": server.url, "configuration_id": "mcp_config_1"},
        {**plain, "server_url": server.url, "connector_id": "connector_gmail"},
        {**plain, "connector_id": "connector_carrier_pigeon"},
        {**plain, "server_url": "ftp://example.org"},
        {"type": "mcp", "server_url": server.url},
        {**mcp(server), "server_label": ""},
    ):
        error = refused(await tried(wrong), status)
        assert error["param"].startswith("tools[0]")
    twice = refused(await tried(mcp(server), mcp(NOWHERE)), status)
    assert twice["param"] == "tools[1].server_label"
    connector = refused(await tried({**plain, "connector_id": "connector_gmail"}), 400)
    assert connector["code"] == "connector_unavailable"
    assert upstream.calls == []
    assert server.ledger.requests == []


async def test_a_tool_is_taken_in_both_spellings_of_its_keys(gateway, upstream, server):
    upstream.says(Answer(calls()), FIVE)
    tool = {
        "type": "mcp",
        "serverLabel": "sums",
        "serverUrl": server.url,
        "serverDescription": "Sums",
        "allowedTools": {"include": ["add"]},
        "requireApproval": {"allow": ["add"]},
    }
    response = await gateway.ask("freddy", tools=[tool])
    assert item(response, "mcp_call")["result"] == "5"
    assert offered(upstream.calls[0].body) == ["add"]


@pytest.mark.parametrize(("transport", "legacy"), [("sse", False), ("streamable_http", True)])
async def test_older_servers_are_spoken_with_in_their_way(gateway, upstream, transport, legacy):
    async with python_server(transport, legacy=legacy) as server:
        upstream.says(Answer(calls()), FIVE)
        response = await gateway.ask("openai", tools=[mcp(server)])
    assert item(response, "mcp_call")["output"] == "5"


async def test_the_reference_server_of_node_is_called(gateway, upstream):
    async with everything() as url:
        upstream.says(
            Answer(calls("get-sum"), calls("echo", '{"message":"six"}', "call_2", 1)),
            FIVE,
        )
        told = await gateway.told("openai", tools=[mcp(url)], parallel_tool_calls=True)
    check_stream(told, "openai")
    made = [one for one in told.last["response"]["output"] if one["type"] == "mcp_call"]
    assert "5" in made[0]["output"]
    assert "six" in made[1]["output"]
    assert made[0]["arguments"] == TWO_AND_THREE


# What tools give back that is no text


@pytest.fixture(params=[Responses, Messages], ids=lambda kind: kind.kind)
async def seeing(request, tmp_path):
    """Vendors whose models see what tools show."""
    async with request.param() as vendor:
        stage = UpstreamSettings(
            name="stage",
            kind=vendor.kind,
            url=vendor.url,
            key="sk-vendor",
            models=MODELS,
            default_model="gpt-5" if vendor.kind == "openai" else "claude-sonnet-4-5",
        )
        async with serving(settings(tmp_path, vendor, upstreams=(stage,)), vendor) as gateway:
            yield gateway
        assert vendor.complaints == []


@pytest.mark.parametrize("tool", ["picture", "pages"])
async def test_pictures_and_pages_of_a_tool_reach_the_model(seeing, server, tool):
    vendor = seeing.upstream
    model = "gpt-5" if vendor.kind == "openai" else "claude-sonnet-4-5"
    vendor.says(Answer(calls(tool, "{}")), FIVE)
    response = await seeing.ask("openai", tools=[mcp(server)], model=model)
    assert response["output"][-1]["content"][0]["text"] == "Five."
    told = json.dumps(vendor.last.body)
    if tool == "picture":
        assert PIXEL in told
        assert PIXEL not in json.dumps(response)
        assert "image/png" in item(response, "mcp_call")["output"]
    else:
        assert "First page." in told
        assert "First page." in item(response, "mcp_call")["output"]
    # And again, from what was kept.
    await seeing.ask("openai", input="And?", previous_response_id=response["id"], model=model)
    assert (PIXEL if tool == "picture" else "First page.") in json.dumps(vendor.last.body)


async def test_a_picture_of_a_tool_reaches_a_model_behind_chat_completions(gateway, upstream, server):
    upstream.says(Answer(calls("picture", "{}")), FIVE)
    response = await gateway.ask("freddy", tools=[mcp(server)])
    assert response["response"] == "Five."
    # Outputs are texts there: what is seen is shown behind them.
    assert PIXEL in json.dumps(upstream.last.body["messages"][-1])


@both
async def test_a_long_result_is_told_without_harm(gateway, upstream, server, dialect):
    upstream.says(Answer(calls("big", '{"letters":100000}')), FIVE)
    told = await gateway.told(dialect, tools=[mcp(server)])
    check = [event for event in told.events if event["type"] == "response.output_item.done"]
    assert len(check) == 3
    response = told.last["response"]
    assert len(item(response, "mcp_call")["output"]) == 100_000
    assert outputs(upstream.last.body) == ["x" * 100_000]
    assert await listed(gateway, response["id"], "openai") is not None
