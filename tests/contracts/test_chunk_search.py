"""The contract of `VectorStores`: what is found in chunks, by vectors and by words."""

import asyncio
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import asyncpg
import pytest
import sqlalchemy as sa
from contract_examples import ACME, OTHERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from vector_examples import (
    MANY,
    MEMORY,
    chunks,
    indexed,
    store_file,
    stores_of,
    swept,
    two_databases,
    unit,
    vector_store,
)

from databases import empty_database, fresh_database
from freddy.server.core.filtering import All, Any, Comparison, Filter, Operator, fits
from freddy.server.core.vector_stores import Attribute, Chunk, Passage
from freddy.server.ports.vector_stores import VectorStores
from freddy.server.stores.sql.connection import Connection, Database
from freddy.server.stores.sql.postgres import points
from freddy.server.stores.sql.postgres.database import PostgresDatabase
from freddy.server.stores.sql.statements import Statement
from freddy.server.stores.sql.vector_stores import SqlVectorStores
from freddy.server.stores.vectors import words
from freddy.server.stores.vectors.ranking import telling

NOW = 2_000
X, Y, Z = unit(1, 0, 0), unit(0, 1, 0), unit(0, 0, 1)


@pytest.fixture
def store(database: Database) -> SqlVectorStores:
    return stores_of(database)


def found(passages: Sequence[Passage]) -> list[tuple[str, int]]:
    return [(passage.file_id, passage.place) for passage in passages]


def vectors(*each: bytes) -> list[Chunk]:
    return [Chunk(place, f"text {place}", vector) for place, vector in enumerate(each)]


# By vectors


