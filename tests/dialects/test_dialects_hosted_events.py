"""What this server's tools do is told in the order in which OpenAI tells it, in both dialects."""

import json

import httpx2
import openai as sdk
import pytest
from hosted_scenes import (
    OF_MCP,
    SCENES,
    SEARCH,
    SERVER,
    answered,
    approved,
    asked,
    asked_function,
    called,
    data,
    frames,
    freddy,
    function,
    kinds,
    mcp,
    openai,
    search,
    stopped,
    turn,
    unreachable,
    whole,
    written,
)
from openai.types.responses import Response as SdkResponse
from openai.types.responses import ResponseOutputItem, ResponseStreamEvent
from pydantic import TypeAdapter

from freddy.server.core import events, items
from freddy.server.dialects.freddy import FREDDY
from freddy.server.dialects.freddy.events import FRAME
from freddy.server.dialects.openai import OPENAI
from freddy_fakes import CountingIds

SDK_EVENT = TypeAdapter(ResponseStreamEvent)
SDK_ITEM = TypeAdapter(ResponseOutputItem)
MADE = {
    OPENAI: openai(tools=[SERVER, SEARCH], include=["file_search_call.results"]),
    FREDDY: freddy(tools=[SERVER, SEARCH], include=["file_search.results"]),
}
BEGUN = ["response.created", "response.in_progress"]
LISTED = [
    "response.output_item.added",
    "response.mcp_list_tools.in_progress",
    "response.mcp_list_tools.completed",
    "response.output_item.done",
]
CALLED = [
    "response.output_item.added",
    "response.mcp_call.in_progress",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.mcp_call.completed",
    "response.output_item.done",
]
SEARCHED = [
    "response.output_item.added",
    "response.file_search_call.in_progress",
    "response.file_search_call.searching",
    "response.file_search_call.completed",
    "response.output_item.done",
]
SAID = [
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]
CITED = [*SAID[:3], "response.output_text.annotation.added", *SAID[3:]]
DONE = ["response.completed"]
ASKED = ["response.output_item.added", "response.output_item.done"]

ORDERS = {
    "mcp": [*BEGUN, *LISTED, *CALLED, *SAID, *DONE],
    "mcp error": [
        *BEGUN,
        *LISTED,
        *[name.replace("mcp_call.completed", "mcp_call.failed") for name in CALLED],
        *SAID,
        *DONE,
    ],
    "unreachable server": [
        *BEGUN,
        *[name.replace("tools.completed", "tools.failed") for name in LISTED],
        *SAID,
        *DONE,
    ],
    "asked": [*BEGUN, *LISTED, *ASKED, *DONE],
    "approved": [*BEGUN, *CALLED, *SAID, *DONE],
    "search": [*BEGUN, *SEARCHED, *CITED, *DONE],
    "search error": [*BEGUN, *SEARCHED, *CITED, *DONE],
}
ONLY_OPENAI = {"response.in_progress", "response.content_part.added", "response.content_part.done"}


def event(dialect, told, name: str) -> dict:
    return next(data(frame) for frame in frames(dialect, told) if data(frame)["type"] == name)


def items_told(dialect, told, name: str) -> list[dict]:
    return [data(frame)["item"] for frame in frames(dialect, told) if data(frame)["type"] == name]


@pytest.mark.parametrize("scene", ORDERS)
def test_the_events_come_in_the_order_that_was_recorded_at_openai(scene):
    assert kinds(OPENAI, SCENES[scene](MADE[OPENAI])) == ORDERS[scene]


@pytest.mark.parametrize("scene", ORDERS)
def test_the_other_dialect_tells_the_same_in_the_same_order(scene):
    assert kinds(FREDDY, SCENES[scene](MADE[FREDDY])) == [name for name in ORDERS[scene] if name not in ONLY_OPENAI]


