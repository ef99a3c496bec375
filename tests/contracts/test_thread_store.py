"""The contract of `ThreadStore`."""

import pytest
from contract_examples import ACME, OTHERS, begun, completed, failed, message
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.response import Response
from freddy.server.core.threads import Thread
from freddy.server.ports.stores import Order, Page, ResponseStore, ThreadItem, ThreadStore


def thread(thread_id: str, created_at: int = 1_000, **changes: object) -> Thread:
    plain = Thread(id=thread_id, organization_id=ACME, created_at=created_at, updated_at=created_at)
    return replace(plain, **changes)


async def keep(responses: ResponseStore, response: Response) -> None:
    await responses.open(replace(response, output=()))
    await responses.finish(response)


async def test_a_thread_comes_back_as_it_was(threads: ThreadStore) -> None:
    made = thread("t", title="Rain", metadata={"colour": "blue"}, pinned_at=7)
    await threads.create(made)
    assert await threads.get(ACME, "t") == made


async def test_an_id_is_taken_once(threads: ThreadStore) -> None:
    await threads.create(thread("t"))
    with pytest.raises(errors.Conflict):
        await threads.create(thread("t"))


async def test_the_same_id_in_two_organizations_is_two_threads(threads: ThreadStore, responses: ResponseStore) -> None:
    mine = completed(begun("mine", thread_id="t"), "my answer")
    theirs = completed(begun("theirs", thread_id="t", organization_id=OTHERS), "their answer")
    await keep(responses, mine)
    await keep(responses, theirs)
    assert await threads.items(ACME, "t") == [*mine.request.input, *mine.output]
    assert await threads.items(OTHERS, "t") == [*theirs.request.input, *theirs.output]
    assert await threads.delete(OTHERS, "t")
    assert await responses.get(ACME, mine.id) == mine
    assert await responses.get(OTHERS, theirs.id) is None


async def test_another_organization_sees_nothing(threads: ThreadStore, responses: ResponseStore) -> None:
    made = thread("t")
    await threads.create(made)
    await keep(responses, completed(begun("secret", thread_id="t"), "answer"))
    assert await threads.get(OTHERS, "t") is None
    assert await threads.list(OTHERS, Page()) == ([], False)
    assert not await threads.update(replace(made, organization_id=OTHERS, title="stolen"))
    assert not await threads.delete(OTHERS, "t")
    assert await threads.items(OTHERS, "t") == []
    assert await threads.page_items(OTHERS, "t", Page()) == ([], False)
    kept = await threads.get(ACME, "t")
    assert kept is not None
    assert kept.title is None


async def test_title_metadata_and_pin_are_replaced(threads: ThreadStore) -> None:
    made = thread("t", title="Rain", metadata={"a": "b"}, pinned_at=7, last_model="tiny")
    await threads.create(made)
    changed = replace(made, title=None, metadata={"c": "d"}, pinned_at=None, updated_at=1_001)
    assert await threads.update(changed)
    assert await threads.get(ACME, "t") == changed
    assert not await threads.update(thread("unknown"))


async def test_a_success_moves_the_thread(threads: ThreadStore, responses: ResponseStore) -> None:
    await keep(responses, completed(begun("a", thread_id="t"), "b", completed_at=1_500))
    assert await threads.get(ACME, "t") == thread(
        "t", updated_at=1_500, last_message_at=1_500, last_model="tiny-2026", message_count=2
    )


async def test_a_failure_does_not_move_the_thread(threads: ThreadStore, responses: ResponseStore) -> None:
    await keep(responses, failed(begun("a", thread_id="t")))
    assert await threads.get(ACME, "t") == thread("t")


async def test_of_two_that_end_out_of_order_the_later_stands(threads: ThreadStore, responses: ResponseStore) -> None:
    await keep(responses, completed(begun(thread_id="t"), completed_at=1_900, model="late"))
    await keep(responses, completed(begun(thread_id="t"), completed_at=1_500, model="early"))
    moved = thread("t", updated_at=1_900, last_message_at=1_900, last_model="late")
    assert await threads.get(ACME, "t") == moved


