"""Any order of requests, cancels, hang-ups, failures and crashes leaves nothing lost, doubled, mixed up or held."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from interleavings import BUDGET, MOST, NANOS, RUNS, Ask, Burst, Cancel, Crash, Leave, Play, Release, Step

_threads = st.sampled_from([0, 0, 1, None])
_ways = st.sampled_from(["whole", "stream", "background"])
_written = st.integers(1, MOST)
_asks = st.builds(
    Ask,
    thread=_threads,
    way=_ways,
    does=st.sampled_from(["answers", "answers", "holds", "holds", "faults", "breaks", "holds and breaks"]),
    written=_written,
    edits=st.none() | st.none() | st.integers(0, 20),
    behind=st.booleans(),
)
_plain = st.builds(
    Ask, thread=_threads, way=_ways, does=st.sampled_from(["answers", "answers", "faults", "breaks"]), written=_written
)
_which = st.integers(0, RUNS)
_steps = st.one_of(
    _asks,
    _asks,
    _asks,
    st.builds(Release, _which),
    st.builds(Cancel, _which, st.booleans()),
    st.builds(Leave, _which, st.booleans()),
    st.builds(Burst, st.lists(_plain, min_size=2, max_size=5).map(tuple)),
    st.builds(Crash, st.lists(_plain, max_size=3).map(tuple), st.integers(0, 60)),
)


_STREAM, _BACKGROUND = Ask(does="holds", way="stream"), Ask(does="holds", way="background")
STOPPED = [
    _STREAM,
    _BACKGROUND,
    Ask(does="holds"),
    Cancel(0, racing=False),
    Cancel(0, racing=True),
    Leave(0, racing=True),
]
LEFT = [_STREAM, Ask(does="holds"), Leave(0, racing=False), Leave(0, racing=False), Ask(does="breaks"), Ask()]
EDITED = [
    *(Ask(), Ask(way="stream"), Ask(does="holds", way="stream", edits=1), Ask(), Ask(does="holds", edits=1)),
    *(Release(0), Ask(thread=1), Release(0), Ask(edits=2, behind=True), Ask(does="faults", edits=0)),
]
KILLED = [
    Ask(),
    _STREAM,
    _BACKGROUND,
    Crash((Ask(way="stream"), Ask()), 40),
    Ask(edits=0),
    Crash((), 0),
    _STREAM,
    Ask(),
]
SPENT = [Ask(written=MOST) for _ in range(BUDGET // MOST)] + [Ask(), Crash((), 0), Ask(), Ask(most=1)]


# The same every time: looking further is for a run of its own, with `--hypothesis-seed` and more examples.
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_steps, min_size=8, max_size=24))
@example(STOPPED)
@example(LEFT)
@example(EDITED)
@example(KILLED)
@example(SPENT)
def test_nothing_is_lost_doubled_mixed_up_or_held(steps):
    asyncio.run(_perform(steps))


async def _perform(steps: list[Step]) -> None:
    with TemporaryDirectory() as folder:
        async with Play(Path(folder) / "home") as play:
            for step in steps:
                await play.perform(step)
            while play.held:
                await play.perform(Release(0))
            await _nothing_is_held(play)


async def _nothing_is_held(play: Play) -> None:
    """The whole of each limit can be had."""
    left = BUDGET - play.spent // NANOS
    if left < RUNS:
        return
    for _ in range(RUNS):
        await play.ask(Ask(does="holds", way="stream", written=1, most=1))
    assert len(play.held) == RUNS
    assert (await play.ask(Ask(most=1))).code == 429
    while play.held:
        await play.release(play.held[0])
    left = BUDGET - play.spent // NANOS
    assert (await play.ask(Ask(most=left + 1))).code == 429
    if left:
        assert (await play.ask(Ask(most=left))).code == 200
    await play.check()