@pytest.mark.parametrize("scene", SCENES)
def test_every_event_and_every_item_fits_the_types_of_the_openai_sdk(scene):
    told = SCENES[scene](MADE[OPENAI])
    for number, frame in enumerate(frames(OPENAI, told)):
        value = data(frame)
        assert value["sequence_number"] == number
        heard = SDK_EVENT.validate_json(json.dumps(value), strict=True)
        assert heard.type == value["type"]
        assert set(heard.model_extra or {}) <= {"obfuscation", "error"}
        if "item" in value:
            item = SDK_ITEM.validate_json(json.dumps(value["item"]), strict=True)
            assert item.type == value["item"]["type"]
            assert not item.model_extra
    answer = SdkResponse.model_validate_json(OPENAI.encode_response(told[-1].response), strict=True)
    assert [item.type for item in answer.output] == [item["type"] for item in written(OPENAI, told)["output"]]


@pytest.mark.parametrize("scene", [name for name in SCENES if name != "stopped"])
def test_the_sdk_ends_with_the_response_that_was_told(scene):
    told = SCENES[scene](MADE[OPENAI])
    body = b"".join([*frames(OPENAI, told), OPENAI.end_of_stream])

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    web = httpx2.Client(transport=httpx2.MockTransport(answer))
    with (
        sdk.OpenAI(api_key="k", max_retries=0, http_client=web) as client,
        client.responses.stream(model="m", input="Hi") as stream,
    ):
        final = stream.get_final_response()
    told_items = written(OPENAI, told)["output"]
    assert [item.id for item in final.output] == [item["id"] for item in told_items]


def test_a_list_of_tools_begins_empty_and_ends_filled():
    told = mcp(MADE[OPENAI])

    assert items_told(OPENAI, told, "response.output_item.added")[0] == {
        "type": "mcp_list_tools",
        "id": "mcpl_1",
        "server_label": "deepwiki",
        "tools": [],
        "error": None,
    }
    assert items_told(OPENAI, told, "response.output_item.done")[0]["tools"] == [
        {
            "name": "ask",
            "description": "Asks.",
            "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}},
            "annotations": {"readOnlyHint": True},
        }
    ]


def test_a_call_begins_without_arguments_and_ends_with_its_output():
    told = approved(MADE[OPENAI])
    begun = {
        "type": "mcp_call",
        "id": "mcp_1",
        "status": "in_progress",
        "approval_request_id": "mcpr_1",
        "arguments": "",
        "error": None,
        "name": "ask",
        "output": None,
        "server_label": "deepwiki",
    }

    assert items_told(OPENAI, told, "response.output_item.added")[0] == begun
    assert items_told(OPENAI, told, "response.output_item.done")[0] == {
        **begun,
        "status": "completed",
        "arguments": '{"q":"MCP"}',
        "output": "A protocol.",
    }
    place = {"item_id": "mcp_1", "output_index": 0}
    delta = event(OPENAI, told, "response.mcp_call_arguments.delta")
    assert delta == {
        **place,
        "type": "response.mcp_call_arguments.delta",
        "sequence_number": 4,
        "delta": '{"q":"MCP"}',
        "obfuscation": delta["obfuscation"],
    }
    assert event(OPENAI, told, "response.mcp_call_arguments.done") == {
        **place,
        "type": "response.mcp_call_arguments.done",
        "sequence_number": 5,
        "arguments": '{"q":"MCP"}',
    }
    assert event(OPENAI, told, "response.mcp_call.in_progress") == {
        **place,
        "type": "response.mcp_call.in_progress",
        "sequence_number": 3,
    }


def test_a_call_that_failed_says_why():
    (call,) = [
        item for item in written(OPENAI, SCENES["mcp error"](MADE[OPENAI]))["output"] if item["type"] == "mcp_call"
    ]

    assert (call["status"], call["output"]) == ("failed", None)
    assert call["error"] == {
        "type": "mcp_tool_execution_error",
        "content": [{"type": "text", "text": "No such page"}],
    }


