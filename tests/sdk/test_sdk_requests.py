"""What goes over the wire: bodies, headers, paths, credentials."""

import httpx2
import pytest
from scripted_server import BASE_URL, gathered, message, ok, response, settled

import freddy
from freddy import _settings
from promises import promise

MODEL_RESPONSE = f"{BASE_URL}/v1/model/response"


@promise(278)
async def test_a_body_holds_what_was_given_and_nothing_else(server):
    server.answers(ok())
    await settled(
        server.client().responses.create(
            model="gpt-4o", inputs="Hi", temperature=None, thread=freddy.NOT_GIVEN, toolChoice="auto"
        )
    )
    assert (server.request.method, str(server.request.url)) == ("POST", MODEL_RESPONSE)
    assert server.body == {"model": "gpt-4o", "inputs": "Hi", "temperature": None, "toolChoice": "auto"}


async def test_keywords_of_a_newer_server_go_into_the_body(server):
    server.answers(ok())
    await settled(server.client().responses.create(inputs="Hi", mood="merry", extra_body={"tempo": "presto"}))
    assert server.body == {"inputs": "Hi", "mood": "merry", "tempo": "presto"}


async def test_one_call_can_have_its_own_headers_timeout_and_idempotency_key(server):
    server.answers(ok())
    await settled(
        server.client().responses.create(
            inputs="Hi",
            extra_headers={"X-Team": "red", "user-agent": "mine"},
            timeout=3.0,
            idempotency_key="once",
        )
    )
    headers = server.request.headers
    assert headers["x-team"] == "red"
    assert headers.get_list("user-agent") == ["mine"]
    assert headers["idempotency-key"] == "once"
    assert server.request.extensions["timeout"]["read"] == 3.0
    assert server.body == {"inputs": "Hi"}


async def test_the_items_of_a_response_can_be_sent_back(server):
    server.answers(ok(), ok())
    client = server.client()
    first = await settled(client.responses.create(inputs="Hi"))
    await settled(client.responses.create(inputs=[*first.items, {"role": "user", "content": "Go on"}]))
    assert server.body["inputs"] == [message("Hello!"), {"role": "user", "content": "Go on"}]


async def test_what_json_cannot_hold_is_refused_before_anything_is_sent(server):
    client = server.client()
    with pytest.raises(TypeError, match="a set cannot be sent as JSON"):
        await settled(client.responses.create(inputs="Hi", metadata={"a": {1}}))
    with pytest.raises(ValueError, match="not JSON compliant"):
        await settled(client.responses.create(inputs="Hi", temperature=float("nan")))
    assert server.requests == []


@promise(14, 18)
async def test_the_client_names_itself_and_sends_its_key_as_a_bearer(server):
    server.answers(ok())
    await settled(server.client(api_key="key-1").responses.create(inputs="Hi"))
    assert server.request.headers["authorization"] == "Bearer key-1"
    assert server.request.headers["user-agent"] == f"freddy-python/{freddy.__version__}"


async def test_without_a_key_no_credential_is_sent(server):
    server.answers(ok())
    await settled(server.public_client().responses.create(inputs="Hi"))
    assert "authorization" not in server.request.headers
    assert str(server.request.url) == "http://127.0.0.1:8000/v1/model/response"


@promise(19)
async def test_the_environment_gives_what_is_not_given(server, monkeypatch):
    monkeypatch.setenv("FREDDY_API_KEY", "from-environment")
    monkeypatch.setenv("FREDDY_BASE_URL", "https://gateway.test/freddy/v1/")
    monkeypatch.setenv("FREDDY_ORG_ID", "org_1")
    server.answers(ok())
    await settled(server.public_client().responses.create(inputs="Hi"))
    assert server.request.headers["authorization"] == "Bearer from-environment"
    assert str(server.request.url) == "https://gateway.test/freddy/v1/model/response"
    assert server.body == {"inputs": "Hi", "organization_id": "org_1"}


async def test_what_is_given_wins_over_the_environment(server, monkeypatch):
    monkeypatch.setenv("FREDDY_API_KEY", "from-environment")
    monkeypatch.setenv("FREDDY_ORG_ID", "org_1")
    server.answers(ok(), ok(), ok())
    client = server.public_client("given", organization_id="org_2")
    await settled(client.responses.create(inputs="Hi"))
    assert server.request.headers["authorization"] == "Bearer given"
    assert server.body["organization_id"] == "org_2"
    await settled(client.responses.create(inputs="Hi", organization_id="org_3"))
    assert server.body["organization_id"] == "org_3"
    await settled(server.public_client(api_key="").responses.create(inputs="Hi"))
    assert "authorization" not in server.request.headers


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/", " \n"])
def test_a_base_url_may_end_in_any_of_the_usual_ways(ending):
    made = _settings.complete("key", base_url="http://host:1" + ending, organization_id=None)
    assert made.base_url == "http://host:1"


@pytest.mark.parametrize("wrong", ["host:8000", "ftp://host", "/v1", "http://"])
def test_a_base_url_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="base_url is"):
        _settings.complete("key", base_url=wrong, organization_id=None)


def test_a_key_is_never_told():
    assert "secret" not in repr(_settings.complete("secret", base_url=None, organization_id=None))
    with pytest.raises(ValueError, match="api_key has characters") as caught:
        _settings.complete("sec\nret", base_url=None, organization_id=None)
    assert "sec" not in str(caught.value)


