"""Streams: their events, their end, and the ways in which an end can be missing."""

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_server import (
    BASE_URL,
    events,
    fault,
    gathered,
    ok,
    response,
    settled,
    stream_of,
    told_before_failing,
    told_events,
)

import freddy
from freddy import types

WHOLE = events(*told_events())


async def test_a_stream_tells_the_response_as_it_happens(server):
    server.answers(stream_of(*WHOLE, **{"x-request-id": "req_1"}))
    stream = await settled(server.client().responses.create(inputs="Hi", stream=True))
    told = await gathered(stream)
    assert server.body == {"inputs": "Hi", "stream": True}
    assert server.request.headers["accept"] == "text/event-stream"
    assert [type(event) for event in told] == [
        types.ResponseEvent,
        types.ItemEvent,
        types.TextDelta,
        types.TextDelta,
        types.TextDone,
        types.ResponseEvent,
    ]
    assert [event.sequence_number for event in told] == [0, 1, 2, 3, 4, 5]
    assert told[-1].response.output_text == "Hello!"
    assert (stream.response_id, stream.sequence_number, stream.request_id) == ("resp_1", 5, "req_1")


async def test_the_text_alone_can_be_read_and_the_response_after_it(server):
    server.answers(stream_of(*WHOLE))
    stream = server.client().responses.stream(inputs="Hi")
    assert server.requests == []
    assert await gathered(stream.text_deltas()) == ["Hel", "lo!"]
    final = await settled(stream.get_final_response())
    assert (final.output_text, final.status, final.thread) == ("Hello!", "completed", "thrd_1")
    assert await gathered(stream) == []


async def test_the_final_response_can_be_had_without_reading_the_events(server):
    server.answers(stream_of(*WHOLE, **{"x-request-id": "req_1"}))
    final = await settled(server.client().responses.stream(inputs="Hi").get_final_response())
    assert final == types.Response(response())
    assert final.request_id == "req_1"


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
async def test_each_way_to_end_is_an_end(server, status):
    answer = stream_of(*events(*told_events(status=status)), b"never read")
    server.answers(answer)
    stream = server.client().responses.stream(inputs="Hi")
    assert (await settled(stream.get_final_response())).status == status
    assert answer.is_closed


async def test_leaving_a_stream_early_closes_it(server):
    answer = stream_of(*WHOLE)
    server.answers(answer)
    stream = server.client().responses.stream(inputs="Hi")
    if server.kind == "sync":
        with stream:
            assert next(stream).type == "response.created"
    else:
        async with stream:
            assert (await anext(stream)).type == "response.created"
    assert answer.is_closed
    assert await gathered(stream) == []
    with pytest.raises(freddy.StreamInterruptedError, match="closed before"):
        await settled(stream.get_final_response())


@pytest.mark.parametrize(
    "ending",
    [
        [],
        [b"data: [DONE]\n\n"],
        [httpx2.ReadError("reset")],
        [httpx2.RemoteProtocolError("incomplete chunked read")],
        [httpx2.ReadTimeout("silence")],
        [b'event: response.completed\ndata: {"type": "response.comp'],
    ],
)
async def test_a_stream_without_its_last_event_is_an_error_and_says_where_to_go_on(server, ending):
    server.answers(stream_of(*WHOLE[:-1], *ending))
    stream = server.client().responses.stream(inputs="Hi")
    told, error = await told_before_failing(stream, freddy.StreamInterruptedError)
    assert len(told) == 5
    assert (error.response_id, error.sequence_number) == ("resp_1", 4)
    with pytest.raises(freddy.StreamInterruptedError):
        await settled(stream.get_final_response())
    with pytest.raises(freddy.StreamInterruptedError):
        await gathered(stream)
    assert len(server.requests) == 1


async def test_a_stream_that_broke_off_can_be_followed_to_its_end(server):
    server.answers(stream_of(*WHOLE[:3]), stream_of(*WHOLE[3:]))
    client = server.client()
    stream = client.responses.stream(inputs="Hi")
    first, error = await told_before_failing(stream.text_deltas(), freddy.StreamInterruptedError)
    rest = client.responses.follow(error.response_id, starting_after=error.sequence_number)
    assert first + await gathered(rest.text_deltas()) == ["Hel", "lo!"]
    assert (await settled(rest.get_final_response())).output_text == "Hello!"
    assert server.request.method == "GET"
    assert str(server.request.url) == (f"{BASE_URL}/v1/model/response/resp_1?stream=true&starting_after=2")