def test_what_is_no_text_is_told_by_its_kind_and_size():
    for dialect in (OPENAI, FREDDY):
        told = SCENES["mcp with an image"](MADE[dialect])
        sent = b"".join(frames(dialect, told))
        assert b"iVBOR" not in sent
        assert written(dialect, told)["output"][1]["output"] == "See:\n[image/png, 8 bytes]"


def test_a_search_begins_with_nothing_and_ends_with_its_queries():
    told = search(MADE[OPENAI])
    begun = {"type": "file_search_call", "status": "in_progress", "queries": [], "results": None}
    added = items_told(OPENAI, told, "response.output_item.added")[0]
    done = items_told(OPENAI, told, "response.output_item.done")[0]

    assert added == {**begun, "id": added["id"]}
    assert done["queries"] == ["keys", "API key"]
    assert done["results"][0] == {
        "file_id": "file_1",
        "filename": "guide.md",
        "score": 0.91,
        "text": "Keys go in the header.",
        "attributes": {"year": 2026, "draft": False},
    }


def test_what_was_found_is_for_those_who_include_it():
    assert items_told(OPENAI, search(openai(tools=[SEARCH])), "response.output_item.done")[0]["results"] is None
    item = items_told(FREDDY, search(freddy(tools=[SEARCH])), "response.output_item.done")[0]
    assert "results" not in item
    assert item["result"] == "3 passages of guide.md, faq.md"
    everything = items_told(FREDDY, search(freddy(tools=[SEARCH], include=["all"])), "response.output_item.done")[0]
    assert len(everything["results"]) == 3


def test_a_search_in_the_words_of_this_servers_own_dialect():  # promise 79
    told = search(MADE[FREDDY])
    item = written(FREDDY, told)["output"][0]

    assert item == {
        "type": "file_search_call",
        "id": item["id"],
        "status": "completed",
        "call_id": "call_m",
        "tool_name": "file_search",
        "queries": ["keys", "API key"],
        "query": "keys",
        "result": "3 passages of guide.md, faq.md",
        "error": None,
        "results": [
            {
                "file_id": one.file_id,
                "fileId": one.file_id,
                "filename": one.filename,
                "score": one.score,
                "text": one.text,
                "attributes": {"year": 2026, "draft": False} if one.attributes else {},
                "vector_store_id": "vs_1",
            }
            for one in told[-1].response.output[0].work.found
        ],
    }
    assert written(FREDDY, told)["outputs"][0]["type"] == "message"
    assert written(FREDDY, told)["response"] == "It is so."


def test_a_call_in_the_words_of_this_servers_own_dialect():
    told = approved(MADE[FREDDY])

    assert written(FREDDY, told)["output"][0] == {
        "type": "mcp_call",
        "id": "mcp_1",
        "status": "completed",
        "call_id": "call_m",
        "server_label": "deepwiki",
        "name": "ask",
        "tool_name": "ask",
        "arguments": '{"q":"MCP"}',
        "output": "A protocol.",
        "error": None,
        "approval_request_id": "mcpr_1",
        "result": "A protocol.",
    }
    assert event(FREDDY, told, "response.mcp_call.completed") == {
        "type": "response.mcp_call.completed",
        "sequence_number": 6,
        "index": 0,
        "output_index": 0,
        "item_id": "mcp_1",
    }


def test_a_request_for_approval_in_both_dialects():  # promises 199, 207
    ours, theirs = asked(MADE[FREDDY]), asked(MADE[OPENAI])
    request = written(FREDDY, ours)["output"][1]

    assert written(FREDDY, ours)["status"] == "requires_action"
    assert request == {
        "type": "approval_request",
        "id": request["id"],
        "status": "pending",
        "tool_type": "mcp",
        "server_label": "deepwiki",
        "name": "ask",
        "arguments": '{"q":"MCP"}',
        "call_id": "call_m",
        "expires_at": 1_700_003_600,
    }
    assert data(frames(FREDDY, ours)[-1])["status"] == "requires_action"
    assert data(frames(FREDDY, ours)[-1])["type"] == "response.completed"
    assert written(OPENAI, theirs)["status"] == "completed"
    assert written(OPENAI, theirs)["output"][1] == {
        "type": "mcp_approval_request",
        "id": request["id"],
        "arguments": '{"q":"MCP"}',
        "name": "ask",
        "server_label": "deepwiki",
    }


