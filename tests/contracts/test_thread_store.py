"""The contract of `ThreadStore`."""

import asyncio
from collections.abc import Callable, Iterable

import pytest
from contract_examples import ACME, OTHERS, beginning, begun, completed, failed, message
from msgspec.structs import replace

from freddy.server.core import errors, items, request
from freddy.server.core.response import Response
from freddy.server.core.threads import Branch, Spot, Thread
from freddy.server.ports.stores import Order, Page, PlacedItem, ResponseStore, ThreadFilter, ThreadStore


def thread(thread_id: str, created_at: int = 1_000, **changes: object) -> Thread:
    plain = Thread(id=thread_id, organization_id=ACME, created_at=created_at, updated_at=created_at)
    return replace(plain, **changes)


async def keep(responses: ResponseStore, response: Response) -> None:
    await responses.open(beginning(response))
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
    assert await threads.count(OTHERS) == 0
    assert await threads.change(OTHERS, "t", lambda kept: replace(kept, title="stolen")) is None
    assert await threads.append(OTHERS, "t", [message("stolen")], entry_id="entry_1", now=1) is None
    [asked, answer] = await threads.items(ACME, "t")
    assert await threads.item(OTHERS, "t", asked.id) is None
    assert await threads.branch(OTHERS, "t", asked.id, behind=False) is None
    assert await threads.change_item(OTHERS, "t", asked.id, lambda _: message("stolen"), now=1) is None
    assert not await threads.delete_item(OTHERS, "t", answer.id, now=1)
    assert await threads.tail(OTHERS, "t", limit=9) == []
    assert await threads.head(OTHERS, "t", limit=9) == []
    assert not await threads.delete(OTHERS, "t")
    assert await threads.delete_some(OTHERS, user_id=None, limit=9) == 0
    assert await threads.items(ACME, "t") == [asked, answer]
    assert await threads.items(OTHERS, "t") == []
    assert await threads.page_items(OTHERS, "t", Page()) == ([], False)
    kept = await threads.get(ACME, "t")
    assert kept is not None
    assert kept.title is None


async def test_title_metadata_and_pin_are_replaced(threads: ThreadStore) -> None:
    made = thread("t", title="Rain", metadata={"a": "b"}, pinned_at=7, last_model="tiny")
    await threads.create(made)
    changed = replace(
        made, title=None, metadata={"c": "d"}, pinned_at=None, assistant_id="asst_1", visible=False, updated_at=1_001
    )
    assert await threads.change(ACME, "t", lambda _: changed) == changed
    assert await threads.get(ACME, "t") == changed
    assert await threads.change(ACME, "unknown", lambda kept: kept) is None


async def test_a_change_that_raises_changes_nothing(threads: ThreadStore) -> None:
    await threads.create(thread("t"))

    def refuse(kept: Thread) -> Thread:
        raise errors.Conflict(kept.id)

    with pytest.raises(errors.Conflict):
        await threads.change(ACME, "t", refuse)
    assert await threads.get(ACME, "t") == thread("t")


async def test_of_changes_at_the_same_time_none_is_lost(threads: ThreadStore) -> None:
    await threads.create(thread("t"))

    def adding(key: str) -> Callable[[Thread], Thread]:
        return lambda kept: replace(kept, metadata={**kept.metadata, key: "1"})

    await asyncio.gather(*(threads.change(ACME, "t", adding(f"k{number}")) for number in range(16)))
    kept = await threads.get(ACME, "t")
    assert kept is not None
    assert len(kept.metadata) == 16


async def test_a_success_moves_the_thread(threads: ThreadStore, responses: ResponseStore) -> None:
    await keep(responses, completed(begun("a", thread_id="t"), "b", completed_at=1_500))
    assert await threads.get(ACME, "t") == thread(
        "t", updated_at=1_500, last_message_at=1_500, last_model="tiny-2026", message_count=2, places=1
    )


async def test_a_failure_does_not_move_the_thread(threads: ThreadStore, responses: ResponseStore) -> None:
    await keep(responses, failed(begun("a", thread_id="t")))
    assert await threads.get(ACME, "t") == thread("t")


