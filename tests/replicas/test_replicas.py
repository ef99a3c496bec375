"""Two servers are one to those who call them: what is done at one holds at the other."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from replicas_stage import PER_MINUTE, Services, ok, services

from freddy_process import Served, stream_events, wait_until
from freddy_upstream import ANSWER

PASSWORD = "correct horse battery"
HANDBOOK = b"# Refunds\n\nA refund takes five working days once the parcel has arrived at the warehouse.\n"
ASKED = {"inputs": "Hi", "model": "m"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with services(tmp_path_factory.mktemp("replicas")) as found:
        yield found


@pytest.fixture(scope="module")
def servers(shared: Services) -> Iterator[tuple[Served, Served]]:
    # At once: both make the tables.
    with ExitStack() as stack, ThreadPoolExecutor() as starting:
        both = [shared.replica(name) for name in ("one", "two")]
        first, second = starting.map(stack.enter_context, both)
        yield first, second


@pytest.fixture
def key(shared: Services, servers: object, request: pytest.FixtureRequest) -> dict[str, Any]:
    return shared.key(request.node.name[:60])


@pytest.fixture
def one(servers: tuple[Served, Served], key: dict[str, Any]) -> Iterator[httpx2.Client]:
    with servers[0].client(key["secret"]) as client:
        yield client


@pytest.fixture
def two(servers: tuple[Served, Served], key: dict[str, Any]) -> Iterator[httpx2.Client]:
    with servers[1].client(key["secret"]) as client:
        yield client


def upload(client: httpx2.Client, name: str, content: bytes) -> str:
    return ok(client.post("/v1/files", files={"file": (name, content)}, data={"purpose": "assistants"}))["id"]


def test_a_file_that_was_uploaded_at_one_is_read_and_deleted_at_the_other(one, two):
    large = bytes(range(256)) * 24_000  # more than S3 takes at once
    for content in (b"Foxes are red.", large):
        file = upload(one, "notes.txt", content)
        assert two.get(f"/v1/files/{file}/content").content == content
        ok(two.delete(f"/v1/files/{file}"))
        assert one.get(f"/v1/files/{file}").status_code == 404


def test_a_thread_goes_on_at_the_other(one, two, shared: Services):
    ok(one.post("/v1/model/response", json={**ASKED, "inputs": "repeat first", "thread": "trip"}))
    told = ok(two.post("/v1/model/response", json={**ASKED, "inputs": "repeat second", "thread": "trip"}))
    said = [message["content"] for message in shared.upstream.asked[-1]["messages"] if message["role"] == "user"]
    assert said == ["repeat first", "repeat second"]
    assert ok(one.get(f"/v1/model/response/{told['id']}")) == told
    ok(one.delete(f"/v1/model/response/{told['id']}"))
    assert two.get(f"/v1/model/response/{told['id']}").status_code == 404


def test_both_count_for_one_limit(one, two):
    answers = [client.post("/v1/model/response", json=ASKED) for _ in range(PER_MINUTE) for client in (one, two)]
    passed = [answer.status_code for answer in answers].count(200)
    # What counts for sixty seconds may fall out of them while a slow machine asks.
    taken = sum((answer.elapsed.total_seconds() for answer in answers), 0.0)
    assert passed == PER_MINUTE or taken > 50
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {answer.status_code for answer in refused} == {429}
    assert {answer.json()["error"]["code"] for answer in refused} == {"rate_limit_exceeded"}


def test_a_key_that_was_revoked_at_one_is_refused_at_the_other_within_seconds(shared: Services, one, two, key):
    assert one.get("/v1/models").status_code == two.get("/v1/models").status_code == 200
    shared.told(["keys", "revoke", key["id"]])
    wait_until(lambda: one.get("/v1/models").status_code == 401)
    wait_until(lambda: two.get("/v1/models").status_code == 401)


def test_who_signed_in_at_one_is_signed_in_at_the_other_and_signed_out_there(servers: tuple[Served, Served], key):
    person = {"email": "ann@example.com", "password": PASSWORD, "full_name": "Ann"}
    login = {"email_or_username": "ann@example.com", "password": PASSWORD}
    first, second = servers
    with first.client() as nobody:
        ok(nobody.post("/v1/auth/register", json=person))
        token = ok(nobody.post("/v1/auth/login", json=login))["access_token"]
    with first.client(token) as one, second.client(token) as two:
        assert ok(two.get("/v1/user/me"))["email"] == "ann@example.com"
        assert two.post("/v1/auth/logout", json={}).status_code in (200, 204)
        assert two.get("/v1/user/me").status_code == 401
        wait_until(lambda: one.get("/v1/user/me").status_code == 401)


def test_a_request_that_is_sent_again_to_the_other_is_the_same_one_still(shared: Services, one, two):
    headers = {"idempotency-key": "once"}
    before = len(shared.upstream.asked)
    first = ok(one.post("/v1/model/response", json=ASKED, headers=headers))
    assert ok(two.post("/v1/model/response", json=ASKED, headers=headers)) == first
    other = two.post("/v1/model/response", json={**ASKED, "inputs": "Ho"}, headers=headers)
    assert other.status_code in (409, 422)
    assert len(shared.upstream.asked) == before + 1


def test_a_request_that_is_sent_again_while_the_other_works_on_it_is_not_done_twice(shared: Services, one, two):
    headers = {"idempotency-key": "twice"}
    asked = {**ASKED, "inputs": "hold"}
    before = len(shared.upstream.asked)
    shared.upstream.hold()
    with ThreadPoolExecutor() as callers:
        first = callers.submit(one.post, "/v1/model/response", json=asked, headers=headers)
        shared.upstream.wait_held(1)
        again = callers.submit(two.post, "/v1/model/response", json=asked, headers=headers)
        # The other waits for it, or says that it is under way.
        if again.done() or not _waits(again):
            assert again.result().status_code == 409
        shared.upstream.release()
        told = ok(first.result())
        if again.result().status_code != 409:
            assert ok(again.result()) == told
    assert told["response"] == ANSWER
    assert len(shared.upstream.asked) == before + 1


def _waits(answer: Any) -> bool:
    try:
        answer.result(timeout=1)
    except TimeoutError:
        return True
    return False


def test_a_vector_store_that_was_filled_at_one_is_searched_at_the_other(one, two):
    file = upload(one, "refunds.md", HANDBOOK)
    store = ok(one.post("/v1/vector_stores", json={"name": "Handbook"}))["id"]
    ok(two.post(f"/v1/vector_stores/{store}/files", json={"file_id": file}))
    path = f"/v1/vector_stores/{store}/files/{file}"
    wait_until(lambda: ok(one.get(path))["status"] != "in_progress")
    for client in (one, two):
        assert ok(client.get(path))["status"] == "completed"
        found = ok(client.post(f"/v1/vector_stores/{store}/search", json={"query": "When is a refund paid?"}))["data"]
        assert "five working days" in str(found[0]["content"])
    ok(two.delete(f"/v1/vector_stores/{store}/files/{file}"))
    assert ok(one.post(f"/v1/vector_stores/{store}/search", json={"query": "refund"}))["data"] == []


def test_a_file_that_a_server_was_indexing_when_it_died_is_indexed_by_another(shared: Services, two, key):
    with shared.replica("third") as third, third.client(key["secret"]) as there:
        store = ok(there.post("/v1/vector_stores", json={"name": "Handbook"}))["id"]
        files = [upload(there, f"{number}.md", HANDBOOK) for number in range(8)]
        paths = [f"/v1/vector_stores/{store}/files/{file}" for file in files]
        with shared.no_vectors():
            for file in files:
                ok(there.post(f"/v1/vector_stores/{store}/files", json={"file_id": file}))
            third.kill()
    wait_until(lambda: all(ok(two.get(path))["status"] != "in_progress" for path in paths))
    assert [ok(two.get(path))["status"] for path in paths] == ["completed"] * len(paths)
    assert ok(two.get(f"/v1/vector_stores/{store}"))["file_counts"]["completed"] == len(paths)


def test_a_bucket_that_is_away_is_told_and_costs_nothing_that_needs_no_file(shared: Services, one, two):
    file = upload(one, "notes.txt", b"Foxes are red.")
    shared.bucket.stop()
    try:
        for client in (one, two):
            refused = client.get(f"/v1/files/{file}/content")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2"), refused.text
            assert client.get(f"/v1/files/{file}").status_code == 200
            assert ok(client.post("/v1/model/response", json=ASKED))["response"] == ANSWER
            assert client.get("/health/ready").status_code == 200
        refused = one.post("/v1/files", files={"file": ("more.txt", b"More.")}, data={"purpose": "assistants"})
        assert refused.status_code == 503
        named = [entry["filename"] for entry in ok(one.get("/v1/files"))["data"]]
        assert "more.txt" not in named
    finally:
        shared.bucket.start()
    assert two.get(f"/v1/files/{file}/content").content == b"Foxes are red."
    assert two.get(f"/v1/files/{upload(one, 'more.txt', b'More.')}/content").content == b"More."


def test_who_follows_at_the_other_hears_the_end_though_redis_goes_away(shared: Services, one, two):
    shared.upstream.hold()
    run = ok(one.post("/v1/responses", json={"input": "hold", "model": "m", "background": True}))["id"]
    with ThreadPoolExecutor() as followers:
        following = followers.submit(two.get, f"/v1/responses/{run}", params={"stream": "true"})
        shared.upstream.wait_held(1)
        shared.counters.stop()
        try:
            shared.upstream.release()
            told = stream_events(following.result().text)
        finally:
            shared.counters.start()
    assert told[-1]["type"] == "response.completed"
    assert [event["sequence_number"] for event in told] == [*range(len(told))]
    said = "".join(event["delta"] for event in told if event["type"] == "response.output_text.delta")
    assert said == ANSWER
    assert ok(one.get(f"/v1/responses/{run}"))["status"] == "completed"