def test_a_function_that_waits_for_approval_stays_a_function_call():
    call, request = written(FREDDY, asked_function(MADE[FREDDY]))["output"]

    assert (call["type"], call["call_id"]) == ("function_call", "call_m")
    assert (request["tool_type"], request["server_label"], request["call_id"]) == ("function", None, "call_m")
    assert written(OPENAI, asked_function(MADE[OPENAI]))["output"][1]["server_label"] == "functions"


def test_how_a_function_went_is_for_those_who_ask():  # promises 80, 81
    plain = written(FREDDY, function(freddy()))["output"][1]
    asked_for = freddy(include=["function_calls.logs", "function_calls.sources"])
    failed = SCENES["function that failed"](asked_for)

    assert plain == {
        "type": "function_call_output",
        "id": "fco_1",
        "status": "completed",
        "call_id": "call_m",
        "name": "weather",
        "output": "22",
    }
    assert written(FREDDY, function(asked_for))["output"][1] == {
        **plain,
        "source": "built-in",
        "logs": {"milliseconds": 7, "status": "completed"},
    }
    assert written(FREDDY, failed)["output"][1]["logs"] == {"milliseconds": 7, "status": "failed"}
    begun = items_told(FREDDY, function(asked_for), "response.output_item.added")[1]
    assert "logs" not in begun
    assert written(FREDDY, mcp(asked_for))["output"][1]["logs"] == {"milliseconds": 12, "status": "completed"}


def test_who_was_answered_by_the_caller_has_no_logs():
    output = items.FunctionOutput("fco_1", "call_1", (items.Text("22"),), name="f")
    made = freddy(include=["all"])

    item = written(FREDDY, whole(made, [events.ItemDone(0, output)]))["output"][0]

    assert "logs" not in item
    assert "source" not in item


def test_a_call_that_was_stopped_is_incomplete():
    for dialect in (OPENAI, FREDDY):
        (call,) = written(dialect, stopped(MADE[dialect]))["output"]
        assert (call["status"], call["output"], call["error"]) == ("incomplete", None, None)


def test_a_server_that_cannot_be_reached_says_so_in_its_list():
    for dialect in (OPENAI, FREDDY):
        listed = written(dialect, unreachable(MADE[dialect]))["output"][0]
        assert (listed["tools"], listed["error"]) == ([], "Nobody is there")


def test_a_long_output_is_told_once_where_the_frame_would_be_too_long():
    new_id = CountingIds().new
    first = turn(new_id, 0, *called("ask"), given=[OF_MCP])
    told = whole(MADE[FREDDY], [*first, *answered(first, parts=(items.Text("x" * (FRAME * 2 // 3)),))])

    sent = frames(FREDDY, told)

    assert all(len(frame) < FRAME for frame in sent)
    assert "result" not in items_told(FREDDY, told, "response.output_item.done")[0]
    assert written(FREDDY, told)["output"][0]["result"] == "x" * (FRAME * 2 // 3)


def test_arguments_of_a_server_keep_their_order_whatever_a_function_of_the_name_says():
    parameters = {"type": "object", "properties": {"b": {}, "a": {}}}
    made = freddy(tools=[SERVER, {"type": "function", "name": "ask", "parameters": parameters}])
    first = turn(CountingIds().new, 0, *called("ask", '{"a":1,"b":2}'), given=[OF_MCP])
    told = whole(made, [*first, *answered(first)])

    assert event(FREDDY, told, "response.mcp_call_arguments.done")["arguments"] == '{"a":1,"b":2}'
    assert written(FREDDY, told)["output"][0]["arguments"] == '{"a":1,"b":2}'
