"""The contract of `ResponseStore`."""

import asyncio
import itertools

import pytest
from contract_examples import ACME, OTHERS, any_item, beginning, begun, completed, continues, failed, message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from freddy.server.core import errors, request
from freddy.server.core.items import Item
from freddy.server.core.response import Response
from freddy.server.core.threads import Thread
from freddy.server.ports.stores import Page, ResponseFilter, ResponseStore, ThreadStore
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.runs import SqlRuns

_numbers = itertools.count()


async def test_a_response_that_begins_is_kept_whole(responses: ResponseStore) -> None:
    response = begun("one", "two", "three")
    await responses.open(response)
    assert await responses.get(ACME, response.id) == response


async def test_a_response_that_ended_is_kept_whole(responses: ResponseStore) -> None:
    ended = completed(begun("hello"), "well", "met")
    await responses.open(begun("another"))
    await responses.open(replace(ended, status="queued", output=(), usage=None, completed_at=None))
    await responses.finish(ended)
    assert await responses.get(ACME, ended.id) == ended


async def test_a_failure_is_kept_with_all_it_says(responses: ResponseStore) -> None:
    response = failed(begun("hello"))
    await responses.open(response)
    await responses.finish(response)
    assert await responses.get(ACME, response.id) == response


async def test_an_id_is_taken_once(responses: ResponseStore) -> None:
    response = begun("first")
    await responses.open(response)
    with pytest.raises(errors.Conflict):
        await responses.open(replace(begun("second"), id=response.id))
    assert await responses.get(ACME, response.id) == response


async def test_finished_items_show_before_the_end(responses: ResponseStore) -> None:
    response = begun("hello")
    first, second = message("a", role="assistant"), message("b", role="assistant")
    await responses.open(response)
    await responses.add_items(response.id, {0: first})
    await responses.add_items(response.id, {1: second})
    assert await responses.get(ACME, response.id) == replace(response, output=(first, second))


async def test_adding_items_again_changes_nothing(responses: ResponseStore) -> None:
    response = begun("hello")
    first, second = message("a"), message("b")
    await responses.open(response)
    await responses.add_items(response.id, {0: first})
    await responses.add_items(response.id, {0: first, 1: second})
    assert await responses.get(ACME, response.id) == replace(response, output=(first, second))


async def test_the_end_keeps_only_the_items_not_yet_kept(responses: ResponseStore) -> None:
    ended = completed(begun("hello"), "a", "b", "c")
    await responses.open(begun("x"))
    await responses.open(beginning(ended))
    await responses.add_items(ended.id, {1: ended.output[1]})
    await responses.finish(ended)
    assert await responses.get(ACME, ended.id) == ended


async def test_finishing_again_changes_nothing(responses: ResponseStore, threads: ThreadStore) -> None:
    ended = completed(begun("hello", thread_id="t"), "a")
    await responses.open(beginning(ended))
    await responses.finish(ended)
    thread = await threads.get(ACME, "t")
    await responses.finish(ended)
    assert await responses.get(ACME, ended.id) == ended
    assert await threads.get(ACME, "t") == thread


async def test_what_ends_after_it_was_deleted_stays_deleted(responses: ResponseStore) -> None:
    response = begun("hello")
    await responses.open(response)
    await responses.delete(ACME, response.id)
    await responses.add_items(response.id, {0: message("late")})
    await responses.finish(completed(response, "late"))
    assert await responses.get(ACME, response.id) is None


async def test_a_deleted_response_takes_its_items_along(responses: ResponseStore, threads: ThreadStore) -> None:
    response = begun("hello", thread_id="t")
    await responses.open(response)
    await responses.finish(completed(response, "well"))
    assert await responses.delete(ACME, response.id)
    assert not await responses.delete(ACME, response.id)
    assert await responses.get(ACME, response.id) is None
    assert await responses.find_items(ACME, [response.request.input[0].id]) == {}
    assert await threads.items(ACME, "t") == []


async def test_another_organization_sees_nothing(responses: ResponseStore) -> None:
    response = begun("secret")
    await responses.open(response)
    assert await responses.get(OTHERS, response.id) is None
    assert not await responses.delete(OTHERS, response.id)
    assert await responses.input_items(OTHERS, response.id, Page()) == ([], False)
    assert await responses.find_items(OTHERS, [response.request.input[0].id]) == {}
    assert await responses.chain(OTHERS, response.id) == []
    await responses.finish(replace(completed(response, "stolen"), organization_id=OTHERS))
    assert await responses.get(ACME, response.id) == response


