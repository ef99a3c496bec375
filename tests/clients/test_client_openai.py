"""The official OpenAI client before each kind of vendor, with what an agent does: tools, thinking, schemas."""

import asyncio
import json

import httpx2
import openai
import pydantic
import pytest
from gateway import DEV_KEY, PLAIN

from promises import promise
from simulators.script import PATIENCE, Answer, Failed, Fault, call, custom, refusal, text, thought


class Capital(pydantic.BaseModel):
    country: str
    city: str


class GetWeather(pydantic.BaseModel):
    """The weather in a city."""

    city: str


JSON = '{"country":"Norway","city":"Oslo"}'
TOOL = openai.pydantic_function_tool(GetWeather)
WEATHER = {"type": "function", **TOOL["function"]}


@promise(4, 268, 275)
async def test_a_sync_client_gets_the_whole_and_the_stream(stage):
    def ask():
        with openai.OpenAI(
            api_key=DEV_KEY,
            base_url=f"{stage.gateway.url}/v1",
            max_retries=0,
            timeout=PATIENCE,
            http_client=httpx2.Client(**PLAIN),
        ) as client:
            whole = client.responses.create(model=stage.model, input="Hi", instructions="Be brief.")
            with client.responses.create(model=stage.model, input="Hi", stream=True) as events:
                return whole, list(events)

    whole, events = await asyncio.to_thread(ask)
    assert (whole.output_text, whole.status) == ("Hello there.", "completed")
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (11, 7)
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Hello there."
    assert events[-1].response.output_text == "Hello there."


@promise(271, 275)
async def test_a_loop_of_streams_and_calls_keeps_the_thinking(stage):
    stage.vendor.says(
        Answer(thought("Two", " cities."), call("GetWeather", '{"city":', '"Oslo"}', call_id="call_a")),
        Answer(thought("Now."), text("12 degrees.")),
    )
    client = stage.gateway.openai()
    conversation = [{"role": "user", "content": "Oslo?"}]
    finals = []
    for _ in range(2):
        async with client.responses.stream(
            model=stage.model,
            input=conversation,
            tools=[WEATHER],
            reasoning={"effort": "low", "summary": "auto"},
            store=False,
            include=["reasoning.encrypted_content"],
        ) as stream:
            finals.append(await stream.get_final_response())
        conversation += finals[-1].output
        conversation += [
            {"type": "function_call_output", "call_id": item.call_id, "output": "12"}
            for item in finals[-1].output
            if item.type == "function_call"
        ]
    called = finals[0].output[-1]
    assert called.parsed_arguments in (GetWeather(city="Oslo"), {"city": "Oslo"})
    assert [item.type for item in finals[1].output] == ["reasoning", "message"]
    assert finals[1].output_text == "12 degrees."
    thoughts = [("thought", "Two cities.")] if stage.kind != "compatible" else []
    assert [one for one in stage.told if one[0] != "call"] == [("user", "Oslo?"), *thoughts, ("output", "12")]


@promise(275)
async def test_a_schema_is_parsed_whole_and_streamed(stage):
    answer = Answer(text(JSON[:9], JSON[9:]))
    stage.vendor.says(answer, answer)
    client = stage.gateway.openai()
    whole = await client.responses.parse(model=stage.model, input="Norway?", text_format=Capital)
    async with client.responses.stream(model=stage.model, input="Norway?", text_format=Capital) as stream:
        streamed = await stream.get_final_response()
    assert whole.output_parsed == streamed.output_parsed == Capital(country="Norway", city="Oslo")


async def test_a_refusal_is_told_as_one(stage):
    if stage.kind == "anthropic":
        pytest.skip("this vendor's refusals have no text")
    stage.vendor.says(Answer(refusal("I would", " rather not.")))
    response = await stage.gateway.openai().responses.parse(model=stage.model, input="Hi", text_format=Capital)
    (part,) = response.output[0].content
    assert (part.type, part.refusal, response.output_parsed) == ("refusal", "I would rather not.", None)


async def test_a_custom_tool_is_called_with_free_text_and_answered(stage):
    stage.vendor.says(Answer(custom("sql", "select", " 1", call_id="call_c")), Answer(text("One.")))
    client = stage.gateway.openai()
    tools = [{"type": "custom", "name": "sql", "description": "Runs a query."}]
    first = await client.responses.create(model=stage.model, input="How many?", tools=tools)
    (asked,) = first.output
    assert (asked.type, asked.name, asked.input) == ("custom_tool_call", "sql", "select 1")
    output = {"type": "custom_tool_call_output", "call_id": asked.call_id, "output": "1"}
    second = await client.responses.create(
        model=stage.model, input=[output], previous_response_id=first.id, tools=tools
    )
    assert second.output_text == "One."


async def test_several_calls_come_together(stage):
    stage.vendor.says(
        Answer(
            call("GetWeather", '{"city":"Oslo"}', call_id="call_a"),
            call("GetWeather", '{"city":"Rome"}', call_id="call_b", index=1),
        )
    )
    response = await stage.gateway.openai().responses.create(
        model=stage.model, input="Both?", tools=[WEATHER], parallel_tool_calls=True
    )
    assert [(item.call_id, json.loads(item.arguments)) for item in response.output] == [
        ("call_a", {"city": "Oslo"}),
        ("call_b", {"city": "Rome"}),
    ]


async def test_an_answer_that_is_cut_says_so(stage):
    stage.vendor.says(Answer(text("Half"), finish="length"))
    response = await stage.gateway.openai().responses.create(model=stage.model, input="Hi", max_output_tokens=16)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.output_text == "Half"


@promise(264)
async def test_errors_are_of_their_own_classes(stage):
    client = stage.gateway.openai()
    for fault, kind in ((Fault(400), openai.BadRequestError), (Fault(429, retry_after="30"), openai.RateLimitError)):
        stage.vendor.says(fault)
        with pytest.raises(kind):
            await client.responses.create(model=stage.model, input="Hi")
    stage.vendor.says(Answer(text("Half"), Failed()))
    stream = await client.responses.create(model=stage.model, input="Hi", stream=True)
    with pytest.raises(openai.APIError):
        [event async for event in stream]
