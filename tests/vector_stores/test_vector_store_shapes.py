"""Vector stores in the shapes of either API: what bodies ask for, and what answers say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.filtering import Comparison
from freddy.server.core.stocking import NewFile, NewStore, Search, StoreChange
from freddy.server.core.vector_stores import Batch, Chunking, Expiry, FileFailure, StoreFile, VectorStore
from freddy.server.dialects.freddy import vector_store_views as platform_views
from freddy.server.dialects.freddy import vector_stores as platform
from freddy.server.dialects.openai import vector_store_views as openai_views
from freddy.server.dialects.openai import vector_stores as openai

STORE = VectorStore(
    id="vs_1", organization_id="org_1", name="Handbook", embedder="local/words", dimensions=64, created_at=1_000,
    updated_at=2_000, used_at=3_000, created_by="key_1", bytes=3 * 1024 * 1024, in_progress=1, completed=2, failed=3,
    cancelled=4, metadata={"team": "a", "flow_id": "flow_1"}, expiry=Expiry(2),
)  # fmt: skip
FILE = StoreFile(
    store_id="vs_1", file_id="file_1", organization_id="org_1", filename="a.md", created_at=1_000, updated_at=2_000,
    created_by="key_1",
)  # fmt: skip


def body(**fields):
    return json.dumps(fields).encode()


def refused(decode, given):
    with pytest.raises(errors.FreddyError) as raised:
        decode(body(**given))
    return raised.value.param


# OpenAI's shapes


def test_an_empty_body_makes_a_store_without_a_name():
    assert openai.decode_create(b"") == openai.decode_create(b"{}") == openai.Create(NewStore(), None)


def test_a_store_may_begin_with_files_that_are_cut_alike():
    asked = openai.decode_create(
        body(
            name="Handbook",
            file_ids=["file-1", "file_2", "file_1"],
            chunking_strategy={"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 100}},
            expires_after={"anchor": "last_active_at", "days": 7},
            something_new=[1],
        )
    )
    assert asked.store == NewStore(
        name="Handbook",
        files=tuple(NewFile(one, {}, Chunking(200, 100)) for one in ("file_1", "file_2")),
        expiry=Expiry(7),
    )


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"name": 1}, "name"),
        ({"name": "n" * 256}, "name"),
        ({"name": "a\0"}, "name"),
        ({"file_ids": [1]}, "file_ids[0]"),
        ({"file_ids": [""]}, "file_ids[0]"),
        ({"file_ids": [str(number) for number in range(501)]}, "file_ids"),
        ({"metadata": {"a": 1}}, "metadata[...]"),
        ({"expires_after": {"days": 1}}, "expires_after.anchor"),
        ({"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        ({"expires_after": {"anchor": "last_active_at", "days": 0}}, "expires_after.days"),
        ({"expires_after": {"anchor": "last_active_at", "days": 366}}, "expires_after.days"),
        ({"chunking_strategy": {"type": "other"}}, "chunking_strategy.type"),
        ({"chunking_strategy": {"type": "static"}}, "chunking_strategy.static"),
        (
            {
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 99, "chunk_overlap_tokens": 0},
                }
            },
            "chunking_strategy.static.max_chunk_size_tokens",
        ),
        (
            {
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51},
                }
            },
            "chunking_strategy.static.chunk_overlap_tokens",
        ),
    ],
)
def test_a_new_store_that_cannot_be_is_refused_with_its_place(given, param):
    assert refused(openai.decode_create, given) == param


def test_a_change_tells_what_goes_from_what_stays():
    assert openai.decode_update(b"{}") == StoreChange()
    assert openai.decode_update(body(name=None, metadata=None, expires_after=None)) == StoreChange(
        metadata={}, expiry=None
    )


def test_a_batch_has_files_that_are_alike_or_each_its_own():
    assert openai.decode_batch(body(file_ids=["a", "b"], attributes={"x": 1})) == (
        NewFile("a", {"x": 1.0}),
        NewFile("b", {"x": 1.0}),
    )
    assert openai.decode_batch(body(files=[{"file_id": "a", "attributes": {"x": "y"}}, {"file_id": "b"}])) == (
        NewFile("a", {"x": "y"}),
        NewFile("b"),
    )


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "file_ids"),
        ({"file_ids": []}, "file_ids"),
        ({"file_ids": ["a"], "files": [{"file_id": "b"}]}, "files"),
        ({"file_ids": ["a"] * 2001}, "file_ids"),
        ({"files": [{"file_id": "a"}, {}]}, "files[1].file_id"),
        ({"files": [{"file_id": "a", "attributes": {"x": None}}]}, "files[0].attributes.x"),
        ({"files": [{"file_id": "a", "chunking_strategy": {"type": "x"}}]}, "files[0].chunking_strategy.type"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_with_its_place(given, param):
    assert refused(openai.decode_batch, given) == param


def test_a_search_has_queries_a_filter_and_a_ranker():
    asked = openai.decode_search(
        body(
            query=["one", "two"],
            filters={"type": "eq", "key": "a", "value": 1},
            max_num_results=50,
            ranking_options={"ranker": "none", "score_threshold": 0.5},
            rewrite_query=True,
        )
    )
    assert asked == Search(
        queries=("one", "two"), filter_=Comparison("a", "eq", 1.0), most=50, ranker="semantic", least_score=0.5
    )
    mixed = openai.decode_search(body(query="one", ranking_options={"hybrid_search": {"text_weight": 3}}))
    assert (mixed.ranker, mixed.semantic_weight, mixed.lexical_weight) == ("hybrid", 1.0, 3.0)
    assert openai.decode_search(body(query="one")) == Search(
        queries=("one",), filter_=None, most=10, ranker=None, least_score=0.0
    )


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "query"),
        ({"query": ""}, "query"),
        ({"query": "  "}, "query"),
        ({"query": []}, "query"),
        ({"query": ["a"] * 11}, "query"),
        ({"query": ["a", 1]}, "query[1]"),
        ({"query": "a", "max_num_results": 0}, "max_num_results"),
        ({"query": "a", "max_num_results": 51}, "max_num_results"),
        ({"query": "a", "filters": {"type": "x"}}, "filters.type"),
        ({"query": "a", "filters": "x"}, "filters"),
        ({"query": "a", "ranking_options": {"ranker": "best"}}, "ranking_options.ranker"),
        ({"query": "a", "ranking_options": {"score_threshold": 1.1}}, "ranking_options.score_threshold"),
        ({"query": "a", "ranking_options": {"hybrid_search": {"text_weight": -1}}}, "ranking_options.hybrid_search"),
    ],
)
def test_a_search_that_cannot_be_is_refused_with_its_place(given, param):
    assert refused(openai.decode_search, given) == param


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"in_progress": 1, "completed": 1}, "in_progress"),
        ({"completed": 1}, "completed"),
        ({"completed": 1, "failed": 1}, "completed"),
        ({"failed": 1}, "failed"),
        ({"completed": 1, "cancelled_files": 1, "cancelled": True}, "cancelled"),
    ],
)
def test_a_batch_is_as_far_as_its_files(changes, status):
    batch = Batch(id="vsfb_1", store_id="vs_1", organization_id="org_1", created_at=1, **changes)
    assert json.loads(openai_views.encode_batch(batch))["status"] == status


def test_a_store_is_expired_once_its_days_are_over():
    ends = STORE.used_at + 2 * 86_400
    told = [json.loads(openai_views.encode_store(STORE, now)) for now in (ends - 1, ends)]
    assert [one["status"] for one in told] == ["in_progress", "expired"]
    assert told[0]["expires_at"] == ends
    assert told[0]["file_counts"] == {"in_progress": 1, "completed": 2, "failed": 3, "cancelled": 4, "total": 10}


# The platform's shapes


def test_a_store_of_the_platform_is_told_with_all_its_fields():
    told = json.loads(platform_views.encode_store(STORE, "Found", now=4_000))
    assert told == {
        "success": True,
        "message": "Found",
        "data": {
            "id": "vs_1",
            "object": "vector_store",
            "name": "Handbook",
            "description": None,
            "organization_id": "org_1",
            "created_by": "key_1",
            "created_at": "1970-01-01T00:16:40Z",
            "updated_at": "1970-01-01T00:33:20Z",
            "is_active": True,
            "access_mode": "organization",
            "access_departments": [],
            "access_users": [],
            "file_count": 10,
            "data_size": 3 * 1024 * 1024,
            "flowplate_project_id": None,
            "flow_id": "flow_1",
            "metadata": {"team": "a"},
            "embedding_model": "local/words",
            "last_used_at": "1970-01-01T00:50:00Z",
            "expires_at": "1970-01-03T00:50:00Z",
        },
    }


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a", "nmae": "b"}, "nmae"),
        ({"name": "a", "access_mode": "all"}, "access_mode"),
        ({"name": "a", "accessUsers": ["usr_1"]}, "accessUsers"),
        ({"name": "a", "access_departments": ["dep_1"]}, "access_departments"),
        ({"name": "a", "expires_after": {"days": 0}}, "expires_after.days"),
        ({"name": "a", "flow_id": "f", "metadata": {str(number): "" for number in range(16)}}, "metadata"),
    ],
)
def test_a_store_of_the_platform_that_cannot_be_is_refused_with_its_place(given, param):
    assert refused(platform.decode_new, given) == param


def test_names_are_read_in_both_spellings():
    asked = platform.decode_new(body(name="a", accessMode="private", flowId="f", embeddingModel="m", accessUsers=[]))
    assert (asked.access_mode, asked.metadata, asked.embedder) == ("private", {"flow_id": "f"}, "m")


def changed(change, metadata):
    """The metadata after it."""
    if not isinstance(change, StoreChange):
        change = change(replace(STORE, metadata=metadata))
    return metadata if change.metadata is UNSET else change.metadata


def test_scoping_stays_where_the_metadata_change_and_goes_where_it_is_null():
    before = {"team": "a", "flow_id": "flow_1"}
    for asked, after in (
        ({}, before),
        ({"metadata": {"team": "b"}}, {"team": "b", "flow_id": "flow_1"}),
        ({"metadata": None}, {"flow_id": "flow_1"}),
        ({"flow_id": None}, {"team": "a"}),
        ({"flow_id": "flow_2", "metadata": {}}, {"flow_id": "flow_2"}),
    ):
        assert changed(platform.decode_change(body(**asked)), before) == after


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "file_id"),
        ({"file_id": "a", "file_ids": ["b"]}, "file_id"),
        ({"file_ids": ["a", "b\0"]}, "file_ids"),
        ({"file_id": "a", "attributes": {"x": []}}, "attributes.x"),
        ({"file_id": "a", "chunkingStrategy": {"static": {}}}, "chunkingStrategy.static.max_chunk_size_tokens"),
    ],
)
def test_files_that_cannot_be_added_are_refused_with_their_place(given, param):
    assert refused(platform.decode_added, given) == param


def test_one_file_or_several_are_added():
    assert platform.decode_added(body(fileId="file-1")) == platform.Added(files=(NewFile("file_1"),), alone=True)
    assert platform.decode_added(
        body(file_ids=["a", "b", "a"], chunking_strategy={"static": {"max_chunk_size_tokens": 300}})
    ) == platform.Added(files=(NewFile("a", {}, Chunking(300, 150)), NewFile("b", {}, Chunking(300, 150))), alone=False)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("SGVsbG8=", b"Hello"),
        ("SGVs\nbG8=\n", b"Hello"),
        ("data:text/plain;base64,SGVsbG8=", b"Hello"),
        ("SGVsbG8", None),
        ("data:text/plain,Hello", None),
        ("é", None),
        ("data:", None),
    ],
)
def test_content_is_read_out_of_base64(content, found):
    (sent,) = platform.decode_sent(body(files=[{"filename": "../a.txt", "content": content, "mimeType": "text/plain"}]))
    assert sent == platform.Sent("a.txt", "text/plain", found)


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({}, "pending", None),
        ({"attempts": 1, "progress": 0.5}, "processing", None),
        ({"status": "completed", "chunks": 3, "attempts": 1, "progress": 1.0}, "completed", None),
        ({"status": "failed", "failure": FileFailure("invalid_file", "It is locked")}, "failed", "It is locked"),
        ({"status": "cancelled"}, "failed", "It was cancelled before it was processed"),
    ],
)  # fmt: skip
def test_the_status_of_a_file_is_one_of_the_platform_s(changes, status, error):
    file = replace(FILE, **changes)
    told = json.loads(platform_views.encode_status(file, STORE))["data"]
    assert (told["status"], told["error_message"], told["progress"]) == (status, error, file.progress)
    ended = status in ("completed", "failed")
    assert told["processing_completed_at"] == ("1970-01-01T00:33:20Z" if ended else None)
    log = json.loads(platform_views.encode_log(file))["data"]
    assert log["vector_store_file_id"] == told["vector_store_file_id"] == "vsf_1_1"
    assert log["logs"][0] == {"timestamp": "1970-01-01T00:16:40Z", "level": "info", "message": "Added to the store"}
    assert [one["level"] for one in log["logs"]].count("error") == (changes.get("status") == "failed")


def test_usage_tells_the_share_of_each_store():
    small = replace(STORE, id="vs_2", bytes=0)
    told = json.loads(platform_views.encode_usage([small, STORE]))["data"]
    assert (told["total_size_bytes"], told["total_size_mb"], told["total_files"]) == (3 * 1024 * 1024, 3.0, 20)
    assert [(one["vector_store_id"], one["usage_percentage"]) for one in told["vector_stores"]] == [
        ("vs_1", 100.0),
        ("vs_2", 0.0),
    ]
    assert json.loads(platform_views.encode_usage([]))["data"]["vector_stores"] == []
    assert json.loads(platform_views.encode_usage([small]))["data"]["vector_stores"][0]["usage_percentage"] == 0


# Both

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("name", "description", "metadata", "expires_after", "anchor", "days", "file_ids", "file_id", "files",
                 "attributes", "chunking_strategy", "type", "static", "max_chunk_size_tokens", "chunk_overlap_tokens",
                 "query", "filters", "key", "value", "max_num_results", "ranking_options", "ranker", "score_threshold",
                 "access_mode", "access_users", "flow_id", "filename", "content", "mime_type", "reset_error")
            )
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=16,
)  # fmt: skip


def tried(decode, given):
    """The status of what is wrong, if something is."""
    try:
        decode(given)
    except errors.FreddyError as error:
        return error.status
    return None


@given(json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40))
def test_any_body_is_read_or_refused(given):
    for decode in (
        openai.decode_create,
        openai.decode_update,
        openai.decode_file,
        openai.decode_file_update,
        openai.decode_batch,
        openai.decode_search,
        platform.decode_new,
        platform.decode_change,
        platform.decode_added,
        platform.decode_sent,
        platform.decode_retry,
    ):
        assert tried(decode, given) in (None, 400, 422)
