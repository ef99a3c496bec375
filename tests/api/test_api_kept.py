"""Responses after they were asked for: found, followed, cancelled, deleted, and their input listed."""

import pytest
from gateway import Stream, serving, settings, spelled

from freddy.server.config import settings as parts
from promises import promise
from upstream import Answer, Break, Gate, text

DIALECTS = {"freddy": "/v1/model/response", "openai": "/v1/responses"}


@promise(11)
async def test_a_response_is_found_by_its_id_in_either_dialect(gateway):
    made = {dialect: await gateway.ask(dialect) for dialect in DIALECTS}
    for asked, response in made.items():
        for path in DIALECTS.values():
            found = await gateway.get(f"{path}/{response['id']}")
            assert found.status_code == 200
            assert found.json()["id"] == response["id"]
            assert found.json()["output"][0]["content"][0]["text"] == "Hello there."
        assert (await gateway.get(f"{DIALECTS[asked]}/{response['id']}")).json() == response


@pytest.mark.parametrize("path", DIALECTS.values())
async def test_a_deleted_response_is_gone(gateway, path):
    response = await gateway.ask("openai", input="One")
    deleted = await gateway.delete(f"{path}/{response['id']}")
    assert deleted.json() == {"id": response["id"], "object": "response", "deleted": True}
    for other in DIALECTS.values():
        assert (await gateway.get(f"{other}/{response['id']}")).status_code == 404
        assert (await gateway.delete(f"{other}/{response['id']}")).status_code == 404
    assert (await gateway.post(*spelled("openai", previous_response_id=response["id"]))).status_code == 400


async def test_a_deleted_response_is_out_of_its_thread(gateway):
    first = await gateway.ask("freddy", thread="t", input="One")
    await gateway.ask("freddy", thread="t", input="Two")
    await gateway.delete(f"/v1/model/response/{first['id']}")
    messages = (await gateway.get("/v1/threads/t/messages?order=asc")).json()["data"]
    assert [message["content"] for message in messages] == ["Two", "Hello there."]


async def test_deleting_a_response_that_runs_stops_it(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("One"), gate))
    started = await gateway.ask("freddy", background=True)
    await gate.reached()
    assert (await gateway.delete(f"/v1/model/response/{started['id']}")).status_code == 200
    await upstream.last.let_go()
    assert (await gateway.get(f"/v1/model/response/{started['id']}")).status_code == 404


@promise(73)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_background_response_answers_at_once_and_ends_completed(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(gate, text("Done.")))
    started = await gateway.ask(dialect, background=True)
    assert (started["status"], started["background"], started["output"]) == ("queued", True, [])
    await gate.reached()
    running = (await gateway.get(f"{DIALECTS[dialect]}/{started['id']}")).json()
    assert running["status"] in ("queued", "in_progress")
    gate.open()
    ended = await gateway.ended(started["id"])
    assert (ended["status"], ended["response"]) == ("completed", "Done.")
    assert ended["completed_at"] >= ended["created_at"]
    assert not upstream.last.gone.is_set()


async def test_a_failed_background_response_says_so_when_asked(gateway, upstream):
    upstream.says(Answer(text("Half"), Break("cut")))
    started = await gateway.ask("openai", background=True)
    ended = await gateway.ended(started["id"])
    assert (ended["status"], ended["error"]["code"]) == ("failed", "provider_error")
    found = (await gateway.get(f"/v1/responses/{started['id']}")).json()
    assert (found["status"], found["error"]["code"]) == ("failed", "server_error")


@promise(11)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_cancelling_a_background_response_stops_its_model_and_may_be_repeated(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(text("Half"), gate, text(" and half")))
    started = await gateway.ask(dialect, background=True)
    await gate.reached()
    path = f"{DIALECTS[dialect]}/{started['id']}"
    cancelled = await gateway.post(f"{path}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    await upstream.last.let_go()
    assert (await gateway.post(f"{path}/cancel")).json() == cancelled.json()
    assert (await gateway.get(path)).json() == cancelled.json()
    assert cancelled.json()["output"][0]["content"][0]["text"] == "Half"
    assert cancelled.json()["output"][0]["status"] == "incomplete"


@promise(11)
async def test_cancelling_a_stream_ends_it_as_cancelled(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("Half"), gate))
    async with gateway.listening(*spelled("freddy", stream=True)) as stream:
        response_id = (await stream.next())["id"]
        await stream.next("response.output_text.delta")
        assert (await gateway.post(f"/v1/model/response/{response_id}/cancel")).json()["status"] == "cancelled"
        ended = await stream.next("response.cancelled")
    assert ended["response"]["response"] == "Half"
    await upstream.last.let_go()


async def test_a_response_that_is_over_stays_as_it_is_when_cancelled(gateway):
    made = await gateway.ask("freddy")
    assert (await gateway.post(f"/v1/model/response/{made['id']}/cancel")).json() == made
    background = await gateway.ask("openai", background=True)
    await gateway.ended(background["id"])
    cancelled = await gateway.post(f"/v1/responses/{background['id']}/cancel")
    assert cancelled.json()["status"] == "completed"


