"""The platform's own client asks for responses, with everything that it can say, and stops them."""

import asyncio

import pytest
from aitronos import InputMessage, ReasoningConfig
from aitronos.core.api_error import ApiError
from aitronos.errors import UnprocessableEntityError
from aitronos.responses.types import (
    ChatRequestToolsItem_Function,
    ChatRequestToolsItem_PersonalConnector,
)

from freddy_process import stream_events
from upstream import Answer, Fault, Gate, call, likely, text

HI = [InputMessage(role="user", content="Hi")]
WEATHER = ChatRequestToolsItem_Function(
    name="weather", description="The weather of a city.", parameters={"type": "object", "properties": {}}, strict=False
)


async def ask(platform, inputs=HI, **more):
    return await platform.client.responses.create_response(inputs=inputs, **more)


async def refused(platform, kind=ApiError, **more):
    with pytest.raises(kind) as caught:
        await ask(platform, **more)
    error = caught.value.body["error"]
    return caught.value.status_code, error["code"], error.get("param")


async def test_a_response_has_what_the_platform_s_have(platform):
    platform.vendor.says(Answer(text("Good", " day."), usage=(12, 3)))
    answer = await ask(platform)
    assert answer["id"].startswith("resp_")
    assert (answer["object"], answer["status"], answer["model"]) == ("response", "completed", platform.vendor.model)
    assert answer["created_at"] == answer["createdAt"] <= answer["completed_at"]
    assert answer["thread"] == answer["thread_id"]
    assert answer["thread"].startswith("thrd_")
    assert answer["response"] == "Good day."
    [message] = answer["output"]
    assert (message["type"], message["role"], message["status"]) == ("message", "assistant", "completed")
    assert message["content"] == [{"type": "output_text", "text": "Good day.", "annotations": []}]
    assert answer["usage"] == {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}
    assert (answer["error"], answer["incomplete_details"], answer["warnings"]) == (None, None, [])
    assert platform.vendor.last.messages == [("user", "Hi")]


async def test_everything_that_the_client_can_set_reaches_the_model(platform):
    answer = await ask(
        platform,
        [InputMessage(role="system", content="Be kind."), InputMessage(role="user", content=[_part("Hi")])],
        organization_id="org_local",
        model="stage",
        instructions="Be brief.",
        temperature=0.5,
        top_p=0.9,
        max_output_synapses=50,
        reasoning=ReasoningConfig(effort="high"),
        tools=[WEATHER],
        metadata={"a": "b"},
        disable_rules=True,
        store=True,
        output_mode="plain",
        stream=False,
    )
    body = platform.vendor.last.body
    assert body["messages"][-1] == {"role": "user", "content": "Hi"}
    assert [one["role"] for one in body["messages"][:-1]] in (["system"], ["system", "system"])
    assert all(said in str(body["messages"][:-1]) for said in ("Be brief.", "Be kind."))
    assert (body["temperature"], body["top_p"], body["reasoning_effort"]) == (0.5, 0.9, "high")
    assert 50 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert [one["function"]["name"] for one in body["tools"]] == ["weather"]
    assert (answer["organization_id"], answer["metadata"]) == ("org_local", {"a": "b"})
    assert (answer["temperature"], answer["top_p"], answer["max_output_synapses"]) == (0.5, 0.9, 50)
    assert (answer["output_mode"], answer["store"]) == ("text", True)


async def test_a_call_of_a_function_is_answered_in_the_next_request(platform):
    platform.vendor.says(Answer(call("weather", '{"city":', '"Rome"}', call_id="call_1")))
    first = await ask(platform, tools=[WEATHER], thread_id="t")
    [wanted] = [one for one in first["output"] if one["type"] == "function_call"]
    assert (wanted["name"], wanted["arguments"], wanted["call_id"]) == ("weather", '{"city":"Rome"}', "call_1")
    result = InputMessage(role="tool", content="Sunny", tool_call_id="call_1")
    answer = await ask(platform, [result], tools=[WEATHER], thread_id="t")
    assert answer["status"] == "completed"
    assert [role for role, _ in platform.vendor.last.messages] == ["user", "assistant", "tool"]
    assert platform.vendor.last.messages[-1] == ("tool", "Sunny")


