"""LangChain's `ChatOpenAI` in its Responses mode, before each kind of vendor."""

import asyncio

import pydantic
import pytest
from gateway import DEV_KEY
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from promises import promise
from simulators.script import PATIENCE, Answer, call, text, thought

JSON = '{"country":"Norway","city":"Oslo"}'


class Capital(pydantic.BaseModel):
    """A capital."""

    country: str
    city: str


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"12 degrees in {city}"


def chat(stage, **options) -> ChatOpenAI:
    return ChatOpenAI(
        model=stage.model,
        base_url=f"{stage.gateway.url}/v1",
        api_key=DEV_KEY,
        max_retries=0,
        timeout=PATIENCE,
        **{"use_responses_api": True, **options},
    )


async def gathered(model, conversation) -> AIMessage:
    whole = None
    async for piece in model.astream(conversation):
        whole = piece if whole is None else whole + piece
    return whole


@promise(275)
async def test_it_gets_an_answer(stage):
    conversation = [SystemMessage("Be brief."), HumanMessage("Hi")]
    answer = await chat(stage).ainvoke(conversation)
    assert answer.text == "Hello there."
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (11, 7)
    assert answer.response_metadata["status"] == "completed"
    assert stage.told == [("system", "Be brief."), ("user", "Hi")]
    assert (await asyncio.to_thread(chat(stage).invoke, conversation)).text == "Hello there."


@promise(275)
async def test_it_streams(stage):
    pieces = [piece async for piece in chat(stage).astream("Hi")]
    assert [piece.text for piece in pieces if piece.text] == ["Hello", " there."]
    whole = await gathered(chat(stage), "Hi")
    assert (whole.text, whole.usage_metadata["total_tokens"]) == ("Hello there.", 18)
    assert whole.response_metadata["id"].startswith("resp_")


@promise(275)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_it_calls_tools_and_goes_on_with_what_was_thought(stage, streamed):
    stage.vendor.says(
        Answer(
            thought("Two cities."),
            text("Let me look."),
            call("get_weather", '{"city":', '"Oslo"}', call_id="call_a"),
            call("get_weather", '{"city":', '"Rome"}', call_id="call_b", index=1),
        ),
        Answer(text("Both are warm.")),
    )
    model = chat(stage, reasoning={"effort": "low", "summary": "auto"}, output_version="responses/v1")
    bound = model.bind_tools([get_weather])
    conversation = [HumanMessage("Oslo and Rome?")]
    answer = await (gathered(bound, conversation) if streamed else bound.ainvoke(conversation))
    assert answer.text == "Let me look."
    assert [(one["id"], one["args"]) for one in answer.tool_calls] == [
        ("call_a", {"city": "Oslo"}),
        ("call_b", {"city": "Rome"}),
    ]
    conversation += [answer, *(get_weather.invoke(one) for one in answer.tool_calls)]
    assert (await bound.ainvoke(conversation)).text == "Both are warm."
    thoughts = [("thought", "Two cities.")] if stage.kind != "compatible" else []
    assert [one for one in stage.told if one[0] != "call"] == [
        ("user", "Oslo and Rome?"),
        *thoughts,
        ("assistant", "Let me look."),
        ("output", "12 degrees in Oslo"),
        ("output", "12 degrees in Rome"),
    ]


@promise(275)
@pytest.mark.parametrize("strict", [None, True], ids=["loose", "strict"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_it_gets_what_fits_a_schema(stage, method, strict):
    called = [call("Capital", JSON, call_id="call_a")] if method == "function_calling" else [text(JSON)]
    stage.vendor.says(Answer(*called))
    options = {} if strict is None else {"strict": strict}
    asked = chat(stage).with_structured_output(Capital, method=method, **options)
    assert await asked.ainvoke("Norway?") == Capital(country="Norway", city="Oslo")


async def test_it_gets_json_without_a_schema(stage):
    stage.vendor.says(Answer(text(JSON)))
    asked = chat(stage).with_structured_output(Capital, method="json_mode")
    assert await asked.ainvoke("Norway, as JSON?") == Capital(country="Norway", city="Oslo")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_it_reads_what_was_thought(stage, streamed):
    stage.vendor.says(Answer(thought("Hm,", " well."), text("Hello.")))
    model = chat(stage, reasoning={"effort": "low", "summary": "auto"}, output_version="responses/v1")
    answer = await (gathered(model, "Hi") if streamed else model.ainvoke("Hi"))
    thinking, said = answer.content
    assert (thinking["type"], said["text"]) == ("reasoning", "Hello.")
    if stage.kind == "openai":
        assert [part["text"] for part in thinking["summary"]] == ["Hm, well."]
        assert answer.content_blocks[0]["reasoning"] == "Hm, well."
    elif not streamed:  # LangChain drops open thinking from streams, whoever serves it.
        assert thinking["content"] == [{"type": "reasoning_text", "text": "Hm, well."}]


async def test_it_keeps_sealed_thoughts_itself_where_nothing_is_stored(stage):
    stage.vendor.says(Answer(thought("Hm."), text("Hello.")))
    model = chat(
        stage,
        reasoning={"effort": "low", "summary": "auto"},
        output_version="responses/v1",
        store=False,
        include=["reasoning.encrypted_content"],
    )
    answer = await model.ainvoke("Hi")
    await model.ainvoke([HumanMessage("Hi"), answer, HumanMessage("And?")])
    thoughts = [("thought", "Hm.")] if stage.kind != "compatible" else []
    assert stage.told == [("user", "Hi"), *thoughts, ("assistant", "Hello."), ("user", "And?")]


@promise(275)
async def test_it_continues_from_a_response_that_is_kept(stage):
    model = chat(stage, use_previous_response_id=True)
    first = await model.ainvoke([HumanMessage("Hi")])
    second = await model.ainvoke([HumanMessage("Hi"), first, HumanMessage("And?")])
    assert second.text == "Hello there."
    assert stage.told == [("user", "Hi"), ("assistant", "Hello there."), ("user", "And?")]
