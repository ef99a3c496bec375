"""What goes wrong before an answer is there: statuses, retries, timeouts, broken connections."""

import pickle

import httpx2
import pytest
from scripted_server import BASE_URL, Pieces, fault, ok, settled, stream_of

import freddy
from promises import promise

BY_STATUS = {
    400: freddy.BadRequestError,
    401: freddy.AuthenticationError,
    403: freddy.PermissionDeniedError,
    404: freddy.NotFoundError,
    409: freddy.ConflictError,
    413: freddy.PayloadTooLargeError,
    418: freddy.APIError,
    422: freddy.UnprocessableEntityError,
    429: freddy.RateLimitError,
    500: freddy.InternalServerError,
    502: freddy.UpstreamError,
    503: freddy.ServiceUnavailableError,
    504: freddy.GatewayTimeoutError,
    529: freddy.ServerError,
}


async def ask(client, **keywords):
    return await settled(client.responses.create(inputs="Hi", **keywords))


@promise(282)
@pytest.mark.parametrize(("status", "kind"), BY_STATUS.items())
async def test_each_status_has_its_error(server, status, kind):
    server.answers(
        fault(
            status,
            message="Invalid parameter value",
            type="invalid_request_error",
            code="invalid_value",
            param="temperature",
            details="temperature must be between 0 and 2",
            headers={"x-request-id": "req_1"},
        )
    )
    with pytest.raises(kind) as caught:
        await ask(server.client(max_retries=0))
    error = caught.value
    assert type(error) is kind
    assert error.message == "Invalid parameter value"
    assert (error.status, error.code, error.param) == (status, "invalid_value", "temperature")
    assert (error.type, error.request_id) == ("invalid_request_error", "req_1")
    assert error.details == "temperature must be between 0 and 2"
    assert error.body["error"]["param"] == "temperature"
    assert str(error) == (
        f"Invalid parameter value (status {status}, code invalid_value, param temperature, "
        "details temperature must be between 0 and 2, request req_1)"
    )


async def test_an_error_survives_pickling(server):
    server.answers(fault(404, code="model_not_found"))
    with pytest.raises(freddy.NotFoundError) as caught:
        await ask(server.client())
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.code) == (
        freddy.NotFoundError,
        str(caught.value),
        "model_not_found",
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx2.Response(502, html="<h1>nginx</h1>"), "HTTP 502 Bad Gateway"),
        (httpx2.Response(502), "HTTP 502 Bad Gateway"),
        (httpx2.Response(502, json=["no"]), "HTTP 502 Bad Gateway"),
        (httpx2.Response(502, json={"error": "worn out"}), "worn out"),
        (httpx2.Response(502, json={"message": "flat"}), "flat"),
        (httpx2.Response(599, json={"error": None}), "HTTP 599"),
    ],
)
async def test_an_error_that_is_not_in_the_usual_form_is_told_all_the_same(server, answer, message):
    server.answers(httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content))
    with pytest.raises(freddy.ServerError) as caught:
        await ask(server.client(max_retries=0))
    assert caught.value.message == message


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_failure_that_may_pass_is_tried_again_with_growing_waits(server, status):
    server.answers(fault(status), fault(status), ok())
    assert (await ask(server.client())).output_text == "Hello!"
    assert server.slept == [0.5, 1.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 501])
async def test_a_failure_that_will_not_pass_is_not_tried_again(server, status):
    server.answers(fault(status))
    with pytest.raises(freddy.APIError):
        await ask(server.client())
    assert server.slept == []


async def test_waits_are_spread_at_random_and_limited(server):
    server.answers(*[fault(503)] * 9, ok())
    await ask(server.client(chance=0.5, max_retries=9))
    assert server.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0]


async def test_tries_end_with_the_last_error(server):
    server.answers(fault(503, message="first"), fault(503, message="second"), fault(503, message="last"))
    with pytest.raises(freddy.ServiceUnavailableError, match="last"):
        await ask(server.client())
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:10 GMT"}, 0.0),
        ({"retry-after": "soon"}, 0.5),
        ({"retry-after": "-3"}, 0.5),
        ({"retry-after": "nan"}, 0.5),
    ],
)
async def test_the_server_says_how_long_to_wait(server, headers, wait):
    server.answers(fault(429, headers=headers), ok())
    await ask(server.client())
    assert server.slept == [wait]


