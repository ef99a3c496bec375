"""Which embedding models there are by the settings, and what is wrong with settings."""

import asyncio

import pytest
from vectors_simulator import Vectors

from freddy.server import doctor, upstreams
from freddy.server.config import Upstream
from freddy.server.config import settings as parts
from freddy.server.core import errors
from freddy.server.wiring.embeddings import embedders
from simulators.script import PATIENCE

MINILM = "embedded/all-MiniLM-L6-v2"


def settings(home, *found, **told):
    return parts.Settings(
        home=home,
        store=parts.Store(database=home / "freddy.db"),
        model=parts.Model(name="none", pull=False),
        upstreams=found,
        embeddings=parts.Embeddings(**told),
    )


async def test_without_settings_the_embedded_model_is_there_and_nothing_is_started(tmp_path):
    async with embedders(settings(tmp_path)) as there:
        assert there.default == MINILM
        assert there.find(MINILM).longest == 256
        assert await there.find(MINILM).dimensions() == 384
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "nothing", "embedded/nothing", "nobody/model", "stage/"])
async def test_an_unknown_model_is_not_found(tmp_path, name):
    async with embedders(settings(tmp_path, Upstream(name="stage", url="http://127.0.0.1:9/v1"))) as there:
        with pytest.raises(errors.NotFound) as caught:
            there.find(name)
        assert caught.value.code == "embedding_model_not_found"


async def test_a_model_of_an_upstream_is_called_with_the_operators_key_and_headers(tmp_path):
    async with Vectors(key="sk-operator") as simulator:
        upstream = Upstream(
            name="stage", url=simulator.url, kind="openai", key="sk-operator", headers={"X-Team": "search"}, project="p"
        )
        told = settings(tmp_path, upstream, model="stage/text-embedding-3-large", dimensions=3, batch=2)
        async with embedders(told) as there, asyncio.timeout(PATIENCE):
            assert there.default == "stage/text-embedding-3-large@3"
            assert there.names == (MINILM, "stage/text-embedding-3-large@3")
            vectors = await there.find(there.default).embed(["a", "b", "c"], side="passage")
            assert [len(vector) for vector in vectors] == [12] * 3
        assert len(simulator.calls) == 2
        assert simulator.last.body["dimensions"] == 3
        assert simulator.last.headers["x-team"] == "search"
        assert simulator.last.headers["openai-project"] == "p"
        assert simulator.complaints == []


async def test_a_store_that_was_made_with_another_model_of_the_upstream_still_finds_it(tmp_path):
    async with Vectors() as simulator:
        upstream = Upstream(name="stage", url=simulator.url)
        async with embedders(settings(tmp_path, upstream)) as there, asyncio.timeout(PATIENCE):
            assert there.default == MINILM
            old = there.find("stage/org/other:latest@7")
            assert old.name == "stage/org/other:latest@7"
            await old.embed(["a"], side="query")
        assert simulator.last.body == {"model": "org/other:latest", "input": ["a"], "dimensions": 7}


async def test_what_the_operator_says_of_a_models_length_counts(tmp_path):
    served = parts.Served(
        name="vectors", candidates=(parts.Candidate(upstream="stage", model="bge"),), context_tokens=512
    )
    upstream = Upstream(name="stage", url="http://127.0.0.1:9/v1")
    told = parts.Settings(
        home=tmp_path, store=parts.Store(database=tmp_path / "freddy.db"), upstreams=(upstream,), models=(served,)
    )
    async with embedders(told) as there:
        assert there.find("stage/bge").longest == 512
        assert there.find("stage/other").longest == 8192


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"model": "nobody/model"}, "there is no upstream 'nobody' with embeddings; those that can"),
        ({"model": "claude/model"}, "there is no upstream 'claude' with embeddings"),
        ({"model": "stage"}, "must be embedded, multilingual or UPSTREAM/MODEL, not 'stage'"),
        ({"model": "stage/"}, "must be embedded, multilingual or UPSTREAM/MODEL"),
        ({"dimensions": 128}, "only for models of upstreams"),
    ],
)
def test_settings_that_make_no_sense_are_told_before_the_server_starts(tmp_path, told, problem):
    there = (Upstream(name="stage", url="http://127.0.0.1:9/v1"), Upstream(name="claude", vendor="anthropic"))
    found = settings(tmp_path, *there, **told)
    assert [problem in one for one in upstreams.problems(found)] == [True]
    checks = {check.name: check for check in doctor.everything(settings(tmp_path, **told))}
    assert checks["embeddings"].verdict == "problem"


def test_the_doctor_has_a_word_on_embeddings(tmp_path):
    checks = {check.name: check for check in doctor.everything(settings(tmp_path))}
    assert checks["embeddings"].verdict == "ok"
    assert checks["embeddings"].said == "all-minilm-l6-v2 is here"
