"""Vector stores over HTTP in OpenAI's shapes: made, filled, searched, and told to nobody else."""

import asyncio

from hypothesis import HealthCheck, given
from hypothesis import settings as sizes
from hypothesis import strategies as st

from freddy.server.core.accounts import SCOPES
from promises import promise
from upstream import PATIENCE

PATH = "/v1/vector_stores"


async def made(shelf, **fields):
    reply = await shelf.gateway.post(PATH, fields)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def searched(shelf, store, query, **fields):
    reply = await shelf.gateway.post(f"{PATH}/{store}/search", {"query": query, **fields})
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def names(found):
    return [one["filename"] for one in found]


async def refused(shelf, method, path, body=None, *, status, **expected):
    reply = await shelf.gateway.http().request(method, path, json=body)
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert {name: error[name] for name in expected} == expected
    return error["message"]


async def test_a_store_is_told_as_it_is_kept(shelf):
    store = await made(shelf, name="Handbook", description="What we promise", metadata={"team": "a"}, unknown=[1])
    assert store == {
        "id": store["id"],
        "object": "vector_store",
        "created_at": store["created_at"],
        "name": "Handbook",
        "description": "What we promise",
        "usage_bytes": 0,
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
        "status": "completed",
        "expires_after": None,
        "expires_at": None,
        "last_active_at": store["created_at"],
        "metadata": {"team": "a"},
    }
    assert store["id"].startswith("vs_")
    assert (await shelf.gateway.get(f"{PATH}/{store['id']}")).json() == store


async def test_a_store_is_changed_and_deleted(shelf):
    store = await made(shelf, name="Handbook", metadata={"team": "a"})
    path = f"{PATH}/{store['id']}"
    expiring = {"anchor": "last_active_at", "days": 3}
    changed = (await shelf.gateway.post(path, {"name": "Rules", "expires_after": expiring})).json()
    assert (changed["name"], changed["expires_after"], changed["metadata"]) == ("Rules", expiring, {"team": "a"})
    assert changed["expires_at"] == changed["last_active_at"] + 3 * 86_400
    changed = (await shelf.gateway.post(path, {"expires_after": None, "metadata": None})).json()
    assert (changed["name"], changed["expires_at"], changed["metadata"]) == ("Rules", None, {})
    assert (await shelf.gateway.delete(path)).json() == {
        "id": store["id"],
        "object": "vector_store.deleted",
        "deleted": True,
    }
    await refused(shelf, "GET", path, status=404, code="vector_store_not_found", param="vector_store_id")
    await refused(shelf, "DELETE", path, status=404, code="vector_store_not_found")


async def test_stores_are_listed_in_pages(shelf):
    ids = [(await made(shelf, name=str(number)))["id"] for number in range(5)]
    first = (await shelf.gateway.get(f"{PATH}?limit=2&order=asc")).json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == (ids[:2], True)
    assert (first["object"], first["first_id"], first["last_id"]) == ("list", ids[0], ids[1])
    rest = (await shelf.gateway.get(f"{PATH}?limit=9&order=asc&after={ids[1]}")).json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (ids[2:], False)
    before = (await shelf.gateway.get(f"{PATH}?limit=2&before={ids[0]}")).json()
    assert {one["id"] for one in before["data"]} <= set(ids[1:])
    await refused(shelf, "GET", f"{PATH}?limit=0", status=400, param="limit")
    await refused(shelf, "GET", f"{PATH}?order=up", status=400, param="order")


