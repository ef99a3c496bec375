"""The simulators speak as vendors do: their official clients understand them, and what vendors refuse is refused."""

import contextlib

import anthropic
import httpx2
import openai
import pytest

from simulators.chat import Chat
from simulators.messages import Messages
from simulators.responses import Responses
from simulators.script import PATIENCE, Answer, Fault, call, text, thought

OPTIONS = {"api_key": "secret", "max_retries": 0, "timeout": PATIENCE}
LINES = (thought("Hm."), text("Let me ", "look."), call("get_weather", '{"city":', '"Oslo"}', call_id="call_a"))


@contextlib.asynccontextmanager
async def openai_client(simulator):
    http = httpx2.AsyncClient(trust_env=False)
    async with simulator, openai.AsyncOpenAI(base_url=simulator.url, http_client=http, **OPTIONS) as client:
        yield client


@contextlib.asynccontextmanager
async def anthropic_client(simulator):
    http = anthropic.DefaultAsyncHttpxClient(trust_env=False)
    url = "http://127.0.0.1:{}".format
    async with simulator:
        base = simulator.url.removesuffix("/v1")
        assert base == url(base.rpartition(":")[2])
        async with anthropic.AsyncAnthropic(base_url=base, http_client=http, **OPTIONS) as client:
            yield client


async def test_openais_client_reads_its_responses():
    simulator = Responses(key="secret", models=("gpt-5",))
    async with openai_client(simulator) as client:
        simulator.says(Answer(*LINES), Answer(*LINES))
        whole = await client.responses.create(model="gpt-5", input="Hi")
        async with client.responses.stream(model="gpt-5", input="Hi") as stream:
            events = [event async for event in stream]
            streamed = await stream.get_final_response()
        assert whole.output_text == streamed.output_text == "Let me look."
        assert [item.type for item in whole.output] == ["reasoning", "message", "function_call"]
        assert [item.type for item in streamed.output] == [item.type for item in whole.output]
        assert events[-1].type == "response.completed"
        assert [model.id async for model in client.models.list()] == ["gpt-5"]
        counted = await client.responses.input_tokens.count(model="gpt-5", input="Hi")
        assert counted.input_tokens > 0
    assert simulator.complaints == []


async def test_openais_client_reads_its_chat():
    simulator = Chat(key="secret")
    async with openai_client(simulator) as client:
        simulator.says(Answer(*LINES), Answer(*LINES))
        asked = {"model": "stage", "messages": [{"role": "user", "content": "Hi"}]}
        whole = await client.chat.completions.create(**asked)
        message = whole.choices[0].message
        assert (message.content, message.tool_calls[0].function.arguments) == ("Let me look.", '{"city":"Oslo"}')
        async with client.chat.completions.stream(**asked) as stream:
            async for _ in stream:
                pass
            final = (await stream.get_final_completion()).choices[0].message
        assert (final.content, final.tool_calls[0].id) == ("Let me look.", "call_a")
        assert [model.id async for model in client.models.list()] == ["stage"]
    assert simulator.complaints == []