async def test_a_response_goes_on_with_another(platform):
    first = await ask(platform)
    second = await ask(platform, [InputMessage(role="user", content="And?")], previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    assert [said for _, said in platform.vendor.last.messages] == ["Hi", "Hello there.", "And?"]


async def test_what_is_to_be_included_is_told(platform):
    platform.vendor.says(Answer([likely("Yes", -0.1, No=-2.5)], usage=(5, 1)))
    answer = await ask(platform, include=["message.logprobs", "usage.detailed"])
    assert answer["output"][0]["content"][0]["logprobs"][0]["token"] == "Yes"
    assert answer["usage"]["total_tokens"] == 6
    assert (answer["usage"]["neurons"]["total"], answer["usage"]["synapses"]["total"]) == (5, 1)
    assert (answer["usage"]["cost"], answer["usage"]["estimated"]) == (None, False)
    everything = ["tools.available", "tools.used", "request.logs", "reasoning.encrypted", "rules.debug", "rules"]
    for include in (["all"], everything):
        assert (await ask(platform, include=include))["status"] == "completed"


async def test_what_this_server_cannot_do_is_refused_or_said(platform):
    for more, param in (
        ({"workflow_id": "flow_1"}, "workflow_id"),
        ({"output_mode": "structured"}, "output_mode"),
        ({"metadata": {"number": 1}}, "metadata.number"),
    ):
        assert await refused(platform, UnprocessableEntityError, **more) == (422, "invalid_value", param)
    told = await ask(
        platform,
        tools=[ChatRequestToolsItem_PersonalConnector(configuration_ids=["pconf_1"])],
    )
    assert told["warnings"] == ["the tool personal_connector is not run by this server"]


async def test_errors_have_their_statuses(platform):
    assert await refused(platform, model="unknown") == (404, "model_not_found", "model")
    param = "previous_response_id"
    assert await refused(platform, previous_response_id="resp_unknown") == (400, "previous_response_not_found", param)
    assert await refused(platform, assistant_id="asst_unknown") == (404, "assistant_not_found", "assistant_id")
    platform.vendor.says(*[Fault(503, "gone fishing")] * 10)
    assert (await refused(platform))[0] == 503


async def test_a_stream_is_the_body_of_an_error_since_the_client_reads_none(platform):
    # It waits for JSON whatever was asked for; the events are there, whole, with the status 200.
    with pytest.raises(ApiError) as raised:
        await ask(platform, stream=True)
    assert raised.value.status_code == 200
    told = stream_events(raised.value.body)
    assert (told[0]["type"], told[-1]["type"]) == ("response.created", "response.completed")
    assert "".join(one["delta"] for one in told if one["type"].endswith("text.delta")) == "Hello there."


async def test_a_response_that_nobody_streams_is_stopped_by_its_thread(platform):
    gate = Gate()
    platform.vendor.says(Answer(text("Half"), gate))
    asking = asyncio.ensure_future(ask(platform, thread_id="t"))
    await gate.reached()
    stopped = await platform.client.responses.cancel_stream("t")
    answer = await asking
    assert stopped.success
    assert stopped.elapsed_seconds >= 0
    assert stopped.cancel_mode in ("quick_edit", "keep_partial")
    quick = stopped.cancel_mode == "quick_edit"
    assert (stopped.user_message_deleted, stopped.assistant_response_deleted) == (quick, quick)
    assert stopped.partial_content_saved is not quick
    assert answer["status"] == "cancelled"


async def test_what_can_be_chosen_from_is_told(platform):
    modes = await platform.client.responses.get_output_modes()
    assert modes.success
    assert [one.mode for one in modes.output_modes] == ["text", "json", "json_schema"]
    assert [one.mode for one in modes.output_modes if one.is_default] == ["text"]
    levels = await platform.client.responses.get_reasoning_levels()
    assert levels.success
    assert [one.level for one in levels.reasoning_levels] == ["off", "low", "medium", "high", "maximum"]
    assert [one.level for one in levels.reasoning_levels if one.is_default] == ["medium"]
    assert all(one.description for one in (*modes.output_modes, *levels.reasoning_levels))
    assert (await ask(platform, output_mode=modes.output_modes[0].mode))["status"] == "completed"
    for level in levels.reasoning_levels[1:4]:
        assert (await ask(platform, reasoning=ReasoningConfig(effort=level.level)))["status"] == "completed"


async def test_the_synchronous_client_does_the_same(platform):
    def work():
        with platform.sync() as client:
            modes = client.responses.get_output_modes().output_modes
            levels = client.responses.get_reasoning_levels().reasoning_levels
            answer = client.responses.create_response(inputs=HI)
            try:
                client.responses.cancel_stream(answer["thread"])
            except ApiError as error:
                nothing = error.status_code
            return len(modes), len(levels), answer["response"], nothing

    assert await asyncio.to_thread(work) == (3, 5, "Hello there.", 404)


def _part(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}
