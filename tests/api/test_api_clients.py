"""Clients as people have them, unmodified, against the running server."""

import asyncio
import json

import aiohttp
import httpx2
import openai
import pydantic
import pytest
from gateway import DEV_KEY, PLAIN

import freddy
from freddy import _settings, types
from freddy._async.transport import AsyncTransport
from promises import promise
from upstream import MODEL, PATIENCE, Answer, Break, Fault, Gate, call, text, thought

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Capital(pydantic.BaseModel):
    country: str
    city: str


def sync_openai(gateway) -> openai.OpenAI:
    http = httpx2.Client(**PLAIN)
    return openai.OpenAI(
        api_key=DEV_KEY, base_url=f"{gateway.url}/v1", max_retries=0, timeout=PATIENCE, http_client=http
    )


def sync_freddy(gateway, **options) -> freddy.FreddyClient:
    return freddy.FreddyClient(DEV_KEY, base_url=gateway.url, max_retries=0, timeout=PATIENCE, **options)


@promise(4, 15, 265, 266, 267, 268, 269, 270, 272, 274, 275)
async def test_the_openai_client_gets_an_answer(gateway, upstream):
    def ask():
        with sync_openai(gateway) as client:
            return client.responses.create(
                model="gpt-4o",
                input="Hi",
                instructions="Be brief.",
                temperature=0.5,
                top_p=0.9,
                max_output_tokens=64,
                metadata={"trip": "7"},
            )

    response = await asyncio.to_thread(ask)
    assert (response.output_text, response.status, response.model) == ("Hello there.", "completed", MODEL)
    assert (response.object, response.metadata, response.instructions) == ("response", {"trip": "7"}, "Be brief.")
    assert (response.temperature, response.top_p, response.max_output_tokens) == (0.5, 0.9, 64)
    assert response.created_at <= response.completed_at
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (11, 7, 18)
    sent = upstream.last.body
    assert upstream.last.messages == [("system", "Be brief."), ("user", "Hi")]
    assert (sent["model"], sent["temperature"], sent["top_p"], sent["max_tokens"]) == ("gpt-4o", 0.5, 0.9, 64)


@promise(268, 275)
async def test_the_openai_client_reads_a_stream(gateway):
    def ask():
        with sync_openai(gateway) as client, client.responses.create(model="stage", input="Hi", stream=True) as events:
            return list(events)

    events = await asyncio.to_thread(ask)
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "Hello there."
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == "Hello there."


@promise(275)
async def test_the_openai_stream_helper_puts_the_answer_together(gateway, upstream):
    upstream.says(Answer(thought("Hm."), text("Let me look."), call("get_weather", '{"city":', '"Oslo"}', call_id="a")))
    async with gateway.openai().responses.stream(model="stage", input="Hi", tools=[WEATHER]) as stream:
        types_ = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert types_[0] == "response.created"
    assert types_[-1] == "response.completed"
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
    assert final.output_text == "Let me look."
    assert final.output[2].arguments == '{"city":"Oslo"}'


@promise(275)
async def test_the_openai_client_parses_what_fits_a_schema(gateway, upstream):
    upstream.says(Answer(text('{"country":"Norway",', '"city":"Oslo"}')))
    response = await gateway.openai().responses.parse(model="stage", input="Norway?", text_format=Capital)
    assert response.output_parsed == Capital(country="Norway", city="Oslo")
    asked = upstream.last.body["response_format"]
    assert (asked["type"], asked["json_schema"]["name"], asked["json_schema"]["strict"]) == (
        "json_schema",
        "Capital",
        True,
    )
    assert asked["json_schema"]["schema"]["required"] == ["country", "city"]


@promise(271, 275)
async def test_the_openai_client_answers_a_call_and_goes_on(gateway, upstream):
    upstream.says(Answer(call("get_weather", '{"city":"Oslo"}', call_id="call_a")), Answer(text("12 degrees.")))
    client = gateway.openai()
    first = await client.responses.create(model="stage", input="Oslo?", tools=[WEATHER], tool_choice="required")
    (asked,) = first.output
    assert json.loads(asked.arguments) == {"city": "Oslo"}
    second = await client.responses.create(
        model="stage",
        previous_response_id=first.id,
        tools=[WEATHER],
        input=[{"type": "function_call_output", "call_id": asked.call_id, "output": "12"}],
    )
    assert second.output_text == "12 degrees."
    assert [role for role, _ in upstream.last.messages] == ["user", "assistant", "tool"]


async def test_what_the_openai_client_got_can_be_sent_back(gateway, upstream):
    upstream.says(Answer(thought("Hm."), text("Hello.")))
    client = gateway.openai()
    first = await client.responses.create(model="stage", input="Hi")
    again = [{"role": "user", "content": "Hi"}, *first.output, {"role": "user", "content": "And now?"}]
    await client.responses.create(model="stage", input=again)
    assert upstream.last.messages == [("user", "Hi"), ("assistant", "Hello."), ("user", "And now?")]


