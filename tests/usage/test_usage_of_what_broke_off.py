"""Calls that broke off were spent all the same: they stand in the ledger, estimated, as their responses tell it."""

import asyncio

import pytest

from freddy.server.config import Served
from freddy.server.config import settings as parts
from freddy.server.config.settings import Candidate, Price
from stores_stage import LOCAL, library
from upstream import PATIENCE, Answer, Break, Fault, Gate, call, text

QUESTION = "Tell me a story of a fox who crosses the river in a storm, and finds his way home again. " * 10
WORDS = "The fox went down to the river, where the water stood high, and looked for a tree that had fallen. "


async def total(gateway, query: str = "") -> dict:
    reply = await gateway.get(f"/v1/usage?bucket=none{query}")
    assert reply.status_code == 200, reply.text
    return reply.json()["total"]


async def check_agrees(gateway, response: dict) -> dict:
    """The ledger, which holds what both dialects tell of the only response."""
    told = await total(gateway)
    detailed = response["usage"]
    assert (detailed["input_tokens"], detailed["output_tokens"]) == (told["input_tokens"], told["output_tokens"])
    kept = (await gateway.get(f"/v1/responses/{response['id']}")).json()["usage"]
    assert (kept["input_tokens"], kept["output_tokens"]) == (told["input_tokens"], told["output_tokens"])
    assert told["requests"] == 1
    assert told["unpriced_calls"] == 0
    assert told["cost"] > 0
    return told


def asked(**more) -> dict:
    return {"model": "dear", "inputs": QUESTION, "include": ["usage.detailed"], **more}


@pytest.mark.parametrize("how", ["reset", "cut", "end"])
async def test_an_answer_that_the_upstream_cuts_is_counted_with_what_was_heard(gateway, upstream, how):
    upstream.says(Answer(*text(WORDS, WORDS), Break(how), usage=(1000, 500)))
    stream = await gateway.told("freddy", input=QUESTION, model="dear", include=["usage.detailed"])
    failed = await gateway.ended(stream.last["response"]["id"])
    assert failed["status"] == "failed"
    told = await check_agrees(gateway, failed)
    assert told["input_tokens"] > 150
    assert told["output_tokens"] > 30
    assert (told["calls"], told["failures"]) == (1, 1)


async def test_an_answer_that_is_cut_before_its_first_word_has_been_read(gateway, upstream):
    upstream.says(*[Answer(text(""), Break("cut"), usage=(1000, 500))] * 9)
    reply = await gateway.post("/v1/model/response", asked(stream=True))
    assert reply.status_code >= 500, reply.text
    told = await total(gateway)
    assert told["calls"] == told["failures"] == len(upstream.calls) > 0
    assert told["input_tokens"] >= 150 * told["calls"]
    assert told["output_tokens"] == 0
    assert told["cost"] > 0


async def test_what_a_vendor_refuses_it_does_not_charge(gateway, upstream):
    upstream.says(*[Fault(500, "oops")] * 9)
    assert (await gateway.post("/v1/model/response", asked())).status_code >= 500
    told = await total(gateway)
    assert (told["input_tokens"], told["output_tokens"], told["cost"]) == (0, 0, 0)
    assert told["calls"] == len(upstream.calls)


@pytest.mark.parametrize("words", [0, 2])
async def test_a_response_that_is_cancelled_counts_what_was_read_and_written(gateway, upstream, words):
    gate = Gate()
    upstream.says(Answer(*text(*[WORDS] * words), gate, text("The end."), usage=(1000, 500)))
    begun = (await gateway.post("/v1/model/response", asked(background=True))).json()
    await asyncio.wait_for(gate.reached(), PATIENCE)
    await gateway.post(f"/v1/responses/{begun['id']}/cancel")
    ended = await gateway.ended(begun["id"])
    assert ended["status"] == "cancelled"
    assert ended["usage"]["estimated"] is True
    told = await check_agrees(gateway, ended)
    assert told["input_tokens"] > 150
    assert (told["calls"], told["failures"]) == (1, 0)


