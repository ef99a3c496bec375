"""The Codex CLI as it is published, unattended: it asks, runs a command that the model wants, and asks again."""

import json

import codex
import pytest
from gateway import DEV_KEY, serving, settings

from freddy.server.config import Upstream
from simulators.responses import Responses
from simulators.script import Answer, Fault, call, text

pytestmark = [pytest.mark.xdist_group("codex"), pytest.mark.timeout(400)]

PROMPT = "Make a file that says who made it."
COMMAND = json.dumps({"cmd": "echo 'made by hand' > made.txt; cat made.txt"})


@pytest.fixture
async def vendor():
    async with Responses() as vendor:
        yield vendor
        assert vendor.complaints == []


@pytest.fixture
async def gateway(vendor, tmp_path):
    home = tmp_path / "freddy"
    home.mkdir()
    upstream = Upstream(
        name="stage", url=vendor.url, key="sk-vendor", kind="openai", models=("*",), default_model="gpt-5"
    )
    async with serving(settings(home, vendor, upstreams=(upstream,)), vendor) as gateway:
        yield gateway


def told(call):
    """What a model was told: who, and the text, or the kind of the rest with its call."""
    for item in call.body["input"]:
        if item["type"] == "message":
            yield item["role"], "".join(part["text"] for part in item["content"])
        else:
            yield item["type"], item["call_id"]


async def turned(vendor, gateway, tmp_path, *, sockets):
    """A turn with a call of the shell, and what was overheard."""
    vendor.says(Answer(call("exec_command", COMMAND, call_id="call_shell")), Answer(text("It is ", "there.")))
    async with codex.overhearing(gateway.port) as overheard:
        session = await codex.run(tmp_path, overheard.url, PROMPT, key=DEV_KEY, model="gpt-5", sockets=sockets)
    assert session.code == 0, session.errors
    return session, overheard


def check(session, vendor, tmp_path):
    (made,) = session.of("command_execution")
    assert (made["exit_code"], made["aggregated_output"]) == (0, "made by hand\n")
    assert (tmp_path / "work" / "made.txt").read_text() == "made by hand\n"
    assert [message["text"] for message in session.of("agent_message")] == ["It is there."]
    assert session.events[-1]["type"] == "turn.completed"
    assert session.events[-1]["usage"]["output_tokens"] == 14
    first, second = vendor.calls
    before, after = list(told(first)), list(told(second))
    assert before[-1] == ("user", PROMPT)
    assert after == [*before, ("function_call", "call_shell"), ("function_call_output", "call_shell")]
    assert "made by hand" in second.body["input"][-1]["output"]
    names = [tool["name"] for tool in first.body["tools"]]
    assert "exec_command" in names
    assert first.body["tools"] == second.body["tools"]
    # All of a conversation goes where its beginning is remembered.
    assert first.body["prompt_cache_key"] == second.body["prompt_cache_key"]


async def test_codex_works_over_server_sent_events(vendor, gateway, tmp_path):
    session, overheard = await turned(vendor, gateway, tmp_path, sockets=False)
    check(session, vendor, tmp_path)
    assert overheard.frames == []


async def test_codex_works_over_a_websocket(vendor, gateway, tmp_path):
    session, overheard = await turned(vendor, gateway, tmp_path, sockets=True)
    check(session, vendor, tmp_path)
    assert [request.path for request in overheard.requests] == ["/v1/responses"]
    warm, first, second = overheard.frames
    assert {frame["type"] for frame in overheard.frames} == {"response.create"}
    assert (warm["generate"], warm["store"]) == (False, False)
    assert first["previous_response_id"].startswith("resp_")
    assert second["previous_response_id"] not in (None, first["previous_response_id"])
    # It sends what is new, and the server knows the rest.
    assert [item["type"] for item in second["input"]] == ["function_call_output"]


async def test_codex_says_why_a_turn_failed(vendor, gateway, tmp_path):
    for sockets in (True, False):
        vendor.says(*(Fault(400, "that cannot be answered") for _ in range(8)))
        session = await codex.run(tmp_path, gateway.url, PROMPT, key=DEV_KEY, model="gpt-5", sockets=sockets)
        assert session.code != 0
        failed = [event for event in session.events if event["type"] == "turn.failed"]
        assert "that cannot be answered" in failed[0]["error"]["message"]
        vendor._script.clear()


async def test_codex_says_that_its_key_is_not_one(vendor, gateway, tmp_path):
    for sockets in (True, False):
        session = await codex.run(tmp_path, gateway.url, PROMPT, key="sk-frdy-no", model="gpt-5", sockets=sockets)
        assert session.code != 0
        assert any("401" in event["error"]["message"] for event in session.events if event["type"] == "turn.failed")
    assert vendor.calls == []