@promise(131)
async def test_a_file_is_indexed_and_found(shelf):
    file_id = await shelf.uploaded("refunds.md", "A refund takes five working days.")
    store = await made(shelf, name="Handbook")
    path = f"{PATH}/{store['id']}/files"
    added = (await shelf.gateway.post(path, {"file_id": file_id, "attributes": {"year": 2026, "draft": False}})).json()
    assert added == {
        "id": file_id,
        "object": "vector_store.file",
        "created_at": added["created_at"],
        "usage_bytes": 0,
        "vector_store_id": store["id"],
        "status": "in_progress",
        "last_error": None,
        "chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}},
        "attributes": {"year": 2026, "draft": False},
    }
    ended = await shelf.ended(f"{path}/{file_id}")
    assert ended["status"] == "completed"
    assert ended["usage_bytes"] > 0
    told = (await shelf.gateway.get(f"{PATH}/{store['id']}")).json()
    assert (told["status"], told["file_counts"]["completed"], told["usage_bytes"]) == (
        "completed",
        1,
        ended["usage_bytes"],
    )
    reply = await shelf.gateway.post(f"{PATH}/{store['id']}/search", {"query": "How long does a refund take?"})
    page = reply.json()
    assert page == {
        "object": "vector_store.search_results.page",
        "search_query": ["How long does a refund take?"],
        "data": [
            {
                "file_id": file_id,
                "filename": "refunds.md",
                "score": page["data"][0]["score"],
                "attributes": {"year": 2026, "draft": False},
                "content": [{"type": "text", "text": "A refund takes five working days."}],
            }
        ],
        "has_more": False,
        "next_page": None,
    }
    assert 0 < page["data"][0]["score"] <= 1
    content = (await shelf.gateway.get(f"{path}/{file_id}/content")).json()
    assert content == {
        "object": "vector_store.file_content.page",
        "data": [{"type": "text", "text": "A refund takes five working days."}],
        "has_more": False,
        "next_page": None,
    }


async def test_ids_of_files_may_be_spelled_as_openai_does(shelf):
    file_id = await shelf.uploaded("a.md", "Tea")
    spelled = file_id.replace("file_", "file-")
    store = await made(shelf, file_ids=[spelled])
    assert store["file_counts"]["total"] == 1
    assert (await shelf.ended(f"{PATH}/{store['id']}/files/{spelled}"))["id"] == file_id


@promise(129)
async def test_every_ranker_finds_what_was_meant_first(shelf):
    store, _ = await shelf.stocked()
    for ranker in ("auto", "default-2024-11-15", "none", "default", "semantic", "lexical", "hybrid"):
        found = await searched(shelf, store, "refund parcel warehouse", ranking_options={"ranker": ranker})
        assert names(found)[0] == "refunds.md", ranker
        scores = [one["score"] for one in found]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)


@promise(128, 130)
async def test_as_many_are_found_as_are_wanted_and_good_enough(shelf):
    store, _ = await shelf.stocked()
    assert len(await searched(shelf, store, "parcel kitchen", max_num_results=1)) == 1
    every = await searched(shelf, store, "parcel refund")
    best = every[0]["score"]
    enough = await searched(shelf, store, "parcel refund", ranking_options={"score_threshold": best})
    assert 1 <= len(enough) < len(every)
    several = await searched(shelf, store, ["copier kitchen", "harbour islands"], max_num_results=2)
    assert set(names(several)) == {"office.md", "shipping.md"}


FILTERS = [
    ({"type": "eq", "key": "topic", "value": "money"}, {"refunds.md"}),
    ({"type": "ne", "key": "topic", "value": "money"}, {"shipping.md", "office.md"}),
    ({"type": "gt", "key": "year", "value": 2024}, {"shipping.md"}),
    ({"type": "gte", "key": "year", "value": 2024}, {"refunds.md", "shipping.md"}),
    ({"type": "lt", "key": "year", "value": 2025}, {"refunds.md"}),
    ({"type": "lte", "key": "year", "value": 2025}, {"refunds.md", "shipping.md"}),
    ({"type": "in", "key": "topic", "value": ["money", "sea"]}, {"refunds.md", "shipping.md"}),
    ({"type": "nin", "key": "topic", "value": ["money", "sea"]}, {"office.md"}),
    ({"type": "eq", "key": "internal", "value": True}, {"office.md"}),
    (
        {
            "type": "or",
            "filters": [
                {"type": "eq", "key": "internal", "value": True},
                {
                    "type": "and",
                    "filters": [
                        {"type": "gt", "key": "year", "value": 2000},
                        {"type": "eq", "key": "topic", "value": "sea"},
                    ],
                },
            ],
        },
        {"office.md", "shipping.md"},
    ),
]


