"""Calls that wait for somebody's yes: asked in one request, answered in another, and made once whatever happens."""

import asyncio
from itertools import product
from typing import Any

import pytest
from gateway import DEV_KEY, spelled
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
    listed,
    mcp,
    offered,
    order,
    outputs,
    refused,
)

from freddy.server.config import settings as parts
from freddy.server.world import SystemClock
from people import Site
from promises import promise
from seen import check_stream
from upstream import Answer, Fault, Gate, text

CAREFUL = {"type": "function", "name": "get_cities", "require_approval": True}
REGION = '{"region":"europe"}'
KEY = {"freddy": "thread", "openai": "conversation"}
DIALECTS = ("freddy", "openai")
WAYS = [
    *product(DIALECTS, DIALECTS, ("thread", "response")),
    # Items are handed back to the dialect that wrote them.
    *((dialect, dialect, "items") for dialect in DIALECTS),
]
UNKNOWN = "mcpr_0123456789abcdef0123456789ab"


async def asked(gateway, dialect: str, server, **more: Any) -> tuple[dict, dict]:
    """A response that asks for approval, and its request."""
    gateway.upstream.says(Answer(calls()))
    response = await gateway.ask(dialect, **{"tools": [mcp(server, "always")], "input": "2 and 3?", **more})
    return response, item(response, ASKS[dialect])


@both
async def test_a_call_that_waits_and_is_approved_is_told_event_by_event(gateway, upstream, server, dialect):
    begins = ["created", "in_progress"] if dialect == "openai" else ["created"]
    upstream.says(Answer(calls()), FIVE)
    told = await gateway.told(dialect, tools=[mcp(server, "always")])
    check_stream(told, dialect)
    request = ASKS[dialect]
    assert order(told) == [
        *begins,
        "output_item.added mcp_list_tools",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "output_item.done mcp_list_tools",
        f"output_item.added {request}",
        f"output_item.done {request}",
        "completed",
    ]
    response = told.last["response"]
    assert response["status"] == ("completed" if dialect == "openai" else "requires_action")
    waiting = item(response, request)
    assert (waiting["name"], waiting["arguments"], waiting["server_label"]) == ("add", TWO_AND_THREE, "sums")
    assert called(server) == []
    assert len(upstream.calls) == 1

    told = await gateway.told(
        dialect,
        tools=[mcp(server, "always")],
        previous_response_id=response["id"],
        input=[approval(waiting["id"])],
    )
    check_stream(told, dialect)
    assert order(told)[: len(begins) + 6] == [
        *begins,
        "output_item.added mcp_call",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed",
        "output_item.done mcp_call",
    ]
    made = item(told.last["response"], "mcp_call")
    assert (made["approval_request_id"], made["output"]) == (waiting["id"], "5")
    assert told.last["response"]["status"] == "completed"
    assert outputs(upstream.last.body) == ["5"]
    assert len(called(server)) == 1
    assert server.ledger.asked("tools/list") == 1


@promise(199)
@pytest.mark.parametrize(("asking", "answering", "by"), WAYS)
async def test_a_request_is_answered_through_either_dialect_and_in_every_way(
    gateway, upstream, server, asking, answering, by
):
    tools = [mcp(server, "always")]
    thread = (await gateway.post("/v1/conversations", {})).json()["id"]
    more: dict[str, Any] = {KEY[asking]: thread} if by == "thread" else {"store": by == "response"}
    response, request = await asked(gateway, asking, server, **more)
    answer = approval(request["id"])
    if by == "thread":
        body: dict[str, Any] = {KEY[answering]: thread, "input": [answer]}
    elif by == "response":
        body = {"previous_response_id": response["id"], "input": [answer]}
    else:
        body = {"store": False, "input": [{"role": "user", "content": "2 and 3?"}, *response["output"], answer]}
    upstream.says(FIVE)
    done = await gateway.ask(answering, tools=tools, **body)
    assert kinds(done) == ["mcp_call", "message"]
    assert item(done, "mcp_call")["approval_request_id"] == request["id"]
    assert [role for role, _ in upstream.last.messages] == ["user", "assistant", "tool"]
    assert outputs(upstream.last.body) == ["5"]
    assert len(called(server)) == 1
    error = refused(await gateway.post(*spelled(answering, tools=tools, **body)), 409)
    assert request["id"] in error["message"]
    assert len(called(server)) == 1


