"""What of a long history the model reads, and what it is told of the rest."""

import pytest
from msgspec.structs import replace
from runtime_stage import CALLER

from freddy.server.core import deltas, errors, items, request, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.response import Response
from freddy.server.core.threads import Thread
from freddy.server.runtime.history import Before, History
from freddy_fakes import MemoryStores, MemoryThreads, ScriptedModel
from promises import promise

STOP = deltas.Stop("stop")
THREAD = request.ThreadRef("thrd_x")
WORDS = " ".join(["word"] * 20)
"""About 24 tokens as a message."""


def message(role: items.Role, text: str) -> items.Message:
    return items.Message(f"msg_{text[:12]}", role, (items.Text(f"{text} {WORDS}"),))


def exchange(number: int) -> tuple[items.Item, ...]:
    return message("user", f"q{number}"), message("assistant", f"a{number}")


def kept(stores: MemoryStores, *exchanges: tuple[items.Item, ...], chained: bool = False) -> None:
    """Puts exchanges into the thread `thrd_x`, or into a chain of responses `link_0`, `link_1`, …"""
    if not chained:
        stores.threads_kept["org_1", "thrd_x"] = Thread(
            id="thrd_x",
            organization_id="org_1",
            created_at=1,
            updated_at=1,
            message_count=sum(isinstance(item, items.Message) for one in exchanges for item in one),
        )
    for number, said in enumerate(exchanges):
        stores.kept[f"link_{number}"] = Response(
            id=f"link_{number}",
            organization_id="org_1",
            created_at=1,
            status="completed",
            model="m",
            request=request.Request(
                "m", said[:1], previous_response_id=f"link_{number - 1}" if chained and number else None
            ),
            thread_id=None if chained else "thrd_x",
            output=said[1:],
        )


def reads(tokens: int | None, *lines) -> ScriptedModel:
    return ScriptedModel(*(lines or (deltas.Text("A"), STOP)), profile=Profile("m", "stage", context_tokens=tokens))


def words(model: ScriptedModel) -> list[str]:
    """The first words of what the model was asked last."""
    return [item.text.split()[0] for item in model.turns[-1].items if isinstance(item, items.Message)]


def texts(before: Before) -> list[str]:
    return [item.text.split()[0] for item in before.said if isinstance(item, items.Message)]


def asked(**settings) -> request.Request:
    return replace(request.Request("m", (message("user", "now"),), thread=THREAD), **settings)


@promise(65)
async def test_the_newest_of_a_long_thread_is_kept(stage, stores):
    kept(stores, *map(exchange, range(50)))
    played = await stage(m=reads(1000))
    ended = await played.perform("now", thread=THREAD)
    told = words(played.model)
    assert told[-3:] == ["q49", "a49", "now"]
    assert told[0].startswith("q")
    assert 20 < len(told) < 50
    assert ended.warnings == (
        f"{101 - len(told)} messages before the input were left out (thread_context_mode recent): "
        "the model reads 1000 tokens",
    )


@promise(65)
async def test_the_start_and_the_newest_are_kept(stage, stores):
    kept(stores, *map(exchange, range(50)))
    played = await stage(m=reads(1000))
    ended = await played.perform("now", thread=THREAD, context_mode="smart")
    assert words(played.model) == ["q0", "a0", "q1", "a46", "q47", "a47", "q48", "a48", "q49", "a49", "now"]
    assert "90 messages" in ended.warnings[0]
    assert "thread_context_mode smart" in ended.warnings[0]


@promise(65)
async def test_fewer_of_the_newest_are_kept_where_there_is_no_room(stage, stores):
    kept(stores, *map(exchange, range(50)))
    played = await stage(m=reads(200))
    await played.perform("now", thread=THREAD, context_mode="smart")
    told = words(played.model)
    assert told[:3] == ["q0", "a0", "q1"]
    assert told[-2:] == ["a49", "now"]
    assert 4 < len(told) < 10


@promise(65)
async def test_all_of_a_thread_is_kept_as_long_as_the_model_may_read_it(stage, stores):
    kept(stores, *map(exchange, range(50)))
    played = await stage(m=reads(2600))
    ended = await played.perform("now", thread=THREAD, context_mode="full")
    assert len(words(played.model)) == 101
    assert ended.warnings == ()