async def test_items_are_found_by_their_ids_in_input_and_output(responses: ResponseStore) -> None:
    ended = completed(begun("question"), "answer")
    asked, said = ended.request.input[0], ended.output[0]
    await responses.open(beginning(ended))
    await responses.finish(ended)
    found = await responses.find_items(ACME, [said.id, "msg_unknown", asked.id])
    assert found == {said.id: said, asked.id: asked}


async def test_items_of_one_user_are_found_in_responses_and_threads_alone(
    responses: ResponseStore, threads: ThreadStore
) -> None:
    own, others = begun("own", user_id="usr_1"), begun("other", user_id="usr_2")
    for response in (own, others):
        await responses.open(response)
    thread = Thread(id="t", organization_id=ACME, created_at=1, updated_at=1, user_id="usr_1")
    put = message("put")
    await threads.create(thread, (put,), entry_id="entry_1")
    ids = [own.request.input[0].id, others.request.input[0].id, put.id]
    assert set(await responses.find_items(ACME, ids, user_id="usr_1")) == {ids[0], ids[2]}
    assert set(await responses.find_items(ACME, ids, user_id="usr_2")) == {ids[1]}
    assert set(await responses.find_items(ACME, ids)) == {*ids}


async def test_two_organizations_may_have_items_of_the_same_id(responses: ResponseStore) -> None:
    for organization_id, text in ((ACME, "ours"), (OTHERS, "theirs")):
        response = begun(organization_id=organization_id)
        given_item = message(text, id="msg_chosen")
        await responses.open(replace(response, request=replace(response.request, input=(given_item,))))
    found = await responses.find_items(OTHERS, ["msg_chosen"])
    assert found == {"msg_chosen": message("theirs", id="msg_chosen")}


async def test_a_chain_is_told_from_its_beginning(responses: ResponseStore) -> None:
    first = completed(begun("1"), "one")
    second = completed(continues(first, "2"), "two")
    third = continues(second, "3")
    other = continues(first, "2b")
    for response in (first, second, other, third):
        await responses.open(beginning(response))
        await responses.finish(response)
    assert await responses.chain(ACME, third.id) == [first, second, third]
    assert await responses.chain(ACME, first.id) == [first]
    assert await responses.chain(ACME, "resp_unknown") == []


async def test_a_deleted_link_ends_the_chain(responses: ResponseStore) -> None:
    first = begun("1")
    second = continues(first, "2")
    third = continues(second, "3")
    for response in (first, second, third):
        await responses.open(response)
    await responses.delete(ACME, first.id)
    assert await responses.chain(ACME, third.id) == [second, third]


async def test_a_chain_does_not_reach_into_another_organization(responses: ResponseStore) -> None:
    theirs = begun("secret", organization_id=OTHERS)
    mine = replace(continues(theirs, "tell me"), organization_id=ACME)
    await responses.open(theirs)
    await responses.open(mine)
    assert await responses.chain(ACME, mine.id) == [mine]


async def test_what_was_only_taken_for_dead_has_the_end_that_its_maker_tells(
    database: Database, responses: ResponseStore
) -> None:
    ended, failed = completed(begun("a"), "done"), replace(begun("b"), status="failed", completed_at=9)
    failed = replace(failed, failure=errors.Failure(message="No", code="other"))
    for response in (ended, failed):
        await responses.open(beginning(response))
    await responses.add_items(ended.id, dict(enumerate(ended.output)))
    assert await SqlRuns(database).bury_unknown(2_000) == 2
    await responses.finish(failed)
    await responses.finish(ended)
    # That is an end like any other: another one changes nothing.
    await responses.finish(replace(ended, status="cancelled", completed_at=5_000))
    await responses.finish(replace(failed, status="cancelled", completed_at=5_000))
    assert await responses.get(ACME, ended.id) == ended
    assert await responses.get(ACME, failed.id) == failed


@pytest.mark.parametrize(
    ("page", "texts", "more"),
    [
        (Page(limit=2, order="asc"), "ab", True),
        (Page(limit=2, order="desc"), "ed", True),
        (Page(limit=5, order="asc"), "abcde", False),
        (Page(limit=2, order="asc", after="b"), "cd", True),
        (Page(limit=2, order="asc", after="c"), "de", False),
        (Page(limit=2, order="desc", after="d"), "cb", True),
        (Page(limit=2, order="desc", after="e"), "dc", True),
        (Page(limit=2, order="asc", before="d"), "bc", True),
        (Page(limit=3, order="asc", before="d"), "abc", False),
        (Page(limit=2, order="desc", before="b"), "dc", True),
        (Page(limit=9, order="asc", after="a", before="d"), "bc", False),
        (Page(limit=9, order="desc", after="d", before="a"), "cb", False),
        (Page(limit=2, order="asc", after="e"), "", False),
    ],
)
async def test_input_items_are_told_page_by_page(responses: ResponseStore, page: Page, texts: str, more: bool) -> None:
    response = begun()
    given_items = tuple(message(letter, id=letter) for letter in "abcde")
    await responses.open(replace(response, request=replace(response.request, input=given_items)))
    await responses.add_items(response.id, {0: message("output")})
    found, follows = await responses.input_items(ACME, response.id, page)
    assert ("".join(item.id for item in found), follows) == (texts, more)


