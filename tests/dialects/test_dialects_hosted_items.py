"""What this server's tools did comes back from callers who keep the conversation themselves."""

import json

import pytest
from hosted_scenes import FOUND, SCENES, freddy, openai, response_to, written
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace
from openai.types.responses import Response as SdkResponse

from freddy.server.core import errors, items, reading
from freddy.server.dialects import hosted
from freddy.server.dialects.freddy import FREDDY
from freddy.server.dialects.freddy import aliases as freddy_names
from freddy.server.dialects.openai import OPENAI, encode_input_items, encode_item

DIALECTS = {"openai": OPENAI, "freddy": FREDDY}
RESULTS = {OPENAI: "file_search_call.results", FREDDY: "file_search.results"}


def made(dialect, **body):
    return (openai if dialect is OPENAI else freddy)(include=[RESULTS[dialect]], **body)


def sent_back(dialect, said: list[object]) -> tuple[items.Item, ...]:
    if dialect is OPENAI:
        return openai(input=said).input
    return freddy(inputs=said).input


def plain(item: items.Item) -> items.Item:
    """Without what no caller is told, or tells: which calls were made at once, and what a model calls a tool."""
    match item:
        case items.HostedCall(work=items.FileSearch(queries, found)):
            work = items.FileSearch(queries, tuple(replace(one, store_id="") for one in found))
            error = item.error and "told"
            return replace(item, call_id="", turn=0, milliseconds=None, parts=(), arguments="", work=work, error=error)
        case items.HostedCall():
            text = hosted.output(item.parts)
            parts = (items.Text(text),) if text else ()
            return replace(item, call_id="", turn=0, milliseconds=None, offered=None, parts=parts)
        case items.ApprovalRequest():
            return replace(item, call_id="", offered=None, expires_at=None)
        case items.FunctionOutput():
            return replace(item, source=None, milliseconds=None, failed=False)
        case items.McpTools():
            return replace(item, tools=tuple(map(squeezed, item.tools)))
        case items.Message():
            return replace(item, parts=(items.Text(item.text),))
        case _:
            return item


def squeezed(tool: items.McpTool) -> items.McpTool:
    """With its JSON as text."""
    schema, hints = (
        None if raw is None else json.dumps(json.loads(bytes(raw))) for raw in (tool.input_schema, tool.annotations)
    )
    return replace(tool, input_schema=schema, annotations=hints)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("scene", SCENES)
def test_an_output_that_is_handed_back_is_the_same_output(scene, dialect):
    told = SCENES[scene](made(dialect))

    back = sent_back(dialect, written(dialect, told)["output"])

    assert list(map(plain, back)) == list(map(plain, told[-1].response.output))


@pytest.mark.parametrize("scene", SCENES)
def test_an_output_that_went_through_the_sdk_comes_back_with_nulls_and_is_the_same(scene):
    told = SCENES[scene](made(OPENAI))
    parsed = SdkResponse.model_validate_json(OPENAI.encode_response(told[-1].response))

    back = sent_back(OPENAI, parsed.model_dump(mode="json")["output"])

    assert list(map(plain, back)) == list(map(plain, told[-1].response.output))