@pytest.mark.parametrize("strange", ["", "..", "."])
async def test_an_id_cannot_change_the_path(server, strange):
    client = server.client()
    with pytest.raises(ValueError, match="an id is needed"):
        await settled(client.responses.get(strange))
    server.answers(ok())
    await settled(client.responses.get("a/../b?c"))
    assert server.request.url.raw_path == b"/v1/model/response/a%2F..%2Fb%3Fc"


async def test_responses_are_got_cancelled_and_deleted_by_id(server):
    server.answers(
        ok(response(status="queued")),
        ok(response(status="cancelled")),
        httpx2.Response(204),
    )
    client = server.client()
    got = await settled(client.responses.get("resp_1", include=["usage.detailed", "request.logs"]))
    cancelled = await settled(client.responses.cancel("resp_1", timeout=1.0))
    deleted = await settled(client.responses.delete("resp_1"))
    assert (got.status, cancelled.status, deleted.deleted) == ("queued", "cancelled", True)
    assert [(request.method, str(request.url)) for request in server.requests] == [
        ("GET", f"{MODEL_RESPONSE}/resp_1?include=usage.detailed&include=request.logs"),
        ("POST", f"{MODEL_RESPONSE}/resp_1/cancel"),
        ("DELETE", f"{MODEL_RESPONSE}/resp_1"),
    ]


async def test_a_page_goes_on_to_the_pages_after_it(server):
    server.answers(
        ok({"object": "list", "data": [message("a"), message("b")], "last_id": "msg_2", "has_more": True}),
        ok({"object": "list", "data": [message("c")], "last_id": "msg_3", "has_more": False}),
    )
    page = await settled(server.client().responses.input_items("resp_1", limit=2, order="asc"))
    assert page.has_more
    assert [item.text for item in page.data] == ["a", "b"]
    assert [item.text for item in await gathered(page)] == ["a", "b", "c"]
    assert [str(request.url) for request in server.requests] == [
        f"{BASE_URL}/v1/responses/resp_1/input_items?limit=2&order=asc",
        f"{BASE_URL}/v1/responses/resp_1/input_items?limit=2&order=asc&after=msg_2",
    ]


async def test_threads_are_kept_read_and_deleted(server):
    thread = {"id": "thrd_1", "object": "thread", "title": "Foxes", "metadata": {"a": "b"}}
    said = {"id": "msg_1", "thread_id": "thrd_1", "role": "user", "content": "Hi"}
    server.answers(
        ok(thread),
        ok(thread),
        ok(thread),
        ok({"data": [thread], "has_more": False}),
        ok({"data": [said], "has_more": False}),
        ok({"id": "thrd_1", "object": "thread.deleted", "deleted": True}),
    )
    threads = server.client(organization_id="org_1").threads
    made = await settled(threads.create(title="Foxes", metadata={"a": "b"}))
    assert server.body == {"title": "Foxes", "metadata": {"a": "b"}, "organization_id": "org_1"}
    assert await settled(threads.get("thrd_1")) == made
    await settled(threads.update("thrd_1", title=None))
    assert (server.request.method, server.body) == ("PATCH", {"title": None})
    assert await gathered(await settled(threads.list(limit=5))) == [made]
    [told] = await gathered(await settled(threads.messages("thrd_1")))
    assert (told.role, told.content, made.metadata) == ("user", "Hi", {"a": "b"})
    assert (await settled(threads.delete("thrd_1"))).deleted
    assert [request.url.path for request in server.requests] == [
        "/v1/threads",
        "/v1/threads/thrd_1",
        "/v1/threads/thrd_1",
        "/v1/threads",
        "/v1/threads/thrd_1/messages",
        "/v1/threads/thrd_1",
    ]


async def test_models_come_in_a_short_and_in_a_full_form(server):
    short = {"id": "ftg-3.0", "object": "model", "owned_by": "freddy"}
    full = {"id": "mdl_1", "key": "ftg-3.0", "capabilities": ["streaming"]}
    server.answers(ok({"object": "list", "data": [short], "models": [full], "total_count": 1}), ok(short))
    client = server.client()
    models = await settled(client.models.list())
    assert [model.id for model in models] == ["ftg-3.0"]
    assert models.models[0].capabilities == ["streaming"]
    assert await settled(client.models.get("ftg-3.0")) == models.data[0]


async def test_a_client_closes_the_connections_it_opened_but_not_those_it_was_given(server):
    client = server.public_client()
    await settled(client.close())
    assert not client._transport._http.is_closed
    own = type(client)()
    assert repr(own) == f"{type(own).__name__}(base_url='http://127.0.0.1:8000')"
    if server.kind == "sync":
        with own as entered:
            assert entered is own
    else:
        async with own as entered:
            assert entered is own
    assert own._transport._http.is_closed


async def test_a_client_refuses_the_other_kind_of_http_client(server):
    client = server.public_client()
    async with httpx2.AsyncClient() as asynchronous:
        with httpx2.Client() as synchronous:
            wrong = asynchronous if server.kind == "sync" else synchronous
            with pytest.raises(TypeError, match="http_client is a"):
                type(client)(http_client=wrong)
