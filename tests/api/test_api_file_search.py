"""Searches in files during an answer: from an upload to a citation, in both dialects."""

import re

import pytest
from gateway import serving, settings
from tool_stage import (
    FIVE,
    HANDBOOK,
    Library,
    both,
    calls,
    item,
    kinds,
    library,
    listed,
    order,
    outputs,
    refused,
)

from freddy.server.config import settings as parts
from promises import promise
from seen import check_stream
from simulators.responses import Responses
from upstream import Answer, text

REFUND = "How long does a refund take?"
QUERY = '{"query":"how long does a refund take"}'
MARK = re.compile(r"\[@[0-9]{5}\]")
RESULTS = {"freddy": "file_search.results", "openai": "file_search_call.results"}
UNKNOWN = "vs_0123456789abcdef0123456789ab"


@pytest.fixture
async def shelf(upstream, tmp_path):
    async with library(tmp_path, upstream) as library_:
        yield library_


def search(*stores: str, **more: object) -> dict:
    return {"type": "file_search", "vector_store_ids": list(stores), **more}


async def mark_of(shelf: Library, store: str, dialect: str = "openai") -> str:
    """What a model is told to write behind what rests on the file that is found first."""
    upstream = shelf.gateway.upstream
    upstream.says(Answer(calls("file_search", QUERY)), FIVE)
    await shelf.gateway.ask(dialect, tools=[search(store)])
    found = MARK.search(outputs(upstream.last.body)[-1])
    assert found
    return found[0]


@promise(126, 131)
@both
async def test_a_search_and_its_citation_are_told_event_by_event(shelf, upstream, dialect):
    store, ids = await shelf.stocked()
    mark = await mark_of(shelf, store)
    # A mark may be cut anywhere.
    pieces = ["It takes five days ", "[@", mark[2:5], mark[5:], ". Surely", " so."]
    upstream.says(Answer(calls("file_search", QUERY)), Answer(text(*pieces)))
    told = await shelf.gateway.told(dialect, tools=[search(store)], input=REFUND)
    check_stream(told, dialect)
    begins = ["created", "in_progress"] if dialect == "openai" else ["created"]
    in_part = [*["output_text.delta"] * 1, "output_text.annotation.added", *["output_text.delta"] * 2]
    ends = ["output_text.done", "content_part.done"] if dialect == "openai" else ["output_text.done"]
    assert order(told) == [
        *begins,
        "output_item.added file_search_call",
        "file_search_call.in_progress",
        "file_search_call.searching",
        "file_search_call.completed",
        "output_item.done file_search_call",
        "output_item.added message",
        *(["content_part.added"] if dialect == "openai" else []),
        *in_part,
        *ends,
        "output_item.done message",
        "completed",
    ]
    response = told.last["response"]
    assert kinds(response) == ["file_search_call", "message"]
    (part,) = response["output"][-1]["content"]
    assert part["text"] == told.text == "It takes five days. Surely so."
    citation = {
        "type": "file_citation",
        "file_id": ids["refunds"],
        "filename": "refunds.md",
        "index": len("It takes five days"),
    }
    assert part["annotations"] == [citation]
    assert [event["annotation"] for event in told.of("response.output_text.annotation.added")] == [citation]
    assert mark.encode() not in told.raw
    assert await listed(shelf.gateway, response["id"], dialect) == response


@both
async def test_the_whole_answer_is_that_of_the_stream(shelf, upstream, dialect):
    store, ids = await shelf.stocked()
    mark = await mark_of(shelf, store)
    said = Answer(text("Five days", " [", mark[1:], "."))
    upstream.says(Answer(calls("file_search", QUERY)), said, Answer(calls("file_search", QUERY)), said)
    whole = await shelf.gateway.ask(dialect, tools=[search(store)])
    told = await shelf.gateway.told(dialect, tools=[search(store)])
    parts_ = [response["output"][-1]["content"] for response in (whole, told.last["response"])]
    assert parts_[0] == parts_[1]
    assert parts_[0][0]["text"] == "Five days."
    assert [one["file_id"] for one in parts_[0][0]["annotations"]] == [ids["refunds"]]