@promise(207)
@pytest.mark.parametrize("answering", DIALECTS)
@pytest.mark.parametrize("by", ["thread", "response"])
@pytest.mark.parametrize("approve", [True, False])
async def test_a_function_waits_too_and_is_answered_through_either_dialect(gateway, upstream, answering, by, approve):
    upstream.says(Answer(calls("get_cities", REGION)))
    response = await gateway.ask("freddy", tools=[CAREFUL], thread="thread_of_cities")
    assert response["status"] == "requires_action"
    assert kinds(response) == ["function_call", "approval_request"]
    request = item(response, "approval_request")
    assert (request["tool_type"], request["name"], request["server_label"]) == ("function", "get_cities", None)
    seen = await listed(gateway, response["id"], "openai")
    assert item(seen, "mcp_approval_request")["id"] == request["id"]
    upstream.says(FIVE)
    where = {KEY[answering]: "thread_of_cities"} if by == "thread" else {"previous_response_id": response["id"]}
    tools = [CAREFUL] if answering == "freddy" else [{"type": "function", "name": "get_cities"}]
    answer = approval(request["id"], approve=approve)
    done = await gateway.ask(answering, tools=tools, input=[answer], **where)
    assert kinds(done) == ["function_call_output", "message"]
    (read,) = outputs(upstream.last.body)
    assert ("Madrid" in read) == approve
    assert ("did not approve" in read) != approve
    refused(await gateway.post(*spelled(answering, tools=tools, input=[answer], **where)), 409)


async def test_an_approved_function_runs_without_being_named_again(gateway, upstream):
    upstream.says(Answer(calls("get_cities", REGION)), FIVE)
    response = await gateway.ask("freddy", tools=[CAREFUL])
    request = item(response, "approval_request")
    done = await gateway.ask("freddy", previous_response_id=response["id"], input=[approval(request["id"])])
    assert "Madrid" in item(done, "function_call_output")["output"]


async def test_a_function_is_answered_by_handing_its_items_back(gateway, upstream):
    upstream.says(Answer(calls("get_cities", REGION)), FIVE)
    user = {"role": "user", "content": "Cities?"}
    response = await gateway.ask("freddy", tools=[CAREFUL], store=False, input=[user])
    request = item(response, "approval_request")
    inputs = [user, *response["output"], approval(request["id"])]
    done = await gateway.ask("freddy", tools=[CAREFUL], store=False, input=inputs)
    assert "Madrid" in item(done, "function_call_output")["output"]
    refused(await gateway.post(*spelled("freddy", tools=[CAREFUL], store=False, input=inputs)), 409)


@both
async def test_what_is_denied_is_not_called_and_the_model_reads_why(gateway, upstream, server, dialect):
    response, request = await asked(gateway, dialect, server)
    upstream.says(FIVE)
    no = approval(request["id"], approve=False, reason="too dear")
    body = {"previous_response_id": response["id"], "tools": [mcp(server, "always")]}
    done = await gateway.ask(dialect, input=[no], **body)
    assert kinds(done) == ["message"]
    (read,) = outputs(upstream.last.body)
    assert "did not approve" in read
    assert "too dear" in read
    assert called(server) == []
    for changed in (no, approval(request["id"])):
        refused(await gateway.post(*spelled(dialect, input=[changed], **body)), 409)
    assert called(server) == []


@both
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_of_simultaneous_answers_one_runs(gateway, upstream, server, dialect, streamed):
    thread = (await gateway.post("/v1/conversations", {})).json()["id"]
    response, request = await asked(gateway, dialect, server, **{KEY[dialect]: thread})
    gate = Gate()
    upstream.says(*[Answer(gate, text("Five."))] * 6)
    answer = {"tools": [mcp(server, "always")], "input": [approval(request["id"])], "stream": streamed}
    ways = [{KEY[dialect]: thread}, {"previous_response_id": response["id"]}] * 3
    bodies = [spelled(dialect, **answer, **way) for way in ways]

    async def opening() -> None:
        await gate.reached()
        gate.open()

    async with asyncio.TaskGroup() as tasks:
        posted = [tasks.create_task(gateway.post(*body)) for body in bodies]
        tasks.create_task(opening())
    assert sorted(task.result().status_code for task in posted) == [200, *[409] * 5]
    assert len(called(server)) == 1


