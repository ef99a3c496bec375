"""Calls of tools that this server runs, and requests for approval, become items as they are said."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from freddy.server.core import deltas, events, items, toolspec
from freddy.server.core.offers import Offer
from freddy.server.core.transcript import Transcript
from freddy_fakes import CountingIds
from freddy_stream_rules import check_events

DEEP = items.Mcp("deep")


def offer(
    name: str, *, work: items.Work | None = None, here: bool = True, approve: bool = False, own: str = ""
) -> Offer:
    return Offer(function=toolspec.Function(name), here=here, approve=approve, work=work, name=own or name)


OFFERS = (
    offer("own", here=False),
    offer("add"),
    offer("careful", approve=True),
    offer("tool", work=DEEP),
    offer("deep__x", work=DEEP, own="x"),
    offer("ask", work=DEEP, approve=True),
    offer("file_search", work=items.FileSearch()),
)


def tell(*batches, index=0, turn=2, taken=()) -> list[events.Event]:
    transcript = Transcript(index=index, new_id=CountingIds().new, offers=OFFERS, turn=turn, expires_at=99, taken=taken)
    return [event for batch in batches for event in transcript.feed(batch)]


def settled(told: list[events.Event]) -> tuple[items.Item, ...]:
    """The items when every call that is whole has been answered: checked like any events of a run."""
    answered: list[events.Event] = []
    for event in told:
        if isinstance(event, events.Called):
            of = "mcp_call" if isinstance(event.item.work, items.Mcp) else "file_search"
            answered.append(events.CallProgress(event.index, event.item.id, of, "completed"))
            answered.append(events.ItemDone(event.index, replace(event.item, status="completed")))
    return check_events([*told, *answered])


STOP = deltas.Stop("tool_calls")


def test_a_call_of_a_servers_tool_is_told_step_by_step():
    told = tell(
        [
            deltas.ToolCall(0, name="deep__x", call_id="call_a"),
            deltas.ToolCall(0, '{"a"'),
            deltas.ToolCall(0, ":1}"),
            STOP,
        ],
        index=4,
    )
    begun = items.HostedCall("mcp_1", "call_a", "x", "", DEEP, offered="deep__x", turn=2)
    whole = replace(begun, arguments='{"a":1}')
    assert told == [
        events.ItemAdded(4, begun),
        events.CallProgress(4, "mcp_1", "mcp_call", "in_progress"),
        events.ArgumentsDelta(4, "mcp_1", '{"a":1}', "mcp"),
        events.ArgumentsDone(4, "mcp_1", "x", '{"a":1}', "mcp"),
        events.Called(4, whole),
        events.TurnDone("tool_calls", began=4),
    ]


def test_a_search_is_told_without_its_arguments():
    told = tell([deltas.ToolCall(0, '{"query":"x"}', "file_search", "call_a"), STOP])
    begun = items.HostedCall("fs_1", "call_a", "file_search", "", items.FileSearch(), turn=2)
    assert told == [
        events.ItemAdded(0, begun),
        events.CallProgress(0, "fs_1", "file_search", "in_progress"),
        events.Called(0, replace(begun, arguments='{"query":"x"}')),
        events.TurnDone("tool_calls"),
    ]


def test_a_call_that_needs_approval_is_told_once_it_is_whole():
    told = tell([deltas.ToolCall(0, '{"a"', "ask", "call_a")], [deltas.ToolCall(0, ":1}"), STOP])
    request = items.ApprovalRequest("mcpr_2", "call_a", "ask", '{"a":1}', "deep", None, 99, 2)
    assert told == [events.ItemAdded(0, request), events.ItemDone(0, request), events.TurnDone("tool_calls")]


def test_a_function_that_needs_approval_is_a_call_and_behind_all_calls_a_request():
    said = settled(tell([deltas.ToolCall(0, "{}", "careful", "a"), deltas.ToolCall(1, "{}", "tool", "b"), STOP]))
    assert [type(item).__name__ for item in said] == ["FunctionCall", "HostedCall", "ApprovalRequest"]
    assert said[2].call_id == said[0].call_id
    assert said[2].server_label is None


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_nobody_is_asked_about_a_call_that_was_cut_off_and_nobody_makes_it(reason):
    stop = deltas.Stop(reason)
    assert settled(tell([deltas.ToolCall(0, '{"a', "ask"), stop])) == ()
    [call] = check_events(tell([deltas.ToolCall(0, '{"a', "careful"), stop]))
    assert call.status == "incomplete"
    for said in (
        [deltas.ToolCall(0, '{"a', "tool"), stop],
        [deltas.ToolCall(0, "{}", "tool"), deltas.Text("So"), stop],
    ):
        told = tell(said)
        assert not [event for event in told if isinstance(event, events.Called)]
        assert check_events(told)[0].status == "incomplete"


def test_ids_that_are_taken_give_way_also_within_a_turn():
    calls = [deltas.ToolCall(index, "{}", name, "call_0") for index, name in enumerate(("add", "tool", "ask", "own"))]
    told = settled(tell([*calls, STOP], taken=("call_0",)))
    ids = [item.call_id for item in told]
    assert len(set(ids)) == 4
    assert "call_0" not in ids
    first, *_ = settled(tell([*calls, STOP]))
    assert first.call_id == "call_0"


calls = st.lists(
    st.tuples(
        st.sampled_from([one.function.name for one in OFFERS] + ["unknown"]), st.sampled_from(["{}", '{"n":1}', ""])
    ),
    min_size=1,
    max_size=5,
)


@given(calls, st.data())
def test_calls_are_the_same_items_however_their_pieces_come(said, data):
    """Each begins after the one before it; their pieces may come in any turn, cut anywhere, in any batches."""
    whole = [deltas.ToolCall(index, arguments, name, f"call_{index}") for index, (name, arguments) in enumerate(said)]
    told = [deltas.ToolCall(index, "", name, f"call_{index}") for index, (name, _) in enumerate(said)]
    queues = {index: list(arguments) for index, (_, arguments) in enumerate(said)}
    pieces: list[deltas.ToolCall] = []
    began = 0
    while began < len(told) or any(queues.values()):
        can = [index for index, left in queues.items() if left and index < began]
        if began < len(told) and (not can or data.draw(st.booleans())):
            pieces.append(told[began])
            began += 1
            continue
        index = data.draw(st.sampled_from(can))
        length = data.draw(st.integers(1, len(queues[index])))
        pieces.append(deltas.ToolCall(index, "".join(queues[index][:length])))
        queues[index] = queues[index][length:]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pieces)), max_size=3)))
    batches = [pieces[start:end] for start, end in itertools.pairwise((0, *cuts, len(pieces)))]
    # Ids are counted as things begin: they are not what is compared.
    assert nameless(settled(tell(*batches, [STOP]))) == nameless(settled(tell([*whole, STOP])))


def nameless(told) -> list[items.Item]:
    return [replace(item, id="") for item in told]