@promise(127)
async def test_a_filter_leaves_what_fits(shelf):
    store, _ = await shelf.stocked(
        refunds={"topic": "money", "year": 2024}, shipping={"topic": "sea", "year": 2025}, office={"internal": True}
    )
    for filters, expected in FILTERS:
        for ranker in ("semantic", "lexical", "hybrid"):
            found = await searched(
                shelf, store, "parcel refund kitchen storms", filters=filters, ranking_options={"ranker": ranker}
            )
            assert set(names(found)) == expected, (filters, ranker)


async def test_attributes_that_are_changed_count_from_then_on(shelf):
    store, ids = await shelf.stocked(refunds={"topic": "money"})
    path = f"{PATH}/{store}/files/{ids['refunds']}"
    changed = (await shelf.gateway.post(path, {"attributes": {"topic": "law"}})).json()
    assert (changed["attributes"], changed["status"]) == ({"topic": "law"}, "completed")
    law, money = ({"type": "eq", "key": "topic", "value": value} for value in ("law", "money"))
    assert names(await searched(shelf, store, "refund", filters=law)) == ["refunds.md"]
    assert await searched(shelf, store, "refund", filters=money) == []
    assert (await shelf.gateway.post(path, {"attributes": None})).json()["attributes"] == {}


async def test_a_batch_is_followed_to_its_end(shelf):
    store = (await made(shelf))["id"]
    good = await shelf.uploaded("good.md", "Tea")
    bad = await shelf.uploaded("bad.bin", b"\x00\x01\x02\x03" * 64)
    batch = (
        await shelf.gateway.post(
            f"{PATH}/{store}/file_batches",
            {"file_ids": [good, bad], "attributes": {"of": "batch"}, "chunking_strategy": {"type": "auto"}},
        )
    ).json()
    assert batch.keys() == {"id", "object", "created_at", "vector_store_id", "status", "file_counts"}
    assert (batch["object"], batch["vector_store_id"], batch["file_counts"]["total"]) == (
        "vector_store.files_batch",
        store,
        2,
    )
    assert batch["id"].startswith("vsfb_")
    path = f"{PATH}/{store}/file_batches/{batch['id']}"
    ended = await shelf.ended(path)
    assert (ended["status"], ended["file_counts"]) == (
        "completed",
        {"in_progress": 0, "completed": 1, "failed": 1, "cancelled": 0, "total": 2},
    )
    files = (await shelf.gateway.get(f"{path}/files")).json()
    assert {one["id"]: (one["status"], one["attributes"]) for one in files["data"]} == {
        good: ("completed", {"of": "batch"}),
        bad: ("failed", {"of": "batch"}),
    }
    [failed] = (await shelf.gateway.get(f"{PATH}/{store}/files?filter=failed")).json()["data"]
    assert (failed["id"], failed["last_error"]["code"]) == (bad, "unsupported_file")
    assert failed["last_error"]["message"]
    assert (await shelf.gateway.get(f"{path}/files?filter=cancelled")).json()["data"] == []
    await refused(shelf, "GET", f"{PATH}/{store}/files?filter=done", status=400, param="filter")


async def test_a_cancelled_batch_stops_what_is_not_indexed(shelf):
    store = (await made(shelf))["id"]
    ids = [await shelf.uploaded(f"{number}.md", f"Text {number}") for number in range(6)]
    shelf.embedder.held.clear()
    batch = (await shelf.gateway.post(f"{PATH}/{store}/file_batches", {"file_ids": ids})).json()
    path = f"{PATH}/{store}/file_batches/{batch['id']}"
    cancelled = (await shelf.gateway.post(f"{path}/cancel")).json()
    assert (cancelled["status"], cancelled["file_counts"]["cancelled"]) == ("cancelled", 6)
    shelf.embedder.held.set()
    assert (await shelf.gateway.get(path)).json() == cancelled
    assert await searched(shelf, store, "Text") == []
    assert (await shelf.gateway.get(f"{PATH}/{store}")).json()["file_counts"]["cancelled"] == 6