async def test_only_what_succeeded_is_part_of_the_thread(threads: ThreadStore, responses: ResponseStore) -> None:
    first = completed(begun("1", thread_id="t"), "one")
    short = replace(
        completed(begun("2", thread_id="t"), "tw"), status="incomplete", incomplete_reason="max_output_tokens"
    )
    asks = replace(completed(begun("3", thread_id="t"), "call"), status="requires_action")
    for response in (
        first,
        failed(begun("no", thread_id="t")),
        short,
        completed(begun("no", thread_id="t"), "no", status="cancelled"),
        asks,
        completed(begun("elsewhere", thread_id="t2"), "no"),
    ):
        await keep(responses, response)
    await responses.open(begun("not yet", thread_id="t"))
    kept = [item for response in (first, short, asks) for item in (*response.request.input, *response.output)]
    assert await threads.items(ACME, "t") == kept
    found = await threads.get(ACME, "t")
    assert found is not None
    assert found.message_count == 6


async def test_a_deleted_thread_takes_its_responses_along(threads: ThreadStore, responses: ResponseStore) -> None:
    inside, outside = completed(begun("a", thread_id="t"), "b"), completed(begun("c"), "d")
    await keep(responses, inside)
    await keep(responses, outside)
    assert await threads.delete(ACME, "t")
    assert not await threads.delete(ACME, "t")
    assert await threads.get(ACME, "t") is None
    assert await responses.get(ACME, inside.id) is None
    assert await responses.find_items(ACME, [inside.output[0].id]) == {}
    assert await responses.get(ACME, outside.id) == outside


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_threads_are_listed_by_age_then_id(threads: ThreadStore, order: Order) -> None:
    for made in (thread("b", 2), thread("d", 3), thread("a", 2), thread("c", 2), thread("e", 1)):
        await threads.create(made)
    expected = "eabcd" if order == "asc" else "dcbae"
    told, last = "", None
    for more_expected in (True, True, False):
        page, more = await threads.list(ACME, Page(limit=2, order=order, after=last))
        told, last = told + "".join(one.id for one in page), page[-1].id
        assert more is more_expected
    assert told == expected
    page, more = await threads.list(ACME, Page(limit=2, order=order, before=told[3]))
    assert ("".join(one.id for one in page), more) == (expected[1:3], True)


async def test_a_page_next_to_an_unknown_thread_is_refused(threads: ThreadStore) -> None:
    with pytest.raises(errors.InvalidValue) as refused:
        await threads.list(ACME, Page(before="unknown"))
    assert refused.value.param == "before"


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_the_items_of_a_thread_are_told_page_by_page(
    threads: ThreadStore, responses: ResponseStore, order: Order
) -> None:
    expected: list[ThreadItem] = []
    for turn in range(3):
        response = completed(begun("q1", "q2", thread_id="t", created_at=turn), "answer")
        await keep(responses, response)
        await keep(responses, failed(begun("no", thread_id="t")))
        items = (*response.request.input, *response.output)
        expected += [ThreadItem(item, response.id, turn) for item in items]
    if order == "desc":
        expected.reverse()
    told: list[ThreadItem] = []
    more = True
    while more:
        after = told[-1].item.id if told else None
        page, more = await threads.page_items(ACME, "t", Page(limit=2, order=order, after=after))
        told += page
    assert told == expected
    before = Page(limit=2, order=order, before=told[5].item.id)
    assert await threads.page_items(ACME, "t", before) == (expected[3:5], True)


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_an_item_that_was_sent_twice_does_not_hold_up_the_paging(
    threads: ThreadStore, responses: ResponseStore, order: Order
) -> None:
    for _ in range(2):
        response = begun(thread_id="t")
        again = (message("a", id="msg_again"), message("b"))
        response = replace(response, request=replace(response.request, input=again))
        await keep(responses, completed(response, "c"))
    after, pages, more = None, 0, True
    while more and pages < 10:
        page, more = await threads.page_items(ACME, "t", Page(limit=1, order=order, after=after))
        after, pages = page[-1].item.id if page else None, pages + 1
    assert not more