@promise(79)
@both
async def test_what_was_found_is_shown_to_those_who_ask(shelf, upstream, dialect):
    store, ids = await shelf.stocked(refunds={"team": "sales", "year": 2026})
    for include in ([], [RESULTS[dialect]]):
        upstream.says(Answer(calls("file_search", QUERY)), FIVE)
        response = await shelf.gateway.ask(dialect, tools=[search(store, max_num_results=2)], include=include)
        found = item(response, "file_search_call")
        assert found["queries"] == ["how long does a refund take"]
        if not include:
            assert not found.get("results")
    first, *others = found["results"]
    assert len(others) <= 1
    assert (first["file_id"], first["filename"]) == (ids["refunds"], "refunds.md")
    assert first["text"] in HANDBOOK["refunds.md"]
    assert "five working days" in first["text"]
    assert 0 < first["score"] <= 1
    assert first["attributes"] == {"team": "sales", "year": 2026}
    if dialect == "openai":
        kept = await shelf.gateway.get(f"/v1/responses/{response['id']}?include[]={RESULTS[dialect]}")
        assert item(kept.json(), "file_search_call")["results"] == found["results"]


@both
async def test_filters_scores_and_rankers_of_a_request_are_heeded(shelf, upstream, dialect):
    store, ids = await shelf.stocked(refunds={"team": "sales"}, office={"team": "house"})

    async def found(**more: object) -> list[str]:
        upstream.says(Answer(calls("file_search", QUERY)), FIVE)
        response = await shelf.gateway.ask(dialect, tools=[search(store, **more)], include=[RESULTS[dialect]])
        return [one["file_id"] for one in item(response, "file_search_call")["results"]]

    assert (await found())[0] == ids["refunds"]
    assert await found(filters={"type": "eq", "key": "team", "value": "house"}) == [ids["office"]]
    either = {"type": "or", "filters": [{"type": "eq", "key": "team", "value": name} for name in ("house", "sales")]}
    assert set(await found(filters=either)) == {ids["refunds"], ids["office"]}
    assert len(await found(max_num_results=1)) == 1
    for ranker in ("auto", "hybrid", "semantic"):
        assert (await found(ranking_options={"ranker": ranker, "score_threshold": 0}))[0] == ids["refunds"]
    assert await found(ranking_options={"ranker": "semantic", "score_threshold": 1.0}) == []
    assert "Nothing" in outputs(upstream.last.body)[-1] or "nothing" in outputs(upstream.last.body)[-1]


@promise(125)
async def test_both_spellings_are_the_same_tool(shelf, upstream):
    store, ids = await shelf.stocked()
    tool = {"type": "fileSearch", "vectorStoreIds": [store], "maxNumResults": 1}
    for choice in ("auto", "fileSearch", {"type": "file_search"}):
        upstream.says(Answer(calls("file_search", QUERY)), FIVE)
        response = await shelf.gateway.ask("freddy", tools=[tool], toolChoice=choice, include=["all"])
        (found,) = item(response, "file_search_call")["results"]
        assert found["fileId"] == ids["refunds"]
        chosen = upstream.calls[-2].body.get("tool_choice", "auto")
        assert chosen == "auto" if choice == "auto" else chosen["function"]["name"] == "file_search"
        assert upstream.last.body.get("tool_choice", "auto") == "auto"


@both
async def test_a_search_can_be_asked_for_and_ruled_out(shelf, upstream, dialect):
    store, _ = await shelf.stocked()
    upstream.says(Answer(calls("file_search", QUERY)), FIVE, FIVE)
    await shelf.gateway.ask(dialect, tools=[search(store)], tool_choice={"type": "file_search"})
    forced, free = (one.body.get("tool_choice", "auto") for one in upstream.calls[-2:])
    assert (forced["function"]["name"], free) == ("file_search", "auto")
    response = await shelf.gateway.ask(dialect, tools=[search(store)], tool_choice="none")
    assert kinds(response) == ["message"]
    assert not upstream.last.body.get("tools")


