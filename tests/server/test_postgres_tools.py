"""Two servers on one PostgreSQL database: what one of them is told of tools, the other knows."""

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest

import freddy
from databases import PostgresServer, postgres_server
from freddy_process import BOUND, Served, serving, wait_until
from simulators.aside import Aside
from simulators.chat import Chat
from simulators.script import Answer, Call, call, text
from stores_stage import Hashes

KEY = "sk-frdy-development-key-of-this-test"
TEXTS = {
    "refunds.md": "A refund takes five working days once the parcel has arrived at the warehouse.",
    "shipping.md": "Parcels leave the harbour twice a week. Islands wait longer in winter storms.",
    "office.md": "The kitchen is on the second floor, beside the copier with the paper jam.",
}
_numbers = itertools.count()


class Pair(NamedTuple):
    """Two servers, and who answers for the model that both ask."""

    one: Served
    other: Served
    chat: Chat
    hashes: Hashes
    aside: Aside

    def openai(self, served: Served) -> openai.OpenAI:
        return openai.OpenAI(api_key=KEY, base_url=f"{served.url}/v1", max_retries=0, timeout=BOUND)

    def freddy(self, served: Served) -> freddy.FreddyClient:
        return freddy.FreddyClient(api_key=KEY, base_url=served.url, max_retries=0, timeout=BOUND)


def _answer(asked: Call) -> Answer:
    """Calls what it is offered first; then says what it read."""
    last = asked.body["messages"][-1]
    if last["role"] == "tool":
        return Answer(text(f"It says: {last['content']}"))
    offered = [tool["function"]["name"] for tool in asked.body.get("tools", ())]
    if offered:
        return Answer(call(offered[0], '{"query":"refund","region":"europe"}', call_id=f"call_{next(_numbers)}"))
    return Answer(text("Hello."))


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@contextmanager
def both(home: Path, postgres: PostgresServer, **more: str) -> Iterator[Pair]:
    name = f"tools_{os.getpid()}_{next(_numbers)}"
    postgres.say(f"CREATE DATABASE {name}")
    chat, hashes = Chat(answering=_answer), Hashes()
    home.mkdir()
    with Aside(chat, hashes, ending=hashes.held.set) as aside:
        (home / "freddy.toml").write_text(
            "".join(
                f'[[upstream]]\nname = "{name}"\nkind = "{one.kind}"\nurl = "{one.url}"\nkey = "sk-none"\n'
                f'models = ["{model}"]\ndefault_model = "{model}"\n\n'
                for name, one, model in (("stage", chat, "stage"), ("words", hashes, "hashes"))
            )
        )
        variables = {
            "FREDDY_CONFIG": str(home / "freddy.toml"),
            "FREDDY_DATABASE": postgres.url(name),
            "FREDDY_FILES_FOLDER": str(home / "files"),
            "FREDDY_SECRET_KEY": "0123456789abcdef" * 4,
            "FREDDY_DEV_API_KEY": KEY,
            "FREDDY_EMBEDDINGS_MODEL": "words/hashes",
            "FREDDY_KNOWLEDGE_POLL_SECONDS": "0.2",
            **more,
        }
        with serving(home / "one", **variables) as one, serving(home / "other", **variables) as other:
            yield Pair(one, other, chat, hashes, aside)
            for served in (one, other):
                assert '"error"' not in {event.get("level", "").lower() for event in served.events()}
                assert "Traceback" not in served.said()


@pytest.fixture(scope="module")
def pair(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with both(tmp_path_factory.mktemp("pair") / "home", postgres) as pair:
        yield pair


def stocked(pair: Pair) -> str:
    """A store with all texts, put there through one server."""
    client = pair.openai(pair.one)
    store = client.vector_stores.create(name="Handbook")
    files = [
        client.files.create(file=(name, content.encode()), purpose="assistants").id for name, content in TEXTS.items()
    ]
    batch = client.vector_stores.file_batches.create_and_poll(store.id, file_ids=files, poll_interval_ms=50)
    assert (batch.status, batch.file_counts.completed) == ("completed", len(TEXTS))
    return store.id


def found(client: openai.OpenAI, store: str, query: str) -> list[str]:
    return [result.filename for result in client.vector_stores.search(store, query=query)]


def test_what_one_server_indexes_the_other_finds(pair: Pair):
    store = stocked(pair)
    client = pair.openai(pair.other)
    assert found(client, store, "a refund of the parcel")[0] == "refunds.md"
    assert found(client, store, "kitchen floor copier")[0] == "office.md"
    with pair.freddy(pair.other) as sdk:
        assert sdk.vector_stores.get(store).file_counts.completed == len(TEXTS)
    # What is added there is found here, though here was searched before.
    assert found(pair.openai(pair.one), store, "whales and dolphins")
    whales = client.files.create(file=("whales.md", b"Whales and dolphins breathe air."), purpose="assistants")
    client.vector_stores.files.create_and_poll(whales.id, vector_store_id=store, poll_interval_ms=50)
    for served in (pair.other, pair.one):
        assert found(pair.openai(served), store, "whales and dolphins")[0] == "whales.md"
    client.vector_stores.files.delete(whales.id, vector_store_id=store)
    for served in (pair.other, pair.one):
        assert "whales.md" not in found(pair.openai(served), store, "whales and dolphins")


def test_a_store_that_was_deleted_is_gone_in_both(pair: Pair):
    store = stocked(pair)
    for served in (pair.one, pair.other):
        assert found(pair.openai(served), store, "refund")
    pair.openai(pair.one).vector_stores.delete(store)
    tools: Any = [{"type": "file_search", "vector_store_ids": [store]}]
    for served in (pair.one, pair.other):
        client = pair.openai(served)
        with pytest.raises(openai.NotFoundError):
            client.vector_stores.search(store, query="refund")
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="stage", input="Hi", tools=tools)