@both
async def test_several_requests_are_answered_together_or_one_by_one(gateway, upstream, server, dialect):
    tools = [mcp(server, "always")]
    twice = Answer(calls(), calls("echo", '{"text":"six"}', "call_2", 1))
    upstream.says(twice)
    first = await gateway.ask(dialect, tools=tools, parallel_tool_calls=True)
    asks = [one for one in first["output"] if one["type"] == ASKS[dialect]]
    assert [one["name"] for one in asks] == ["add", "echo"]
    upstream.says(FIVE)
    answers = [approval(asks[0]["id"]), approval(asks[1]["id"], approve=False)]
    done = await gateway.ask(dialect, tools=tools, previous_response_id=first["id"], input=answers)
    assert kinds(done) == ["mcp_call", "message"]
    assert sorted("did not approve" in one for one in outputs(upstream.last.body)) == [False, True]

    upstream.says(twice, FIVE, FIVE)
    first = await gateway.ask(dialect, tools=tools, parallel_tool_calls=True)
    asks = [one for one in first["output"] if one["type"] == ASKS[dialect]]
    one = await gateway.ask(dialect, tools=tools, previous_response_id=first["id"], input=[approval(asks[1]["id"])])
    assert item(one, "mcp_call")["output"] == "six"
    other = await gateway.ask(dialect, tools=tools, previous_response_id=one["id"], input=[approval(asks[0]["id"])])
    assert item(other, "mcp_call")["output"] == "5"
    assert sorted(outputs(upstream.last.body)) == ["5", "six"]
    assert [call.tool for call in server.ledger.calls] == ["add", "echo", "add"]


@both
async def test_what_needs_no_approval_runs_while_the_rest_waits(gateway, upstream, server, dialect):
    careful = {"never": {"tool_names": ["echo"]}}
    upstream.says(Answer(calls(), calls("echo", '{"text":"six"}', "call_2", 1)))
    first = await gateway.ask(dialect, tools=[mcp(server, careful)], parallel_tool_calls=True)
    assert kinds(first) == ["mcp_list_tools", "mcp_call", ASKS[dialect]]
    assert item(first, "mcp_call")["output"] == "six"
    assert len(upstream.calls) == 1
    upstream.says(FIVE)
    request = item(first, ASKS[dialect])
    done = await gateway.ask(
        dialect, tools=[mcp(server, careful)], previous_response_id=first["id"], input=[approval(request["id"])]
    )
    assert sorted(outputs(upstream.last.body)) == ["5", "six"]
    assert done["output"][-1]["content"][0]["text"] == "Five."


@both
async def test_who_says_something_else_leaves_the_call_unmade(gateway, upstream, server, dialect):
    response, request = await asked(gateway, dialect, server)
    upstream.says(Answer(text("As you like.")), FIVE)
    body = {"tools": [mcp(server, "always")]}
    other = await gateway.ask(dialect, input="Never mind", previous_response_id=response["id"], **body)
    assert [role for role, _ in upstream.last.messages] == ["user", "user"]
    assert called(server) == []
    done = await gateway.ask(dialect, input=[approval(request["id"])], previous_response_id=other["id"], **body)
    assert item(done, "mcp_call")["output"] == "5"


@both
async def test_an_answer_may_come_with_words(gateway, upstream, server, dialect):
    response, request = await asked(gateway, dialect, server)
    upstream.says(FIVE)
    said = [approval(request["id"]), {"role": "user", "content": "And be brief."}]
    body = {"tools": [mcp(server, "always")], "previous_response_id": response["id"]}
    done = await gateway.ask(dialect, input=said, **body)
    assert kinds(done) == ["mcp_call", "message"]
    assert outputs(upstream.last.body) == ["5"]
    assert ("user", "And be brief.") in upstream.last.messages


@both
async def test_an_answer_without_the_server_is_refused_and_not_used_up(gateway, upstream, server, dialect):
    response, request = await asked(gateway, dialect, server)
    yes = {"input": [approval(request["id"])], "previous_response_id": response["id"]}
    error = refused(await gateway.post(*spelled(dialect, **yes)), 400)
    assert (error["code"], error["param"]) == ("mcp_server_missing", "tools")
    refused(await gateway.post(*spelled(dialect, tools=[mcp(server, "always")], **{**yes, "model": "nobody"})), 404)
    upstream.says(FIVE)
    done = await gateway.ask(dialect, tools=[mcp(server, "always")], **yes)
    assert item(done, "mcp_call")["output"] == "5"


