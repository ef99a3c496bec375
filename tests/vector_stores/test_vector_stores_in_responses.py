"""The tool `file_search` over real stores: what a model asks is looked for, told to it, and shown to the caller."""

import json

import pytest

from promises import promise
from stores_stage import HANDBOOK
from upstream import Answer, call, text

QUESTION = "How long does a refund take?"


def searches(*queries: str) -> Answer:
    return Answer(call("file_search", json.dumps({"queries": list(queries)}), call_id="call_a"))


def told(upstream) -> str:
    """What the model was told of the search."""
    [output] = [message for message in upstream.last.body["messages"] if message["role"] == "tool"]
    return output["content"] if isinstance(output["content"], str) else output["content"][0]["text"]


@promise(79, 125, 126)
@pytest.mark.parametrize("spelling", ["fileSearch", "file_search"])
async def test_a_model_of_the_freddy_dialect_searches_the_stores(shelf, upstream, spelling):
    store, ids = await shelf.stocked(refunds={"topic": "money"})
    upstream.says(searches("refund parcel"), Answer(text("Five days.")))
    tool = {
        "type": spelling,
        "vector_store_ids": [store],
        "filters": {"topic": "money"},
        "max_num_results": 1,
        "ranking_options": {"ranker": "hybrid", "score_threshold": 0.1},
    }
    response = await shelf.gateway.ask("freddy", input=QUESTION, tools=[tool], include=["file_search.results"])
    assert HANDBOOK["refunds.md"].strip() in told(upstream)
    assert response["status"] == "completed"
    assert response["response"] == "Five days."
    [search] = [item for item in response["output"] if item["type"] == "file_search_call"]
    assert search["queries"] == ["refund parcel"]
    [found] = search["results"]
    assert (found["file_id"], found["filename"], found["attributes"]) == (
        ids["refunds"],
        "refunds.md",
        {"topic": "money"},
    )
    assert 0.1 <= found["score"] <= 1


async def test_a_model_of_openais_dialect_searches_the_stores(shelf, upstream):
    store, ids = await shelf.stocked(refunds={"topic": "money"})
    upstream.says(searches("refund parcel"), Answer(text("Five days.")))
    tool = {
        "type": "file_search",
        "vector_store_ids": [store],
        "filters": {"type": "eq", "key": "topic", "value": "money"},
    }
    client = shelf.gateway.openai()
    response = await client.responses.create(
        model="stage", input=QUESTION, tools=[tool], include=["file_search_call.results"]
    )
    assert HANDBOOK["refunds.md"].strip() in told(upstream)
    assert response.output_text == "Five days."
    search, _ = response.output
    assert (search.type, search.status, search.queries) == ("file_search_call", "completed", ["refund parcel"])
    [found] = search.results
    assert (found.file_id, found.filename, found.attributes) == (ids["refunds"], "refunds.md", {"topic": "money"})


@promise(132)
async def test_the_answer_after_a_search_is_the_first_item_of_the_python_client(shelf, upstream):
    store, _ = await shelf.stocked()
    upstream.says(searches("refund"), Answer(text("Five days.")))
    client = shelf.gateway.freddy()
    tool = {"type": "file_search", "vector_store_ids": [store]}
    response = await client.responses.create(inputs=QUESTION, tools=[tool])
    assert response.output[0].content[0].text == "Five days."


@promise(126)
@pytest.mark.parametrize("dialect", ["freddy", "openai"])
async def test_a_store_that_is_not_there_or_another_organization_s_is_named(shelf, upstream, dialect):
    stranger = (await shelf.gateway.mint("org_other")).secret
    theirs = (await shelf.gateway.post("/v1/vector_stores", {}, key=stranger)).json()["id"]
    path = "/v1/model/response" if dialect == "freddy" else "/v1/responses"
    said = {"inputs": QUESTION} if dialect == "freddy" else {"input": QUESTION, "model": "stage"}
    for store in ("vs_no", theirs):
        tool = {"type": "file_search", "vector_store_ids": [store]}
        reply = await shelf.gateway.post(path, {**said, "tools": [tool]})
        assert reply.status_code == 404
        error = reply.json()["error"]
        assert (error["code"], store in error["message"]) == ("vector_store_not_found", True)
        reply = await shelf.gateway.post(path, {**said, "tools": [{"type": "file_search"}]})
        assert reply.status_code in (400, 422)
        assert "vector_store_ids" in reply.json()["error"]["param"]
    assert upstream.calls == []
