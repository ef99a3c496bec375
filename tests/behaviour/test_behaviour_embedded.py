"""The server's own model among the others: what a tiny model can promise, it gives in the same shape as they do."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest
from gateway import Stream, spelled

from freddy_process import Served, serving, share_models
from seen import DIALECTS, alike, answer, check_stream

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine")]

CITY = {
    "type": "object",
    "properties": {"city": {"enum": ["Lisbon", "Rome"]}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "name": "get_weather", "description": "The weather of a city.", "parameters": CITY}
SURE: Mapping[str, Any] = {"temperature": 0.0, "max_output_tokens": 24}
ASKED: dict[str, Mapping[str, Any]] = {
    "a question": {"input": "What is the capital of France?"},
    "a history": {
        "input": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "One and one?"},
            {"role": "assistant", "content": "Two."},
            {"role": "user", "content": "And one?"},
        ]
    },
    "a call": {"input": "How is the weather in Rome?", "tools": [WEATHER], "tool_choice": "required"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("behaviour") / "home"
    share_models(home, tmp_path_factory)
    bounds = {"FREDDY_ENGINE_CONTEXT_TOKENS": "1024", "FREDDY_ENGINE_THREADS": "1"}
    with serving(home, FREDDY_MODEL="smollm2-135m", **bounds) as server:
        yield server


@pytest.fixture
def client(server: Served) -> Iterator[httpx2.Client]:
    with server.client() as client:
        client.timeout = 60
        yield client


def asked(client: httpx2.Client, dialect: str, **body: Any) -> httpx2.Response:
    path, told = spelled(dialect, **body)
    reply = client.post(path, json=told | {"model": "ftg-3.0"})
    assert reply.status_code == 200, reply.text
    return reply


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_embedded_model_gives_the_same_answer_streamed_or_whole(client: httpx2.Client, dialect: str, name: str):
    whole = asked(client, dialect, **SURE, **ASKED[name]).json()
    told = Stream(asked(client, dialect, stream=True, **SURE, **ASKED[name]).content)
    check_stream(told, dialect)
    streamed = told.last["response"]
    # What was read before need not be read again, and that is told; ids of calls are made here.
    assert alike(streamed, "usage", "call_id") == alike(whole, "usage", "call_id")
    for response in (whole, streamed):
        assert response["usage"]["input_tokens"] > 0
        assert 0 < response["usage"]["output_tokens"] <= 24
        assert response["usage"]["total_tokens"] > response["usage"]["output_tokens"]
    (item,) = answer(whole)["items"]
    if name == "a call":
        assert (item[0], item[2], item[3]["city"] in ("Lisbon", "Rome")) == ("call", "get_weather", True)
    else:
        assert item[0] == "message"
        assert item[1][1].strip()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_embedded_model_is_cut_by_the_limit_like_any_other(client: httpx2.Client, dialect: str):
    limit = {"input": "Tell a very long story.", "temperature": 0.0, "max_output_tokens": 16}
    told = Stream(asked(client, dialect, stream=True, **limit).content)
    check_stream(told, dialect)
    seen = answer(told.last["response"])
    assert (told.types[-1], seen["status"], seen["reason"]) == (
        "response.incomplete",
        "incomplete",
        "max_output_tokens",
    )
    assert told.last["response"]["usage"]["output_tokens"] == 16


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_embedded_model_answers_in_the_form_that_was_asked_for(client: httpx2.Client, dialect: str):
    forms: dict[str, dict[str, Any]] = {
        "openai": {"text": {"format": {"type": "json_schema", "name": "place", "schema": CITY, "strict": True}}},
        "freddy": {"output_mode": "json_schema", "json_schema": {"id": "place", "schema": CITY, "strict": True}},
    }
    asks = {"input": "Where is the Colosseum?", **SURE, **forms[dialect]}
    told = Stream(asked(client, dialect, stream=True, **asks).content)
    check_stream(told, dialect)
    ((_, (_, said)),) = answer(told.last["response"])["items"]
    assert json.loads(said)["city"] in ("Lisbon", "Rome")
