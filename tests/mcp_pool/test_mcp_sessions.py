"""How sessions with MCP servers are shared, kept and given up."""

import asyncio
import logging

import pytest
from mcp_stage import at, bearer, pool, text
from test_mcp_calls import stages

from freddy.server.core import errors
from mcp_servers import python_server

ECHO = '{"text": "hello"}'


async def test_many_calls_at_once_share_one_session():
    async with python_server() as server, pool() as servers:
        answers = await asyncio.gather(
            *(servers.call(at(server), "add", f'{{"a": {number}, "b": 1}}') for number in range(50)),
            *(servers.call(at(server), "sleep", '{"seconds": 0.2}') for _ in range(10)),
        )
        assert [text(answer) for answer in answers] == [str(number + 1) for number in range(50)] + ["Slept."] * 10
        assert server.ledger.asked("server/discover") == 1
        assert servers.open == 1


async def test_sessions_are_shared_by_the_same_organization_with_the_same_headers_and_by_nobody_else():
    async with python_server(legacy=True) as server, pool() as servers:
        asked = [
            at(server, "org_one"),
            at(server, "org_one"),
            at(server, "org_two"),
            at(server, "org_one", headers=bearer("first")),
            at(server, "org_one", headers=bearer("first")),
            at(server, "org_one", headers=bearer("second")),
        ]
        for one in asked:
            await servers.call(one, "whoami", "{}")
        tokens = [seen.headers.get("authorization") for seen in server.ledger.requests if seen.rpc == "tools/call"]
        assert tokens == [None, None, None, "Bearer first", "Bearer first", "Bearer second"]
        assert server.ledger.asked("initialize") == 4
        sessions = {
            (seen.headers["mcp-session-id"], seen.headers.get("authorization"))
            for seen in server.ledger.requests
            if seen.rpc == "tools/call"
        }
        assert len(sessions) == 4


async def test_a_session_that_nobody_uses_is_closed_and_another_is_opened_when_it_is_wanted():
    async with python_server(legacy=True) as server, pool(idle_seconds=0.2) as servers:
        assert text(await servers.call(at(server), "echo", ECHO)) == "hello"
        await server.ledger.wait(lambda: any(seen.method == "DELETE" for seen in server.ledger.requests))
        assert text(await servers.call(at(server), "echo", ECHO)) == "hello"
        assert server.ledger.asked("initialize") == 2


async def test_a_session_is_not_idle_while_a_call_takes_long():
    async with python_server(legacy=True) as server, pool(idle_seconds=0.1) as servers:
        assert text(await servers.call(at(server), "sleep", '{"seconds": 1}')) == "Slept."
        assert server.ledger.asked("initialize") == 1


async def test_where_too_many_sessions_are_open_the_one_that_lay_idle_for_longest_goes():
    async with python_server(legacy=True) as server, pool(sessions=2) as servers:
        for organization in ("org_one", "org_two", "org_one", "org_three"):
            await servers.call(at(server, organization), "echo", ECHO)
        await server.ledger.wait(lambda: any(seen.method == "DELETE" for seen in server.ledger.requests))
        asked = server.ledger.asked("initialize")
        await servers.call(at(server, "org_one"), "echo", ECHO)
        assert server.ledger.asked("initialize") == asked == 3


async def test_where_all_sessions_are_in_use_another_is_refused():
    async with python_server() as server, pool(sessions=1) as servers, asyncio.TaskGroup() as tasks:
        busy = tasks.create_task(servers.call(at(server, "org_one"), "sleep", '{"seconds": 600}'))
        await server.ledger.wait(lambda: len(server.ledger.calls) == 1)
        with pytest.raises(errors.ToolFailed, match="All 1 sessions") as failed:
            await servers.call(at(server, "org_two"), "echo", ECHO)
        assert "mcp.sessions" in str(failed.value.details)
        busy.cancel()


@stages
async def test_a_server_that_forgot_the_session_is_asked_again_on_a_new_one(transport, legacy):
    async with python_server(transport, legacy=legacy) as server, pool() as servers:
        assert text(await servers.call(at(server), "echo", ECHO)) == "hello"
        await server.restart()
        assert text(await servers.call(at(server), "count", "{}")) == "1"
        assert [call.tool for call in server.ledger.calls] == ["echo", "count"]


@stages
async def test_a_call_that_may_have_run_is_never_made_again(transport, legacy):
    async with python_server(transport, legacy=legacy) as server, pool() as servers:
        await servers.call(at(server), "echo", ECHO)
        async with asyncio.TaskGroup() as tasks:

            async def call() -> None:
                with pytest.raises(errors.ToolFailed, match=r"The MCP server 127\.0\.0\.1 ended the connection"):
                    await servers.call(at(server), "sleep", '{"seconds": 600}')

            calling = tasks.create_task(call())
            await server.ledger.wait(lambda: len(server.ledger.calls) == 2)
            await server.restart()
            await calling
        assert text(await servers.call(at(server), "echo", ECHO)) == "hello"
        assert [call.tool for call in server.ledger.calls] == ["echo", "sleep", "echo"]


async def test_leaving_closes_every_session_and_ends_what_still_waits():
    async with python_server(legacy=True) as server:
        async with pool() as servers:
            await servers.call(at(server, "org_one"), "echo", ECHO)
            async with asyncio.TaskGroup() as tasks:

                async def call() -> None:
                    with pytest.raises(errors.ToolFailed, match="ended the connection"):
                        await servers.call(at(server, "org_two"), "sleep", '{"seconds": 600}')

                tasks.create_task(call())
                await server.ledger.wait(lambda: len(server.ledger.calls) == 2)
                await servers.__aexit__(None, None, None)
            assert servers.open == 0
            with pytest.raises(errors.ToolFailed, match="shutting down"):
                await servers.call(at(server), "echo", ECHO)
            await servers.__aenter__()
        assert sum(seen.method == "DELETE" for seen in server.ledger.requests) == 2


async def test_who_gives_up_while_a_session_opens_takes_it_from_nobody():
    async with python_server() as server, pool() as servers, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(servers.call(at(server), "echo", ECHO))
        second = tasks.create_task(servers.call(at(server), "echo", ECHO))
        await server.ledger.wait(lambda: len(server.ledger.requests) > 0)
        first.cancel()
        assert text(await second) == "hello"
        assert server.ledger.asked("server/discover") == 1


async def test_credentials_and_arguments_are_never_logged(caplog):
    with caplog.at_level(logging.DEBUG):
        async with python_server(token="tok-very-secret") as server, pool() as servers:
            whole = at(server, headers=bearer("tok-very-secret"))
            await servers.tools(whole)
            await servers.call(whole, "echo", '{"text": "private words"}')
            await server.restart()
            await servers.call(whole, "fail", '{"reason": "private words"}')
            with pytest.raises(errors.ToolFailed) as failed:
                await servers.tools(at(server, headers=bearer("tok-wrong-secret")))
    ours = "\n".join(
        str(vars(record)) for record in caplog.records if not record.name.startswith(("mcp.server", "sse"))
    )
    said = ours + repr(whole) + repr(failed.value) + str(failed.value.details)
    assert "secret" not in said
    assert "private words" not in said
