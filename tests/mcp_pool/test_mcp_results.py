"""What a model is given of an MCP tool's result, without a server."""

import pytest
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
)

from freddy.server.core import items
from freddy.server.ports.tools import Answer
from freddy.server.tools.mcp import results

MUCH = 1_000_000


def _answer(*content, most=MUCH, **more):
    return results.answer(CallToolResult(content=list(content), **more), most)


def test_what_fits_is_kept_and_what_does_not_is_left_out_with_a_note():
    picture = ImageContent(data="A" * 800, mime_type="image/png")
    answer = _answer(TextContent(text="a" * 300), picture, picture, TextContent(text="b" * 10), most=1000)
    assert answer == Answer(
        parts=(
            items.Text("a" * 300),
            items.Text("b" * 10),
            items.Text("[2 parts left out: the answer is larger than 1,000 bytes.]"),
        )
    )


def test_text_is_cut_between_characters():
    answer = _answer(TextContent(text="é" * 10), most=5)
    assert answer == Answer(parts=(items.Text("éé\n[Cut: the answer is longer than 5 bytes.]"),))


def test_structured_content_is_told_where_no_text_tells_it():
    picture = ImageContent(data="AAAA", mime_type="image/png")
    assert _answer(picture, structured_content={"a": [1, "é"]}) == Answer(
        parts=(items.Text('{"a":[1,"é"]}'), items.Image(url="data:image/png;base64,AAAA"))
    )
    assert _answer(TextContent(text="one"), structured_content={"a": 1}) == Answer(parts=(items.Text("one"),))


def test_a_result_of_nothing_is_an_answer_of_nothing():
    assert _answer() == Answer()


def test_a_failure_without_words_is_a_failure_all_the_same():
    assert _answer(is_error=True) == Answer(error="The tool failed and did not say why.")
    assert _answer(TextContent(text="no"), TextContent(text="way"), is_error=True) == Answer(error="no\nway")


@pytest.mark.parametrize(
    "content",
    [
        ImageContent(data="not base64!", mime_type="image/png"),
        ImageContent(data="", mime_type="image/png"),
        ImageContent(data="AAAA", mime_type="image/png;x=,"),
        AudioContent(data="AAA", mime_type="audio/wav"),
        EmbeddedResource(resource=BlobResourceContents(uri="a://b", blob="?")),
    ],
)
def test_data_that_nobody_could_read_is_left_out_with_a_note(content):
    (part,) = _answer(content).parts
    assert isinstance(part, items.Text)
    assert "left out" in part.text


@pytest.mark.parametrize(
    ("media_type", "format_"), [("audio/mpeg", "mp3"), ("audio/x-wav", "wav"), ("audio/ogg", "ogg")]
)
def test_sounds_are_called_by_the_names_that_models_know(media_type, format_):
    assert _answer(AudioContent(data="AAAA", mime_type=media_type)).parts == (items.Audio(data="AAAA", format=format_),)


def test_resources_are_named():
    link = ResourceLink(uri="notes://one", name="One", description="the first")
    assert _answer(link).parts == (items.Text("Resource notes://one: One (the first)"),)
    blob = EmbeddedResource(resource=BlobResourceContents(uri="notes://", blob="AAAA"))
    assert _answer(blob).parts == (items.File(data="data:application/octet-stream;base64,AAAA", filename="resource"),)
