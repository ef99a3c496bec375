"""What comes back, read by attribute: known, unknown, absent."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_server import message, ok, response, settled

import freddy
from freddy import types
from promises import promise

ROOT = Path(__file__).parents[2]
SEARCH = {"type": "tool_call", "id": "tool_1", "tool_name": "web_search", "query": "q", "result": "r"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1"}


def kinds(items):
    return [type(item).__name__ for item in items]


@promise(280, 281)
async def test_a_response_is_read_by_attribute(server):
    server.answers(ok(response(metadata={"keys": "mine"}), **{"x-request-id": "req_1"}))
    answer = await settled(server.client().responses.create(inputs="Hi"))
    assert answer.output[0].content[0].text == "Hello!"
    assert (answer.id, answer.status, answer.thread) == ("resp_1", "completed", "thrd_1")
    assert answer.usage.total_tokens == 5
    assert answer.metadata == {"keys": "mine"}
    assert answer.request_id == "req_1"
    assert answer.to_dict() == response(metadata={"keys": "mine"})


@promise(280)
def test_the_final_message_is_first_in_output_and_items_keep_their_order():
    answer = types.Response(
        response(output=[message("Let me see. ", "msg_1"), SEARCH, message("Found.", "msg_2"), CALL])
    )
    assert kinds(answer.items) == ["Message", "ToolCall", "Message", "FunctionCall"]
    assert [item.id for item in answer.output] == ["msg_2", "msg_1", "tool_1", "fc_1"]
    assert answer.output[0].content[0].text == "Found."
    assert answer.output_text == "Let me see. Found."
    assert [item["id"] for item in answer.raw["output"]] == ["msg_1", "tool_1", "msg_2", "fc_1"]


def test_without_a_message_output_keeps_its_order():
    answer = types.Response(response(output=[CALL, SEARCH]))
    assert kinds(answer.output) == ["FunctionCall", "ToolCall"]
    assert answer.output_text == ""


@pytest.mark.parametrize("output", [None, []])
def test_a_response_that_has_not_begun_has_no_output(output):
    answer = types.Response({"id": "resp_1", "status": "queued", "output": output})
    assert (answer.output, answer.items, answer.output_text) == ([], [], "")
    assert (answer.usage, answer.error, answer.reasoning, answer.warnings) == (None, None, None, [])


def test_documented_fields_that_are_absent_are_none_and_other_names_are_errors():
    answer = types.Response(response())
    assert answer.completed_at is None
    assert answer.request_id is None
    with pytest.raises(AttributeError, match=r"Response has no 'mood'; it has .*\bmodel\b.*\busage\b"):
        _ = answer.mood
    with pytest.raises(AttributeError, match="Message has no 'function'"):
        _ = answer.output[0].function
    assert not hasattr(answer, "mood")


def test_unknown_fields_items_and_parts_are_kept_and_reachable():
    strange = {"type": "hologram", "id": "holo_1", "shape": {"corners": [{"x": 1}]}}
    said = message("Hi") | {"content": [{"type": "smell", "of": "roses"}], "aura": "blue"}
    answer = types.Response(response(output=[strange, said], weather={"sky": "clear"}))
    assert kinds(answer.items) == ["Unknown", "Message"]
    assert answer.items[0].shape.corners[0].x == 1
    assert isinstance(answer.output[0].content[0], types.Unknown)
    assert answer.output[0].content[0].of == "roses"
    assert answer.output[0].aura == "blue"
    assert answer.weather.sky == "clear"
    assert "weather" in dir(answer)


@pytest.mark.parametrize(
    "form",
    [
        {"name": "f", "arguments": "{}"},
        {"function": {"name": "f", "arguments": "{}"}},
        {"name": "f", "arguments": "{}", "function": {"name": "f", "arguments": "{}"}},
    ],
)
def test_a_function_call_reads_the_same_in_its_flat_and_in_its_nested_form(form):
    [call] = types.Response(response(output=[CALL | form])).output
    assert (call.name, call.arguments) == ("f", "{}")
    assert (call.function.name, call.function.arguments) == ("f", "{}")
    assert call.require_approval is None


@promise(281)
def test_an_image_is_found_under_both_spellings():
    for names in ({"image_url": "u", "file_id": "f"}, {"imageUrl": "u", "fileId": "f"}):
        [image] = types.Response(response(output=[{"type": "image"} | names])).output
        assert (image.imageUrl, image.fileId) == ("u", "f")
        assert (image.image_url, image.file_id) == ("u", "f")


@promise(281)
def test_files_of_the_code_interpreter_are_views():
    done = {"type": "code_interpreter_output", "files": [{"id": "file_1", "name": "chart.png"}]}
    [output] = types.Response(response(output=[done])).output
    assert output.files[0].name == "chart.png"
    assert repr(output.files) == "[View(id='file_1', name='chart.png')]"


def test_a_message_in_its_shortest_form_is_a_message():
    answer = types.Response({"output": [{"role": "assistant", "content": "Hi"}]})
    assert answer.output[0].content[0].text == "Hi"


def test_a_failed_response_says_why():
    answer = types.Response(response(status="failed", error={"code": "x", "message": "broke"}))
    assert (answer.error.code, answer.error.message, answer.error.type) == ("x", "broke", None)


def test_views_are_read_only_comparable_and_can_be_copied():
    answer = types.Response(response())
    with pytest.raises(AttributeError, match="read-only"):
        answer.status = "failed"
    assert answer.output[0] is answer.output[0]
    assert answer == types.Response(response())
    assert answer != types.Thread(response())
    assert copy.deepcopy(answer) == answer == pickle.loads(pickle.dumps(answer))
    assert repr(types.Thread({"id": "thrd_1"})) == "Thread(id='thrd_1')"


def test_every_public_name_is_there_and_no_other():
    for name in freddy.__all__:
        assert getattr(freddy, name) is not None
    assert set(dir(freddy)) == set(freddy.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Freddie'"):
        _ = freddy.Freddie


def test_importing_the_package_loads_no_http_library():
    script = "import sys, freddy; print('httpx2' in sys.modules, 'asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_synchronous_client_is_what_the_generator_makes():
    check = [sys.executable, str(ROOT / "scripts" / "unasync.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_server_did_is_read_by_attribute():
    listed = {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "sums", "tools": [{"name": "add"}]}
    searched = {
        "type": "file_search_call",
        "id": "fs_1",
        "queries": ["sky"],
        "results": [{"file_id": "file_1", "filename": "sky.txt", "score": 0.5, "text": "Green."}],
    }
    asked = {"type": "approval_request", "id": "mcpr_1", "name": "add", "server_label": "sums"}
    answer = types.Response({"output": [listed, searched, asked]})
    tools, search, request = answer.items
    assert [tool.name for tool in tools.tools] == ["add"]
    assert (search.queries, search.results[0].filename) == (["sky"], "sky.txt")
    assert (request.server_label, request.expires_at) == ("sums", None)
