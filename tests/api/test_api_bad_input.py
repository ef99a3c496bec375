"""What bad input gets: a clear error in the dialect of the path, never a traceback, never a half-made thread."""

import asyncio
import gzip
import json

import pytest
from gateway import DEV_KEY, spelled

from freddy.server.config import settings as parts
from promises import promise
from upstream import PATIENCE, Fault

OURS, THEIRS = "/v1/model/response", "/v1/responses"


def is_error(reply, path: str) -> dict:
    """The error object, in the shape of the path's dialect."""
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"]
    body = reply.json()
    assert body.keys() == {"error"}
    error = body["error"]
    assert error["message"]
    if path.startswith(THEIRS):
        assert error.keys() == {"message", "type", "param", "code"}
    else:
        assert {"message", "type", "code"} <= error.keys() <= {"message", "type", "code", "param", "details"}
        assert None not in error.values()
    return error


@promise(16, 255, 264)
@pytest.mark.parametrize("path", [OURS, THEIRS])
@pytest.mark.parametrize(
    "body",
    [b"{", b'{"inputs": "Hi",}', b"\xff\xfe{}", b'"text"', b"[]", b"nul", b'{"model":"\xe4"}', b"[" * 100_000],
    ids=["cut", "comma", "utf16", "string", "list", "word", "latin1", "deep"],
)
async def test_what_is_not_a_json_object_is_refused(gateway, upstream, path, body):
    reply = await gateway.http().post(path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    error = is_error(reply, path)
    assert (error["type"], error["code"]) in [
        ("invalid_request_error", "invalid_json"),
        ("invalid_request_error", "invalid_input"),
    ]
    assert upstream.calls == []


@pytest.mark.parametrize("path", [OURS, THEIRS])
async def test_json_that_is_nested_deeply_is_refused(gateway, path):
    deep = b'{"model":"stage","input":"Hi","inputs":"Hi","metadata":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001
    reply = await gateway.http().post(path, content=deep)
    assert reply.status_code in (400, 422)
    is_error(reply, path)


@promise(53, 257)
@pytest.mark.parametrize("body", [{}, {"inputs": []}, {"inputs": ""}, {"inputs": [{"role": "user", "content": ""}]}])
async def test_a_request_without_any_message_is_refused(gateway, body):
    reply = await gateway.post(OURS, body)
    assert reply.status_code == 400
    assert is_error(reply, OURS) == {
        "message": "No valid input messages found",
        "type": "invalid_request_error",
        "code": "invalid_input",
        "param": "inputs",
    }


@promise(265, 266)
@pytest.mark.parametrize(
    ("body", "param"),
    [({"input": "Hi"}, "model"), ({"model": "stage"}, "input"), ({"model": "stage", "input": []}, "input")],
)
async def test_model_and_input_are_required_in_openais_words(gateway, body, param):
    reply = await gateway.post(THEIRS, body)
    assert reply.status_code == 400
    assert is_error(reply, THEIRS)["param"] == param


OUT_OF_RANGE = [
    ("temperature", 3, "temperature must be between 0 and 2"),
    ("temperature", -0.1, "temperature must be between 0 and 2"),
    ("temperature", "hot", "temperature must be a number between 0 and 2"),
    ("temperature", True, "temperature must be a number between 0 and 2"),
    ("top_p", 1.1, "top_p must be between 0 and 1"),
    ("presence_penalty", 2.1, "presence_penalty must be between -2 and 2"),
    ("frequency_penalty", -2.1, "frequency_penalty must be between -2 and 2"),
    ("top_logprobs", 21, "top_logprobs must be between 0 and 20"),
    ("top_logprobs", 2, "top_logprobs may be given only when logprobs is true"),
    ("verbosity", "loud", "verbosity must be one of low, medium, high"),
    ("max_output_synapses", 0, "max_output_synapses must be at least 1"),
    ("max_output_synapses", 1.5, "max_output_synapses must be an integer"),
    ("stream", "yes", "stream must be true or false"),
    ("thread_context_mode", "some", "thread_context_mode must be one of recent, smart, full"),
    ("truncation", "none", "truncation must be one of auto, disabled"),
    ("output_mode", "xml", "output_mode must be one of"),
    ("instructions", 7, "instructions must be a string"),
    ("rules", "rule_1", "rules must be an array"),
    ("model", "", "model must not be empty"),
]


@promise(222, 223, 226, 227, 260)
@pytest.mark.parametrize(("name", "value", "details"), OUT_OF_RANGE)
async def test_a_value_out_of_its_range_is_named_with_what_would_be_right(gateway, upstream, name, value, details):
    reply = await gateway.post(*spelled("freddy", **{name: value}))
    assert reply.status_code == 422
    error = is_error(reply, OURS)
    assert error["details"].startswith(details)
    assert error == {
        "message": "Invalid parameter value",
        "type": "invalid_request_error",
        "code": "invalid_value",
        "param": name,
        "details": error["details"],
    }
    assert upstream.calls == []


@promise(264, 269, 270, 272)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 3),
        ("temperature", "hot"),
        ("top_p", -1),
        ("top_logprobs", 21),
        ("max_output_tokens", 0),
        ("stream", "yes"),
        ("truncation", "some"),
        ("tools", {}),
        ("metadata", {"a": 1}),
        ("reasoning", "hard"),
        ("previous_response_id", 7),
    ],
)
async def test_a_bad_value_is_400_in_openais_words(gateway, name, value):
    reply = await gateway.post(*spelled("openai", **{name: value}))
    assert reply.status_code == 400
    error = is_error(reply, THEIRS)
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith(name)
    assert name in error["message"]