async def test_a_page_next_to_an_unknown_entry_is_refused(responses: ResponseStore) -> None:
    response = begun("a")
    await responses.open(response)
    with pytest.raises(errors.InvalidValue) as refused:
        await responses.input_items(ACME, response.id, Page(after="msg_unknown"))
    assert refused.value.param == "after"


async def test_a_thread_that_is_named_for_the_first_time_is_made(
    responses: ResponseStore, threads: ThreadStore
) -> None:
    response = begun("hello", thread_id="t")
    asked = replace(response.request, thread=request.ThreadRef("t", {"colour": "blue"}))
    await responses.open(replace(response, request=asked))
    await responses.open(begun("again", thread_id="t", created_at=2_000))
    thread = await threads.get(ACME, "t")
    assert thread is not None
    assert (thread.created_at, thread.metadata) == (1_000, {"colour": "blue"})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(any_item, max_size=4), said=st.lists(any_item, max_size=4))
async def test_any_item_comes_back_as_it_was(responses: ResponseStore, asked: list[Item], said: list[Item]) -> None:
    response = begun(id=f"resp_any_{next(_numbers)}")
    response = replace(response, request=replace(response.request, input=tuple(asked)))
    ended = completed(response, output=tuple(said))
    await responses.open(response)
    await responses.finish(ended)
    assert await responses.get(ACME, response.id) == ended


async def test_many_write_at_once_and_nothing_is_lost(responses: ResponseStore) -> None:
    async def go_through(writer: int) -> None:
        for number in range(5):
            response = begun("hello", thread_id=f"t{writer % 7}")
            ended = completed(response, "a", f"{writer}.{number}")
            await responses.open(response)
            await responses.add_items(response.id, {0: ended.output[0]})
            await responses.finish(ended)
            assert await responses.get(ACME, response.id) == ended

    await asyncio.gather(*(go_through(writer) for writer in range(64)))


async def test_a_response_kept_whole_is_as_one_that_was_opened_and_finished(
    responses: ResponseStore, threads: ThreadStore
) -> None:
    whole = completed(begun("hello", thread_id="thrd_1"), "well", "met")
    await responses.keep(whole)
    await responses.keep(whole)
    assert await responses.get(ACME, whole.id) == whole
    assert await threads.items(ACME, "thrd_1") == [*whole.request.input, *whole.output]
    thread = await threads.get(ACME, "thrd_1")
    assert thread is not None
    assert thread.last_message_at == whole.completed_at


async def test_responses_are_listed_and_found_by_what_they_have(responses: ResponseStore) -> None:
    def having(response: Response, **metadata: str) -> Response:
        return replace(response, request=replace(response.request, metadata=metadata))

    a = having(completed(begun("1", thread_id="t", user_id="usr_1"), "one"), team="red", x="1")
    b = having(failed(begun("2", thread_id="t")), team="red")
    c = having(begun("3"), team="blue")
    for response in (a, b):
        await responses.keep(response)
    await responses.open(c)
    await responses.open(begun("secret", organization_id=OTHERS))
    for filter_, expected in (
        (ResponseFilter(), [c, b, a]),
        (ResponseFilter(thread_id="t"), [b, a]),
        (ResponseFilter(status="failed"), [b]),
        (ResponseFilter(model="tiny-2026"), [a]),
        (ResponseFilter(user_id="usr_1"), [a]),
        (ResponseFilter(metadata={"team": "red"}), [b, a]),
        (ResponseFilter(metadata={"team": "red", "x": "1"}), [a]),
        (ResponseFilter(metadata={"team": "green"}), []),
        (ResponseFilter(thread_id="t", status="in_progress"), []),
    ):
        assert await responses.list(ACME, Page(), filter_) == (expected, False)
    assert await responses.list(ACME, Page(limit=1, order="asc", after=a.id)) == ([b], True)
    with pytest.raises(errors.InvalidValue):
        await responses.list(ACME, Page(after="resp_unknown"))
    await responses.delete(ACME, a.id)
    assert await responses.list(ACME, Page(), ResponseFilter(metadata={"x": "1"})) == ([], False)