async def test_a_file_leaves_a_store_and_stays_a_file(shelf):
    store, ids = await shelf.stocked()
    path = f"{PATH}/{store}/files/{ids['refunds']}"
    assert (await shelf.gateway.delete(path)).json() == {
        "id": ids["refunds"],
        "object": "vector_store.file.deleted",
        "deleted": True,
    }
    assert "refunds.md" not in names(await searched(shelf, store, "refund"))
    for method in ("GET", "DELETE"):
        await refused(shelf, method, path, status=404, code="vector_store_file_not_found", param="file_id")
    assert (await shelf.gateway.get(f"/v1/files/{ids['refunds']}")).status_code == 200


async def test_where_the_embedder_is_away_words_are_compared(shelf):
    store, _ = await shelf.stocked()
    shelf.embedder.away = True
    reply = await shelf.gateway.post(f"{PATH}/{store}/search", {"query": "refund"})
    assert reply.status_code == 200
    assert names(reply.json()["data"])[0] == "refunds.md"
    assert len(reply.json()["warnings"]) == 1


async def test_what_fails_at_the_embedder_is_told_and_may_be_tried_again(shelf):
    file_id = await shelf.uploaded("a.md", "Tea")
    store = await made(shelf)
    path = f"{PATH}/{store['id']}/files"
    shelf.embedder.away = True
    await shelf.gateway.post(path, {"file_id": file_id})
    failed = await shelf.ended(f"{path}/{file_id}")
    assert (failed["status"], failed["last_error"]["code"]) == ("failed", "server_error")
    shelf.embedder.away = False
    again = (await shelf.gateway.post(path, {"file_id": file_id})).json()
    assert (again["status"], again["last_error"]) == ("in_progress", None)
    assert (await shelf.ended(f"{path}/{file_id}"))["status"] == "completed"


async def test_no_store_is_made_whose_embedder_cannot_be_reached(shelf):
    shelf.embedder.away = True
    message = await refused(shelf, "POST", PATH, {"name": "Handbook"}, status=502, type="server_error")
    assert message
    assert (await shelf.gateway.get(PATH)).json()["data"] == []


async def test_a_file_that_is_deleted_leaves_every_store(shelf):
    store, ids = await shelf.stocked()
    assert (await shelf.gateway.delete(f"/v1/files/{ids['refunds']}")).status_code == 200
    assert "refunds.md" not in names(await searched(shelf, store, "refund"))
    await refused(shelf, "GET", f"{PATH}/{store}/files/{ids['refunds']}", status=404)
    assert (await shelf.gateway.get(f"{PATH}/{store}")).json()["file_counts"]["total"] == 2


async def test_chunks_are_as_long_as_was_asked_for(shelf):
    file_id = await shelf.uploaded(
        "long.md", "\n\n".join(f"Paragraph {number} of many words." for number in range(200))
    )
    store = (await made(shelf))["id"]
    sizes_ = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}
    asked = {"file_id": file_id, "chunking_strategy": {"type": "static", "static": sizes_}}
    added = (await shelf.gateway.post(f"{PATH}/{store}/files", asked)).json()
    assert added["chunking_strategy"] == {"type": "static", "static": sizes_}
    await shelf.ended(f"{PATH}/{store}/files/{file_id}")
    chunks = (await shelf.gateway.get(f"{PATH}/{store}/files/{file_id}/content")).json()["data"]
    assert len(chunks) > 5
    text = " ".join(chunk["text"] for chunk in chunks)
    assert all(f"Paragraph {number} of" in text for number in range(200))