@promise(223, 222, 226, 227)
async def test_the_ends_of_the_ranges_are_let_through(gateway, upstream):
    for low_or_high in (
        {"temperature": 0, "top_p": 0, "presence_penalty": -2, "frequency_penalty": -2},
        {"temperature": 2, "top_p": 1, "presence_penalty": 2, "frequency_penalty": 2},
    ):
        await gateway.ask("freddy", **low_or_high)
        assert {name: upstream.last.body[name] for name in low_or_high} == low_or_high


@promise(225)
async def test_logprobs_are_limited_to_twenty_rivals(gateway, upstream):
    await gateway.ask("freddy", logprobs=True, top_logprobs=20)
    assert upstream.last.body["top_logprobs"] == 20


@promise(54, 259)
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_unknown_model_is_not_found(gateway, upstream, streamed):
    reply = await gateway.post(OURS, {"model": "nobody", "inputs": "Hi", "stream": streamed})
    assert reply.status_code == 404
    error = is_error(reply, OURS)
    assert {key: error[key] for key in ("message", "type", "code", "param")} == {
        "message": "Model not found",
        "type": "invalid_request_error",
        "code": "model_not_found",
        "param": "model",
    }
    assert "'nobody'" in error["details"]
    reply = await gateway.post(THEIRS, {"model": "nobody", "input": "Hi", "stream": streamed})
    assert (reply.status_code, is_error(reply, THEIRS)["code"]) == (404, "model_not_found")
    assert upstream.calls == []


@pytest.mark.parametrize("path", [OURS, THEIRS, "/v1/threads", "/v1/responses/input_tokens", "/v1/responses/compact"])
async def test_a_body_that_is_too_large_is_refused(opened, upstream, path):
    gateway = await opened(server=parts.Server(max_body_bytes=2048))
    large = json.dumps({"model": "stage", "input": "x" * 3000}).encode()

    async def pieces():
        for start in range(0, len(large), 500):
            yield large[start : start + 500]

    for content in (large, pieces()):
        reply = await gateway.http().post(path, content=content)
        assert reply.status_code == 413
        error = is_error(reply, path)
        assert error["code"] == "request_too_large"
        assert "2,048" in error["message"]
    assert upstream.calls == []
    assert (await gateway.get("/v1/threads")).json()["data"] == []


@promise(92)
@pytest.mark.parametrize(
    "metadata",
    [
        {str(number): "" for number in range(17)},
        {"k" * 65: "v"},
        {"k": "v" * 513},
        {"k": 1},
        ["k"],
        "k",
    ],
)
async def test_metadata_beyond_its_limits_is_refused(gateway, metadata):
    reply = await gateway.post(*spelled("freddy", metadata=metadata))
    assert reply.status_code == 422
    assert is_error(reply, OURS)["param"].startswith("metadata")
    reply = await gateway.post(*spelled("openai", metadata=metadata))
    assert reply.status_code == 400
    assert is_error(reply, THEIRS)["param"].startswith("metadata")


@promise(92)
async def test_metadata_within_its_limits_is_handed_back(gateway):
    metadata = {str(number).rjust(64, "k"): "v" * 512 for number in range(16)}
    for dialect in ("freddy", "openai"):
        assert (await gateway.ask(dialect, metadata=metadata))["metadata"] == metadata


@promise(89)
@pytest.mark.parametrize("include", [["web_search.source"], ["x"], [1], "all"])
async def test_an_unknown_name_to_include_is_refused(gateway, include):
    reply = await gateway.post(*spelled("freddy", include=include))
    assert reply.status_code == 422
    error = is_error(reply, OURS)
    assert (error["code"], error["param"]) == ("invalid_value", "include")
    reply = await gateway.post(*spelled("openai", include=include))
    assert reply.status_code == 400