@promise(275)
async def test_the_openai_client_finds_lists_cancels_and_deletes(gateway):
    client = gateway.openai()
    made = await client.responses.create(model="stage", input="Hi")
    assert await client.responses.retrieve(made.id) == made
    listed = await client.responses.input_items.list(made.id)
    assert [item.content[0].text for item in listed.data] == ["Hi"]
    counted = await client.responses.input_tokens.count(model="stage", input="Hi")
    assert counted.input_tokens > 0
    async with await client.responses.retrieve(made.id, stream=True) as events:
        assert [event.type async for event in events][-1] == "response.completed"
    await client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(made.id)


async def test_the_openai_client_takes_up_a_background_stream_again(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("One"), gate, text(" two")))
    client = gateway.openai()
    async with await client.responses.create(model="stage", input="Hi", background=True, stream=True) as events:
        async for event in events:
            if event.type == "response.output_text.delta":
                break
    gate.open()
    seen = event.sequence_number
    async with client.responses.stream(response_id=event_id(gateway), starting_after=seen) as stream:
        rest = [one.sequence_number async for one in stream]
        final = await stream.get_final_response()
    assert rest == list(range(seen + 1, seen + 1 + len(rest)))
    assert final.output_text == "One two"


def event_id(gateway) -> str:
    """The id of the only response that runs."""
    (name,) = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("resp_")]
    return name


@promise(264)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(400), openai.BadRequestError),
        (Fault(404), openai.NotFoundError),
        (Fault(429, retry_after="7"), openai.RateLimitError),
        (Fault(500), openai.InternalServerError),
        (Fault(503), openai.InternalServerError),
    ],
)
async def test_the_openai_client_raises_what_went_wrong(gateway, upstream, fault, error):
    upstream.says(fault, fault)
    client = gateway.openai()
    with pytest.raises(error) as told:
        await client.responses.create(model="stage", input="Hi")
    assert told.value.request_id.startswith("req_")
    with pytest.raises(error):
        await client.responses.create(model="stage", input="Hi", stream=True)
    assert len(upstream.calls) == 2


async def test_the_openai_client_raises_when_a_stream_fails_in_its_middle(gateway, upstream):
    upstream.says(Answer(text("Half"), Break("cut")), Answer(text("Half"), Break("cut")))
    client = gateway.openai()
    stream = await client.responses.create(model="stage", input="Hi", stream=True)
    told = []

    async def read() -> None:
        async for event in stream:
            told.append(event.type)  # noqa: PERF401 what came before the failure counts

    with pytest.raises(openai.APIError):
        await read()
    assert "response.output_text.delta" in told
    assert "response.completed" not in told


@promise(15)
async def test_the_openai_client_is_told_that_its_key_is_wrong(gateway):
    with pytest.raises(openai.AuthenticationError):
        await gateway.openai("sk-wrong").responses.create(model="stage", input="Hi")


@promise(18, 276, 277, 279, 280)
async def test_the_freddy_client_gets_an_answer(gateway, upstream):
    def ask():
        with sync_freddy(gateway) as client:
            return client.responses.create(model="ftg-3.0", inputs=[{"role": "user", "texts": [{"text": "Hi"}]}])

    response = await asyncio.to_thread(ask)
    assert response.output[0].content[0].text == response.output_text == "Hello there."
    assert response.usage.total_tokens == 18
    assert response.request_id.startswith("req_")
    assert upstream.last.body["model"] == "stage"


@promise(19)
async def test_the_freddy_client_finds_key_address_and_organization_in_the_environment(gateway, monkeypatch):
    monkeypatch.setenv("FREDDY_API_KEY", DEV_KEY)
    monkeypatch.setenv("FREDDY_BASE_URL", gateway.url)
    monkeypatch.setenv("FREDDY_ORG_ID", "org_abc123")
    async with freddy.AsyncFreddyClient(max_retries=0) as client:
        response = await client.responses.create(inputs="Hi")
    assert response.organization_id == "org_abc123"


@promise(280, 281)
async def test_the_freddy_client_shows_the_message_first_and_everything_as_attributes(gateway, upstream):
    upstream.says(Answer(call("get_weather", '{"city":"Oslo"}', call_id="call_a"), text("I looked.")))
    response = await gateway.freddy().responses.stream(inputs="Hi", tools=[WEATHER]).get_final_response()
    assert [item.type for item in response.items] == ["function_call", "message"]
    assert [item.type for item in response.output] == ["message", "function_call"]
    assert response.output[0].content[0].text == "I looked."
    called = response.output[1]
    assert (called.function.name, called.function.arguments) == ("get_weather", '{"city":"Oslo"}')


