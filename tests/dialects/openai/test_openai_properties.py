import contextlib
import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response as SdkResponse
from openai_samples import SCENES, counter, response_to

from freddy.server.core import errors, items, request
from freddy.server.dialects.openai import OPENAI, encode_item

WORDS = [
    "type",
    "id",
    "role",
    "content",
    "text",
    "image_url",
    "url",
    "file_id",
    "detail",
    "refusal",
    "annotations",
    "logprobs",
    "summary",
    "arguments",
    "call_id",
    "name",
    "output",
    "input",
    "model",
    "tools",
    "tool_choice",
    "format",
    "schema",
    "parameters",
    "function",
    "namespace",
    "mode",
    "conversation",
    "prompt",
    "metadata",
    "include",
    "reasoning",
    "effort",
    "stream_options",
    "user",
    "echo",
    "previous_response_id",
    "instructions",
    "encrypted_content",
]
VALUES = [
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "reasoning",
    "item_reference",
    "user",
    "assistant",
    "input_text",
    "output_text",
    "input_image",
    "input_file",
    "input_audio",
    "refusal",
    "function",
    "custom",
    "namespace",
    "mcp",
    "allowed_tools",
    "json_schema",
    "auto",
    "none",
    "web_search_call",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(VALUES)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(), inner),
    max_leaves=25,
)
BODIES = st.dictionaries(st.sampled_from(WORDS), JSON).map(lambda body: {"model": "m", "input": "Hi", **body})

TEXT = st.text(max_size=20)
IDS = st.text("abc_123", min_size=1, max_size=12)
STATUSES = st.sampled_from(["in_progress", "completed", "incomplete"])
TEXTS = TEXT.map(items.Text)
RICH_TEXTS = st.builds(
    items.Text,
    TEXT,
    st.lists(
        st.builds(
            lambda n: items.Annotation("file_path", msgspec.Raw(b'{"type":"file_path","index":%d}' % n)),
            st.integers(0, 9),
        )
    ).map(tuple),
    st.lists(st.builds(items.Logprob, TEXT, st.floats(-9, 0), st.lists(st.integers(0, 255)).map(tuple))).map(tuple),
)
SEEN = st.one_of(
    TEXTS,
    st.builds(items.Image, url=TEXT, detail=st.sampled_from(["auto", "low", "high", "original"])),
    st.builds(items.Image, file_id=IDS),
    st.builds(items.File, data=TEXT, filename=st.none() | TEXT),
    st.builds(items.Audio, data=TEXT, format=st.sampled_from(["wav", "mp3"])),
)
ITEMS = st.one_of(
    st.builds(
        items.Message,
        IDS,
        st.sampled_from(["user", "system", "developer"]),
        st.lists(SEEN).map(tuple),
        STATUSES,
    ),
    st.builds(
        items.Message,
        IDS,
        st.just("assistant"),
        st.lists(RICH_TEXTS | TEXT.map(items.Refusal)).map(tuple),
        STATUSES,
        st.sampled_from([None, "commentary", "final_answer"]),
    ),
    st.builds(
        items.Reasoning,
        IDS,
        st.lists(TEXT).map(tuple),
        st.lists(TEXT).map(tuple),
        st.none() | TEXT,
        st.sampled_from(["completed", "incomplete"]),
    ),
    st.builds(
        items.FunctionCall,
        IDS,
        IDS,
        IDS,
        TEXT,
        STATUSES,
        st.sampled_from(["function", "custom"]),
        st.none() | IDS,
    ),
    st.builds(
        items.FunctionOutput,
        IDS,
        IDS,
        st.lists(SEEN).map(tuple),
        STATUSES,
        st.sampled_from(["function", "custom"]),
        st.none() | IDS,
    ),
)


@settings(max_examples=60, deadline=None)
@given(BODIES | JSON)
def test_whatever_json_comes_is_a_request_or_an_error_that_can_be_told(body):
    with contextlib.suppress(errors.FreddyError):
        made = OPENAI.decode_request(json.dumps(body).encode(), counter())
        json.loads(OPENAI.encode_response(response_to(made)))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40))
def test_whatever_bytes_come_are_a_request_or_an_error_that_can_be_told(body):
    with contextlib.suppress(errors.FreddyError):
        OPENAI.decode_request(b'{"model":"m","input":[' + body + b"]}", counter())


@settings(max_examples=60, deadline=None)
@given(st.lists(ITEMS, min_size=1, max_size=5).map(tuple))
def test_items_sent_back_as_they_were_written_are_the_same_items(said):
    body = b'{"model":"m","input":[%s]}' % b",".join(encode_item(item, encrypted=True) for item in said)
    assert OPENAI.decode_request(body, counter()).input == said


def test_the_output_of_every_scene_can_be_sent_back():
    for told in SCENES.values():
        response = told[-1].response
        output = json.loads(OPENAI.encode_response(response))["output"]
        assert list(map(written, sent_back(output))) == list(map(written, response.output))


def test_output_that_went_through_the_sdk_comes_back_with_nulls_and_is_accepted():
    for told in SCENES.values():
        response = told[-1].response
        parsed = SdkResponse.model_validate_json(OPENAI.encode_response(response))
        output = parsed.model_dump(mode="json")["output"]
        assert list(map(written, sent_back(output))) == list(map(written, response.output))


def sent_back(output: list[object]) -> tuple[items.Item, ...]:
    body = {"model": "m", "previous_response_id": "resp_0", "input": output}
    return OPENAI.decode_request(json.dumps(body).encode(), counter()).input


def written(item: items.Item) -> object:
    """An item without the spaces in what it keeps as it came."""
    return json.loads(encode_item(item, encrypted=True))


def test_a_request_made_elsewhere_can_be_answered_here():
    made = request.Request(model="m", input=(), output=request.Output("json_schema"))
    json.loads(OPENAI.encode_response(response_to(made)))
