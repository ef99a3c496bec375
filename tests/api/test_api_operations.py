"""How the server shows itself to those who run it: health, metrics, models, headers, logs."""

import asyncio
import io
import logging
import re

import openai
import pytest
from gateway import DEV_KEY, MODELS, UPSTREAM_KEY, serving, settings, spelled
from prometheus_client.parser import text_string_to_metric_families

from freddy.server import logs
from freddy.server.config import settings as parts
from promises import promise
from upstream import MODEL, Answer, Break, Fault, Gate, text


async def measured(gateway) -> dict[tuple[str, frozenset], float]:
    reply = await gateway.get("/metrics", key=None)
    assert reply.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def labels(**values: str) -> frozenset:
    return frozenset(values.items())


async def test_a_server_that_lives_and_is_ready_says_so(gateway):
    live = await gateway.get("/health/live", key=None)
    assert (live.status_code, live.json()["status"]) == (200, "ok")
    ready = await gateway.get("/health/ready", key=None)
    assert (ready.status_code, ready.json()["status"], ready.json()["checks"]["database"]) == (200, "ready", "ok")


async def test_metrics_move_with_what_happens(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("Hi")), Answer(text("Hi"), finish="length"), Fault(500), Answer(text("Hi"), gate))
    await gateway.ask("freddy")
    await gateway.ask("freddy")
    await gateway.post(*spelled("freddy"))
    started = await gateway.ask("freddy", background=True)
    await gate.reached()
    now = await measured(gateway)
    route = {"route": "/v1/model/response", "method": "POST"}
    assert now["freddy_requests_total", labels(**route, status="200")] == 3
    assert now["freddy_requests_total", labels(**route, status="502")] == 1
    assert now["freddy_request_seconds_count", labels(**route)] == 4
    assert now["freddy_runs_in_progress", labels()] == 1
    assert now["freddy_responses_total", labels(model=MODEL, provider="stage", status="completed")] == 1
    assert now["freddy_responses_total", labels(model=MODEL, provider="stage", status="incomplete")] == 1
    assert now["freddy_tokens_total", labels(model=MODEL, provider="stage", kind="output")] == 14
    gate.open()
    await gateway.ended(started["id"])
    later = await measured(gateway)
    assert later["freddy_runs_in_progress", labels()] == 0
    assert later["freddy_responses_total", labels(model=MODEL, provider="stage", status="completed")] == 2


async def test_paths_and_names_that_callers_make_up_make_no_series(gateway):
    for number in range(5):
        await gateway.get(f"/v1/made-up-{number}")
        await gateway.get(f"/v1/model/response/made-up-{number}")
        await gateway.post("/v1/model/response", {"inputs": "Hi", "model": f"made-up-{number}"})
    assert "made-up" not in (await gateway.get("/metrics")).text


@promise(10)
async def test_models_are_listed_in_both_shapes(gateway):
    listed = (await gateway.get("/v1/models")).json()
    assert (listed["object"], listed["total_count"]) == ("list", len(listed["data"]))
    names = [model["id"] for model in listed["data"]]
    assert set(names) == {"ftg-3.0"} | {name for name in MODELS if "*" not in name}
    assert names == [model["key"] for model in listed["models"]]
    one = next(model for model in listed["models"] if model["key"] == "stage")
    assert (one["provider"], one["availability_status"]) == ("stage", "ready")
    assert {"text_generation", "streaming", "tool_calling"} <= set(one["capabilities"])


@promise(10)
async def test_the_openai_client_and_ours_list_models(gateway):
    client = gateway.openai()
    models = [model async for model in await client.models.list()]
    assert {model.object for model in models} == {"model"}
    assert (await client.models.retrieve("stage")).owned_by == "stage"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("nobody")
    ours = gateway.freddy()
    assert (await ours.models.get("stage")).id == "stage"
    assert len((await ours.models.list()).data) == len(models)


@promise(32, 35)
async def test_without_a_model_the_default_answers_and_the_reply_says_which_it_was(gateway, upstream):
    response = await gateway.ask("freddy")
    assert upstream.last.body["model"] == "stage"
    assert response["model"] == MODEL


@promise(33, 34, 273)
@pytest.mark.parametrize(
    "name",
    [
        "ftg-3.0",
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4.1",
        "gpt-4.1-mini",
        "gpt-4.1-vision",
        "gpt-5",
        "gpt-5-mini",
        "gpt-5-nano",
        "gpt-5.2",
        "gpt-5.4",
        "gpt-5.4-mini",
        "gpt-5.4-nano",
        "claude-sonnet-4",
        "claude-sonnet-4-20250514",
        "claude-3-5-sonnet-20241022",
    ],
)
async def test_the_documented_models_are_served(gateway, upstream, name):
    await gateway.ask("freddy", model=name)
    await gateway.ask("openai", model=name)
    assert [call.body["model"] for call in upstream.calls] == [name if name != "ftg-3.0" else "stage"] * 2


async def test_a_name_can_stand_for_another(opened, upstream):
    gateway = await opened(aliases={"smart": "gpt-5"})
    await gateway.ask("freddy", model="smart")
    assert upstream.last.body["model"] == "gpt-5"
    assert "smart" in [model["id"] for model in (await gateway.get("/v1/models")).json()["data"]]