@pytest.mark.parametrize("scene", SCENES)
def test_outputs_of_one_dialect_can_be_handed_to_the_other_that_knows_more(scene):
    told = SCENES[scene](made(OPENAI))

    back = sent_back(FREDDY, [one for one in written(OPENAI, told)["output"] if one["type"] != "function_call_output"])

    expected = [one for one in told[-1].response.output if not isinstance(one, items.FunctionOutput)]
    assert list(map(plain, back)) == list(map(plain, expected))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_what_was_called_and_answered_is_read_by_the_model(dialect):
    told = SCENES["mcp"](made(dialect))

    said = reading.readable(sent_back(dialect, written(dialect, told)["output"]))

    call, output, message = said
    assert isinstance(call, items.FunctionCall)
    assert isinstance(output, items.FunctionOutput)
    assert (call.name, call.arguments, output.text) == ("ask", '{"q":"MCP"}', "A protocol.")
    assert call.call_id == output.call_id
    assert isinstance(message, items.Message)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_calls_that_are_handed_back_are_read_one_after_the_other(dialect):
    call = {"type": "mcp_call", "server_label": "d", "name": "f", "output": "1"}

    said = reading.readable(sent_back(dialect, [{**call, "id": "mcp_1"}, {**call, "id": "mcp_2"}]))

    assert [type(one) for one in said] == [items.FunctionCall, items.FunctionOutput] * 2


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_the_passages_of_a_search_are_read_again_and_where_they_are_lost_that_is_said(dialect):
    search = {"type": "file_search_call", "id": "fs_1", "queries": ["keys"]}
    result = {"file_id": "file_1", "filename": "guide.md", "score": 0.9, "text": "In the header."}

    found, lost = sent_back(dialect, [{**search, "results": [result]}, {**search, "id": "fs_2", "results": None}])

    assert found.text == "[guide.md]\nIn the header."
    assert found.work == items.FileSearch(("keys",), (items.Found("file_1", "guide.md", 0.9, "In the header."),))
    assert "search again" in lost.text


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({}, "incomplete", None),
        ({"output": None, "error": None, "status": "completed"}, "incomplete", None),
        ({"output": "", "status": None}, "completed", None),
        ({"output": "1", "status": "in_progress"}, "completed", None),
        ({"output": "1", "status": "incomplete"}, "incomplete", None),
        ({"error": "No"}, "failed", "No"),
        ({"error": {"type": "http_error", "code": 500, "message": "Bad"}, "output": "1"}, "failed", "Bad"),
        ({"error": {"type": "mcp_tool_execution_error", "content": [{"text": "a"}, {}]}}, "failed", "a"),
        ({"error": {}, "status": "failed"}, "failed", "It failed."),
        ({"status": "failed"}, "failed", "It failed."),
    ],
    ids=str,
)
def test_a_call_without_output_was_never_answered(fields, status, error, dialect):
    (call,) = sent_back(dialect, [{"type": "mcp_call", "server_label": "d", "name": "f", **fields}])

    assert isinstance(call, items.HostedCall)
    assert (call.status, call.error, call.arguments) == (status, error, "{}")
    assert call.id.startswith("mcp_")


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_an_answer_to_a_request_for_approval_is_read(dialect):
    (yes, no) = sent_back(
        dialect,
        [
            {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True, "id": None},
            {"type": "mcp_approval_response", "approval_request_id": "mcpr_2", "approve": False, "reason": "No"},
        ],
    )

    assert yes == items.ApprovalAnswer("mcpa_1", "mcpr_1", approve=True)
    assert no == items.ApprovalAnswer("mcpa_2", "mcpr_2", approve=False, reason="No")


def test_this_servers_own_dialect_has_its_own_words_for_an_answer():
    (answer,) = sent_back(FREDDY, [{"type": "approval_response", "approvalRequestId": "mcpr_1", "approve": True}])

    assert answer == items.ApprovalAnswer("mcpa_1", "mcpr_1", approve=True)


@pytest.mark.parametrize(
    ("dialect", "fields", "param"),
    [
        (OPENAI, {"approve": True}, "input[0].approval_request_id"),
        (OPENAI, {"approval_request_id": "mcpr_1"}, "input[0].approve"),
        (OPENAI, {"approval_request_id": "mcpr_1", "approve": "yes"}, "input[0].approve"),
        (OPENAI, {"approval_request_id": "", "approve": True}, "input[0].approval_request_id"),
        (FREDDY, {"approve": True}, "inputs[0].approval_request_id"),
        (FREDDY, {"approvalRequestId": 1, "approve": True}, "inputs[0].approvalRequestId"),
        (FREDDY, {"approval_request_id": "mcpr_1"}, "inputs[0].approve"),
        (FREDDY, {"approval_request_id": "mcpr_1", "approve": 1}, "inputs[0].approve"),
    ],
)
def test_an_answer_that_says_too_little_is_told_what_is_missing(dialect, fields, param):
    with pytest.raises(errors.FreddyError) as raised:
        sent_back(dialect, [{"type": "mcp_approval_response", **fields}])

    assert raised.value.param == param
    assert 400 <= raised.value.status < 500


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "mcp_call", "name": "f"}, "server_label"),
        ({"type": "mcp_call", "server_label": "d"}, "name"),
        ({"type": "mcp_call", "server_label": "d", "name": "f", "output": 1}, "output"),
        ({"type": "mcp_list_tools"}, "server_label"),
        ({"type": "mcp_list_tools", "server_label": "d", "tools": [{}]}, "tools[0].name"),
        (
            {"type": "mcp_list_tools", "server_label": "d", "tools": [{"name": "f", "input_schema": 1}]},
            "tools[0].input_schema",
        ),
        ({"type": "mcp_approval_request", "name": "f"}, "server_label"),
        ({"type": "mcp_approval_request", "server_label": "d"}, "name"),
        ({"type": "file_search_call", "queries": "keys"}, "queries"),
        ({"type": "file_search_call", "results": [{"attributes": {"a": []}}]}, "results[0].attributes.a"),
    ],
)
@pytest.mark.parametrize(("dialect", "at"), [(OPENAI, "input[0]"), (FREDDY, "inputs[0]")])
def test_a_bad_item_is_refused_by_its_place(item, param, dialect, at):
    with pytest.raises(errors.FreddyError) as raised:
        sent_back(dialect, [item])

    assert raised.value.param == f"{at}.{param}"
    assert 400 <= raised.value.status < 500