def test_both_servers_index_what_is_in_line_each_file_once(pair: Pair):
    client = pair.openai(pair.one)
    files = [
        client.files.create(file=(f"{number}.txt", f"the text of number {number}".encode()), purpose="assistants").id
        for number in range(24)
    ]
    store = client.vector_stores.create(file_ids=files)
    wait_until(lambda: client.vector_stores.retrieve(store.id).file_counts.in_progress == 0)
    counts = pair.openai(pair.other).vector_stores.retrieve(store.id).file_counts
    assert (counts.completed, counts.failed) == (24, 0)
    asked = [text for call in pair.hashes.calls for text in call.body["input"] if "the text of number" in text]
    assert len(asked) == len(set(asked)) == 24
    indexed = [
        sum(event.get("event", event.get("message")) == "file_indexed" for event in served.events())
        for served in (pair.one, pair.other)
    ]
    assert sum(indexed) >= 24


def test_a_model_searches_through_either_server(pair: Pair):
    store = stocked(pair)
    tools: Any = [{"type": "file_search", "vector_store_ids": [store]}]
    for served in (pair.one, pair.other):
        answer = pair.openai(served).responses.create(model="stage", input="How long?", tools=tools)
        assert [item.type for item in answer.output] == ["file_search_call", "message"]
        assert "five working days" in answer.output_text
        with pair.freddy(served) as sdk:
            told = sdk.responses.create(inputs="How long?", model="stage", tools=tools)
            assert "five working days" in told.output_text


def test_an_approval_is_taken_up_once_whoever_is_asked(pair: Pair):
    tools: Any = [{"type": "function", "name": "get_cities", "require_approval": True}]
    with pair.one.client(KEY) as client:
        asked = client.post("/v1/model/response", json={"inputs": "Cities?", "model": "stage", "tools": tools}).json()
    (request,) = [item for item in asked["output"] if item["type"] == "approval_request"]
    answer = {
        "model": "stage",
        "previous_response_id": asked["id"],
        "tools": tools,
        "inputs": [{"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}],
    }

    def tried(served: Served) -> int:
        with served.client(KEY) as client:
            return client.post("/v1/model/response", json=answer).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(tried, [pair.one, pair.other] * 4))
    assert statuses == [200, *[409] * 7]


def test_functions_and_mcp_servers_are_kept_for_both_with_their_secrets(pair: Pair):
    with pair.one.client(KEY) as client, pair.other.client(KEY) as elsewhere:
        function = {
            "name": f"stock_{next(_numbers)}",
            "url": "http://127.0.0.1:9/nobody",
            "headers": {"authorization": "secret-of-the-function"},
        }
        made = client.post("/v1/functions", json=function)
        assert made.status_code == 201, made.text
        path = f"/v1/functions/{made.json()['id']}"
        tested = elsewhere.post(f"{path}/test", json={"arguments": {}})
        assert tested.status_code == 200, tested.text
        assert "cannot be reached" in tested.text
        server = {
            "name": "Wiki",
            "server_url": "http://127.0.0.1:9/mcp",
            "auth_type": "api_key",
            "credentials": {"api_key": "secret-of-the-server"},
        }
        saved = elsewhere.post("/v1/mcp-configurations", json=server)
        assert saved.status_code == 201, saved.text
        asked = client.post(f"/v1/mcp-configurations/{saved.json()['id']}/test")
        assert asked.status_code == 200, asked.text
        assert "could not be reached" in asked.text
        told = client.get("/v1/mcp-configurations").text + client.get("/v1/functions").text
        for place in (f"/v1/mcp-configurations/{saved.json()['id']}", path):
            assert client.delete(place).status_code == 200
            assert elsewhere.get(place).status_code == 404
    for text_ in (made.text, tested.text, saved.text, asked.text, told, pair.one.said(), pair.other.said()):
        assert "secret-of" not in text_


def test_what_a_killed_server_had_begun_the_other_ends(postgres: PostgresServer, tmp_path: Path):
    with both(tmp_path / "home", postgres, FREDDY_KNOWLEDGE_LEASE_SECONDS="5") as pair:
        client = pair.openai(pair.one)
        store = client.vector_stores.create().id
        before = len(pair.hashes.calls)
        pair.aside.tell(pair.hashes.held.clear)
        files = [
            client.files.create(file=(name, content.encode()), purpose="assistants").id
            for name, content in TEXTS.items()
        ]
        client.vector_stores.file_batches.create(store, file_ids=files)
        wait_until(lambda: len(pair.hashes.calls) >= before + len(TEXTS))
        pair.one.kill()
        pair.aside.tell(pair.hashes.held.set)
        left = pair.openai(pair.other)
        wait_until(lambda: left.vector_stores.retrieve(store).file_counts.in_progress == 0)
        assert left.vector_stores.retrieve(store).file_counts.completed == len(TEXTS)
        assert sorted({*found(left, store, "refund parcel harbour kitchen")}) == sorted(TEXTS)