MISSING = [
    ("POST", "", {"file_ids": ["file_no"]}, {"code": "file_not_found", "param": "file_ids"}),
    ("POST", "", {"embedding_model": "no"}, {"code": "embedding_model_not_found"}),
    ("GET", "/vs_no", None, {"code": "vector_store_not_found"}),
    ("POST", "/vs_no", {}, {"code": "vector_store_not_found"}),
    ("POST", "/vs_no/search", {"query": "a"}, {"code": "vector_store_not_found"}),
    ("POST", "/vs_no/files", {"file_id": "file_no"}, {"code": "vector_store_not_found"}),
    ("GET", "/vs_no/files", None, {"code": "vector_store_not_found"}),
    ("GET", "/vs_no/files/file_no", None, {"code": "vector_store_not_found"}),
    ("GET", "/vs_no/files/file_no/content", None, {"code": "vector_store_not_found"}),
    ("POST", "/vs_no/file_batches", {"file_ids": ["file_no"]}, {"code": "vector_store_not_found"}),
    ("GET", "/vs_no/file_batches/vsfb_no", None, {"code": "vector_store_not_found"}),
    ("POST", "/vs_no/file_batches/vsfb_no/cancel", None, {"code": "vector_store_not_found"}),
    ("GET", "/vs_no/file_batches/vsfb_no/files", None, {"code": "vector_store_not_found"}),
    ("POST", "/{}/files", {"file_id": "file_no"}, {"code": "file_not_found", "param": "file_id"}),
    ("POST", "/{}/files/file_no", {"attributes": {}}, {"code": "vector_store_file_not_found"}),
    ("GET", "/{}/files/file_no/content", None, {"code": "vector_store_file_not_found"}),
    ("POST", "/{}/file_batches", {"files": [{"file_id": "file_no"}]}, {"code": "file_not_found"}),
    ("GET", "/{}/file_batches/vsfb_no", None, {"code": "file_batch_not_found", "param": "batch_id"}),
    ("POST", "/{}/file_batches/vsfb_no/cancel", None, {"code": "file_batch_not_found"}),
    ("GET", "/{}/file_batches/vsfb_no/files", None, {"code": "file_batch_not_found"}),
]


async def test_what_is_not_there_is_404_with_its_name(shelf):
    store = (await made(shelf))["id"]
    for method, path, body, expected in MISSING:
        await refused(shelf, method, PATH + path.format(store), body, status=404, **expected)


# promise 9
async def test_another_organization_gets_the_same_404_as_for_an_unknown_store(shelf):
    store, ids = await shelf.stocked()
    batch = (await shelf.gateway.post(f"{PATH}/{store}/file_batches", {"file_ids": [ids["office"]]})).json()["id"]
    stranger = (await shelf.gateway.mint("org_other")).secret
    theirs = (await shelf.gateway.post(PATH, {}, key=stranger)).json()["id"]
    file = ids["refunds"]
    asked = [
        ("GET", f"/{store}", None),
        ("POST", f"/{store}", {"name": "Mine"}),
        ("DELETE", f"/{store}", None),
        ("POST", f"/{store}/search", {"query": "refund"}),
        ("GET", f"/{store}/files", None),
        ("GET", f"/{store}/files/{file}", None),
        ("POST", f"/{store}/files/{file}", {"attributes": {}}),
        ("DELETE", f"/{store}/files/{file}", None),
        ("GET", f"/{store}/files/{file}/content", None),
        ("POST", f"/{store}/file_batches", {"file_ids": [file]}),
        ("GET", f"/{store}/file_batches/{batch}", None),
        ("POST", f"/{store}/file_batches/{batch}/cancel", None),
        ("GET", f"/{store}/file_batches/{batch}/files", None),
        ("POST", f"/{theirs}/files", {"file_id": file}),
        ("POST", "", {"file_ids": [file]}),
    ]
    for method, path, body in asked:
        reply = await shelf.gateway.http(stranger).request(method, PATH + path, json=body)
        assert reply.status_code == 404, path
        unknown = await shelf.gateway.http(stranger).request(
            method,
            PATH + path.replace(store, "vs_" + "0" * 28).replace(theirs, theirs),
            json={key: ["file_" + "0" * 28] if isinstance(value, list) else value for key, value in body.items()}
            if body
            else None,
        )
        told, other = (one.json()["error"] for one in (reply, unknown))
        assert (told["code"], told["param"], told["type"]) == (other["code"], other["param"], other["type"]), path
    assert (await shelf.gateway.get(PATH, key=stranger)).json()["data"][0]["id"] == theirs
    assert (await shelf.gateway.get(f"{PATH}/{store}")).json()["file_counts"]["completed"] >= 2