async def test_of_two_that_end_out_of_order_the_later_stands(threads: ThreadStore, responses: ResponseStore) -> None:
    await keep(responses, completed(begun(thread_id="t"), completed_at=1_900, model="late"))
    await keep(responses, completed(begun(thread_id="t"), completed_at=1_500, model="early"))
    moved = thread("t", updated_at=1_900, last_message_at=1_900, last_model="late", places=2)
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
    expected: list[PlacedItem] = []
    for turn in range(3):
        response = completed(begun("q1", "q2", thread_id="t", created_at=turn), "answer")
        await keep(responses, response)
        await keep(responses, failed(begun("no", thread_id="t")))
        first, second = response.request.input
        expected += [
            PlacedItem(item, response.id, turn, spot)
            for item, spot in (
                (first, (turn + 1, "in", 0)),
                (second, (turn + 1, "in", 1)),
                (response.output[0], (turn + 1, "out", 0)),
            )
        ]
    if order == "desc":
        expected.reverse()
    told: list[PlacedItem] = []
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


async def test_places_are_given_in_the_order_in_which_responses_end(
    threads: ThreadStore, responses: ResponseStore
) -> None:
    first, second = begun("1", thread_id="t"), begun("2", thread_id="t")
    await responses.open(first)
    await responses.open(second)
    await responses.finish(completed(second, "two"))
    await responses.finish(completed(first, "one"))
    assert texts(await threads.items(ACME, "t")) == "2 two 1 one"


async def test_the_ends_of_a_thread_are_read_no_further_than_asked(
    threads: ThreadStore, responses: ResponseStore
) -> None:
    for number in range(4):
        await responses.keep(completed(begun(f"q{number}", thread_id="t"), f"a{number}"))
    tail = await threads.tail(ACME, "t", limit=3)
    assert texts(one.item for one in tail) == "a3 q3 a2"
    tail = await threads.tail(ACME, "t", before=tail[-1].spot, limit=9)
    assert texts(one.item for one in tail) == "q2 a1 q1 a0 q0"
    head = await threads.head(ACME, "t", limit=3)
    assert texts(one.item for one in head) == "q0 a0 q1"
    head = await threads.head(ACME, "t", after=head[-1].spot, limit=9)
    assert texts(one.item for one in head) == "a1 q2 a2 q3 a3"


async def test_a_thread_may_begin_with_messages(threads: ThreadStore, responses: ResponseStore) -> None:
    await threads.create(thread("t"), [message("one"), message("two")], entry_id="entry_1")
    await responses.keep(completed(begun("three", thread_id="t"), "four"))
    told, _ = await threads.page_items(ACME, "t", Page(order="asc"))
    assert texts(one.item for one in told) == "one two three four"
    assert told[0].owner_id == "entry_1"
    kept = await threads.get(ACME, "t")
    assert kept is not None
    assert (kept.message_count, kept.places) == (4, 2)


async def test_items_are_put_behind_what_is_there_all_together(threads: ThreadStore) -> None:
    await threads.create(thread("t"))
    for number in range(3):
        added = [message(f"{number}a"), message(f"{number}b")]
        assert await threads.append(ACME, "t", added, entry_id=f"entry_{number}", now=2_000) == number + 1
    assert texts(await threads.items(ACME, "t")) == "0a 0b 1a 1b 2a 2b"
    assert await threads.append(ACME, "unknown", [message("x")], entry_id="entry_x", now=2_000) is None
    kept = await threads.get(ACME, "t")
    assert kept is not None
    assert (kept.message_count, kept.last_message_at, kept.updated_at) == (6, 2_000, 2_000)


async def test_only_messages_calls_and_outputs_are_told_as_messages(
    threads: ThreadStore, responses: ResponseStore
) -> None:
    call = items.FunctionCall("fc_1", "call_1", "look", "{}")
    said = (items.Reasoning("rs_1", ("hm",)), call, message("done", id="msg_done", role="assistant"))
    await responses.keep(completed(begun("do it", thread_id="t"), output=said))
    page, more = await threads.page_items(ACME, "t", Page(limit=2), messages=True)
    assert ([one.item.id for one in page], more) == (["msg_done", "fc_1"], True)