async def test_a_model_without_tools_searches_too(upstream, tmp_path):
    served = parts.Served(name="stage", candidates=(parts.Candidate(upstream="stage", model="stage"),), tools=False)
    async with library(tmp_path, upstream, models=(served,)) as shelf:
        store, ids = await shelf.stocked()
        written = f'<tool_call>\n{{"name": "file_search", "arguments": {QUERY}}}\n</tool_call>'
        upstream.says(Answer(text(written)), Answer(text("Five working days once the parcel has arrived.")))
        response = await shelf.gateway.ask("openai", tools=[search(store)])
        assert kinds(response) == ["file_search_call", "message"]
        (part,) = response["output"][1]["content"]
        # Nothing was cited: what supports the answer is.
        assert [one["file_id"] for one in part["annotations"]] == [ids["refunds"]]


async def test_a_deleted_file_is_not_found_any_more(shelf, upstream):
    store, ids = await shelf.stocked()
    mark = await mark_of(shelf, store)
    assert (await shelf.gateway.delete(f"/v1/files/{ids['refunds']}")).status_code == 200
    upstream.says(Answer(calls("file_search", QUERY)), Answer(text(f"Five days {mark}.")))
    response = await shelf.gateway.ask("openai", tools=[search(store)], include=[RESULTS["openai"]])
    found = [one["file_id"] for one in item(response, "file_search_call")["results"]]
    assert ids["refunds"] not in found
    assert "five working days" not in outputs(upstream.last.body)[-1]
    # A mark that nothing has vanishes all the same.
    assert response["output"][-1]["content"][0]["text"] == "Five days."


@promise(126)
@both
async def test_a_store_of_others_is_like_an_unknown_one(upstream, tmp_path, dialect):
    async with library(tmp_path, upstream, dev=parts.Development(mode="off")) as shelf:
        gateway = shelf.gateway
        ours, theirs = await gateway.mint("org_ours"), await gateway.mint("org_theirs")
        made = await gateway.post("/v1/vector_stores", {"name": "Ours"}, key=ours.secret)
        store = made.json()["id"]

        async def tried(store_id: str) -> tuple[int, str]:
            path, body = ("/v1/responses", {"model": "stage", "input": "Hi"})
            if dialect == "freddy":
                path, body = "/v1/model/response", {"inputs": "Hi"}
            reply = await gateway.post(path, {**body, "tools": [search(store_id)]}, key=theirs.secret)
            return reply.status_code, reply.text.replace(store_id, "STORE")

        assert (await tried(store))[0] == 404
        assert await tried(store) == await tried(UNKNOWN)
        assert upstream.calls == []


@both
async def test_a_search_needs_a_store(shelf, upstream, dialect):
    path, body = ("/v1/responses", {"model": "stage", "input": "Hi"})
    if dialect == "freddy":
        path, body = "/v1/model/response", {"inputs": "Hi"}
    for tool in (search(), {"type": "file_search"}, search("", max_num_results=3)):
        error = refused(await shelf.gateway.post(path, {**body, "tools": [tool]}), 400 if dialect == "openai" else 422)
        assert error["param"] == "tools[0].vector_store_ids"
    assert upstream.calls == []


async def test_an_assistant_searches_its_stores_by_itself(shelf, upstream):
    store, ids = await shelf.stocked()
    made = await shelf.gateway.post(
        "/v1/assistants",
        {"name": "Clerk", "instructions": "Be brief.", "vector_store_ids": [store], "organization_id": "org_local"},
    )
    assert made.status_code in (200, 201), made.text
    upstream.says(Answer(calls("file_search", QUERY)), FIVE)
    response = await shelf.gateway.ask(
        "freddy", input=REFUND, assistant_id=made.json()["id"], include=["file_search.results"]
    )
    assert kinds(response) == ["file_search_call", "message"]
    assert item(response, "file_search_call")["results"][0]["file_id"] == ids["refunds"]
    assert (await shelf.gateway.delete(f"/v1/vector_stores/{store}")).status_code == 200
    upstream.says(FIVE)
    without = await shelf.gateway.ask("freddy", input=REFUND, assistant_id=made.json()["id"])
    assert kinds(without) == ["message"]
    assert store in " ".join(without["warnings"])