@promise(66)
@pytest.mark.parametrize("mode", ["recent", "smart", "full"])
async def test_a_mode_does_nothing_where_all_fits(stage, stores, mode):
    kept(stores, *map(exchange, range(50)))
    played = await stage(m=reads(4000))
    ended = await played.perform("now", thread=THREAD, context_mode=mode)
    assert len(words(played.model)) == 101
    assert ended.warnings == ()


@promise(97)
@pytest.mark.parametrize("length", [50, 300])
async def test_more_than_the_model_reads_is_refused_before_it_is_asked(stage, stores, length):
    kept(stores, *map(exchange, range(length)))
    played = await stage(m=reads(1000))
    with pytest.raises(errors.ContextOverflow) as refused:
        await played.start("now", thread=THREAD, context_mode="full")
    assert (refused.value.status, refused.value.code) == (400, "context_length_exceeded")
    assert "1000 tokens" in (refused.value.details or "")
    assert played.model.turns == []


@promise(97)
async def test_an_input_that_is_too_long_by_itself_is_refused_in_every_mode(stage, stores):
    played = await stage(m=reads(1000))
    for mode in ("recent", "smart", "full"):
        with pytest.raises(errors.ContextOverflow):
            await played.start("word " * 1300, context_mode=mode)
    assert played.model.turns == []


async def test_what_may_fit_is_left_to_the_model_to_count(stage):
    played = await stage(m=reads(1000))
    await played.perform("word " * 1100)
    assert len(played.model.turns) == 1


async def test_a_model_that_may_read_any_length_is_asked(stage, stores):
    played = await stage(m=reads(None))
    await played.perform("word " * 200_000)
    assert len(played.model.turns) == 1


@promise(97)
async def test_with_truncation_the_oldest_goes_in_the_mode_full_too(stage, stores):
    kept(stores, *map(exchange, range(300)))
    played = await stage(m=reads(1000))
    ended = await played.perform("now", thread=THREAD, context_mode="full", truncation="auto")
    told = words(played.model)
    assert told[-3:] == ["q299", "a299", "now"]
    assert 20 < len(told) < 50
    assert "truncation auto" in ended.warnings[0]


async def test_system_messages_of_the_thread_stay(stage, stores):
    old, late = message("system", "rules"), message("developer", "mind")
    kept(stores, (old, *exchange(0)), *map(exchange, range(1, 200)), (late, *exchange(200)))
    played = await stage(m=reads(1000))
    for mode in ("recent", "smart"):
        await played.perform("now", thread=THREAD, context_mode=mode, store=False)
        told = words(played.model)
        assert told[0] == "rules"
        assert told[-4:] == ["mind", "q200", "a200", "now"]
    await played.perform("now", thread=THREAD, instructions="New ones")
    assert words(played.model)[0].startswith("q")


async def test_calls_and_their_outputs_stay_together_where_the_history_is_cut(stage, stores):
    def called(number: int) -> tuple[items.Item, ...]:
        question, answer = exchange(number)
        return (
            question,
            items.Reasoning(f"rs_{number}", (WORDS,)),
            items.FunctionCall(f"fc_{number}", f"call_{number}", "look", "{}"),
            items.FunctionOutput(f"fco_{number}", f"call_{number}", (items.Text(WORDS),)),
            answer,
        )

    kept(stores, *map(called, range(60)))
    played = await stage(m=reads(700))
    for mode in ("recent", "smart"):
        await played.perform("now", thread=THREAD, context_mode=mode, store=False)
        told = [item for item in played.model.turns[-1].items if isinstance(item, items.Item)]
        calls = [item.call_id for item in told if isinstance(item, items.FunctionCall)]
        assert calls
        assert [item.call_id for item in told if isinstance(item, items.FunctionOutput)] == calls
        thoughts = [item.id for item in told if isinstance(item, items.Reasoning)]
        assert thoughts == [f"rs_{call.removeprefix('call_')}" for call in calls]


