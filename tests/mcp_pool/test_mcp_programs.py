"""Programs that speak MCP over stdin and stdout: what they are given, and that nothing of them stays."""

import asyncio
import json
import logging
import os
import sys

import pytest
from mcp_stage import pool, text

from freddy.server.core import errors
from freddy.server.ports.mcp import Server
from freddy.server.tools.mcp.terms import Program
from freddy_process import alive
from mcp_servers import ledger_lines, python_program

STAGE = Server(organization_id="org_one", program="stage")


async def wait_gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while alive(pid):  # noqa: ASYNC110 nobody tells when somebody else's child is gone
            await asyncio.sleep(0.01)


async def test_a_program_gets_its_own_variables_and_the_basic_ones_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("FREDDY_SECRET_KEY", "not for programs")
    ledger = tmp_path / "ledger"
    program = Program(command=tuple(python_program(ledger)), environment={"NOTES_TOKEN": "t"}, folder=tmp_path)
    async with pool(programs={"stage": program}) as servers:
        await servers.tools(STAGE)
    environment = set(ledger_lines(ledger)[0]["environment"])
    assert {"NOTES_TOKEN", "PATH"} <= environment
    assert environment <= {"NOTES_TOKEN", "PATH", "HOME", "LOGNAME", "SHELL", "TERM", "USER", "LC_CTYPE"}


async def test_each_organization_has_a_process_of_its_own_and_leaving_ends_them(tmp_path):
    ledger = tmp_path / "ledger"
    async with pool(programs={"stage": Program(command=tuple(python_program(ledger)))}) as servers:
        for organization in ("org_one", "org_two", "org_one"):
            await servers.tools(Server(organization_id=organization, program="stage"))
        processes = [line["pid"] for line in ledger_lines(ledger) if "pid" in line]
        assert len(processes) == 2
        assert all(alive(pid) for pid in processes)
    assert not any(alive(pid) for pid in processes)


async def test_a_program_that_ends_in_a_call_is_started_again_for_the_next_and_not_for_that_one(tmp_path):
    ledger = tmp_path / "ledger"
    async with pool(programs={"stage": Program(command=tuple(python_program(ledger)))}) as servers:
        with pytest.raises(errors.ToolFailed, match="'stage' ended the connection"):
            await servers.call(STAGE, "die", "{}")
        assert text(await servers.call(STAGE, "echo", '{"text": "back"}')) == "back"
    lines = ledger_lines(ledger)
    assert [line["called"] for line in lines if "called" in line] == ["die", "echo"]
    assert sum("pid" in line for line in lines) == 2


async def test_a_program_that_ended_between_calls_is_started_again(tmp_path):
    ledger = tmp_path / "ledger"
    async with pool(programs={"stage": Program(command=tuple(python_program(ledger)))}) as servers:
        assert text(await servers.call(STAGE, "echo", '{"text": "one"}')) == "one"
        pid = ledger_lines(ledger)[0]["pid"]
        os.kill(pid, 9)
        async with asyncio.timeout(20):
            while servers.open:  # noqa: ASYNC110 nobody tells the test
                await asyncio.sleep(0.01)
        assert text(await servers.call(STAGE, "echo", '{"text": "two"}')) == "two"


async def test_a_call_that_is_given_up_leaves_the_program_usable(tmp_path):
    ledger = tmp_path / "ledger"
    async with pool(programs={"stage": Program(command=tuple(python_program(ledger)))}, call_seconds=2) as servers:
        await servers.tools(STAGE)
        with pytest.raises(errors.ToolFailed, match="within 2 seconds"):
            await servers.call(STAGE, "sleep", '{"seconds": 600}')
    async with pool(programs={"stage": Program(command=tuple(python_program(ledger)))}) as servers:
        async with asyncio.TaskGroup() as tasks:
            calling = tasks.create_task(servers.call(STAGE, "sleep", '{"seconds": 600}'))
            async with asyncio.timeout(20):
                while sum(line.get("called") == "sleep" for line in ledger_lines(ledger)) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            calling.cancel()
        assert text(await servers.call(STAGE, "echo", '{"text": "here"}')) == "here"
        assert sum("pid" in line for line in ledger_lines(ledger)) == 2
    assert {"cancelled": "sleep"} in ledger_lines(ledger)