@promise(278)
async def test_the_freddy_client_sends_every_field_by_its_name(gateway, upstream):
    response = await gateway.freddy().responses.create(
        model="stage",
        inputs=[{"role": "user", "content": "Hi"}],
        instructions="Be brief.",
        tools=[WEATHER],
        toolChoice="required",
        disable_rules=True,
        metadata={"a": "b"},
        max_output_synapses=64,
        temperature=0.1,
        top_p=0.9,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        verbosity="low",
        reasoning={"effort": "low"},
        include=["usage.detailed"],
        thread="thrd_mine",
        thread_context_mode="smart",
        truncation="auto",
        parallel_tool_calls=True,
        max_tool_calls=3,
        store=True,
        background=False,
    )
    sent = upstream.last.body
    assert (sent["tool_choice"], sent["max_tokens"], sent["reasoning_effort"]) == ("required", 64, "low")
    assert (sent["presence_penalty"], sent["frequency_penalty"]) == (0.5, -0.5)
    assert (response.thread, response.metadata) == ("thrd_mine", {"a": "b"})


async def test_the_freddy_client_streams_and_gives_the_whole_in_the_end(gateway):
    def ask():
        with sync_freddy(gateway) as client, client.responses.stream(inputs="Hi") as stream:
            return list(stream.text_deltas()), stream.get_final_response()

    pieces, final = await asyncio.to_thread(ask)
    assert pieces == ["Hello", " there."]
    assert (final.output_text, final.status) == ("Hello there.", "completed")
    async with gateway.freddy().responses.stream(inputs="Hi") as stream:
        told = [event async for event in stream]
    assert not any(isinstance(event, types.UnknownEvent) for event in told)


@promise(60, 282)
async def test_the_freddy_client_keeps_finds_cancels_and_deletes(gateway, upstream):
    client = gateway.freddy()
    first = await client.responses.create(inputs="Hi")
    await client.responses.create(inputs="Again", thread=first.thread)
    assert [role for role, _ in upstream.last.messages] == ["user", "assistant", "user"]
    messages = await client.threads.messages(first.thread, order="asc")
    assert [message.content for message in messages.data] == ["Hi", "Hello there.", "Again", "Hello there."]
    assert (await client.responses.get(first.id)).output_text == "Hello there."
    assert (await client.responses.cancel(first.id)).status == "completed"
    assert [item.content[0].text async for item in await client.responses.input_items(first.id)] == ["Hi"]
    assert (await client.responses.delete(first.id)).deleted
    with pytest.raises(freddy.NotFoundError):
        await client.responses.get(first.id)


@promise(282)
@pytest.mark.parametrize(
    ("body", "error", "status"),
    [
        ({"inputs": []}, freddy.BadRequestError, 400),
        ({"inputs": "Hi", "model": "nobody"}, freddy.NotFoundError, 404),
        ({"inputs": "Hi", "temperature": 3}, freddy.UnprocessableEntityError, 422),
        ({"inputs": "Hi", "organization_id": "org_other"}, freddy.PermissionDeniedError, 403),
    ],
)
async def test_the_freddy_client_raises_by_status(gateway, body, error, status):
    with pytest.raises(error) as told:
        await gateway.freddy().responses.create(**body)
    assert told.value.status == status
    assert told.value.request_id.startswith("req_")


async def test_the_freddy_client_tells_when_to_come_back(gateway, upstream):
    upstream.says(Fault(429, retry_after="7"))
    with pytest.raises(freddy.RateLimitError) as told:
        await gateway.freddy().responses.create(inputs="Hi")
    assert told.value.retry_after == 7


async def test_the_freddy_client_goes_on_after_a_failure_that_passes(gateway, upstream):
    upstream.says(Fault(503, retry_after="7"), Answer(text("Now.")))
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    settings = _settings.complete(DEV_KEY, base_url=gateway.url, organization_id=None)
    transport = AsyncTransport(settings, http_client=gateway.http(None), max_retries=1, sleep=sleep)
    async with freddy.AsyncFreddyClient.over(transport) as client:
        assert (await client.responses.create(inputs="Hi")).output_text == "Now."
    assert waited == [7]


async def test_the_freddy_client_raises_when_a_stream_fails_in_its_middle(gateway, upstream):
    upstream.says(Answer(text("Half"), Break("cut")))
    with pytest.raises(freddy.APIError):
        async with gateway.freddy().responses.stream(inputs="Hi") as stream:
            await stream.get_final_response()


async def test_the_freddy_client_follows_a_response_from_where_it_was(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("One"), gate, text(" two")))
    client = gateway.freddy()
    started = await client.responses.create(inputs="Hi", background=True)
    assert started.status == "queued"
    await gate.reached()
    async with client.responses.follow(started.id, starting_after=0) as stream:
        gate.open()
        pieces = [piece async for piece in stream.text_deltas()]
    assert pieces == ["One", " two"]


async def test_any_http_client_will_do(gateway):
    headers = {"x-api-key": DEV_KEY}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{gateway.url}/v1/model/response", json={"inputs": "Hi", "stream": True}) as reply,
    ):
        events = [json.loads(line[6:]) async for line in reply.content if line.startswith(b"data: ")]
    assert events[-1]["response"]["response"] == "Hello there."