@both
async def test_a_call_that_was_made_is_not_made_again_when_the_model_fails_behind_it(
    gateway, upstream, server, dialect
):
    response, request = await asked(gateway, dialect, server)
    upstream.says(*[Fault(401, "the account is closed")] * 3)
    yes = spelled(
        dialect,
        input=[approval(request["id"])],
        previous_response_id=response["id"],
        tools=[mcp(server, "always")],
    )
    failed = await gateway.post(*yes)
    assert failed.status_code >= 400, failed.text
    assert len(called(server)) == 1
    refused(await gateway.post(*yes), 409)
    assert len(called(server)) == 1


@both
async def test_an_approved_call_is_made_once_in_the_background(gateway, upstream, server, dialect):
    response, request = await asked(gateway, dialect, server)
    upstream.says(FIVE)
    body = {"previous_response_id": response["id"], "tools": [mcp(server, "always")]}
    begun = await gateway.ask(dialect, input=[approval(request["id"])], background=True, **body)
    ended = await gateway.ended(begun["id"])
    assert ended["status"] == "completed"
    assert kinds(ended) == ["mcp_call", "message"]
    assert len(called(server)) == 1


@both
async def test_a_repeated_request_does_not_make_the_call_again(gateway, upstream, server, dialect):
    response, request = await asked(gateway, dialect, server)
    upstream.says(FIVE)
    path, body = spelled(
        dialect, input=[approval(request["id"])], previous_response_id=response["id"], tools=[mcp(server, "always")]
    )
    first, second = [await gateway.http().post(path, json=body, headers={"idempotency-key": "again"}) for _ in range(2)]
    assert first.status_code == second.status_code == 200, second.text
    assert first.json() == second.json()
    assert len(called(server)) == 1


@both
async def test_an_answer_comes_in_time_or_not_at_all(opened, server, dialect):
    gateway = await opened(tools=parts.Tools(approval_seconds=1))
    response, request = await asked(gateway, dialect, server)
    until = (await listed(gateway, response["id"], "freddy"))["output"][-1]["expires_at"]
    assert until > response["created_at"]
    clock = SystemClock()
    await asyncio.sleep(until + 1.1 - clock.now())  # of this there is no other sign
    assert clock.now() > until + 1
    yes = {"input": [approval(request["id"])], "previous_response_id": response["id"]}
    error = refused(await gateway.post(*spelled(dialect, tools=[mcp(server, "always")], **yes)), 400)
    assert error["code"] == "approval_expired"
    assert called(server) == []


@both
async def test_an_answer_needs_a_request_of_its_conversation(gateway, server, dialect):
    response, request = await asked(gateway, dialect, server)
    other, _ = await asked(gateway, dialect, server)
    tools = [mcp(server, "always")]
    for request_id, body in (
        (UNKNOWN, {"previous_response_id": response["id"]}),
        (request["id"], {"previous_response_id": other["id"]}),
        (request["id"], {}),
    ):
        error = refused(await gateway.post(*spelled(dialect, tools=tools, input=[approval(request_id)], **body)), 400)
        assert error["code"] == "approval_request_not_found"
    assert called(server) == []


@both
async def test_requests_of_others_are_like_unknown_ones(opened, server, dialect):
    gateway = await opened(dev=parts.Development(mode="off"), network=parts.Network(allow_private=("127.0.0.0/8",)))
    ours, theirs = await gateway.mint("org_ours"), await gateway.mint("org_theirs")
    gateway.upstream.says(Answer(calls()), Answer(text("Well.")))
    tools = [mcp(server, "always")]
    reply = await gateway.post(*spelled(dialect, tools=tools), key=ours.secret)
    assert reply.status_code == 200, reply.text
    response, request = reply.json(), item(reply.json(), ASKS[dialect])
    mine = (await gateway.post(*spelled(dialect), key=theirs.secret)).json()

    async def tried(request_id: str, response_id: str) -> tuple[int, str]:
        body = spelled(dialect, tools=tools, input=[approval(request_id)], previous_response_id=response_id)
        reply = await gateway.post(*body, key=theirs.secret)
        text = reply.text.replace(request_id, "REQUEST").replace(response_id, "RESPONSE")
        return reply.status_code, text

    unknown = "resp_0123456789abcdef0123456789ab"
    assert await tried(request["id"], response["id"]) == await tried(request["id"], unknown)
    assert await tried(request["id"], mine["id"]) == await tried(UNKNOWN, mine["id"])
    assert called(server) == []
    gateway.upstream.says(FIVE)
    body = spelled(dialect, tools=tools, input=[approval(request["id"])], previous_response_id=response["id"])
    assert (await gateway.post(*body, key=ours.secret)).status_code == 200
    assert len(called(server)) == 1