async def test_a_wait_of_more_than_a_minute_is_the_callers_decision(server):
    server.answers(fault(429, headers={"retry-after": "3600"}))
    with pytest.raises(freddy.RateLimitError) as caught:
        await ask(server.client())
    assert caught.value.retry_after == 3600.0
    assert server.slept == []


@pytest.mark.parametrize(("status", "said", "tries"), [(409, "true", 2), (503, "false", 1)])
async def test_the_server_has_the_last_word_on_another_try(server, status, said, tries):
    server.answers(fault(status, headers={"x-should-retry": said}), ok())
    if tries == 1:
        with pytest.raises(freddy.ServerError):
            await ask(server.client())
    else:
        await ask(server.client())
    assert len(server.requests) == tries


async def test_all_tries_of_a_call_have_one_idempotency_key_and_the_next_call_has_another(server):
    server.answers(fault(503), httpx2.ConnectError("refused"), ok(), ok())
    client = server.client()
    await ask(client)
    await ask(client)
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert keys == ["try-1", "try-1", "try-1", "try-2"]
    assert len({request.content for request in server.requests}) == 1


async def test_only_posts_have_an_idempotency_key(server):
    server.answers(ok())
    await settled(server.client().responses.get("resp_1"))
    assert "idempotency-key" not in server.request.headers


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx2.ConnectError("refused"), freddy.APIConnectionError),
        (httpx2.RemoteProtocolError("hung up"), freddy.APIConnectionError),
        (httpx2.ConnectTimeout("slow"), freddy.APITimeoutError),
        (httpx2.ReadTimeout("slow"), freddy.APITimeoutError),
    ],
)
async def test_a_connection_that_fails_is_tried_again_and_then_told(server, failure, kind):
    server.answers(failure, failure, failure)
    with pytest.raises(kind, match=r"POST /v1/model/response: ") as caught:
        await ask(server.client())
    assert type(caught.value) is kind
    assert caught.value.__cause__ is failure
    assert server.slept == [0.5, 1.0]


async def test_an_answer_that_breaks_off_is_asked_for_again(server):
    broken = httpx2.Response(200, stream=Pieces(b'{"id": ', httpx2.ReadError("reset")))
    server.answers(broken, ok())
    assert (await ask(server.client())).id == "resp_1"


async def test_a_call_that_can_never_work_is_not_tried_again(server):
    server.answers(httpx2.UnsupportedProtocol("no such protocol"))
    with pytest.raises(freddy.APIConnectionError):
        await ask(server.client())
    assert server.slept == []


@pytest.mark.parametrize(
    "answer",
    [httpx2.Response(200, html="<p>Welcome</p>"), httpx2.Response(200, json=[1])],
)
async def test_an_answer_that_is_no_json_object_is_told_without_its_content(server, answer):
    server.answers(httpx2.Response(200, headers=answer.headers, content=answer.content))
    with pytest.raises(freddy.InvalidResponseError, match="should answer with a JSON object") as caught:
        await ask(server.client())
    assert "Welcome" not in str(caught.value)
    assert caught.value.body in ("<p>Welcome</p>", [1])


async def test_a_redirect_is_an_error_since_following_it_could_lose_the_body(server):
    server.answers(httpx2.Response(307, headers={"location": f"{BASE_URL}/elsewhere"}))
    with pytest.raises(freddy.APIError, match="HTTP 307"):
        await ask(server.client())


async def test_a_stream_is_asked_for_again_only_before_its_first_byte(server):
    server.answers(
        fault(503),
        stream_of(httpx2.ReadError("reset")),
        stream_of(),
    )
    with pytest.raises(freddy.APIConnectionError, match="before its first byte"):
        await ask(server.client(), stream=True)
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1
    assert len(server.requests) == 3


async def test_a_negative_number_of_tries_is_refused(server):
    with pytest.raises(ValueError, match="max_retries is -1"):
        server.client(max_retries=-1)
