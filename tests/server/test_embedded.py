"""The server with its own model, for real: one command, and text comes out of every door."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from freddy_process import Served, alive, environment, serving, share_models, stream_events, wait_until

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine")]

CONTEXT = 1024
SURE = {"temperature": 0.0}
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Lisbon", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
ENDLESS = {"input": "Tell a very long story.", "model": "gpt-4o", "max_output_tokens": 900, "stream": True}
"""Takes many seconds, unless somebody stops it."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("embedded") / "home"
    share_models(home, tmp_path_factory)
    bounds = {"FREDDY_ENGINE_CONTEXT_TOKENS": str(CONTEXT), "FREDDY_ENGINE_ANSWER_TOKENS": "32"}
    # The other tests compute as well: more threads would wait for each other.
    bounds["FREDDY_ENGINE_THREADS"] = "1"
    with serving(home, FREDDY_MODEL="smollm2-135m", **bounds) as server:
        yield server
        engines = server.children()
        server.send(signal.SIGTERM)
        assert server.wait_ended() == 0
        assert not any(alive(pid) for pid in engines)
        assert os.listdir(home.with_name("home-tmp")) == []


@pytest.fixture
def client(server: Served) -> Iterator[httpx2.Client]:
    with server.client() as client:
        client.timeout = 60
        yield client


def freddy(client: httpx2.Client, text: str, **asked: Any) -> httpx2.Response:
    return client.post("/v1/model/response", json={"inputs": text, "max_output_synapses": 16, **SURE, **asked})


def openai(client: httpx2.Client, text: str, **asked: Any) -> httpx2.Response:
    told = {"input": text, "model": "gpt-4o", "max_output_tokens": 16, **SURE, **asked}
    return client.post("/v1/responses", json=told)


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item.get("content", ()))


def test_both_dialects_answer_streamed_and_whole_with_the_same_words(client: httpx2.Client):
    question = "What is the capital of France?"
    whole = freddy(client, question).json()
    assert whole["model"] == "smollm2-135m"
    assert whole["response"].strip()
    assert whole["usage"]["output_tokens"] > 0
    assert text_of(openai(client, question).json()) == whole["response"]
    for path in ("/v1/model/response", "/v1/model/response/stream"):
        asked = {"inputs": question, "max_output_synapses": 16, "stream": True, **SURE}
        events = stream_events(client.post(path, json=asked).text)
        deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
        assert len(deltas) > 1
        assert "".join(deltas) == events[-1]["response"]["response"] == whole["response"]
    events = stream_events(openai(client, question, stream=True).text)
    assert text_of(events[-1]["response"]) == whole["response"]
    assert client.get("/health/ready").json()["checks"]["embedded_model"] == "ok"


async def test_eight_at_once_are_all_answered(server: Served):
    async with server.asynchronous() as client, asyncio.TaskGroup() as tasks:
        client.timeout = 60
        asked = [{"inputs": f"Count from {n}.", "max_output_synapses": 8} for n in range(8)]
        answers = [tasks.create_task(client.post("/v1/model/response", json=one)) for one in asked]
    for answer in answers:
        assert answer.result().status_code == 200
        assert answer.result().json()["response"].strip()


def test_a_threads_next_turn_reads_only_what_is_new(client: httpx2.Client):
    first = openai(client, "Remember these words: " + "apple river stone " * 40, conversation=None).json()
    second = openai(client, "What did I say?", previous_response_id=first["id"]).json()
    usage = second["usage"]
    assert usage["input_tokens"] > first["usage"]["input_tokens"] > 100
    assert usage["input_tokens_details"]["cached_tokens"] >= 0.9 * first["usage"]["input_tokens"]


def test_an_answer_that_reaches_its_limit_is_incomplete(client: httpx2.Client):
    for response in (
        freddy(client, "Tell a long story.", max_output_synapses=5).json(),
        openai(client, "Tell a long story.", max_output_tokens=5).json(),
    ):
        assert response["status"] == "incomplete"
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
        assert response["usage"]["output_tokens"] == 5


def test_a_required_tool_is_called_with_arguments_that_fit(client: httpx2.Client):
    limit = {"max_output_tokens": 60, "tools": [WEATHER], "tool_choice": "required"}
    (call,) = openai(client, "What is the weather in Rome?", **limit).json()["output"]
    assert (call["type"], call["name"], call["status"]) == ("function_call", "get_weather", "completed")
    assert json.loads(call["arguments"])["city"] in ("Lisbon", "Rome")
    told = {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny."}
    after = openai(client, [{"role": "user", "content": "Weather in Rome?"}, call, told], tools=[WEATHER])
    assert after.json()["status"] in ("completed", "incomplete")


def test_more_input_than_the_model_can_read_is_refused(client: httpx2.Client):
    long = "word " * (CONTEXT + 200)
    for answer in (freddy(client, long), openai(client, long), openai(client, long, stream=True)):
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "context_length_exceeded"
        assert str(CONTEXT) in answer.text


def test_whoever_hangs_up_makes_room(client: httpx2.Client):
    for _ in range(8):
        with client.stream("POST", "/v1/responses", json=ENDLESS) as answer:
            assert any("output_text.delta" in line for line in answer.iter_lines())
    # Each of them alone would fill the model's memory: this one would stand behind all of them.
    answer = freddy(client, "Hi", max_output_synapses=4)
    assert answer.status_code == 200
    tokens = [line for line in client.get("/metrics").text.splitlines() if "runs_in_progress" in line]
    assert tokens[-1].endswith(" 0.0")


def test_an_engine_that_dies_fails_what_it_answers_and_comes_back(client: httpx2.Client, server: Served):
    (engine,) = server.children()
    with client.stream("POST", "/v1/responses", json=ENDLESS) as answer:
        text = ""
        for piece in answer.iter_text():
            if "output_text.delta" in text and alive(engine):
                os.kill(engine, signal.SIGKILL)
            text += piece
    last = stream_events(text)[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["message"]
    assert text_of(last["response"])
    # Nobody has to wait for a restart by hand.
    assert freddy(client, "Hi").json()["response"].strip()
    wait_until(lambda: len(server.children()) == 1)
    assert server.children() != [engine]
    assert "traceback" not in server.said()


def test_the_command_line_prints_what_the_model_says(server: Served):
    done = subprocess.run(
        [sys.executable, "-m", "freddy", "ask", "Say hello.", "--max-tokens", "8"],
        env=environment(server.home, FREDDY_BASE_URL=server.url),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.strip()