def test_a_request_for_approval_of_a_function_finds_its_call():
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    request = {"type": "mcp_approval_request", "server_label": "functions", "name": "f", "arguments": "{}"}

    said = sent_back(
        OPENAI,
        [
            {**call, "call_id": "call_0", "name": "g"},
            {**call, "call_id": "call_1"},
            {**call, "call_id": "call_2"},
            {**request, "id": "mcpr_1"},
            {**request, "id": "mcpr_2"},
            {**request, "id": "mcpr_3"},
            {**request, "id": "mcpr_4", "server_label": "deepwiki"},
        ],
    )

    asked = [(one.id, one.call_id, one.server_label) for one in said if isinstance(one, items.ApprovalRequest)]
    assert asked == [
        ("mcpr_1", "call_1", None),
        ("mcpr_2", "call_2", None),
        ("mcpr_3", "mcpr_3", None),
        ("mcpr_4", "mcpr_4", "deepwiki"),
    ]


def test_what_was_found_is_written_in_lists_for_those_who_include_it():
    call = items.HostedCall(
        "fs_1", "call_1", "file_search", "{}", items.FileSearch(("keys",), FOUND), status="completed"
    )

    assert json.loads(encode_item(call))["results"] is None
    assert len(json.loads(encode_item(call, results=True))["results"]) == 3
    assert json.loads(encode_input_items([call], has_more=False))["data"][0]["results"] is None
    assert len(json.loads(encode_input_items([call], has_more=False, results=True))["data"][0]["results"]) == 3


@pytest.mark.parametrize(
    ("part", "note"),
    [
        (items.Text("as it is"), "as it is"),
        (items.Refusal("No."), "No."),
        (items.Image(url="data:image/png;base64," + "A" * 16_460), "[image/png, 12,345 bytes]"),
        (items.Image(url="https://a.b/c.png"), "[image, https://a.b/c.png]"),
        (items.Image(file_id="file_1"), "[image, file_1]"),
        (items.Image(url="data:,abc"), "[text/plain, 3 bytes]"),
        (items.Audio(data="AAAA", format="wav"), "[audio/wav, 3 bytes]"),
        (items.Audio(data="AAA="), "[audio, 2 bytes]"),
        (items.Audio(file_id="file_1"), "[audio, file_1]"),
        (items.File(data="data:application/pdf;base64,AA==", filename="a.pdf"), "[a.pdf, application/pdf, 1 bytes]"),
        (items.File(url="https://a.b/c.pdf"), "[file, https://a.b/c.pdf]"),
    ],
)
def test_a_part_that_is_no_text_is_a_short_note(part, note):
    assert hosted.output((part,)) == note


def test_a_summary_names_the_first_files():
    def found(count: int) -> list[items.Found]:
        return [items.Found(f"file_{n}", f"{n}.md", 0.5, "x") for n in range(count)]

    assert hosted.summary([]) == "Nothing was found"
    assert hosted.summary(found(1)) == "1 passage of 0.md"
    assert hosted.summary(found(7)) == "7 passages of 0.md, 1.md, 2.md, 3.md, 4.md and 2 more"


