"""The event-stream parser, as the WHATWG specification describes it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freddy._sse import Decoder, ServerSentEvent

FIELD_TEXT = st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=("Cs",)), max_size=20)
LINES = st.one_of(
    FIELD_TEXT.map(lambda text: f"data: {text}"),
    FIELD_TEXT.map(lambda text: f"event:{text}"),
    FIELD_TEXT.map(lambda text: f"id: {text}"),
    FIELD_TEXT.map(lambda text: f": {text}"),
    st.sampled_from(["data", "event", "retry: 250", "retry: soon", "", "", "other: 1", "data:  two"]),
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r", "\r\n"])), max_size=30).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)


def decoded(*chunks: bytes) -> list[ServerSentEvent]:
    decoder = Decoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def naive(stream: bytes) -> list[ServerSentEvent]:
    """The specification's algorithm over the whole text at once."""
    text = stream.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    found, name, data, last_id = [], "", [], ""
    for line in text.split("\n")[:-1]:
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if not line:
            if data:
                found.append(ServerSentEvent(name or "message", "\n".join(data), last_id))
            name, data = "", []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            last_id = value
    return found


@settings(max_examples=50, deadline=None)
@given(STREAMS, st.lists(st.integers(0, 10_000), max_size=20))
def test_any_chunking_of_the_same_bytes_gives_the_same_events(stream, cuts):
    ends = sorted(cut % (len(stream) + 1) for cut in cuts)
    chunks = [stream[start:end] for start, end in zip([0, *ends], [*ends, len(stream)], strict=True)]
    assert decoded(*chunks) == naive(stream)


@settings(max_examples=50, deadline=None)
@given(STREAMS)
def test_a_stream_of_single_bytes_gives_the_same_events(stream):
    assert decoded(*(stream[at : at + 1] for at in range(len(stream)))) == naive(stream)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_fail(noise):
    decoded(noise, b"\n\n")


def test_data_lines_are_joined_by_newlines():
    assert decoded(b"data: one\ndata:two\ndata\n\n") == [ServerSentEvent("message", "one\ntwo\n")]


def test_a_character_cut_in_the_middle_arrives_whole():
    stream = "data: Grüezi 🦊\n\n".encode()
    for cut in range(len(stream)):
        assert decoded(stream[:cut], stream[cut:]) == [ServerSentEvent("message", "Grüezi 🦊")]


def test_separators_that_are_text_do_not_end_a_line():
    assert decoded("data: a\u2028b\x0bc\x85d\n\n".encode())[0].data == "a\u2028b\x0bc\x85d"


def test_a_byte_order_mark_is_dropped_once():
    assert decoded(b"\xef\xbb", b"\xbfdata: \xef\xbb\xbfx\n\n")[0].data == "\ufeffx"


def test_an_event_is_given_as_soon_as_its_blank_line_begins():
    assert decoded(b"data: now\r\n\r") == [ServerSentEvent("message", "now")]


def test_a_crlf_cut_in_two_is_one_line_end():
    assert decoded(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [ServerSentEvent("message", "a\nb")]


def test_an_event_without_data_is_none_and_forgets_its_name():
    assert decoded(b"event: lost\n\ndata: x\n\n") == [ServerSentEvent("message", "x")]


def test_an_event_without_its_blank_line_is_dropped():
    assert decoded(b"data: cut short\n") == []


def test_comments_say_nothing():
    assert decoded(b": ping\n\n:\n\n") == []


def test_an_id_stays_until_the_next_one_and_a_null_in_it_is_refused():
    ids = [event.id for event in decoded(b"id: 7\ndata: a\n\ndata: b\n\nid: 8\0\ndata: c\n\n")]
    assert ids == ["7", "7", "7"]


@pytest.mark.parametrize(("told", "kept"), [(b"300", 300), (b"3s", None), (b"\xd9\xa3", None)])
def test_only_ascii_digits_are_a_retry_time(told, kept):
    decoder = Decoder()
    decoder.feed(b"retry: " + told + b"\n")
    assert decoder.retry == kept