# Branches


@pytest.mark.parametrize(("behind", "left"), [(False, "q0 a0"), (True, "q0 a0 q1")])
async def test_what_a_request_branches_off_from_is_hidden_when_it_has_succeeded(
    threads: ThreadStore, responses: ResponseStore, behind: bool, left: str
) -> None:
    kept = [completed(begun(f"q{number}", thread_id="t"), f"a{number}") for number in range(3)]
    for response in kept:
        await responses.keep(response)
    asked = kept[1].request.input[0]
    branch = await threads.branch(ACME, "t", asked.id, behind=behind)
    assert branch == Branch((2, "in", 1 if behind else 0), 3)
    branching = branched("again", branch)
    await responses.open(branching)
    assert texts(await threads.items(ACME, "t")) == "q0 a0 q1 a1 q2 a2"
    before = await threads.tail(ACME, "t", before=branch.spot, limit=9)
    assert texts(one.item for one in reversed(before)) == left
    await responses.finish(completed(branching, "better"))
    assert texts(await threads.items(ACME, "t")) == f"{left} again better"
    assert texts(one.item for one in reversed(await threads.tail(ACME, "t", limit=9))) == f"{left} again better"
    assert await responses.get(ACME, kept[2].id) == kept[2]
    assert await threads.item(ACME, "t", kept[2].output[0].id) is None
    assert await threads.branch(ACME, "t", kept[2].request.input[0].id, behind=False) is None
    found = await threads.get(ACME, "t")
    assert found is not None
    assert found.message_count == len(left.split()) + 2


async def test_a_branch_that_fails_leaves_the_thread_as_it_was(threads: ThreadStore, responses: ResponseStore) -> None:
    first = completed(begun("q", thread_id="t"), "a")
    await responses.keep(first)
    branch = await threads.branch(ACME, "t", first.request.input[0].id, behind=False)
    assert branch is not None
    branching = branched("again", branch)
    await responses.open(branching)
    before = await threads.get(ACME, "t")
    await responses.finish(failed(branching))
    assert texts(await threads.items(ACME, "t")) == "q a"
    assert await threads.get(ACME, "t") == before


async def test_what_was_added_after_a_branch_began_stays(threads: ThreadStore, responses: ResponseStore) -> None:
    first = completed(begun("q", thread_id="t"), "a")
    await responses.keep(first)
    branch = await threads.branch(ACME, "t", first.request.input[0].id, behind=False)
    assert branch is not None
    await responses.keep(completed(begun("meanwhile", thread_id="t"), "said"))
    await responses.keep(completed(branched("again", branch), "better"))
    assert texts(await threads.items(ACME, "t")) == "meanwhile said again better"


async def test_two_branches_from_one_message_at_once_stay_both(threads: ThreadStore, responses: ResponseStore) -> None:
    first = completed(begun("q", thread_id="t"), "a")
    await responses.keep(first)
    branch = await threads.branch(ACME, "t", first.request.input[0].id, behind=False)
    assert branch is not None
    for text in ("this", "that"):
        await responses.keep(completed(branched(text, branch), f"to {text}"))
    assert texts(await threads.items(ACME, "t")) == "this to this that to that"
    found = await threads.get(ACME, "t")
    assert found is not None
    assert found.message_count == 4


async def test_a_branch_at_an_answer_leaves_what_was_thought_for_it(
    threads: ThreadStore, responses: ResponseStore
) -> None:
    said = (items.Reasoning("rs_1", ("hm",)), message("answer", id="msg_answer", role="assistant"))
    await responses.keep(completed(begun("q", thread_id="t"), output=said))
    assert await threads.branch(ACME, "t", "msg_answer", behind=False) == Branch((1, "out", 0), 1)
    assert await threads.branch(ACME, "t", "msg_answer", behind=True) == Branch((1, "out", 2), 1)
    assert await threads.branch(ACME, "t", "rs_1", behind=False) is None


# Assistants