@promise(74)
async def test_every_documented_name_to_include_is_known(gateway):
    names = [
        "all",
        "web_search.sources",
        "code_interpreter.outputs",
        "computer_use.screenshots",
        "file_search.results",
        "function_calls.logs",
        "function_calls.sources",
        "message.input_images",
        "message.output_images",
        "reasoning.encrypted",
        "request.logs",
        "usage.detailed",
        "rules.debug",
    ]
    assert (await gateway.ask("freddy", include=names))["status"] == "completed"


@pytest.mark.parametrize(
    ("field", "meant"),
    [("temprature", "temperature"), ("max_output_synapse", "max_output_synapses"), ("streams", "stream")],
)
async def test_a_misspelled_field_is_refused_with_the_one_that_was_meant(gateway, field, meant):
    reply = await gateway.post(*spelled("freddy", **{field: 1}))
    assert reply.status_code == 400
    error = is_error(reply, OURS)
    assert (error["code"], error["param"], error["details"]) == ("unknown_parameter", field, f"did you mean {meant}?")


async def test_openais_clients_may_send_what_is_not_known_here(gateway):
    response = await gateway.ask("openai", client_metadata={"a": "b"}, some_new_thing=[1], moderation={})
    assert response["status"] == "completed"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
async def test_a_body_is_read_as_json_whatever_it_is_called(gateway, kind):
    reply = await gateway.http().post(OURS, content=b'{"inputs":"Hi"}', headers={"content-type": kind})
    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nowhere", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/v1/model/response/", 404),
        ("GET", "/v1/responses/resp_1/nowhere", 404),
        ("PUT", OURS, 405),
        ("DELETE", OURS, 405),
        ("GET", THEIRS, 405),
        ("DELETE", THEIRS, 405),
        ("PUT", "/v1/responses/resp_1", 405),
        ("PUT", "/v1/threads", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/health/live", 405),
    ],
)
async def test_a_wrong_path_and_a_wrong_method_get_an_error_of_the_dialect(gateway, method, path, status):
    reply = await gateway.http().request(method, path)
    assert reply.status_code == status
    error = is_error(reply, path)
    assert error["code"] == {404: "not_found", 405: "method_not_allowed"}[status]
    if status == 405:
        allowed = reply.headers["allow"]
        assert method not in allowed.split(", ")
        assert f"it knows {allowed}" in error.get("details", error["message"])


@pytest.mark.parametrize(
    "path", [f"{OURS}/resp_no", f"{THEIRS}/resp_no", f"{THEIRS}/resp_no/input_items", "/v1/threads/no"]
)
async def test_an_id_that_nothing_has_is_not_found(gateway, path):
    reply = await gateway.get(path)
    assert reply.status_code == 404
    assert is_error(reply, path)["message"].endswith("not found")