# --- Anything at all --------------------------------------------------------------------------

KINDS = (
    "mcp_call",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "approval_request",
    "approval_response",
    "file_search_call",
    "function_call_output",
)
FIELDS = sorted(
    {
        *freddy_names.MCP_CALL,
        *freddy_names.MCP_LIST_TOOLS,
        *freddy_names.MCP_LISTED_TOOL,
        *freddy_names.APPROVAL_REQUEST,
        *freddy_names.APPROVAL_RESPONSE,
        *freddy_names.FILE_SEARCH_CALL,
        *freddy_names.FOUND,
        "readOnlyHint",
    }
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["completed", "failed", "functions", "mcp", "{}", "data:image/png;base64,AA"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=10,
)
ENOUGH = {
    "server_label": "d",
    "name": "f",
    "approval_request_id": "mcpr_1",
    "approve": True,
    "call_id": "call_1",
}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5), st.booleans())
def test_whatever_is_handed_back_is_read_or_refused_by_its_place(kind, fields, enough):
    item = {**(ENOUGH if enough else {}), **fields, "type": kind}
    for dialect, at in ((OPENAI, "input"), (FREDDY, "inputs")):
        said, refused = tried(dialect, [item, "Hi"] if dialect is FREDDY else [item])
        reading.readable(said)
        for one in said:
            json.loads(encode_item(one, encrypted=True, results=True))
        for error in refused:
            assert 400 <= error.status < 500
            assert error.param is not None
            assert error.param.startswith(at)
            dialect.encode_error(error.as_failure())


def tried(dialect, said: list[object]) -> tuple[tuple[items.Item, ...], list[errors.FreddyError]]:
    try:
        return sent_back(dialect, said), []
    except errors.FreddyError as error:
        return (), [error]


WORDS = st.text(max_size=8)
NAMES = st.text("abc_", min_size=1, max_size=6)
TEXTS = st.lists(WORDS.filter(bool).map(items.Text), max_size=1).map(tuple)
SCHEMAS = st.none() | st.just(Raw(b'{"type":"object"}'))
TOOLS = st.builds(items.McpTool, NAMES, st.none() | WORDS, SCHEMAS)
PASSAGES = st.builds(
    items.Found,
    NAMES,
    NAMES,
    st.floats(0, 1),
    WORDS,
    st.dictionaries(NAMES, st.booleans() | WORDS | st.floats(-9, 9), max_size=3),
)
HOSTED = st.one_of(
    st.builds(items.McpTools, NAMES, NAMES, st.lists(TOOLS, max_size=2).map(tuple), st.none() | WORDS),
    st.builds(
        items.HostedCall,
        NAMES,
        st.just("call_1"),
        NAMES,
        st.just("{}"),
        NAMES.map(items.Mcp),
        TEXTS,
        status=st.just("completed"),
        approval_id=st.none() | NAMES,
    ),
    st.builds(
        items.HostedCall,
        NAMES,
        st.just("call_1"),
        NAMES,
        st.just("{}"),
        NAMES.map(items.Mcp),
        TEXTS,
        WORDS.filter(bool),
        status=st.just("failed"),
    ),
    st.builds(
        items.HostedCall,
        NAMES,
        st.just("call_1"),
        st.just("file_search"),
        st.just(""),
        st.builds(items.FileSearch, st.lists(WORDS, max_size=3).map(tuple), st.lists(PASSAGES, max_size=2).map(tuple)),
        status=st.just("completed"),
    ),
    st.builds(items.ApprovalRequest, NAMES, st.just("call_1"), NAMES, st.just("{}"), st.none() | NAMES),
    st.builds(items.ApprovalAnswer, NAMES, NAMES, st.booleans(), st.none() | WORDS),
)


@settings(max_examples=60, deadline=None)
@given(HOSTED)
def test_an_item_sent_back_as_it_was_written_is_the_same_item(item):
    for dialect in (OPENAI, FREDDY):
        answer = response_to(made(dialect), output=(item,))
        (back, *_) = sent_back(dialect, json.loads(dialect.encode_response(answer))["output"])
        assert plain(back) == plain(item)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_search_may_be_handed_back_bare(dialect):
    (call,) = sent_back(dialect, [{"type": "file_search_call"}])

    assert call.id.startswith("fs_")