async def test_a_thread_is_bound_by_the_first_that_ends_with_an_assistant(
    threads: ThreadStore, responses: ResponseStore
) -> None:
    await responses.keep(completed(begun("no assistant", thread_id="t"), "a"))
    for assistant_id in ("asst_1", "asst_2"):
        response = completed(begun("q", thread_id="t"), "a")
        asked = replace(response.request, assistant_id=assistant_id)
        await responses.keep(replace(response, request=asked))
    kept = await threads.get(ACME, "t")
    assert kept is not None
    assert kept.assistant_id == "asst_1"


async def test_a_thread_that_is_made_belongs_to_the_user_who_asked(
    threads: ThreadStore, responses: ResponseStore
) -> None:
    mine = completed(begun("q", thread_id="t", user_id="usr_1"), "a")
    await responses.keep(mine)
    kept = await threads.get(ACME, "t")
    assert kept is not None
    assert kept.user_id == "usr_1"
    assert await responses.get(ACME, mine.id) == mine


# What was stopped, and threads that go


async def test_what_was_stopped_and_is_to_stay_is_part_of_the_thread(
    threads: ThreadStore, responses: ResponseStore
) -> None:
    stopped = completed(begun("q", thread_id="t"), "hal", status="cancelled", partial=True)
    await keep(responses, stopped)
    assert texts(await threads.items(ACME, "t")) == "q hal"
    assert await responses.get(ACME, stopped.id) == stopped


async def test_a_response_outlives_its_thread_when_it_still_runs(
    threads: ThreadStore, responses: ResponseStore
) -> None:
    await threads.create(thread("t"))
    running = begun("q", thread_id="t")
    await responses.open(running)
    assert await threads.delete(ACME, "t")
    ended = completed(running, "a")
    await responses.finish(ended)
    assert await responses.get(ACME, ended.id) == replace(ended, thread_id=None)
    assert await threads.get(ACME, "t") is None


@pytest.mark.parametrize("whole", [False, True])
async def test_a_thread_that_was_seen_and_deleted_is_not_made_again(
    threads: ThreadStore, responses: ResponseStore, whole: bool
) -> None:
    await threads.create(thread("t"))
    running = seeing(begun("q", thread_id="t"), seen=0)
    await threads.delete(ACME, "t")
    if whole:
        await responses.keep(completed(running, "a"))
    else:
        await keep(responses, completed(running, "a"))
    assert await threads.get(ACME, "t") is None
    kept = await responses.get(ACME, running.id)
    assert kept is not None
    assert (kept.status, kept.thread_id) == ("completed", None)


async def test_a_response_does_not_enter_another_thread_of_the_same_id(
    threads: ThreadStore, responses: ResponseStore
) -> None:
    await responses.keep(completed(begun("old", thread_id="t"), "thread"))
    opened, unopened = begun("q", thread_id="t"), seeing(begun("q", thread_id="t"), seen=1)
    await responses.open(opened)
    await threads.delete(ACME, "t")
    await threads.create(thread("t"))
    await responses.finish(completed(opened, "a"))
    await responses.keep(completed(unopened, "a"))
    assert await threads.items(ACME, "t") == []


async def test_a_deleted_thread_takes_all_its_items_along(threads: ThreadStore, responses: ResponseStore) -> None:
    await threads.create(thread("t"), [message("by hand", id="msg_hand")], entry_id="entry_1")
    stays = completed(begun("elsewhere", thread_id="t2"), "stays")
    await responses.keep(stays)
    await responses.keep(failed(begun(thread_id="t", id="resp_failed")))
    await threads.delete(ACME, "t")
    assert await responses.find_items(ACME, ["msg_hand"]) == {}
    assert await responses.get(ACME, "resp_failed") is None
    await threads.create(thread("t"))
    assert await threads.items(ACME, "t") == []
    assert await responses.get(ACME, stays.id) == stays


