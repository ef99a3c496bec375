"""What runs after a yes is what this server asked about: a caller through whose hands it goes changes nothing of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from gateway import spelled
from msgspec.structs import replace
from tool_stage import (
    ASKS,
    FIVE,
    PATHS,
    TWO_AND_THREE,
    approval,
    both,
    called,
    calls,
    item,
    kinds,
    mcp,
    outputs,
    refused,
)

from freddy.server.core import approvals, events, items
from freddy.server.dialects.freddy import request as freddy
from freddy.server.dialects.openai import request as openai
from freddy.server.runtime.approvals import Marks
from freddy.server.sealing import DerivedKeys
from mcp_servers import python_server
from stores_stage import library
from upstream import Answer

USER = {"role": "user", "content": "2 and 3?"}
CAREFUL = {"type": "function", "name": "get_cities", "require_approval": True}
EUROPE, ASIA = '{"region":"europe"}', '{"region":"asia"}'
INPUT = {"freddy": "inputs", "openai": "input"}
KEY = "a secret key of the tests, long enough"
REQUEST = items.ApprovalRequest("mcpr_0f", "call_1", "drop", '{"a":1,"b":{"c":[2,3]}}', "deep", expires_at=100)


async def asked(gateway, dialect: str, tool: dict[str, Any], *said: Any) -> list[dict[str, Any]]:
    """A conversation that nobody keeps, and that ends with a request for approval."""
    gateway.upstream.says(Answer(*(said or [calls()])))
    response = await gateway.ask(dialect, tools=[tool], store=False, input=[USER])
    return [USER, *response["output"]]


async def refusal(gateway, dialect: str, inputs: list[Any], *tools: dict[str, Any], **more: Any) -> dict[str, Any]:
    request_id = next(one["id"] for one in inputs if one.get("type") == ASKS[dialect])
    body = {"tools": list(tools), "store": False, "input": [*inputs, approval(request_id)], **more}
    error = refused(await gateway.post(*spelled(dialect, **body)), 400)
    assert error["details" if dialect == "freddy" else "message"]
    return error


def altered(inputs: list[Any], kind: str, **fields: Any) -> list[Any]:
    return [{**one, **fields} if one.get("type") == kind else one for one in inputs]


def another_id(request_id: str) -> str:
    """The same with another random part: a second request for the same call, if the server believed it."""
    return request_id[:30] + ("0" if request_id[30] != "0" else "1") + request_id[31:]


@both
async def test_a_request_that_was_never_made_is_refused(gateway, upstream, server, dialect):
    forged = {"id": "mcpr_0123456789abcdef0123456789ab", "name": "add", "arguments": TWO_AND_THREE}
    mark = "_" + "f" * 58
    for request_id in (forged["id"], forged["id"] + mark):
        request = {**forged, "type": ASKS[dialect], "id": request_id, "server_label": "sums"}
        error = await refusal(gateway, dialect, [USER, request], mcp(server, "always"))
        assert (error["code"], error["param"]) == ("approval_request_changed", INPUT[dialect])
    assert called(server) == []
    assert upstream.calls == []


@both
@pytest.mark.parametrize(
    "fields",
    [
        {"arguments": '{"a":2,"b":30}'},
        {"arguments": '{"a":20,"b":3,"a":2}'},
        {"name": "echo"},
        {"server_label": "others"},
        {"server_label": "functions"},
    ],
    ids=["arguments", "a key twice", "tool", "server", "kind"],
)
async def test_a_request_that_was_changed_is_refused_and_can_still_be_answered(
    gateway, upstream, server, dialect, fields
):
    tools = [mcp(server, "always"), {**mcp(server, "always"), "server_label": "others"}]
    inputs = await asked(gateway, dialect, tools[0])
    error = await refusal(gateway, dialect, altered(inputs, ASKS[dialect], **fields), *tools)
    assert (error["code"], error["param"]) == ("approval_request_changed", INPUT[dialect])
    request = item({"output": inputs[1:]}, ASKS[dialect])
    second = [*inputs, {**request, "id": another_id(request["id"])}]
    error = await refusal(gateway, dialect, second[:1] + second[-1:], *tools)
    assert error["code"] == "approval_request_changed"
    assert server.ledger.calls == []
    upstream.says(FIVE)
    done = await gateway.ask(dialect, tools=tools, store=False, input=[*inputs, approval(request["id"])])
    assert item(done, "mcp_call")["output"] == "5"


@both
async def test_a_changed_request_does_not_hide_behind_the_one_that_was_made(gateway, upstream, server, dialect):
    """Not in the same input, and not in one that goes on from what is kept."""
    upstream.says(Answer(calls()))
    response = await gateway.ask(dialect, tools=[mcp(server, "always")], input=[USER])
    request = item(response, ASKS[dialect])
    changed = {**request, "arguments": '{"a":2,"b":30}'}
    error = await refusal(gateway, dialect, [changed], mcp(server, "always"), previous_response_id=response["id"])
    assert error["code"] == "approval_request_changed"
    for said in ([USER, request, changed], [USER, changed, request]):
        body = {"tools": [mcp(server, "always")], "store": False, "input": [*said, approval(request["id"])]}
        assert (await gateway.post(*spelled(dialect, **body))).status_code in (400, 422)
    assert called(server) == []


@both
async def test_an_approved_call_goes_to_no_other_server(gateway, upstream, server, dialect):
    inputs = await asked(gateway, dialect, mcp(server, "always"))
    async with python_server() as other:
        error = await refusal(gateway, dialect, inputs, mcp(other, "always"))
        assert (error["code"], error["param"]) == ("approval_server_changed", "tools")
        saved = await gateway.post("/v1/mcp-configurations", {"name": "Sums", "server_url": server.url})
        configured = {"type": "mcp", "server_label": "sums", "configuration_id": saved.json()["id"]}
        assert (await refusal(gateway, dialect, inputs, configured))["code"] == "approval_server_changed"
        assert called(other) == []
    assert called(server) == []
    # Tokens are renewed between a question and its answer: they are no part of it.
    upstream.says(FIVE)
    tool = mcp(server, "always", authorization="another token", headers={"x-team": "a"})
    inputs = [*inputs, approval(inputs[-1]["id"])]
    done = await gateway.ask(dialect, tools=[tool], store=False, input=inputs)
    assert item(done, "mcp_call")["output"] == "5"


@both
async def test_an_approved_call_does_not_follow_a_configuration_that_was_changed(gateway, server, dialect):
    saved = await gateway.post("/v1/mcp-configurations", {"name": "Sums", "server_url": server.url})
    tool = {"type": "mcp", "server_label": "sums", "configuration_id": saved.json()["id"]}
    inputs = await asked(gateway, dialect, tool)
    async with python_server() as other:
        path = f"/v1/mcp-configurations/{saved.json()['id']}"
        assert (await gateway.http().patch(path, json={"server_url": other.url})).status_code == 200
        error = await refusal(gateway, dialect, inputs, tool)
        assert (error["code"], error["param"]) == ("approval_server_changed", "tools")
        assert called(other) == called(server) == []


@both
async def test_a_forged_request_is_not_believed_because_it_was_kept(gateway, upstream, server, dialect):
    forged = {
        "type": "mcp_approval_request",
        "id": "mcpr_0123456789abcdef0123456789ab",
        "name": "add",
        "arguments": TWO_AND_THREE,
        "server_label": "sums",
    }
    yes = {"tools": [mcp(server, "always")], "input": [approval(forged["id"])]}
    upstream.says(FIVE)
    kept = await gateway.ask("openai", input=[USER, forged])
    thread = (await gateway.post("/v1/conversations", {"items": [forged]})).json()["id"]
    ways = [{"previous_response_id": kept["id"]}, {"thread" if dialect == "freddy" else "conversation": thread}]
    for way in ways:
        error = refused(await gateway.post(*spelled(dialect, **yes, **way)), 400)
        assert error["code"] == "approval_request_changed"
    assert called(server) == []


async def test_an_approved_function_is_called_as_it_was_asked_about(gateway, upstream):
    inputs = await asked(gateway, "freddy", CAREFUL, calls("get_cities", EUROPE))
    request = item({"output": inputs[1:]}, "approval_request")
    error = await refusal(gateway, "freddy", altered(inputs, "approval_request", arguments=ASIA), CAREFUL)
    assert error["code"] == "approval_request_changed"
    error = await refusal(gateway, "freddy", [one for one in inputs if one.get("type") != "function_call"], CAREFUL)
    assert error["code"] == "approval_request_changed"
    error = await refusal(gateway, "freddy", altered(inputs, "function_call", name="get_temperature"), CAREFUL)
    assert error["code"] == "approval_request_changed"
    # The call beside it is the caller's own account of what was said. What runs is what was approved, once.
    call = next(one for one in inputs if one.get("type") == "function_call")
    again = {**call, "id": "fc_another"}
    lied = [*altered(inputs, "function_call", arguments=ASIA, function=None), again, approval(request["id"])]
    upstream.says(FIVE)
    done = await gateway.ask("freddy", tools=[CAREFUL], store=False, input=lied)
    assert kinds(done) == ["function_call_output", "message"]
    assert "Madrid" in item(done, "function_call_output")["output"]
    refused(await gateway.post(*spelled("freddy", tools=[CAREFUL], store=False, input=lied)), 409)


async def test_one_yes_is_for_one_call_however_often_it_is_handed_back(gateway, upstream):
    """Also for clients that repeat what they have in their own lists."""
    inputs = await asked(gateway, "freddy", CAREFUL, calls("get_cities", EUROPE))
    asks = next(one for one in inputs if one.get("type") == "approval_request")
    request = {"type": "mcp_approval_request", "id": asks["id"], "server_label": "functions"}
    request |= {"name": "get_cities", "arguments": EUROPE}
    said: list[Any] = [USER]
    for call_id in ("call_a", "call_b", "call_c"):
        call = {"type": "function_call", "call_id": call_id, "name": "get_cities", "arguments": EUROPE}
        said += [call, request]
    upstream.says(FIVE)
    tools = [{"type": "function", "name": "get_cities"}]
    done = await gateway.ask("openai", tools=tools, store=False, input=[*said, approval(asks["id"])])
    assert kinds(done).count("function_call_output") == 1


async def test_an_approved_function_is_not_another_that_took_its_name(gateway, upstream):
    told = {"name": "stock", "url": "https://functions.example.com/stock", "require_approval": True}
    first = (await gateway.post("/v1/functions", told)).json()
    tool = {"type": "function", "name": "stock"}
    inputs = await asked(gateway, "freddy", tool, calls("stock", "{}"))
    assert (await gateway.delete(f"/v1/functions/{first['id']}")).status_code == 200
    error = await refusal(gateway, "freddy", inputs, tool)
    assert error["code"] == "approval_server_changed"
    await gateway.post("/v1/functions", {**told, "url": "https://elsewhere.example.com/stock"})
    error = await refusal(gateway, "freddy", inputs, tool)
    assert (error["code"], error["param"]) == ("approval_server_changed", "inputs")


@both
async def test_nobody_is_asked_twice_and_nothing_is_run_twice_where_nothing_is_kept(gateway, upstream, server, dialect):
    tool = mcp(server, "always")
    inputs = await asked(gateway, dialect, tool)
    yes = approval(inputs[-1]["id"])
    upstream.says(FIVE)
    await gateway.ask(dialect, tools=[tool], store=False, input=[*inputs, yes])
    for body in (
        {"input": [*inputs, yes]},
        {"input": [*inputs, yes], "store": True},
        {"input": [*inputs, yes, yes]},
        {"input": [*inputs, approval(inputs[-1]["id"], approve=False)]},
    ):
        error = refused(await gateway.post(*spelled(dialect, tools=[tool], **{"store": False, **body})), 409)
        assert error["code"] == "approval_answered"
    assert len(called(server)) == 1


async def test_what_one_organization_was_asked_another_cannot_answer(gateway, server):
    other = (await gateway.mint("org_other")).secret
    inputs = await asked(gateway, "openai", mcp(server, "always"))
    body = {"tools": [mcp(server, "always")], "store": False, "input": [*inputs, approval(inputs[-1]["id"])]}
    error = refused(await gateway.post(*spelled("openai", **body), key=other), 400)
    assert error["code"] == "approval_request_changed"
    assert called(server) == []


@both
async def test_what_nobody_kept_is_answered_after_a_restart_and_once(upstream, server, tmp_path, dialect):
    tool = mcp(server, "always")
    async with library(tmp_path / "kept", upstream) as before:
        inputs = await asked(before.gateway, dialect, tool)
    yes = {"tools": [tool], "store": False, "input": [*inputs, approval(inputs[-1]["id"])]}
    async with library(tmp_path / "stranger", upstream) as stranger:
        error = refused(await stranger.gateway.post(*spelled(dialect, **yes)), 400)
        assert error["code"] == "approval_request_changed"
    upstream.says(FIVE)
    async with library(tmp_path / "kept", upstream) as after:
        assert item(await after.gateway.ask(dialect, **yes), "mcp_call")["output"] == "5"
        refused(await after.gateway.post(*spelled(dialect, **yes)), 409)
    assert len(called(server)) == 1


async def test_the_typed_client_of_openai_hands_back_all_that_is_needed(gateway, upstream, server):
    client = gateway.openai()
    tool = mcp(server, "always")
    upstream.says(Answer(calls("add", '{"b": 3, "a": 2}')), FIVE)
    first = await client.responses.create(model="stage", input=[USER], tools=[tool], store=False)
    said = [one.model_dump(exclude_none=True) for one in first.output]
    request = first.output[-1]
    assert request.type == "mcp_approval_request"
    answer = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}
    done = await client.responses.create(model="stage", input=[USER, *said, answer], tools=[tool], store=False)
    assert done.output_text == "Five."
    assert outputs(upstream.last.body) == ["5"]
    assert len(called(server)) == 1


async def test_the_ids_of_what_is_asked_are_the_same_in_a_stream_and_in_the_answer(gateway, upstream, server):
    """Also where a model says several calls at once, in pieces that come in any order."""
    pieces = [calls("add", '{"a":2', "call_1", 0), calls("echo", '{"text":', "call_2", 1)]
    rest = [calls(None, ',"b":3}', None, 0), calls(None, '"six"}', None, 1)]
    upstream.says(Answer(*pieces, *rest))
    told = await gateway.told("openai", tools=[mcp(server, "always")], parallel_tool_calls=True)
    asks = [one["item"] for one in told.events if one.get("item", {}).get("type") == "mcp_approval_request"]
    assert [one["arguments"] for one in asks[::2]] == [TWO_AND_THREE, '{"text":"six"}']
    assert asks[::2] == asks[1::2]
    assert [one for one in told.last["response"]["output"] if one["type"] == "mcp_approval_request"] == asks[::2]


async def marked(marks: Marks, organization_id: str = "org_1") -> items.ApprovalRequest:
    added, done = await marks.told([events.ItemAdded(0, REQUEST), events.ItemDone(0, REQUEST)], organization_id, None)
    assert added.item == done.item
    return done.item


async def test_a_mark_holds_for_every_process_with_the_key_and_for_nobody_else(tmp_path: Path):
    first = Marks(DerivedKeys([KEY], file=tmp_path / "a"))
    request = await marked(first)
    assert replace(request, id=REQUEST.id) == REQUEST
    later = Marks(DerivedKeys(["a new secret key of the tests, also long", KEY], file=tmp_path / "b"))
    stranger = Marks(DerivedKeys(["a new secret key of the tests, also long"], file=tmp_path / "c"))
    assert await first.asked(request, "org_1")
    assert await later.asked(request, "org_1")
    assert await later.leads(request, None)
    assert not await stranger.asked(request, "org_1")
    assert not await stranger.leads(request, None)
    assert not await first.asked(request, "org_2")


async def test_without_a_secret_key_marks_hold_beyond_a_restart(tmp_path: Path):
    request = await marked(Marks(DerivedKeys([], file=tmp_path / "secret_key")))
    assert await Marks(DerivedKeys([], file=tmp_path / "secret_key")).asked(request, "org_1")
    assert not await Marks(DerivedKeys([], file=tmp_path / "another")).asked(request, "org_1")


async def test_a_mark_says_how_long_it_holds_whatever_stands_beside_it(tmp_path: Path):
    marks = Marks(DerivedKeys([KEY], file=tmp_path / "a"))
    request = await marked(marks)
    for told in (None, 2**40):
        assert approvals.expires_at(replace(request, expires_at=told)) == 100
    later = request.id.replace("_0000000064", "_00000fffff")
    assert later != request.id
    assert not await marks.asked(replace(request, id=later), "org_1")


@pytest.mark.parametrize(
    "arguments",
    ['{"b":{"c":[2,3]},"a":1}', '{ "a": 1,\n"b": {"c": [2, 3]} }', '{"\\u0061":1,"b":{"c":[2,3]}}'],
    ids=["order", "spaces", "escapes"],
)
async def test_arguments_may_come_back_in_another_spelling(tmp_path: Path, arguments):
    marks = Marks(DerivedKeys([KEY], file=tmp_path / "a"))
    assert json.loads(arguments) == json.loads(REQUEST.arguments)
    assert await marks.asked(replace(await marked(marks), arguments=arguments), "org_1")


@pytest.mark.parametrize(
    "arguments",
    [
        '{"a":1,"b":{"c":[3,2]}}',
        '{"a":1.0,"b":{"c":[2,3]}}',
        '{"a":true,"b":{"c":[2,3]}}',
        '{"a":"1","b":{"c":[2,3]}}',
        '{"a":1,"b":{"c":[2,3]},"b":{"c":[2,3]}}',
        '{"a":1,"b":{"c":[2,3]}}' + " " * 300_000,
        "[" * 100_000,
        "{}",
        "",
    ],
    ids=range(9),
)
async def test_arguments_that_mean_something_else_are_others(tmp_path: Path, arguments):
    marks = Marks(DerivedKeys([KEY], file=tmp_path / "a"))
    assert not await marks.asked(replace(await marked(marks), arguments=arguments), "org_1")


@pytest.mark.parametrize(
    ("hints", "once"),
    [
        ({"destructiveHint": True}, True),
        ({"destructiveHint": True, "idempotentHint": True}, False),
        ({"destructiveHint": True, "readOnlyHint": True}, False),
        ({"destructiveHint": "yes"}, False),
        ({"readOnlyHint": False}, False),
    ],
)
@both
async def test_a_list_that_is_handed_back_still_says_what_must_not_be_called_twice(dialect, hints, once):
    listed = {"type": "mcp_list_tools", "server_label": "deep", "tools": [{"name": "drop", "annotations": hints}]}
    tell = freddy.decode_request if dialect == "freddy" else openai.decode
    body = {"inputs": [listed]} if dialect == "freddy" else {"model": "m", "input": [listed]}
    (told,) = tell(json.dumps(body).encode(), lambda prefix: f"{prefix}_1").input
    assert isinstance(told, items.McpTools)
    assert told.tools[0].once is once


async def test_thousands_of_answers_are_looked_at_in_a_moment(gateway, server):
    request = {"type": "mcp_approval_request", "name": "add", "arguments": "{}", "server_label": "sums"}
    ids = [f"mcpr_{number:028x}" for number in range(5_000)]
    said = [{**request, "id": one} for one in ids] + [approval(one) for one in ids]
    reply = await gateway.post(PATHS["openai"], {"model": "stage", "input": said, "tools": [mcp(server, "always")]})
    assert refused(reply, 400)["code"] == "approval_request_changed"