async def test_a_request_for_a_websocket_whose_way_broke_off_is_sent_back_to_http(gateway):
    headers = {
        # A proxy has taken away `connection: upgrade`, as most do that nobody told otherwise.
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    reply = await gateway.http().get(THEIRS, headers=headers)
    assert reply.status_code == 426
    assert is_error(reply, THEIRS)["code"] == "upgrade_required"


async def raw(gateway, *pieces: bytes) -> bytes:
    """What a connection answers to these bytes, until it ends."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
        finally:
            writer.close()


async def test_what_is_not_http_is_refused_and_the_server_goes_on(gateway):
    assert (await raw(gateway, b"hello\r\n\r\n")).startswith(b"HTTP/1.1 400")
    assert (await gateway.get("/health/live")).status_code == 200


async def test_a_header_of_any_size_does_no_harm(gateway):
    reply = await gateway.http().get("/v1/models", headers={"x-large": "x" * 60_000})
    assert reply.status_code in (200, 400, 431)
    reply = await gateway.http(key=None).get("/v1/models", headers={"x-api-key": "x" * 60_000})
    assert reply.status_code in (400, 401, 431)
    assert (await gateway.get("/health/live")).status_code == 200


async def test_a_request_may_come_byte_by_byte(gateway):
    body = b'{"inputs":"Hi"}'
    head = (
        f"POST {OURS} HTTP/1.1\r\nhost: x\r\nx-api-key: {DEV_KEY}\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    answer = await raw(gateway, *(bytes([byte]) for byte in head + body))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"Hello there." in answer


async def test_a_request_that_was_refused_leaves_no_thread_behind(gateway):
    await gateway.post(*spelled("freddy", thread="t", temperature=3))
    await gateway.post(*spelled("freddy", thread="t", model="nobody"))
    await gateway.post(*spelled("freddy", thread="t", rules=["rule_none"]))
    await gateway.post(*spelled("freddy", thread="t", previous_response_id="resp_1"))
    assert (await gateway.get("/v1/threads")).json()["data"] == []


@promise(29)
async def test_a_rule_that_does_not_exist_is_named(gateway):
    reply = await gateway.post(*spelled("freddy", rules=["rule_none"]))
    assert (reply.status_code, is_error(reply, OURS)["param"]) == (404, "rules")
    for field, value in (("assistant_id", "asst_none"), ("prompt", {"id": "prompt_none"})):
        reply = await gateway.post(*spelled("freddy", **{field: value}))
        assert (reply.status_code, is_error(reply, OURS)["param"]) == (404, field)


@promise(30)
async def test_rules_that_are_disabled_are_not_looked_for(gateway):
    assert (await gateway.ask("freddy", rules=["rule_none"], disable_rules=True))["status"] == "completed"


@promise(38, 45)
@pytest.mark.parametrize(
    ("inputs", "param"),
    [
        ([{"content": "Hi"}], "inputs[0].role"),
        ([{"role": "robot", "content": "Hi"}], "inputs[0].role"),
        ([{"role": "user", "texts": [{"txt": "Hi"}]}], "inputs[0].texts[0].txt"),
        ([{"role": "user", "images": [{}]}], "inputs[0].images[0]"),
        ([{"role": "user", "content": 7}], "inputs[0].content"),
        ([7], "inputs[0]"),
        ([{"role": "function", "name": "f", "content": "1"}], "inputs[0].name"),
    ],
)
async def test_an_input_that_cannot_be_read_is_named_by_its_place(gateway, inputs, param):
    reply = await gateway.post(*spelled("freddy", input=inputs))
    assert reply.status_code in (400, 422)
    assert is_error(reply, OURS)["param"] == param


@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_a_lone_half_of_a_character_does_no_harm(gateway, dialect):
    path, _ = spelled(dialect)
    body = b'{"model":"stage","input%s":"\\ud83d"}' % (b"s" if dialect == "freddy" else b"")
    reply = await gateway.http().post(path, content=body)
    assert reply.status_code in (200, 400, 422)


async def test_a_path_knows_the_methods_of_all_its_routes(gateway):
    reply = await gateway.http().put("/v1/threads/t")
    assert reply.headers["allow"] == "DELETE, GET, HEAD, PATCH, POST"


@pytest.mark.parametrize("path", [OURS, THEIRS])
async def test_a_packed_body_is_refused_with_the_cure(gateway, upstream, path):
    packed = gzip.compress(b'{"model":"stage","input":"Hi","inputs":"Hi"}')
    reply = await gateway.http().post(path, content=packed, headers={"content-encoding": "gzip"})
    assert reply.status_code == 415
    error = is_error(reply, path)
    assert error["code"] == "unsupported_media_type"
    assert "Content-Encoding" in error.get("details", error["message"])
    assert upstream.calls == []


@pytest.mark.parametrize("path", [OURS, THEIRS])
@pytest.mark.parametrize("name", ["stage-" + "x" * 300, "stage-\x00", "stage-\x1b[31m"])
async def test_a_name_that_no_model_can_have_is_unknown_though_a_pattern_fits(gateway, upstream, path, name):
    reply = await gateway.http().post(path, json={"model": name, "input" + "s" * (path == OURS): "Hi"})
    assert reply.status_code == 404
    error = is_error(reply, path)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert upstream.calls == []


@pytest.mark.parametrize(("path", "param"), [(OURS, "inputs"), (THEIRS, "input")])
async def test_an_input_that_is_too_long_is_named_as_the_dialect_calls_it(gateway, upstream, path, param):
    upstream.says(Fault(400, "too long", code="context_length_exceeded"))
    error = is_error(await gateway.http().post(path, json={"model": "stage", param: "Hi"}), path)
    assert (error["code"], error["param"]) == ("context_length_exceeded", param)


@pytest.mark.parametrize("path", [OURS, THEIRS])
async def test_whether_to_stream_is_read_from_the_query_or_refused(gateway, path):
    made = await gateway.ask("freddy")
    for said in ("true", "True", "1"):
        reply = await gateway.get(f"{path}/{made['id']}?stream={said}")
        assert reply.headers["content-type"].startswith("text/event-stream")
    for said in ("false", "0"):
        assert (await gateway.get(f"{path}/{made['id']}?stream={said}")).json()["id"] == made["id"]
    assert is_error(await gateway.get(f"{path}/{made['id']}?stream=maybe"), path)["param"] == "stream"
