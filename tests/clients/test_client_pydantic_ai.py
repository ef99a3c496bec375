"""pydantic-ai's `OpenAIResponsesModel`, before each kind of vendor."""

import pydantic
import pytest
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.messages import ThinkingPart
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai import OpenAIProvider

from promises import promise
from simulators.script import Answer, call, text, thought

JSON = '{"country":"Norway","city":"Oslo"}'
THINKING = OpenAIResponsesModelSettings(openai_reasoning_effort="low", openai_reasoning_summary="auto")


class Capital(pydantic.BaseModel):
    country: str
    city: str


def agent(stage, **options) -> Agent:
    provider = OpenAIProvider(openai_client=stage.gateway.openai())
    return Agent(OpenAIResponsesModel(stage.model, provider=provider), **options)


def weatherman(stage, **options) -> Agent:
    made = agent(stage, **options)

    @made.tool_plain
    def get_weather(city: str) -> str:
        """The weather in a city."""
        return f"12 degrees in {city}"

    return made


@promise(275)
async def test_it_gets_an_answer(stage):
    result = await agent(stage, instructions="Be brief.").run("Hi")
    assert result.output == "Hello there."
    assert (result.usage.input_tokens, result.usage.output_tokens) == (11, 7)
    assert stage.told == [("system", "Be brief."), ("user", "Hi")]


@promise(275)
async def test_it_streams(stage):
    async with agent(stage).run_stream("Hi") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert pieces == ["Hello", " there."]
    assert result.usage.output_tokens == 7


@promise(275)
async def test_its_tools_are_called_and_its_history_is_taken_back(stage):
    stage.vendor.says(
        Answer(thought("Hm."), text("Let me look."), call("get_weather", '{"city":', '"Oslo"}', call_id="call_a")),
        Answer(thought("So."), text("It is mild.")),
        Answer(text("Bye.")),
    )
    made = weatherman(stage, model_settings=THINKING)
    first = await made.run("Oslo?")
    assert first.output == "It is mild."
    second = await made.run("Bye", message_history=first.all_messages())
    assert second.output == "Bye."
    # Of a vendor whose thinking is open nothing is to be sent back.
    kept = stage.kind != "compatible"
    assert [one for one in stage.told if one[0] != "call"] == [
        ("user", "Oslo?"),
        *([("thought", "Hm.")] if kept else []),
        ("assistant", "Let me look."),
        ("output", "12 degrees in Oslo"),
        *([("thought", "So.")] if kept else []),
        ("assistant", "It is mild."),
        ("user", "Bye"),
    ]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_it_reads_what_was_thought(stage, streamed):
    stage.vendor.says(Answer(thought("Hm,", " well."), text("Hello.")))
    made = agent(stage, model_settings=THINKING)
    if streamed:
        async with made.run_stream("Hi") as result:
            assert await result.get_output() == "Hello."
    else:
        result = await made.run("Hi")
    (thinking,) = [part for part in result.all_messages()[-1].parts if isinstance(part, ThinkingPart)]
    open_ = (thinking.provider_details or {}).get("raw_content")
    assert (thinking.content, open_) == (("Hm, well.", None) if stage.kind == "openai" else ("", ["Hm, well."]))


@promise(275)
@pytest.mark.parametrize("form", [ToolOutput, NativeOutput, PromptedOutput])
async def test_its_output_fits_a_type(stage, form):
    said = [call("final_result", JSON, call_id="call_a")] if form is ToolOutput else [text(JSON)]
    stage.vendor.says(Answer(*said))
    result = await agent(stage, output_type=form(Capital)).run("Norway?")
    assert result.output == Capital(country="Norway", city="Oslo")


async def test_it_streams_what_fits_a_type(stage):
    stage.vendor.says(Answer(text(JSON[:12], JSON[12:])))
    async with agent(stage, output_type=NativeOutput(Capital)).run_stream("Norway?") as result:
        outputs = [output async for output in result.stream_output(debounce_by=None)]
    assert outputs[-1] == Capital(country="Norway", city="Oslo")


async def test_what_does_not_fit_is_asked_for_again(stage):
    wrong = '{"country":"Norway"}'
    stage.vendor.says(
        Answer(call("final_result", wrong, call_id="call_a")), Answer(call("final_result", JSON, call_id="call_b"))
    )
    result = await agent(stage, output_type=Capital).run("Norway?")
    assert result.output == Capital(country="Norway", city="Oslo")
    kinds = [kind for kind, _ in stage.told]
    assert kinds == ["user", "call", "output"]


@promise(275)
async def test_it_continues_from_a_response_that_is_kept(stage):
    stage.vendor.says(Answer(call("get_weather", '{"city":"Oslo"}', call_id="call_a")), Answer(text("It is mild.")))
    made = weatherman(stage, model_settings=OpenAIResponsesModelSettings(openai_previous_response_id="auto"))
    first = await made.run("Oslo?")
    second = await made.run("Bye", message_history=first.all_messages())
    assert (first.output, second.output) == ("It is mild.", "Hello there.")
    assert [kind for kind, _ in stage.told] == ["user", "call", "output", "assistant", "user"]