async def test_anthropics_client_reads_its_messages():
    simulator = Messages(key="secret", models=("claude-sonnet-4",))
    async with anthropic_client(simulator) as client:
        simulator.says(Answer(*LINES), Answer(*LINES))
        asked = {"model": "claude-sonnet-4", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
        whole = await client.messages.create(**asked)
        async with client.messages.stream(**asked) as stream:
            async for _ in stream:
                pass
            streamed = await stream.get_final_message()
        assert [block.type for block in whole.content] == ["thinking", "text", "tool_use"]
        assert [block.model_dump() for block in streamed.content] == [block.model_dump() for block in whole.content]
        assert streamed.stop_reason == whole.stop_reason == "tool_use"
        assert [model.id async for model in client.models.list()] == ["claude-sonnet-4"]
        del asked["max_tokens"]
        assert (await client.messages.count_tokens(**asked)).input_tokens > 0
    assert simulator.complaints == []


async def test_faults_are_those_of_the_vendors_own_clients():
    responses, messages = Responses(), Messages()
    async with openai_client(responses) as client:
        responses.says(Fault(429, "slow down", retry_after="7"))
        with pytest.raises(openai.RateLimitError) as limited:
            await client.responses.create(model="gpt-5", input="Hi")
        assert limited.value.response.headers["retry-after"] == "7"
    async with anthropic_client(messages) as client:
        messages.says(Fault(529, "later"))
        with pytest.raises(anthropic.APIStatusError) as overloaded:
            await client.messages.create(model="c", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
        assert overloaded.value.body["error"]["type"] == "overloaded_error"


CALLED = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
RESPONSES_WRONG = {
    "an unknown field": {"sparkle": 1},
    "an unknown field inside": {"input": [{"role": "user", "content": "Hi", "sparkle": 1}]},
    "a call without output": {"input": [{"role": "user", "content": "Hi"}, CALLED]},
    "an output without call": {"input": [{"type": "function_call_output", "call_id": "a", "output": "b"}]},
    "a long call id": {
        "input": [
            {**CALLED, "call_id": "a" * 65},
            {"type": "function_call_output", "call_id": "a" * 65, "output": "b"},
        ]
    },
    "a lonely thought": {
        "input": [
            {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"},
            {"role": "user", "content": "Hi"},
        ]
    },
    "JSON without the word": {"text": {"format": {"type": "json_object"}}},
    "a strict schema that is open": {
        "tools": [{"type": "function", "name": "f", "strict": True, "parameters": {"type": "object", "properties": {}}}]
    },
    "temperature of one that thinks": {"temperature": 0.5},
    "too low a limit": {"max_output_tokens": 3},
}


@pytest.mark.parametrize("name", RESPONSES_WRONG)
async def test_what_openai_refuses_is_refused(name):
    simulator = Responses()
    async with simulator, httpx2.AsyncClient(base_url=simulator.url, trust_env=False) as client:
        body = {"model": "gpt-5", "input": "Hi", "stream": False, **RESPONSES_WRONG[name]}
        reply = await client.post("/responses", json=body)
        assert reply.status_code == 400
        assert reply.json()["error"]["type"] == "invalid_request_error"
        assert simulator.complaints


USE = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
TOOLS = [{"name": "f", "input_schema": {"type": "object"}}]
HELLO = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
MESSAGES_WRONG = {
    "an unknown field": {"sparkle": 1},
    "an unknown field inside": {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "y": 1}]}]},
    "it begins with the model": {"messages": [{"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}]},
    "one twice": {"messages": [HELLO, HELLO]},
    "nothing": {"messages": []},
    "an empty text": {"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]},
    "a call without result": {"messages": [HELLO, {"role": "assistant", "content": [USE]}, HELLO], "tools": TOOLS},
    "a result without call": {
        "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "b"}]}]
    },
    "all tokens for thinking": {"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 2000}},
    "warm thinking": {"max_tokens": 4000, "temperature": 0.5, "thinking": {"type": "enabled", "budget_tokens": 2000}},
    "forced thinking": {
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "tools": TOOLS,
        "tool_choice": {"type": "any"},
    },
    "a choice among nothing": {"tool_choice": {"type": "auto"}},
    "a thought that was changed": {
        "messages": [
            HELLO,
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "x", "signature": "y"}, {"type": "text", "text": "z"}],
            },
            HELLO,
        ]
    },
}


@pytest.mark.parametrize("name", MESSAGES_WRONG)
async def test_what_anthropic_refuses_is_refused(name):
    simulator = Messages()
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    async with simulator, httpx2.AsyncClient(base_url=simulator.url, headers=headers, trust_env=False) as client:
        body = {"model": "claude-sonnet-4", "max_tokens": 100, "messages": [HELLO], **MESSAGES_WRONG[name]}
        reply = await client.post("/messages", json=body)
        assert reply.status_code == 400
        assert reply.json()["error"]["type"] == "invalid_request_error"
        assert simulator.complaints
