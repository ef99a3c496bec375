"""Vector stores over HTTP in the platform's shapes, where its own client cannot go: odd input, and quotas."""

import asyncio

from hypothesis import HealthCheck, given
from hypothesis import settings as sizes
from hypothesis import strategies as st

from freddy.server.config import settings as parts
from stores_stage import LOCAL, MODEL, library
from upstream import PATIENCE

PATH = f"/v1/organizations/{LOCAL}/vector-stores"


async def made(shelf, **fields):
    reply = await shelf.gateway.post(PATH, {"name": "Handbook", **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()["data"]


async def test_names_are_taken_in_both_spellings_and_a_misspelled_one_is_named(shelf):
    store = await made(shelf, accessMode="public", flowId="flow_1", metadata={"team": "a"})
    assert (store["access_mode"], store["flow_id"], store["metadata"]) == ("public", "flow_1", {"team": "a"})
    reply = await shelf.gateway.post(PATH, {"name": "Handbook", "acces_mode": "public"})
    assert (reply.status_code, reply.json()["error"]["details"]) == (400, "did you mean access_mode?")


async def test_several_files_are_added_at_once_with_what_they_have_in_common(shelf):
    store = await made(shelf)
    ids = [await shelf.uploaded(f"{number}.md", f"Text {number}") for number in range(3)]
    reply = await shelf.gateway.post(
        f"{PATH}/{store['id']}/files",
        {"file_ids": ids, "attributes": {"topic": "all"}, "chunking_strategy": {"type": "auto"}},
    )
    assert reply.status_code == 201
    told = reply.json()
    assert (told["message"], told["data"]["total_added"]) == ("3 files added", 3)
    assert [one["file_id"] for one in told["data"]["files"]] == ids
    assert all(one["attributes"] == {"topic": "all"} for one in told["data"]["files"])
    reply = await shelf.gateway.post(f"{PATH}/{store['id']}/files", {"file_ids": [*ids, "file_no"]})
    assert (reply.status_code, reply.json()["error"]["param"]) == (404, "file_ids")


async def test_the_embedding_model_of_a_store_is_for_life(shelf):
    store = await made(shelf, embedding_model=MODEL)
    assert store["embedding_model"] == MODEL
    reply = await shelf.gateway.http().patch(f"{PATH}/{store['id']}", json={"embedding_model": "other"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "embedding_model")


async def test_a_store_takes_as_many_files_as_it_may_and_an_organization_as_many_stores(upstream, tmp_path):
    async with library(tmp_path, upstream, knowledge=parts.Knowledge(max_stores=2, max_store_files=1)) as shelf:
        store = (await made(shelf))["id"]
        await made(shelf)
        ids = [await shelf.uploaded(f"{number}.md", "Text") for number in range(2)]
        for path, body, code in (
            (PATH, {"name": "Third"}, "too_many_vector_stores"),
            ("/v1/vector_stores", {}, "too_many_vector_stores"),
            (f"{PATH}/{store}/files", {"file_ids": ids}, "vector_store_full"),
            (f"/v1/vector_stores/{store}/file_batches", {"file_ids": ids}, "vector_store_full"),
        ):
            reply = await shelf.gateway.post(path, body)
            assert (reply.status_code, reply.json()["error"]["code"]) == (409, code)
        sent = [{"filename": f"{number}.md", "content": "VGV4dA=="} for number in range(2)]
        reply = await shelf.gateway.post(f"{PATH}/{store}/files/upload-base64", {"files": sent})
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "vector_store_full")
        kept = (await shelf.gateway.get("/v1/files")).json()["data"]
        assert {one["id"] for one in kept} == set(ids)


async def test_a_file_that_is_too_large_is_left_out_of_what_was_sent_with_it(upstream, tmp_path):
    async with library(tmp_path, upstream, files=parts.Files(max_bytes=10_000)) as shelf:
        store = (await made(shelf))["id"]
        large = "VGV4" * 4_000
        sent = [{"filename": "large.md", "content": large}, {"filename": "small.md", "content": "VGV4dA=="}]
        told = (await shelf.gateway.post(f"{PATH}/{store}/files/upload-base64", {"files": sent})).json()
        assert (told["success"], told["total_uploaded"], told["total_failed"]) == (False, 1, 1)
        assert [(one["filename"], one["code"]) for one in told["errors"]] == [("large.md", "file_too_large")]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("name", "description", "access_mode", "access_users", "flow_id", "metadata", "expires_after", "file_id",
         "file_ids", "files", "attributes", "chunking_strategy", "reset_error", "embedding_model"),
        ANYTHING,
    ),
)  # fmt: skip
QUERIES = ("skip", "take", "sort", "order", "search", "access_mode", "flow_id", "page", "page_size", "status")


async def test_no_input_is_a_fault_of_the_server(shelf):
    store = (await made(shelf))["id"]
    file_id = await shelf.uploaded("a.md", "Text")
    await shelf.gateway.post(f"{PATH}/{store}/files", {"file_id": file_id})
    files = f"/{store}/files"
    asked = [
        ("POST", ""),
        ("PATCH", f"/{store}"),
        ("POST", files),
        ("POST", f"{files}/upload-base64"),
        ("POST", f"{files}/{file_id}/retry"),
    ]
    loop = asyncio.get_running_loop()

    @sizes(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(asked), FIELDS | ANYTHING)
    def ask(where, body):
        method, path = where
        waiting = shelf.gateway.http().request(method, PATH + path, json=body)
        told = asyncio.run_coroutine_threadsafe(waiting, loop).result(PATIENCE)
        assert told.status_code in (200, 201, 400, 404, 409, 422), told.text

    @sizes(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(QUERIES), st.text(max_size=12) | st.integers().map(str))
    def look(name, value):
        for path in (PATH, PATH + files):
            waiting = shelf.gateway.http().get(path, params={name: value})
            told = asyncio.run_coroutine_threadsafe(waiting, loop).result(PATIENCE)
            assert told.status_code in (200, 422), told.text

    await asyncio.to_thread(ask)
    await asyncio.to_thread(look)