@promise(132)
async def test_the_python_client_shows_the_answer_first(shelf, upstream):
    store, _ = await shelf.stocked()
    upstream.says(Answer(calls("file_search", QUERY)), Answer(text("Five days.")))
    async with shelf.gateway.freddy() as client:
        response = await client.responses.create(inputs=REFUND, tools=[search(store)])
    assert response.output[0].content[0].text == "Five days."
    assert [one.type for one in response.items] == ["file_search_call", "message"]


@both
async def test_what_was_found_is_cited_in_later_turns_too(shelf, upstream, dialect):
    store, ids = await shelf.stocked()
    mark = await mark_of(shelf, store)
    upstream.says(Answer(calls("file_search", QUERY)), FIVE, Answer(text("As I said ", mark[:4], mark[4:], ".")))
    first = await shelf.gateway.ask(dialect, tools=[search(store)])
    told = await shelf.gateway.told(dialect, input="Sure?", previous_response_id=first["id"])
    check_stream(told, dialect)
    (part,) = told.last["response"]["output"][0]["content"]
    assert part["text"] == "As I said."
    assert [one["file_id"] for one in part["annotations"]] == [ids["refunds"]]
    assert mark.encode() not in told.raw


@both
async def test_a_search_goes_on_by_words_where_nobody_tells_what_they_mean(shelf, upstream, dialect):
    store, ids = await shelf.stocked()
    shelf.embedder.away = True
    upstream.says(Answer(calls("file_search", QUERY)), FIVE)
    told = await shelf.gateway.told(dialect, tools=[search(store)], include=[RESULTS[dialect]])
    check_stream(told, dialect)
    response = told.last["response"]
    found = item(response, "file_search_call")
    assert (found["status"], found["results"][0]["file_id"]) == ("completed", ids["refunds"])
    assert response["output"][-1]["content"][0]["text"] == "Five."


@both
async def test_arguments_that_ask_for_nothing_are_told_to_the_model(shelf, upstream, dialect):
    store, _ = await shelf.stocked()
    upstream.says(Answer(calls("file_search", "{}")), Answer(calls("file_search", QUERY, "call_2")), FIVE)
    response = await shelf.gateway.ask(dialect, tools=[search(store)])
    assert [one["status"] for one in response["output"]] == ["failed", "completed", "completed"]


async def test_a_search_with_a_vendor_that_has_such_a_tool_itself_is_made_here(tmp_path):
    """OpenAI's own file search would look into OpenAI's stores."""
    async with Responses() as vendor, library(tmp_path, vendor) as shelf:
        store, ids = await shelf.stocked()
        vendor.says(Answer(calls("file_search", QUERY)), FIVE)
        response = await shelf.gateway.ask("openai", model="gpt-5", tools=[search(store)], include=[RESULTS["openai"]])
        assert item(response, "file_search_call")["results"][0]["file_id"] == ids["refunds"]
        assert {tool["type"] for tool in vendor.last.body["tools"]} == {"function"}
        assert vendor.complaints == []


@pytest.mark.engine
@pytest.mark.xdist_group("engine")
@promise(131)
async def test_files_are_found_by_what_they_mean_with_the_embedded_model(upstream, tmp_path):
    async with serving(settings(tmp_path, upstream), upstream) as gateway:
        shelf = Library(gateway, None)
        store, ids = await shelf.stocked()
        query = '{"query":"When do I get my money back?"}'
        upstream.says(Answer(calls("file_search", query)), Answer(text("In five days.")))
        response = await gateway.ask("openai", tools=[search(store)], include=[RESULTS["openai"]])
        assert item(response, "file_search_call")["results"][0]["file_id"] == ids["refunds"]