async def test_threads_are_deleted_some_at_a_time(threads: ThreadStore) -> None:
    for number in range(5):
        await threads.create(thread(f"t{number}", user_id="usr_1" if number % 2 else None))
    assert await threads.delete_some(ACME, user_id="usr_1", limit=9) == 2
    assert await threads.delete_some(ACME, user_id=None, limit=2) == 2
    assert await threads.delete_some(ACME, user_id=None, limit=2) == 1
    assert await threads.count(ACME) == 0


# Items


async def test_an_item_is_found_changed_and_deleted(threads: ThreadStore, responses: ResponseStore) -> None:
    response = completed(begun("q", thread_id="t"), "a")
    await responses.keep(response)
    [asked], [said] = response.request.input, response.output
    assert await threads.item(ACME, "t", said.id) == PlacedItem(said, response.id, 1_000, (1, "out", 0))
    assert await threads.item(ACME, "t2", said.id) is None
    other = message("other", id=said.id, role="assistant")
    changed = await threads.change_item(ACME, "t", said.id, lambda _: other, now=2_000)
    assert changed == PlacedItem(other, response.id, 1_000, (1, "out", 0))
    assert await threads.items(ACME, "t") == [asked, other]
    assert await responses.get(ACME, response.id) == replace(response, output=(other,))
    assert await threads.delete_item(ACME, "t", asked.id, now=3_000)
    assert not await threads.delete_item(ACME, "t", asked.id, now=3_000)
    assert await threads.items(ACME, "t") == [other]
    kept = await threads.get(ACME, "t")
    assert kept is not None
    assert (kept.message_count, kept.updated_at) == (1, 3_000)


async def test_a_change_of_an_item_that_raises_changes_nothing(threads: ThreadStore) -> None:
    await threads.create(thread("t"), [message("one", id="msg_1")], entry_id="entry_1")

    def refuse(item: items.Item) -> items.Item:
        raise errors.PermissionDenied(item.id)

    with pytest.raises(errors.PermissionDenied):
        await threads.change_item(ACME, "t", "msg_1", refuse, now=2_000)
    assert texts(await threads.items(ACME, "t")) == "one"
    assert await threads.change_item(ACME, "t", "msg_2", refuse, now=2_000) is None


@pytest.mark.parametrize("named", ["fc_1", "fco_1"])
async def test_a_call_and_its_output_go_together(threads: ThreadStore, responses: ResponseStore, named: str) -> None:
    call = items.FunctionCall("fc_1", "call_1", "look", "{}")
    other = items.FunctionCall("fc_2", "call_2", "look", "{}")
    await responses.keep(completed(begun("look", thread_id="t"), output=(items.Reasoning("rs_1"), call, other)))
    answer = begun(thread_id="t")
    outputs = tuple(items.FunctionOutput(f"fco_{n}", f"call_{n}", (items.Text("a cat"),)) for n in (1, 2))
    answer = replace(answer, request=replace(answer.request, input=outputs))
    await responses.keep(completed(answer, "A cat."))
    assert await threads.delete_item(ACME, "t", named, now=2_000)
    left = [item.id for item in await threads.items(ACME, "t")]
    thoughts = ["rs_1"] if named == "fco_1" else []
    assert left[1:-1] == [*thoughts, "fc_2", "fco_2"]


async def test_what_was_thought_for_a_message_goes_with_it(threads: ThreadStore, responses: ResponseStore) -> None:
    said = (message("first", role="assistant"), items.Reasoning("rs_1"), message("then", id="msg_2", role="assistant"))
    await responses.keep(completed(begun("q", thread_id="t"), output=said))
    assert await threads.delete_item(ACME, "t", "msg_2", now=2_000)
    assert texts(await threads.items(ACME, "t")) == "q first"


async def test_a_deleted_response_leaves_the_count_right(threads: ThreadStore, responses: ResponseStore) -> None:
    kept = [completed(begun(f"q{number}", thread_id="t"), f"a{number}") for number in range(3)]
    for response in kept:
        await responses.keep(response)
    await responses.delete(ACME, kept[1].id)
    assert texts(await threads.items(ACME, "t")) == "q0 a0 q2 a2"
    found = await threads.get(ACME, "t")
    assert found is not None
    assert (found.message_count, found.places) == (4, 3)