async def test_a_call_that_the_input_answers_stays_whatever_it_takes(stage, stores):
    call = items.FunctionCall("fc_1", "call_1", "look", "{}")
    kept(stores, *map(exchange, range(50)), (message("user", "q"), call, *[items.Reasoning("rs_1", (WORDS,))] * 50))
    played = await stage(m=reads(500))
    output = items.FunctionOutput("fco_1", "call_1", (items.Text("found"),))
    await played.perform(output, thread=THREAD, tools=(toolspec.Function("look"),), store=False)
    assert played.model.turns[-1].items[0] == message("user", "q")
    assert played.model.turns[-1].items[1] == call
    assert played.model.turns[-1].items[-1] == output


@promise(65)
async def test_a_chain_of_responses_is_cut_in_the_same_way(stage, stores):
    kept(stores, *map(exchange, range(400)), chained=True)
    played = await stage(m=reads(1000))
    ended = await played.perform("now", previous_response_id="link_399")
    told = words(played.model)
    assert told[-3:] == ["q399", "a399", "now"]
    assert 20 < len(told) < 50
    assert "at least" in ended.warnings[0]
    ended = await played.perform("now", previous_response_id="link_399", context_mode="smart")
    assert words(played.model) == ["q0", "a0", "q1", "a396", "q397", "a397", "q398", "a398", "q399", "a399", "now"]
    with pytest.raises(errors.ContextOverflow):
        await played.start("now", previous_response_id="link_399", context_mode="full")


async def test_the_smallest_window_of_all_who_may_answer_counts_and_the_largest_refuses():
    stores = MemoryStores()
    kept(stores, *map(exchange, range(50)))
    history = History(stores.responses, stores.threads)
    before = await history.before(CALLER, asked(), 1000, largest=8000)
    assert len(before.said) < 50
    before = await history.before(CALLER, asked(context_mode="full"), 1000, largest=8000)
    assert len(before.said) == 100


async def test_what_nobody_says_is_taken_from_the_settings():
    stores = MemoryStores()
    kept(stores, *map(exchange, range(50)))
    assert len((await History(stores.responses, stores.threads).before(CALLER, asked())).said) == 100
    before = await History(stores.responses, stores.threads, context_tokens=500).before(CALLER, asked())
    assert 0 < len(before.said) < 25
    assert "reads 500 tokens" in before.warnings[0]


async def test_the_room_for_a_long_answer_is_kept_free():
    stores = MemoryStores()
    kept(stores, *map(exchange, range(50)))
    history = History(stores.responses, stores.threads)
    short = await history.before(CALLER, asked(max_output_tokens=10), 1000)
    long = await history.before(CALLER, asked(max_output_tokens=100_000), 1000)
    assert 0 < len(long.said) < len(short.said)


async def test_a_branch_of_a_thread_reads_what_is_before_it():
    stores = MemoryStores()
    kept(stores, *map(exchange, range(5)))
    history = History(stores.responses, stores.threads)
    spot = (await stores.threads.tail("org_1", "thrd_x", limit=3))[-1].spot
    before = await history.before(CALLER, asked(thread=replace(THREAD, spot=spot)), 4000)
    assert texts(before) == ["q0", "a0", "q1", "a1", "q2", "a2", "q3"]


class CountingThreads(MemoryThreads):
    """Counts the items that were read."""

    read = 0

    async def tail(self, *place, **page):
        found = await super().tail(*place, **page)
        self.read += len(found)
        return found

    async def head(self, *place, **page):
        found = await super().head(*place, **page)
        self.read += len(found)
        return found


@pytest.mark.parametrize("mode", ["recent", "smart"])
async def test_no_more_is_read_than_fits_however_long_the_thread_is(mode):
    read = []
    for length in (500, 5000):
        stores = MemoryStores()
        kept(stores, *map(exchange, range(length)))
        threads = CountingThreads(stores)
        await History(stores.responses, threads).before(CALLER, asked(context_mode=mode), 8000)
        read.append(threads.read)
    assert max(read) < 500
    assert abs(read[0] - read[1]) < 50


async def test_no_more_of_the_end_is_read_than_there_may_be_room_for():
    stores = MemoryStores()
    kept(stores, *map(exchange, range(500)))
    threads = CountingThreads(stores)
    await History(stores.responses, threads).before(CALLER, asked(context_mode="smart"), 800)
    assert threads.read < 150