NESTED = {"error": {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Slow down"}}
FLAT = {"code": "rate_limit_exceeded", "message": "Slow down", "param": None}


@pytest.mark.parametrize("form", [NESTED, FLAT, NESTED | FLAT])
async def test_an_error_event_is_raised_as_the_error_it_means(server, form):
    server.answers(stream_of(*WHOLE[:2], *events({"type": "error", "sequence_number": 2} | form)))
    stream = server.client().responses.stream(inputs="Hi")
    told, error = await told_before_failing(stream, freddy.RateLimitError)
    assert len(told) == 2
    assert (error.message, error.code, error.status) == ("Slow down", "rate_limit_exceeded", None)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"type": "authentication_error"}, freddy.AuthenticationError),
        ({"type": "invalid_request_error", "code": "model_not_found"}, freddy.NotFoundError),
        ({"type": "invalid_request_error", "code": "invalid_input"}, freddy.BadRequestError),
        ({"type": "server_error"}, freddy.InternalServerError),
        ({"type": "service_unavailable_error"}, freddy.ServiceUnavailableError),
        ({"type": "from_the_future", "status": 504}, freddy.GatewayTimeoutError),
        ({"type": "from_the_future"}, freddy.APIError),
    ],
)
async def test_an_error_event_is_known_by_its_code_its_type_or_its_status(server, told, kind):
    server.answers(stream_of(*events({"type": "error", "error": told})))
    with pytest.raises(kind) as caught:
        await settled(server.client().responses.stream(inputs="Hi").get_final_response())
    assert type(caught.value) is kind


async def test_a_refusal_of_the_request_is_raised_when_the_stream_is_opened(server):
    server.answers(fault(401), fault(401))
    client = server.client()
    with pytest.raises(freddy.AuthenticationError):
        await settled(client.responses.create(inputs="Hi", stream=True))
    stream = client.responses.stream(inputs="Hi")
    with pytest.raises(freddy.AuthenticationError):
        await gathered(stream)


async def test_pings_and_unknown_events_do_no_harm(server):
    unknown = {"type": "response.daydream.delta", "sequence_number": 1, "dream": {"of": "sheep"}}
    server.answers(stream_of(WHOLE[0], b": ping\n\n", *events(unknown), b"event: nameless\ndata: {}\n\n", *WHOLE[1:]))
    told = await gathered(server.client().responses.stream(inputs="Hi"))
    assert len(told) == 8
    assert isinstance(told[1], types.UnknownEvent)
    assert told[1].dream.of == "sheep"
    assert told[2].type == "nameless"


@pytest.mark.parametrize("data", ["{not json", "[1]", "null"])
async def test_data_that_is_no_json_object_is_an_error(server, data):
    server.answers(stream_of(WHOLE[0], f"data: {data}\n\n".encode(), *WHOLE[1:]))
    stream = server.client().responses.stream(inputs="Hi")
    told, error = await told_before_failing(stream, freddy.InvalidResponseError)
    assert (len(told), error.body) == (1, data)


async def test_a_last_event_without_the_response_is_an_error(server):
    server.answers(stream_of(*events({"type": "response.completed", "status": "completed"})))
    with pytest.raises(freddy.InvalidResponseError, match="does not hold the response"):
        await gathered(server.client().responses.stream(inputs="Hi"))


async def test_an_answer_that_is_no_event_stream_is_an_error(server):
    server.answers(ok())
    with pytest.raises(freddy.InvalidResponseError, match="event stream"):
        await settled(server.client().responses.create(inputs="Hi", stream=True))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, sum(map(len, WHOLE)) - 1), max_size=10))
async def test_how_the_bytes_arrive_makes_no_difference(server, cuts):
    stream = b"".join(WHOLE)
    ends = sorted(set(cuts))
    chunks = [stream[start:end] for start, end in zip([0, *ends], [*ends, None], strict=True)]
    server.answers(stream_of(*chunks))
    told = await gathered(server.client().responses.stream(inputs="Hi"))
    assert [event.to_dict() for event in told] == told_events()