# Lists


async def test_pinned_threads_come_first_and_only_once(threads: ThreadStore) -> None:
    for number in range(4):
        await threads.create(thread(f"t{number}", number))
    for number in range(2):
        await threads.create(thread(f"p{number}", number, pinned_at=10 + number))
    for order, expected in (("desc", "p1 p0 t3 t2 t1 t0"), ("asc", "p1 p0 t0 t1 t2 t3")):
        for limit in range(1, 8):
            told: list[str] = []
            more = True
            while more:
                after = told[-1] if told else None
                page, more = await threads.list(ACME, Page(limit=limit, order=order, after=after))
                told += [one.id for one in page]
            assert " ".join(told) == expected
            back: list[str] = []
            more = True
            before = told[-1]
            while more:
                page, more = await threads.list(ACME, Page(limit=limit, order=order, before=before))
                back = [*(one.id for one in page), *back]
                before = back[0]
            assert " ".join(back) == expected.rpartition(" ")[0]


async def test_threads_are_found_by_what_they_have(threads: ThreadStore) -> None:
    await threads.create(thread("a", 1, metadata={"team": "red", "size": "1"}, user_id="usr_1"))
    await threads.create(thread("b", 2, metadata={"team": "red"}, assistant_id="asst_1", visible=False))
    await threads.create(thread("c", 3, metadata={"team": "blue", "size": "1"}, pinned_at=5))
    asked = {
        "cba": ThreadFilter(),
        "ba": ThreadFilter(metadata={"team": "red"}),
        "ca": ThreadFilter(metadata={"size": "1"}),
        "a": ThreadFilter(metadata={"size": "1", "team": "red"}),
        "": ThreadFilter(metadata={"team": "green"}),
        "b": ThreadFilter(assistant_id="asst_1"),
        "c": ThreadFilter(pinned=True),
    }
    for expected, having in asked.items():
        page, more = await threads.list(ACME, Page(), having)
        assert ("".join(one.id for one in page), more) == (expected, False)
        assert await threads.count(ACME, having) == len(expected)
    for having, expected in (
        (ThreadFilter(user_id="usr_1"), "a"),
        (ThreadFilter(visible=False), "b"),
        (ThreadFilter(visible=True), "ca"),
        (ThreadFilter(pinned=False), "ba"),
        (ThreadFilter(user_id="usr_1", assistant_id="asst_1"), ""),
    ):
        page, _ = await threads.list(ACME, Page(), having)
        assert "".join(one.id for one in page) == expected


async def test_a_thread_is_found_by_the_metadata_it_has_now(threads: ThreadStore, responses: ResponseStore) -> None:
    response = begun("q", thread_id="t")
    asked = replace(response.request, thread=request.ThreadRef("t", {"team": "red"}))
    await responses.open(replace(response, request=asked))
    assert await threads.count(ACME, ThreadFilter(metadata={"team": "red"})) == 1
    await threads.change(ACME, "t", lambda kept: replace(kept, metadata={"team": "blue"}))
    assert await threads.count(ACME, ThreadFilter(metadata={"team": "red"})) == 0
    assert await threads.count(ACME, ThreadFilter(metadata={"team": "blue"})) == 1
    await threads.delete(ACME, "t")
    await threads.create(thread("t"))
    assert await threads.count(ACME, ThreadFilter(metadata={"team": "blue"})) == 0


async def test_a_page_has_one_side(threads: ThreadStore) -> None:
    await threads.create(thread("t"))
    with pytest.raises(errors.InvalidValue):
        await threads.list(ACME, Page(after="t", before="t"))


def texts(told: Iterable[items.Item]) -> str:
    return " ".join(item.text for item in told if isinstance(item, items.Message))


def branched(text: str, branch: Branch) -> Response:
    return seeing(begun(text, thread_id="t"), seen=branch.seen, spot=branch.spot)


def seeing(response: Response, *, seen: int, spot: Spot | None = None) -> Response:
    reference = request.ThreadRef(response.thread_id, seen=seen, spot=spot)
    return replace(response, request=replace(response.request, thread=reference))