async def test_nothing_that_a_program_started_outlives_its_session(tmp_path):
    """Neither it nor its child ends when it is asked to, and the child holds its pipes."""
    ledger = tmp_path / "ledger"
    child = tmp_path / "child"
    script = tmp_path / "stubborn.sh"
    command = " ".join(f"'{word}'" for word in python_program(ledger))
    script.write_text(
        f"trap '' TERM\n(trap '' TERM; exec sleep 600) &\necho $! > '{child}'\n{command}\n"
        "while true; do sleep 1; done\n"
    )
    async with pool(programs={"stage": Program(command=("sh", str(script)))}) as servers:
        await servers.tools(STAGE)
        processes = [int(child.read_text()), ledger_lines(ledger)[0]["pid"]]
        assert all(alive(pid) for pid in processes)
    for pid in processes:
        await wait_gone(pid)


async def test_nothing_of_a_program_stays_where_its_owner_is_cancelled(tmp_path):
    ledger = tmp_path / "ledger"

    async def use() -> None:
        async with pool(programs={"stage": Program(command=tuple(python_program(ledger)))}) as servers:
            await servers.call(STAGE, "sleep", '{"seconds": 600}')

    async with asyncio.TaskGroup() as tasks:
        using = tasks.create_task(use())
        async with asyncio.timeout(20):
            while not any("called" in line for line in ledger_lines(ledger)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        using.cancel()
    await wait_gone(ledger_lines(ledger)[0]["pid"])


async def test_what_a_program_says_beside_the_protocol_goes_to_the_log_in_bounds(tmp_path, caplog):
    script = (
        "import sys\n"
        "sys.stderr.write('x' * 10_000 + '\\n')\n"
        "for n in range(5000): print(n, file=sys.stderr)\n"
        "sys.stderr.flush()\n"
        "import runpy\n"
        f"sys.argv = {json.dumps(python_program(tmp_path / 'ledger')[1:])}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    program = Program(command=(sys.executable, "-c", script))
    with caplog.at_level(logging.DEBUG, logger="freddy"):
        async with pool(programs={"stage": program}) as servers:
            await servers.tools(STAGE)
    said = [vars(record) for record in caplog.records if record.message == "mcp_program_says"]
    assert said[0]["line"] == "x" * 500
    assert said[0]["program"] == "stage"
    assert 2 <= len(said) <= 2000
    assert {record["levelname"] for record in said} == {"DEBUG"}


async def test_lines_that_are_no_messages_are_passed_over(tmp_path):
    command = " ".join(f"'{word}'" for word in python_program(tmp_path / "ledger"))
    program = Program(command=("sh", "-c", f"echo Welcome to the stage; exec {command}"))
    async with pool(programs={"stage": program}) as servers:
        assert text(await servers.call(STAGE, "echo", '{"text": "hello"}')) == "hello"


async def test_a_program_that_nobody_named_or_that_is_not_there_is_told():
    gone = Program(command=("/nowhere/at/all",))
    mute = Program(command=(sys.executable, "-c", "print('done')"))
    async with pool(programs={"gone": gone, "mute": mute}, connect_seconds=10) as servers:
        with pytest.raises(errors.ToolFailed, match="no MCP program 'other'") as failed:
            await servers.tools(Server(organization_id="org_one", program="other"))
        assert "[mcp.programs.NAME]" in str(failed.value.details)
        with pytest.raises(errors.ToolFailed, match="'gone' could not be started"):
            await servers.tools(Server(organization_id="org_one", program="gone"))
        with pytest.raises(errors.ToolFailed, match="'mute' ended the connection"):
            await servers.tools(Server(organization_id="org_one", program="mute"))


def test_a_program_does_not_show_its_variables():
    program = Program(command=("notes", "--key", "s3cret"), environment={"TOKEN": "s3cret"})
    assert "s3cret" not in repr(program)