async def test_a_key_does_only_what_its_scopes_allow(shelf):
    store = (await made(shelf))["id"]
    file_id = await shelf.uploaded("a.md", "Tea")

    async def without(*scopes):
        left = [one for one in SCOPES if one not in scopes]
        return (await shelf.gateway.mint("org_local", scopes=left)).secret

    reader, writer, blind = (
        await without("vector_stores:write"),
        await without("vector_stores:read"),
        await without("files:read"),
    )
    for key, method, path, body in (
        (reader, "POST", PATH, {}),
        (reader, "POST", f"{PATH}/{store}", {}),
        (reader, "DELETE", f"{PATH}/{store}", None),
        (reader, "POST", f"{PATH}/{store}/files", {"file_id": file_id}),
        (reader, "DELETE", f"{PATH}/{store}/files/{file_id}", None),
        (reader, "POST", f"{PATH}/{store}/file_batches", {"file_ids": [file_id]}),
        (writer, "GET", PATH, None),
        (writer, "GET", f"{PATH}/{store}", None),
        (writer, "POST", f"{PATH}/{store}/search", {"query": "a"}),
        (writer, "GET", f"{PATH}/{store}/files/{file_id}/content", None),
        (blind, "POST", PATH, {"file_ids": [file_id]}),
        (blind, "POST", f"{PATH}/{store}/files", {"file_id": file_id}),
        (blind, "POST", f"{PATH}/{store}/file_batches", {"file_ids": [file_id]}),
    ):
        reply = await shelf.gateway.http(key).request(method, path, json=body)
        assert reply.status_code == 403, (method, path)
        assert reply.json()["error"]["code"] == "insufficient_permissions"


async def test_searches_and_indexing_go_on_beside_each_other(shelf):
    store, _ = await shelf.stocked()
    ids = [await shelf.uploaded(f"{number}.md", f"Refund number {number}") for number in range(8)]

    async def add(file_id):
        assert (await shelf.gateway.post(f"{PATH}/{store}/files", {"file_id": file_id})).status_code == 200

    async with asyncio.timeout(6 * PATIENCE), asyncio.TaskGroup() as tasks:
        for file_id in ids:
            tasks.create_task(add(file_id))
            tasks.create_task(searched(shelf, store, "refund"))
    for file_id in ids:
        await shelf.ended(f"{PATH}/{store}/files/{file_id}")
    found = await searched(shelf, store, "Refund number", max_num_results=20)
    assert {f"{number}.md" for number in range(8)} <= set(names(found))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("name", "description", "metadata", "expires_after", "file_ids", "file_id", "files", "attributes",
         "chunking_strategy", "query", "filters", "max_num_results", "ranking_options", "embedding_model"),
        ANYTHING,
    ),
)  # fmt: skip


async def test_no_input_is_a_fault_of_the_server(shelf):
    store, ids = await shelf.stocked()
    paths = ["", f"/{store}", f"/{store}/search", f"/{store}/files", f"/{store}/files/{ids['office']}"]
    paths.append(f"/{store}/file_batches")
    loop = asyncio.get_running_loop()

    @sizes(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(paths), FIELDS | ANYTHING)
    def ask(path, body):
        told = asyncio.run_coroutine_threadsafe(shelf.gateway.post(PATH + path, body), loop).result(PATIENCE)
        assert told.status_code in (200, 400, 404, 409), told.text

    @sizes(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(("limit", "order", "after", "before", "filter")), st.text(max_size=12))
    def look(name, value):
        for path in (PATH, f"{PATH}/{store}/files"):
            asked = shelf.gateway.http().get(path, params={name: value})
            told = asyncio.run_coroutine_threadsafe(asked, loop).result(PATIENCE)
            assert told.status_code in (200, 400, 404), told.text

    await asyncio.to_thread(ask)
    await asyncio.to_thread(look)
