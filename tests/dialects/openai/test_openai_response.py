import json

import openresponses_types as open_responses
import pytest
from msgspec import Raw
from openai.types.responses import Response as SdkResponse
from openai.types.responses.input_token_count_response import InputTokenCountResponse
from openai.types.responses.response_item_list import ResponseItemList
from openai_samples import CITATION, PATCH, SCENES, WEATHER, decode, response_to

from freddy.server.core import errors, items, request, toolspec
from freddy.server.dialects.openai import (
    OPENAI,
    encode_deleted,
    encode_input_items,
    encode_input_tokens,
    encode_item,
)


def written(response):
    return json.loads(OPENAI.encode_response(response))


def extras(model, path=""):
    """Every key that the SDK's types do not know, wherever it stands."""
    if isinstance(model, list):
        return {key for value in model for key in extras(value, path)}
    if not hasattr(model, "model_fields_set"):
        return set()
    found = {f"{path}{key}" for key in model.model_extra or {}}
    for name in type(model).model_fields:
        found |= extras(getattr(model, name), f"{path}{name}.")
    return found


def test_a_response_has_every_field_and_no_null_where_a_number_or_a_truth_belongs():
    answer = items.Message("msg_1", "assistant", (items.Text("Hello", (CITATION,)),))
    assert written(response_to(decode(), output=(answer,))) == {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "completed_at": 1_700_000_009,
        "error": None,
        "incomplete_details": None,
        "model": "m-2026",
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {
                        "type": "output_text",
                        "annotations": [json.loads(bytes(CITATION.data))],
                        "logprobs": [],
                        "text": "Hello",
                    }
                ],
            }
        ],
        "usage": {
            "input_tokens": 12,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 19,
        },
        "background": False,
        "frequency_penalty": 0.0,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
    }


def test_what_was_asked_is_echoed_in_openais_words():
    schema = {
        "type": "json_schema",
        "name": "s",
        "description": None,
        "schema": {"type": "object"},
        "strict": False,
    }
    asked = {
        "instructions": "Be kind.",
        "metadata": {"a": "b"},
        "reasoning": {"effort": "max", "summary": "concise"},
        "text": {"format": schema, "verbosity": "low"},
        "tools": [
            {"type": "function", "name": "f", "description": None, "parameters": {}, "strict": True},
            PATCH,
            {
                "type": "namespace",
                "name": "n",
                "description": "",
                "tools": [{"type": "function", "name": "g"}],
            },
            {"type": "web_search", "external_web_access": True},
        ],
        "tool_choice": {"type": "custom", "name": "patch"},
        "temperature": 0.0,
        "top_p": 0.25,
        "max_output_tokens": 99,
        "previous_response_id": "resp_0",
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "user": "u",
        "prompt": {"id": "p"},
        "truncation": "auto",
        "background": True,
        "service_tier": "default",
    }
    answer = written(response_to(decode(**asked)))
    assert {key: answer[key] for key in asked} == asked


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "image_generation"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
        {"type": "function", "name": "weather"},
    ],
    ids=str,
)
def test_a_tool_choice_comes_back_as_it_went_in(choice):
    assert written(response_to(decode(tools=[WEATHER], tool_choice=choice)))["tool_choice"] == choice


def test_a_choice_made_through_another_dialect_is_written_in_openais_words():
    made = request.Request(
        model="m", input=(), tools=(toolspec.Function("f"),), tool_choice=toolspec.Allowed(("f",), "required")
    )
    assert written(response_to(made))["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "f"}],
    }


def test_what_a_tool_is_told_in_confidence_is_not_repeated():
    network = {"type": "allowlist", "allowed_domains": ["a.b"]}
    server = {"type": "mcp", "server_label": "d", "server_url": "https://a.example/mcp"}
    secret = [{"domain": "a.b", "name": "n", "value": "s3cret"}]
    tools = [
        {**server, "authorization": "s3cret", "headers": {"x-key": "s3cret"}},
        {
            "type": "code_interpreter",
            "container": {"type": "auto", "network_policy": {**network, "domain_secrets": secret}},
        },
    ]
    assert written(response_to(decode(tools=tools)))["tools"] == [
        server,
        {"type": "code_interpreter", "container": {"type": "auto", "network_policy": network}},
    ]


@pytest.mark.parametrize(
    ("status", "want"),
    [
        ("requires_action", "completed"),
        ("queued", "queued"),
        ("cancelled", "cancelled"),
        ("failed", "failed"),
    ],
)
def test_a_status_is_one_that_openai_knows(status, want):
    assert written(response_to(decode(), status=status))["status"] == want