@promise(5)
@pytest.mark.parametrize("host", ["api.aitronos.com", "api.freddy.aitronos.com", "localhost", "x:1"])
async def test_the_host_header_makes_no_difference(gateway, host):
    reply = await gateway.http().post("/v1/model/response", json={"inputs": "Hi"}, headers={"host": host})
    assert (reply.status_code, reply.json()["response"]) == (200, "Hello there.")


REPLIES = [
    ("GET", "/", None),
    ("GET", "/health/live", None),
    ("GET", "/metrics", None),
    ("GET", "/v1/models", None),
    ("GET", "/nowhere", None),
    ("POST", "/v1/model/response", {"inputs": "Hi"}),
    ("POST", "/v1/model/response", {"inputs": []}),
    ("POST", "/v1/model/response/stream", {"inputs": "Hi"}),
    ("POST", "/v1/responses", {"model": "stage", "input": "Hi", "stream": True}),
    ("POST", "/v1/responses", {}),
    ("PUT", "/v1/responses", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), REPLIES)
async def test_every_reply_has_an_id_and_says_how_long_it_took(gateway, method, path, body):
    http = gateway.http()
    reply = await http.request(method, path, json=body)
    assert re.fullmatch(r"req_[0-9a-f]{28}", reply.headers["x-request-id"])
    assert re.fullmatch(r"\d+", reply.headers["freddy-processing-ms"])
    again = await http.request(method, path, json=body, headers={"x-request-id": "trace-1:a.b_c"})
    assert again.headers["x-request-id"] == "trace-1:a.b_c"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "ü".encode(), 'a"b', "a\tb"])
async def test_a_request_id_that_could_do_harm_is_replaced(gateway, given):
    reply = await gateway.http().get("/health/live", headers={"x-request-id": given})
    assert re.fullmatch(r"req_[0-9a-f]{28}", reply.headers["x-request-id"])


async def test_a_refused_key_gets_the_same_headers(closed):
    reply = await closed.get("/v1/models", key="sk-wrong")
    assert reply.status_code == 401
    assert reply.headers["x-request-id"].startswith("req_")
    assert "freddy-processing-ms" in reply.headers


@pytest.fixture
def written():
    """Everything that is logged, at the level that says most, as lines of JSON."""
    stream = io.StringIO()
    handler = logs.make_handler(stream, "json")
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


async def test_logs_hold_no_prompt_no_answer_and_no_key(gateway, upstream, written):
    secret = "the prompt is marmalade"
    upstream.says(
        Answer(text("the answer is ", "tangerine")),
        Answer(text("the answer is ", "tangerine")),
        Answer(text("the answer is tangerine"), Break("cut")),
        Fault(400, "you said the prompt is marmalade"),
    )
    await gateway.ask("freddy", input=secret, instructions=secret, metadata={"note": secret})
    for _ in range(2):
        await gateway.told("openai", input=secret)
    await gateway.post(*spelled("openai", input=secret))
    await gateway.post(*spelled("freddy", input=secret, temperature=secret))
    await gateway.http().post("/v1/model/response", content=b'{"inputs": "the prompt is marmalade"')
    await gateway.get("/v1/models", key="sk-frdy-tried-and-refused")
    told = written.getvalue()
    assert '"event":"request"' in told
    for word in ("marmalade", "tangerine", DEV_KEY, UPSTREAM_KEY, "tried-and-refused"):
        assert word not in told, word


async def test_every_request_is_logged_once_with_its_id(gateway, written):
    reply = await gateway.post(*spelled("freddy"))
    lines = [line for line in written.getvalue().splitlines() if '"event":"request"' in line]
    assert len(lines) == 1
    assert reply.headers["x-request-id"] in lines[0]
    assert '"route":"/v1/model/response"' in lines[0]


async def test_a_server_that_stops_lets_responses_end(upstream, tmp_path):
    gate = Gate()
    upstream.says(Answer(text("One"), gate, text(" two")))
    async with serving(settings(tmp_path, upstream), upstream) as gateway:
        started = await gateway.ask("freddy", background=True)
        await gate.reached()
        asyncio.get_running_loop().call_soon(gate.open)
    async with serving(settings(tmp_path, upstream), upstream) as gateway:
        kept = (await gateway.get(f"/v1/model/response/{started['id']}")).json()
    assert (kept["status"], kept["response"]) == ("completed", "One two")


async def test_a_server_that_must_stop_leaves_what_is_in_the_background_to_the_next(upstream, tmp_path):
    gate = Gate()
    upstream.says(Answer(text("One"), gate))
    short = settings(tmp_path, upstream, server=parts.Server(shutdown_seconds=0))
    async with serving(short, upstream) as gateway:
        started = await gateway.ask("freddy", background=True)
        await gate.reached()
    upstream.says(Answer(text("Two")))
    async with serving(short, upstream) as gateway:
        path = f"/v1/model/response/{started['id']}"
        assert "response.completed" in (await gateway.get(f"{path}?stream=true")).text
        kept = (await gateway.get(path)).json()
    assert (kept["status"], kept["response"]) == ("completed", "Two")


async def test_a_visitor_is_told_where_to_go(gateway):
    told = (await gateway.get("/", key=None)).json()
    assert {"docs", "openapi", "models"} <= told["links"].keys()
    for path in told["links"].values():
        assert (await gateway.get(path)).status_code == 200
    page = await gateway.http(key=None).get("/", headers={"accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "/v1/model/response" in page.text