async def test_the_nearest_come_first_with_their_cosine(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    has = vectors(Y, unit(3, 4, 0), X, unit(-1, 0, 0))
    await indexed(store, store_file(filename="a.md", attributes={"n": 1.0}), has)
    passages = await store.nearest(ACME, ["vs_1"], X, limit=9)
    assert found(passages) == [("file_1", 2), ("file_1", 1), ("file_1", 0), ("file_1", 3)]
    assert [passage.score for passage in passages] == pytest.approx([1.0, 0.6, 0.0, 0.0], abs=1e-6)
    assert replace(passages[0], score=1.0) == Passage(
        store_id="vs_1", file_id="file_1", filename="a.md", place=2, text="text 2", score=1.0, attributes={"n": 1.0}
    )
    assert found(await store.nearest(ACME, ["vs_1"], X, limit=1)) == [("file_1", 2)]


async def test_several_stores_are_one_search(store: VectorStores) -> None:
    for store_id, vector in (("vs_1", unit(3, 4, 0)), ("vs_2", X)):
        await store.add(vector_store(store_id), most=MANY)
        await indexed(store, store_file(f"of_{store_id}", store_id), [Chunk(0, "shared word", vector)])
    await store.add(vector_store("vs_3", dimensions=2), most=MANY)
    await indexed(store, store_file("of_vs_3", "vs_3"), [Chunk(0, "shared", unit(1, 0))])
    await store.add(vector_store("vs_4"), most=MANY)
    every = ["vs_1", "vs_3", "vs_2", "vs_1", "vs_4", "vs_9"]
    assert found(await store.nearest(ACME, every, X, limit=9)) == [("of_vs_2", 0), ("of_vs_1", 0)]
    assert found(await store.nearest(ACME, every, unit(1, 0), limit=9)) == [("of_vs_3", 0)]
    assert sorted(found(await store.matching(ACME, every, "shared", limit=9))) == [
        ("of_vs_1", 0), ("of_vs_2", 0), ("of_vs_3", 0),
    ]  # fmt: skip
    assert found(await store.matching(ACME, every, "word shared", limit=1)) != [("of_vs_3", 0)]
    assert await store.nearest(ACME, [], X, limit=9) == []
    assert await store.matching(ACME, [], "shared", limit=9) == []


async def test_an_empty_store_has_nothing(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    assert await store.nearest(ACME, ["vs_1"], X, limit=9) == []
    assert await store.matching(ACME, ["vs_1"], "hello", limit=9) == []


async def test_what_is_added_changed_and_removed_is_seen_at_once(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)

    async def seen() -> list[tuple[str, int]]:
        near = found(await store.nearest(ACME, ["vs_1"], X, limit=9))
        assert sorted(found(await store.matching(ACME, ["vs_1"], "text", limit=9))) == sorted(near)
        return near

    assert await seen() == []
    await indexed(store, store_file("file_1"), vectors(unit(3, 4, 0)))
    assert await seen() == [("file_1", 0)]
    await indexed(store, store_file("file_2"), vectors(X))
    assert await seen() == [("file_2", 0), ("file_1", 0)]
    await indexed(store, store_file("file_2"), vectors(Y, unit(4, 3, 0)))
    assert await seen() == [("file_2", 1), ("file_1", 0), ("file_2", 0)]
    await store.remove_file(ACME, "vs_1", "file_1")
    assert await seen() == [("file_2", 1), ("file_2", 0)]
    await swept(store)
    await indexed(store, store_file("file_3"), vectors(Z, X))
    assert await seen() == [("file_3", 1), ("file_2", 1), ("file_2", 0), ("file_3", 0)]
    await store.forget_file(ACME, "file_2")
    await store.forget_file(ACME, "file_3")
    await swept(store)
    assert await seen() == []
    await indexed(store, store_file("file_4"), vectors(Y))
    assert await seen() == [("file_4", 0)]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_what_another_process_changes_is_seen_too(kind: str, tmp_path: Path) -> None:
    async with two_databases(kind, tmp_path) as (one, other):
        here, there = stores_of(one), stores_of(other)
        await here.add(vector_store(), most=MANY)
        await indexed(here, store_file("file_1", attributes={"a": 1.0}), vectors(X))
        assert found(await there.nearest(ACME, ["vs_1"], X, limit=9)) == [("file_1", 0)]
        await indexed(here, store_file("file_2"), vectors(Y))
        assert found(await there.nearest(ACME, ["vs_1"], X, limit=9)) == [("file_1", 0), ("file_2", 0)]
        await here.change_file(ACME, "vs_1", "file_2", lambda file: replace(file, attributes={"a": 2.0}))
        second = Comparison("a", "eq", 2.0)
        assert found(await there.nearest(ACME, ["vs_1"], X, limit=9, filter_=second)) == [("file_2", 0)]
        await here.remove_file(ACME, "vs_1", "file_1")
        await swept(here)
        await indexed(here, store_file("file_3"), vectors(unit(3, 4, 0)))
        assert found(await there.nearest(ACME, ["vs_1"], X, limit=9)) == [("file_3", 0), ("file_2", 0)]
        await here.delete(ACME, "vs_1")
        assert await there.nearest(ACME, ["vs_1"], X, limit=9) == []


@pytest.mark.parametrize("memory", [0, 3_000, 20_000, 10**6])
async def test_what_is_found_does_not_depend_on_the_memory(database: Database, memory: int) -> None:
    """Some of these stores are kept, some push each other out, some are too large to be kept at all."""
    store = SqlVectorStores(database, memory=memory)
    numbers = random.Random(7)
    for name in ("a", "b", "c"):
        await store.add(vector_store(f"vs_{name}"), most=MANY)
        for part in range(3):
            has = vectors(*(unit(*(numbers.gauss(0, 1) for _ in range(3))) for _ in range(300)))
            await indexed(store, store_file(f"file_{name}{part}", f"vs_{name}", attributes={"part": float(part)}), has)
    for filter_ in (None, Comparison("part", "eq", 1.0), Comparison("part", "ne", 1.0)):
        for _ in range(2):
            passages = []
            for name in ("a", "b", "c"):
                passages += await store.nearest(ACME, [f"vs_{name}"], X, limit=50, filter_=filter_)
            best = sorted(passages, key=lambda passage: -passage.score)[:50]
            together = await store.nearest(ACME, ["vs_a", "vs_b", "vs_c"], X, limit=50, filter_=filter_)
            assert sorted(found(together)) == sorted(found(best))
            assert len({(passage.store_id, *found([passage])) for passage in together}) == 50
            if filter_ is not None:
                assert all(fits(filter_, passage.attributes) for passage in together)


async def test_many_may_search_while_others_write(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)

    async def write() -> None:
        for number in range(12):
            await indexed(store, store_file(f"file_{number}"), vectors(*[unit(1, number, 1)] * 100))
            if number % 3 == 2:
                await store.remove_file(ACME, "vs_1", f"file_{number - 1}")
                await store.sweep()

    async def search() -> None:
        while not writing.done():
            passages = await store.nearest(ACME, ["vs_1"], X, limit=500)
            scores = [passage.score for passage in passages]
            assert scores == sorted(scores, reverse=True)
            assert len(set(found(passages))) == len(passages)

    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(write())
        for _ in range(3):
            tasks.create_task(search())
    assert len(await store.nearest(ACME, ["vs_1"], X, limit=5_000)) == 800


async def test_a_search_that_is_given_up_does_not_spoil_the_next(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    for part in range(4):
        await indexed(store, store_file(f"file_{part}"), vectors(*[unit(1, part, place) for place in range(300)]))
        for rounds in range(25):
            async with asyncio.TaskGroup() as tasks:
                searching = tasks.create_task(store.nearest(ACME, ["vs_1"], X, limit=2_000))
                for _ in range(rounds):
                    await asyncio.sleep(0)
                searching.cancel()
        passages = await store.nearest(ACME, ["vs_1"], X, limit=2_000)
        assert len(set(found(passages))) == len(passages) == 300 * (part + 1)


# By words


async def matched(store: VectorStores, text: str, *, limit: int = 9) -> list[int]:
    return [passage.place for passage in await store.matching(ACME, ["vs_1"], text, limit=limit)]


async def test_chunks_with_more_and_rarer_words_come_first(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    texts = ("the cat", "the dog and the bird", "the cat and the axolotl", "the fish " * 50, "the dog and the axolotl")
    await indexed(store, store_file(), chunks(*texts))
    passages = await store.matching(ACME, ["vs_1"], "cat axolotl", limit=9)
    assert [passage.place for passage in passages] == [2, 0, 4]
    assert passages[0].score == 1.0
    assert all(0 < passage.score < 1 for passage in passages[1:])
    assert await matched(store, "unicorn") == []
    assert await matched(store, "axolotl unicorn", limit=1) in ([2], [4])
    assert set(await matched(store, "the")) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("CAFE", "un café noir"),
        ("naïve", "a naive view"),
        ("straße", "die STRASSE"),
        ("ΟΔΟΣ", "η οδός"),
        ("ёлка", "елка"),
        ("42", "the answer is 42."),
        ("max_tokens", "set MAX tokens"),
        ("天气", "今天天气很好"),
        ("猫", "黒い猫がいる"),
        ("東京", "私は東京に住んでいます"),
        ("プログラム", "新しいプログラムを書く"),
        ("한국어", "나는 한국어를 배운다"),
        ("ภาษาไทย", "ฉันเรียนภาษาไทย"),
        ("हिन्दी", "मैं हिन्दी बोलता हूँ"),
        ("السلام", "السَّلامُ عليكم"),
        ("ﬁle", "a file"),
        ("x" * 100, "y " + "x" * 100),
    ],
)
async def test_words_of_many_languages_are_found(question: str, text: str) -> None:
    there = words.indexed([text]).postings
    assert words.asked(question, most=9)
    assert set(words.asked(question, most=9)) <= set(there)


def test_words_that_are_not_there_are_not_found() -> None:
    assert not set(words.asked("天下", most=9)) & set(words.indexed(["今天天气很好"]).postings)
    assert words.asked('?! "" -- … 。', most=9) == []
    assert words.asked("a b a c", most=2) == ["a", "b"]


async def test_chinese_is_found_among_other_texts(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await indexed(store, store_file(), chunks("今天天气很好", "明天下雨", "the weather", "我们去北京"))
    assert await matched(store, "天气怎么样") == [0]
    assert await matched(store, "北京") == [3]
    assert set(await matched(store, "天")) == {0, 1}


@pytest.mark.parametrize(
    "question",
    [
        '"', "'", "cat AND", "NEAR(cat dog, 5)", "cat*", "^cat", "-cat", "text : cat", "(cat", "cat'; DROP TABLE x; --",
        "cat & !dog | <->", "%cat_", "\\", "\0cat", "\ud800 cat", "cat " * 5_000,
    ],
)  # fmt: skip
async def test_a_question_has_no_syntax(store: VectorStores, question: str) -> None:
    await store.add(vector_store(), most=MANY)
    await indexed(store, store_file(), chunks("a cat", "a bird"))
    assert await matched(store, question) == ([0] if "cat" in question else [])


def test_frequent_words_are_left_out_where_others_remain() -> None:
    assert telling({"the": 90_000, "cat": 900, "axolotl": 3, "unicorn": 0}, 100_000) == ["axolotl", "cat"]
    assert telling({"the": 90_000, "a": 80_000}, 100_000) == ["a"]
    # Few chunks are soon compared: each word counts.
    assert telling({"the": 900, "cat": 600}, 1_000) == ["cat", "the"]
    assert telling({"unicorn": 0}, 1_000) == []


async def test_a_store_is_ranked_by_its_own_words_alone(store: VectorStores) -> None:
    """How rare a word is with others tells nobody anything."""
    await store.add(vector_store(), most=MANY)
    await indexed(store, store_file(), chunks("cat", "dog dog", "cat dog bird"))
    before = await store.matching(ACME, ["vs_1"], "cat dog bird", limit=9)
    await store.add(vector_store("vs_2", OTHERS), most=MANY)
    other = store_file("file_2", "vs_2", organization_id=OTHERS)
    await indexed(store, other, chunks(*["cat and more"] * 300))
    assert await store.matching(ACME, ["vs_1"], "cat dog bird", limit=9) == before
    assert await store.matching(ACME, ["vs_1", "vs_2"], "cat dog bird", limit=9) == before


# Filters

KEYS = ("a", "b")
VALUES: list[Attribute] = [0.0, 1.0, 2.5, -1.0, True, False, "", "1", "x", "ü", "True"]
FILES: list[dict[str, Attribute]] = [
    {},
    *({"a": value} for value in VALUES),
    *({"a": first, "b": second} for first, second in ((1.0, True), (True, "1"), ("x", 2.5), (2.5, "x"))),
]
comparisons = st.one_of(
    st.builds(
        Comparison,
        st.sampled_from(KEYS),
        st.sampled_from([one for one in get_args(Operator) if one not in ("in", "nin")]),
        st.sampled_from(VALUES),
    ),
    st.builds(
        Comparison,
        st.sampled_from(KEYS),
        st.sampled_from(["in", "nin"]),
        st.lists(st.sampled_from(VALUES), max_size=3).map(tuple),
    ),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(All, st.lists(inner, max_size=3).map(tuple)), st.builds(Any, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=5,
)


@pytest.fixture
async def filtered(store: VectorStores) -> VectorStores:
    await store.add(vector_store(), most=MANY)
    for number, attributes in enumerate(FILES):
        file = store_file(f"file_{number}", attributes=attributes)
        await indexed(store, file, [Chunk(place, f"word {place}", unit(1, number, place)) for place in range(2)])
    return store


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filter_=filters)
async def test_a_filter_lets_through_what_fits(filtered: VectorStores, filter_: Filter) -> None:
    fitting = {f"file_{number}" for number, attributes in enumerate(FILES) if fits(filter_, attributes)}
    expected = sorted((file_id, place) for file_id in fitting for place in range(2))
    assert sorted(found(await filtered.nearest(ACME, ["vs_1"], X, limit=99, filter_=filter_))) == expected
    assert sorted(found(await filtered.matching(ACME, ["vs_1"], "word", limit=99, filter_=filter_))) == expected


async def test_a_filter_does_not_shorten_what_is_found(store: VectorStores) -> None:
    """The best that fit are found, not those of the best that fit."""
    await store.add(vector_store(), most=MANY)
    await indexed(store, store_file("near", attributes={"old": True}), vectors(*[unit(10, 1, 0)] * 400))
    await indexed(store, store_file("far", attributes={"old": False}), vectors(*[Y] * 20))
    new = Comparison("old", "eq", value=False)
    assert len(await store.nearest(ACME, ["vs_1"], X, limit=10, filter_=new)) == 10
    assert len(await store.matching(ACME, ["vs_1"], "text", limit=10, filter_=new)) == 10


async def test_a_filter_with_true_is_not_one_with_1(store: VectorStores) -> None:
    await store.add(vector_store(), most=MANY)
    await indexed(store, store_file("true", attributes={"a": True}), vectors(X))
    await indexed(store, store_file("one", attributes={"a": 1.0}), vectors(X))
    for value, expected in ((True, "true"), (1.0, "one"), (True, "true")):
        passages = await store.nearest(ACME, ["vs_1"], X, limit=9, filter_=Comparison("a", "eq", value))
        assert found(passages) == [(expected, 0)]


# pgvector

DIMENSIONS = 24


def cloud(count: int, *, seed: int = 1) -> list[bytes]:
    numbers = random.Random(seed)
    centers = [[numbers.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in range(20)]
    return [unit(*(value + numbers.gauss(0, 0.7) for value in numbers.choice(centers))) for _ in range(count)]


async def in_points(database: PostgresDatabase) -> int:
    counted = Statement(sa.select(sa.func.count()).select_from(sa.table(f"vector_points_{DIMENSIONS}")))
    (row,) = await database.read(lambda connection: connection.all(counted))
    return int(row[0])


async def pointed(database: PostgresDatabase, *, large: int = 0, few: int = 0) -> SqlVectorStores:
    prepared = await points.prepared(database, large=large, few=few)
    assert prepared.points, prepared.why
    assert "are searched by pgvector 0." in prepared.why
    return SqlVectorStores(database, memory=MEMORY, points=prepared.points)


@pytest.fixture
async def large(postgres: PostgresDatabase) -> SqlVectorStores:
    """1,000 chunks in 10 files, all of them in the index of the database."""
    store = await pointed(postgres)
    await store.add(vector_store(dimensions=DIMENSIONS), most=MANY)
    every = cloud(1_000)
    for number in range(10):
        has = vectors(*every[number * 100 : number * 100 + 100])
        await indexed(store, store_file(f"file_{number}", attributes={"n": float(number)}), has)
    await swept(store)
    assert await in_points(postgres) == 1_000
    return store


@pytest.mark.parametrize("filter_", [None, Comparison("n", "lt", 3.0), Comparison("n", "eq", 3.0)])
async def test_pgvector_finds_nearly_all_that_comparing_each_finds(
    large: SqlVectorStores, postgres: PostgresDatabase, filter_: Filter | None
) -> None:
    exact = stores_of(postgres)
    hits = 0
    for question in cloud(40, seed=2):
        near = await large.nearest(ACME, ["vs_1"], question, limit=10, filter_=filter_)
        best = await exact.nearest(ACME, ["vs_1"], question, limit=10, filter_=filter_)
        assert len(near) == 10
        assert [one.score for one in near] == sorted((one.score for one in near), reverse=True)
        assert near[0].score == pytest.approx(best[0].score, abs=0.05)
        hits += len(set(found(near)) & set(found(best)))
    assert hits / 400 >= 0.95


async def test_the_graph_is_asked_where_there_are_many(large: SqlVectorStores, postgres: PostgresDatabase) -> None:
    prepared = await points.prepared(postgres, large=0, few=0)
    assert prepared.points
    statements = await prepared.points._statements(DIMENSIONS)
    explained = Statement(sa.text(f"EXPLAIN {statements.near._described}"))

    async def work(connection: Connection) -> str:
        await connection.all(points._LOOK_WELL)
        asked = {"vector": points._text([1.0] * DIMENSIONS), "stores": "{1}", "segments": "{1,2,3}", "limit": "10"}
        return str(await connection.all(explained, **asked))

    plan = await postgres.read(work)
    assert f"ix_vector_points_{DIMENSIONS}_embedding" in plan
    assert "Sort" not in plan


async def test_few_that_fit_are_all_found_by_pgvector(large: SqlVectorStores) -> None:
    """The graph alone gives up before it has found them."""
    await indexed(large, store_file("far", attributes={"n": 99.0}), vectors(*[unit(*[-1.0] * DIMENSIONS)] * 3))
    await swept(large)
    question = unit(*[1.0] * DIMENSIONS)
    passages = await large.nearest(ACME, ["vs_1"], question, limit=10, filter_=Comparison("n", "eq", 99.0))
    assert sorted(found(passages)) == [("far", 0), ("far", 1), ("far", 2)]
    assert len(await large.nearest(ACME, ["vs_1"], question, limit=3_000)) == 1_003


async def test_what_pgvector_does_not_have_yet_is_found_all_the_same(
    large: SqlVectorStores, postgres: PostgresDatabase
) -> None:
    (question,) = cloud(1, seed=9)
    await indexed(large, store_file("new", attributes={"n": 3.0}), vectors(*[question] * 70))
    for filter_ in (None, Comparison("n", "eq", 3.0)):
        passages = await large.nearest(ACME, ["vs_1"], question, limit=70, filter_=filter_)
        assert {passage.file_id for passage in passages} == {"new"}
    assert await large.sweep()
    assert 1_000 < await in_points(postgres) < 1_070
    passages = await large.nearest(ACME, ["vs_1"], question, limit=75)
    assert len(set(found(passages))) == 75
    await swept(large)
    assert await in_points(postgres) == 1_070
    assert len(set(found(await large.nearest(ACME, ["vs_1"], question, limit=75)))) == 75


async def test_what_is_removed_is_removed_from_pgvector(large: SqlVectorStores, postgres: PostgresDatabase) -> None:
    (question,) = cloud(1, seed=9)
    await large.remove_file(ACME, "vs_1", "file_3")
    passages = await large.nearest(ACME, ["vs_1"], question, limit=3_000)
    assert len(passages) == 900
    assert "file_3" not in {passage.file_id for passage in passages}
    await swept(large)
    assert await in_points(postgres) == 900
    await large.delete(ACME, "vs_1")
    await swept(large)
    assert await in_points(postgres) == 0


async def test_pgvector_keeps_organizations_and_stores_apart(large: SqlVectorStores) -> None:
    (question,) = cloud(1, seed=9)
    await large.add(vector_store("vs_2", OTHERS, dimensions=DIMENSIONS), most=MANY)
    await indexed(large, store_file("theirs", "vs_2", organization_id=OTHERS), vectors(*[question] * 40))
    await swept(large)
    assert "theirs" not in {one.file_id for one in await large.nearest(ACME, ["vs_1", "vs_2"], question, limit=50)}
    assert {one.file_id for one in await large.nearest(OTHERS, ["vs_1", "vs_2"], question, limit=50)} == {"theirs"}
    await large.add(vector_store("vs_3", dimensions=DIMENSIONS), most=MANY)
    await indexed(large, store_file("ours", "vs_3"), vectors(*[question] * 40))
    await swept(large)
    both = await large.nearest(ACME, ["vs_1", "vs_3"], question, limit=50)
    assert {one.file_id for one in both[:40]} == {"ours"}
    assert len(both) == 50


async def test_small_stores_do_not_burden_pgvector(postgres: PostgresDatabase) -> None:
    store = await pointed(postgres, large=100 * DIMENSIONS * 4)
    await store.add(vector_store(dimensions=DIMENSIONS), most=MANY)
    await indexed(store, store_file("file_1"), vectors(*cloud(100)))
    assert not await store.sweep()
    assert len(await store.nearest(ACME, ["vs_1"], cloud(1)[0], limit=200)) == 100
    await indexed(store, store_file("file_2"), vectors(*cloud(1)))
    await swept(store)
    assert await in_points(postgres) == 101


async def test_several_processes_fill_pgvector_at_once(tmp_path: Path) -> None:
    async with two_databases("postgresql", tmp_path) as (one, other):
        assert isinstance(one, PostgresDatabase)
        assert isinstance(other, PostgresDatabase)
        first, second = await asyncio.gather(pointed(one), pointed(other))
        await first.add(vector_store(dimensions=DIMENSIONS), most=MANY)
        await indexed(first, store_file(), vectors(*cloud(150)))
        await asyncio.gather(swept(first), swept(second))
        assert await in_points(one) == 150


async def test_without_the_right_to_it_pgvector_is_not_used() -> None:
    async with fresh_database() as url:
        raw = await asyncpg.connect(url)
        name = f"plain_{url.partition('@/')[2].partition('?')[0]}"
        try:
            await raw.execute(f"CREATE ROLE {name} LOGIN")
            await raw.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")
            await raw.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}")
            async with PostgresDatabase(url.replace("//freddy@", f"//{name}@"), readers=1, writers=1) as database:
                prepared = await points.prepared(database)
                assert prepared.points is None
                assert "may not run CREATE EXTENSION vector" in prepared.why
                store = stores_of(database)
                await store.add(vector_store(), most=MANY)
                await indexed(store, store_file(), vectors(X, Y))
                assert found(await store.nearest(ACME, ["vs_1"], X, limit=1)) == [("file_1", 0)]
        finally:
            await raw.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
            await raw.close()


async def test_pgvector_may_live_in_another_schema() -> None:
    async with empty_database() as url:
        raw = await asyncpg.connect(url)
        await raw.execute('CREATE SCHEMA "Odd one"; CREATE EXTENSION vector SCHEMA "Odd one"; CREATE SCHEMA own')
        await raw.close()
        async with PostgresDatabase(f"{url}&search_path=own", readers=1, writers=1) as database:
            store = await pointed(database)
            await store.add(vector_store(dimensions=DIMENSIONS), most=MANY)
            await indexed(store, store_file(), vectors(*cloud(50)))
            await swept(store)
            assert await in_points(database) == 50
            assert len(await store.nearest(ACME, ["vs_1"], cloud(1)[0], limit=20)) == 20


@pytest.mark.parametrize(
    ("found", "obstacle"),
    [
        ((None, None, True, True), "does not have pgvector"),
        ((None, "0.8.0", False, True), "CREATE EXTENSION"),
        ((None, "0.8.0", True, True), None),
        (("0.7.4", "0.8.0", True, True), "too old"),
        (("0.10.1", "0.10.1", False, True), None),
        (("0.8.2", "0.8.2", True, False), "make tables"),
    ],
)
def test_what_stands_against_pgvector_is_told(found: tuple[object, ...], obstacle: str | None) -> None:
    told = points._obstacle(found)
    assert (told is None) == (obstacle is None)
    assert (obstacle or "") in (told or "")


def test_numpy_is_wanted_by_searches_alone() -> None:
    program = (
        "import asyncio, sys\n"
        "sys.modules['numpy'] = None\n"
        "from freddy.server.core import errors\n"
        "from freddy.server.stores.sql.engine import Database\n"
        "from freddy.server.stores.sql.postgres import points\n"
        "from freddy.server.stores.sql.vector_stores import SqlVectorStores\n"
        "async def main():\n"
        "    async with Database(None) as database:\n"
        "        store = SqlVectorStores(database, memory=0)\n"
        "        assert await store.totals('org')\n"
        "        try: await store.nearest('org', ['vs_1'], b'', limit=1)\n"
        "        except errors.StorageUnavailable as error: print(error.details)\n"
        "asyncio.run(main())\n"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, timeout=60, capture_output=True, text=True)
    assert "freddy-gateway[search]" in told.stdout