@pytest.mark.parametrize(
    ("code", "want"),
    [
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        ("context_length_exceeded", "context_length_exceeded"),
        ("invalid_prompt", "invalid_prompt"),
        ("provider_unavailable", "server_error"),
    ],
)
def test_the_code_of_a_failed_response_is_out_of_openais_list(code, want):
    failure = errors.Failure("Too much", code=code, status=429, retry_after=1.5, details="ask less")
    assert written(response_to(decode(), status="failed", failure=failure))["error"] == {
        "code": want,
        "message": "Too much: ask less. Please try again in 1.5s.",
    }


def test_the_end_of_a_run_has_numbers_even_where_nobody_counted():
    assert written(response_to(decode(), usage=None))["usage"]["total_tokens"] == 0
    assert written(response_to(decode(), usage=None, status="in_progress"))["usage"] is None


def test_encrypted_reasoning_and_logprobs_are_for_those_who_asked():
    output = (
        items.Reasoning("rs_1", ("hm",), ("short",), "c2VjcmV0"),
        items.Message("msg_1", "assistant", (items.Text("a", (), (items.Logprob("a", -1.0),)),)),
    )
    plain = written(response_to(decode(), output=output))["output"]
    asked = written(
        response_to(decode(include=["reasoning.encrypted_content", "message.output_text.logprobs"]), output=output)
    )["output"]
    assert "encrypted_content" not in plain[0]
    assert plain[1]["content"][0]["logprobs"] == []
    assert asked[0]["encrypted_content"] == "c2VjcmV0"
    assert asked[1]["content"][0]["logprobs"] == [{"token": "a", "logprob": -1.0, "bytes": [], "top_logprobs": []}]


def test_a_response_of_a_thread_names_its_conversation():
    assert written(response_to(decode(), thread_id="conv_1"))["conversation"] == {"id": "conv_1"}


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_every_response_fits_the_types_of_the_openai_sdk(scene):
    response = SCENES[scene][-1].response
    model = SdkResponse.model_validate_json(OPENAI.encode_response(response), strict=True)
    # Open Responses asks for these three, OpenAI's own servers send them, and the SDK's types leave them out.
    # `status` of a custom call likewise.
    assert extras(model) <= {"presence_penalty", "frequency_penalty", "store", "output.status"}


@pytest.mark.parametrize("scene", sorted(SCENES.keys() - {"custom call"}))
def test_every_response_fits_the_types_of_open_responses(scene):
    # Open Responses has neither custom tools nor, for that reason, custom calls.
    body = json.loads(OPENAI.encode_response(SCENES[scene][-1].response))
    body["tools"] = [tool for tool in body["tools"] if tool["type"] == "function"]
    for tool in body["tools"]:
        assert set(tool) == {"type", "name", "description", "parameters", "strict"}
    open_responses.ResponseResource.model_validate(body)


def test_a_json_schema_fits_openai_where_open_responses_allows_none():
    schema = {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": True}
    body = OPENAI.encode_response(response_to(decode(text={"format": schema})))
    assert SdkResponse.model_validate_json(body, strict=True).text.format.schema_ == {"type": "object"}
    # Its published type of a response's `schema` is null alone.
    assert open_responses.JsonSchemaResponseFormat.model_fields["schema_"].annotation is type(None)


def test_input_items_are_listed_with_ids_and_whole_parts():
    page = decode(
        input=[
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "4"},
        ]
    ).input
    body = encode_input_items(page, has_more=True)
    assert json.loads(body) == {
        "object": "list",
        "data": [
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hi"}],
            },
            {
                "type": "function_call",
                "id": "fc_2",
                "status": "completed",
                "call_id": "c",
                "name": "f",
                "arguments": "{}",
            },
            {
                "type": "function_call_output",
                "id": "fco_3",
                "status": "completed",
                "call_id": "c",
                "output": "4",
            },
        ],
        "first_id": "msg_1",
        "last_id": "fco_3",
        "has_more": True,
    }
    ResponseItemList.model_validate_json(body, strict=True)


def test_the_small_answers_fit_the_sdk():
    assert json.loads(encode_deleted("resp_1")) == {"id": "resp_1", "object": "response", "deleted": True}
    assert InputTokenCountResponse.model_validate_json(encode_input_tokens(7), strict=True).input_tokens == 7


def test_an_item_of_another_kind_is_written_as_it_was_kept():
    raw = Raw(b'{"type":"web_search_call","id":"ws_1","status":"completed"}')
    assert encode_item(items.Other("ws_1", "web_search_call", raw)) == bytes(raw)