async def test_only_background_responses_are_cancelled_in_openais_words(gateway):
    made = await gateway.ask("openai")
    reply = await gateway.post(f"/v1/responses/{made['id']}/cancel")
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_background_stream_goes_on_when_nobody_listens(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(text("One"), gate, text(" two")))
    async with gateway.listening(*spelled(dialect, stream=True, background=True)) as stream:
        created = await stream.next()
        await stream.next("response.output_text.delta")
    response_id = created["response"]["id"] if "response" in created else created["id"]
    gate.open()
    assert (await gateway.ended(response_id))["response"] == "One two"
    assert not upstream.last.gone.is_set()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_running_response_is_followed_from_any_number(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(text("One"), gate, text(" two")))
    started = await gateway.ask(dialect, background=True)
    await gate.reached()
    path = f"{DIALECTS[dialect]}/{started['id']}?stream=true"
    async with gateway.listening(path) as all_, gateway.listening(f"{path}&starting_after=5") as late:
        assert (await all_.next())["sequence_number"] == 0
        assert (await all_.next("response.output_text.delta"))["delta"] == "One"
        gate.open()
        first = await late.next()
        assert (first["sequence_number"], first["delta"]) == (6, " two")
        ends = [await each.next("response.completed") for each in (all_, late)]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_response_that_is_over_is_told_again_as_it_was(gateway, dialect):
    told = await gateway.told(dialect)
    path = f"{DIALECTS[dialect]}/{told.last['response']['id']}?stream=true"
    again = Stream((await gateway.get(path)).content)
    assert again.events == told.events
    assert again.done == told.done
    for after in (0, 4, told.last["sequence_number"]):
        rest = Stream((await gateway.get(f"{path}&starting_after={after}")).content)
        assert rest.events == [event for event in told.events if event["sequence_number"] > after]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_response_of_long_ago_is_told_again_from_what_was_kept(opened, dialect):
    gateway = await opened(channel=parts.Channel(retention_seconds=0, retention_events=0))
    made = await gateway.ask(dialect)
    again = Stream((await gateway.get(f"{DIALECTS[dialect]}/{made['id']}?stream=true")).content)
    assert again.text == "Hello there."
    assert again.last["response"] == made
    numbers = [event["sequence_number"] for event in again.events]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fails", [False, True], ids=["completed", "failed"])
async def test_who_heard_more_numbers_live_than_are_told_again_hears_the_end(opened, upstream, dialect, fails):
    gateway = await opened(channel=parts.Channel(retention_seconds=0, retention_events=0))
    if fails:
        upstream.says(Answer(text("Half"), Break("cut")))
    started = await gateway.ask(dialect, background=True)
    await gateway.ended(started["id"])
    path = f"{DIALECTS[dialect]}/{started['id']}"
    rest = Stream((await gateway.get(f"{path}?stream=true&starting_after=1000")).content)
    assert rest.types == (["error", "response.failed"] if fails else ["response.completed"])
    assert [event["sequence_number"] for event in rest.events] == [1001, 1002][: len(rest.types)]
    assert rest.last["response"] == (await gateway.get(path)).json()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_asked_for_again_by_its_key_is_told_again_when_its_events_are_gone(opened, upstream, dialect):
    gateway = await opened(channel=parts.Channel(retention_seconds=0, retention_events=0))
    path, body = spelled(dialect, stream=True)
    for _ in range(2):
        reply = await gateway.http().post(path, json=body, headers={"idempotency-key": "try-1"})
        assert reply.status_code == 200, reply.text
        assert Stream(reply.content).last["type"] == "response.completed"
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("after", ["x", "-2", "1.5"])
async def test_a_number_to_follow_from_must_be_one(gateway, after):
    made = await gateway.ask("openai")
    reply = await gateway.get(f"/v1/responses/{made['id']}?stream=true&starting_after={after}")
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "starting_after")


async def test_input_items_come_in_pages(gateway):
    words = [f"word {number}" for number in range(5)]
    asked = [{"role": "user", "content": word} for word in words]
    made = await gateway.ask("openai", input=asked)
    path = f"/v1/responses/{made['id']}/input_items"
    everything = (await gateway.get(path)).json()
    assert (everything["object"], everything["has_more"]) == ("list", False)
    shown = [item["content"][0]["text"] for item in everything["data"]]
    assert shown == words[::-1]
    assert all(item["id"] and item["type"] == "message" for item in everything["data"])
    assert (everything["first_id"], everything["last_id"]) == (
        everything["data"][0]["id"],
        everything["data"][-1]["id"],
    )
    page = (await gateway.get(f"{path}?limit=2&order=asc")).json()
    seen = page["data"]
    while page["has_more"]:
        page = (await gateway.get(f"{path}?limit=2&order=asc&after={page['last_id']}")).json()
        seen += page["data"]
    assert [item["content"][0]["text"] for item in seen] == words


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "order=up"])
async def test_a_page_must_be_asked_for_properly(gateway, query):
    made = await gateway.ask("openai")
    reply = await gateway.get(f"/v1/responses/{made['id']}/input_items?{query}")
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, query.partition("=")[0])


async def test_input_tokens_are_counted_without_asking_the_model(gateway, upstream):
    short = await gateway.post("/v1/responses/input_tokens", {"model": "stage", "input": "Hi"})
    long = await gateway.post("/v1/responses/input_tokens", {"model": "stage", "input": "Hi " * 100})
    assert short.json() == {"object": "response.input_tokens", "input_tokens": short.json()["input_tokens"]}
    assert 0 < short.json()["input_tokens"] < long.json()["input_tokens"]
    assert upstream.calls == []


async def test_a_response_lives_on_when_the_server_starts_again(upstream, tmp_path):
    async with serving(settings(tmp_path, upstream), upstream) as gateway:
        made = await gateway.ask("freddy", thread="t")
    async with serving(settings(tmp_path, upstream), upstream) as gateway:
        assert (await gateway.get(f"/v1/model/response/{made['id']}")).json() == made
        await gateway.ask("freddy", thread="t", input="Again")
    assert [content for _, content in upstream.last.messages] == ["Hi", "Hello there.", "Again"]