@both
async def test_requests_of_other_users_are_like_unknown_ones(opened, server, dialect):
    gateway = await opened(
        dev=parts.Development(mode="off"),
        accounts=parts.Accounts(registration=True, password_cost=8),
        network=parts.Network(allow_private=("127.0.0.0/8",)),
    )
    site = Site(gateway)
    ann, organization = await site.register("ann@example.org")
    bob = await site.invite(ann, organization, "bob@example.org", "member")
    cat = await site.invite(ann, organization, "cat@example.org", "member")
    tools = [mcp(server, "always")]
    gateway.upstream.says(Answer(calls()))
    reply = await bob.ask("POST", *spelled(dialect, tools=tools))
    assert reply.status_code == 200, reply.text
    response, request = reply.json(), item(reply.json(), ASKS[dialect])

    def answer(response_id: str) -> tuple[str, dict]:
        return spelled(dialect, tools=tools, input=[approval(request["id"])], previous_response_id=response_id)

    unknown = "resp_0123456789abcdef0123456789ab"
    tried, other = await cat.ask("POST", *answer(response["id"])), await cat.ask("POST", *answer(unknown))
    assert tried.status_code == other.status_code
    assert tried.text.replace(response["id"], unknown) == other.text
    assert called(server) == []
    gateway.upstream.says(FIVE)
    assert (await bob.ask("POST", *answer(response["id"]))).status_code == 200
    assert len(called(server)) == 1


@both
async def test_a_conversation_tells_what_was_asked_and_answered(gateway, upstream, server, dialect):
    thread = (await gateway.post("/v1/conversations", {})).json()["id"]
    _, request = await asked(gateway, dialect, server, **{KEY[dialect]: thread})
    upstream.says(FIVE)
    tools = [mcp(server, "always")]
    await gateway.ask(dialect, tools=tools, input=[approval(request["id"])], **{KEY[dialect]: thread})
    told = (await gateway.get(f"/v1/conversations/{thread}/items?order=asc")).json()["data"]
    assert [one["type"] for one in told] == [
        "message",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "message",
    ]
    assert told[3]["approval_request_id"] == told[4]["approval_request_id"] == request["id"]


@both
async def test_a_deleted_request_cannot_be_answered(gateway, server, dialect):
    response, request = await asked(gateway, dialect, server)
    assert (await gateway.delete(f"/v1/responses/{response['id']}")).status_code == 200
    body = spelled(
        dialect,
        tools=[mcp(server, "always")],
        input=[approval(request["id"])],
        previous_response_id=response["id"],
    )
    assert (await gateway.post(*body)).status_code in (400, 404)
    assert called(server) == []


async def test_a_model_that_is_asked_to_do_without_is_offered_what_waits_all_the_same(gateway, upstream, server):
    """The choice of the request that answers is about what the model calls next, not about what was approved."""
    response, request = await asked(gateway, "freddy", server)
    upstream.says(FIVE)
    done = await gateway.ask(
        "freddy",
        tools=[mcp(server, "always")],
        tool_choice="none",
        input=[approval(request["id"])],
        previous_response_id=response["id"],
    )
    assert kinds(done) == ["mcp_call", "message"]
    assert offered(upstream.last.body) == []


async def test_an_answer_is_what_it_must_be(gateway, server):
    response, request = await asked(gateway, "freddy", server)
    for wrong in (
        {"type": "approval_response", "approval_request_id": request["id"]},
        {"type": "approval_response", "approve": True},
        {"type": "approval_response", "approval_request_id": request["id"], "approve": "yes"},
    ):
        body = spelled("freddy", tools=[mcp(server, "always")], input=[wrong], previous_response_id=response["id"])
        assert (await gateway.post(*body)).status_code == 422
        path = PATHS["openai"]
        told = {"model": "stage", "input": [{**wrong, "type": "mcp_approval_response"}]}
        assert (
            await gateway.post(path, {**told, "previous_response_id": response["id"]}, key=DEV_KEY)
        ).status_code == 400
    assert called(server) == []