async def test_a_listener_who_hangs_up_before_the_first_word_has_had_the_question_read(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(gate, text("Too late."), usage=(1000, 500)))
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(gateway.post("/v1/model/response", asked(stream=True, store=False)))
        await asyncio.wait_for(gate.reached(), PATIENCE)
        asking.cancel()
    async with asyncio.timeout(PATIENCE):
        # Who asks without a pause keeps it from ending.
        while not (told := await total(gateway))["calls"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert told["input_tokens"] > 150
    assert told["cost"] > 0


async def test_a_repair_that_breaks_off_is_counted_beside_the_answer_that_it_repairs(gateway, upstream):
    upstream.says(Answer(text("no JSON"), usage=(1000, 500)), Answer(text('{"a'), Break("cut"), usage=(1000, 500)))
    form = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    reply = await gateway.post("/v1/responses", {"model": "dear", "input": QUESTION, "text": {"format": form}})
    assert reply.status_code >= 500, reply.text
    told = await total(gateway)
    assert told["calls"] == len(upstream.calls) == 2
    assert told["input_tokens"] > 1000 + 150
    assert told["output_tokens"] >= 500


async def test_a_summary_that_breaks_off_is_counted(gateway, upstream):
    upstream.says(*[Answer(*text(WORDS), Break("cut"), usage=(1000, 500))] * 9)
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": WORDS}] * 2
    reply = await gateway.post("/v1/responses/compact", {"model": "dear", "input": turns})
    assert reply.status_code >= 500, reply.text
    told = await total(gateway)
    assert told["calls"] == len(upstream.calls)
    assert told["input_tokens"] > 300
    assert told["cost"] > 0


# Embeddings


def priced(*upstreams) -> tuple[Served, ...]:
    hashes = Served(
        name="hashes", candidates=(Candidate(upstream="words", model="hashes"),), price=Price(input=1000, output=0)
    )
    return (*upstreams, hashes)


@pytest.fixture
async def shelf(upstream, tmp_path):
    async with library(tmp_path, upstream, models=priced()) as library_:
        yield library_


async def test_embeddings_are_counted_against_the_organization_and_its_budget(upstream, tmp_path):
    budget = parts.Limits(organization_monthly_budget=0.004)
    async with library(tmp_path, upstream, models=priced(), limits=budget) as shelf:
        await check_budget(shelf, shelf.gateway)


async def check_budget(shelf, gateway) -> None:
    # Its counters know the month already.
    assert (await gateway.post("/v1/model/response", {"inputs": "Hi", "model": "stage"})).status_code == 200
    store, _ = await shelf.stocked()
    made = await total(gateway, "&kind=embedding&model=hashes&provider=words")
    # The vendor of this test counts one token for every request, whatever it reads.
    assert made["calls"] == made["input_tokens"] == len(shelf.embedder.calls) > 0
    assert made["requests"] == made["output_tokens"] == made["unpriced_calls"] == 0
    assert made["cost"] == pytest.approx(made["calls"] * 0.001)
    while (told := await total(gateway))["cost"] < 0.004:
        found = await gateway.post(f"/v1/vector_stores/{store}/search", {"query": "refund parcel"})
        assert found.status_code == 200, found.text
        assert (await total(gateway))["calls"] == told["calls"] + 1
    assert (await total(gateway, "&kind=embedding"))["calls"] == len(shelf.embedder.calls)
    limits = (await gateway.get(f"/v1/analytics/usage/limits/{LOCAL}")).json()["organization_limits"]
    assert limits["status"] == "exceeded"
    refused = await gateway.post("/v1/model/response", {"inputs": "Hi"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "budget_exceeded")


async def test_the_embeddings_of_a_search_by_a_model_are_beside_its_response(shelf, upstream):
    store, _ = await shelf.stocked()
    before = await total(shelf.gateway, "&kind=embedding")
    upstream.says(Answer(call("file_search", '{"query": "refund"}', call_id="call_a")), Answer(text("Five days.")))
    tool = {"type": "file_search", "vector_store_ids": [store]}
    response = await shelf.gateway.ask("freddy", input="How long does a refund take?", tools=[tool])
    assert response["status"] == "completed"
    after = await total(shelf.gateway, "&kind=embedding")
    assert after["calls"] == before["calls"] + 1
    models = await total(shelf.gateway, "&kind=model")
    assert models["input_tokens"] == response["usage"]["input_tokens"]
    assert (await total(shelf.gateway, "&kind=tool"))["calls"] == 1
