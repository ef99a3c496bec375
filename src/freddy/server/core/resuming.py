"""Owns how a run goes on whose process is gone: what of it counts, and what must be told first. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from freddy.server.core import events, items
from freddy.server.core.deciding import unanswered
from freddy.server.core.folding import fold
from freddy.server.core.run import Run


def resumed(run: Run, happened: Sequence[events.Event]) -> tuple[Run, list[events.Event]]:
    """The run after all that has happened in it, and what must be kept and told before it goes on.

    Each item that was begun and not ended is ended, with nothing in it; and what a turn made that did not come to its
    end is withdrawn, since that turn is made again.
    """
    run = replace(fold(run, happened), opening_told=bool(happened))
    first = [*_withdrawn(run), *_ended(_open(happened, run))]
    return replace(run, doubtful=unanswered(fold(run, first))), first


def heard(happened: Sequence[events.Event]) -> tuple[items.Item, ...]:
    """All that was said since somebody was asked last, as far as it was told: whole or not, in no order."""
    thoughts: list[str] = []
    words: list[str] = []
    for event in reversed(happened):
        match event:
            case events.Asked() | events.TurnDone() | events.Compacted() | events.TurnLost():
                break
            case events.ReasoningDelta(delta=delta):
                thoughts.append(delta)
            case events.TextDelta(delta=delta) | events.RefusalDelta(delta=delta) | events.ArgumentsDelta(delta=delta):
                words.append(delta)
            case events.ItemAdded(item=items.FunctionCall(name=name)):
                words.append(name)
            case events.Called(item=items.HostedCall(name=name, arguments=arguments)):
                words += (arguments, name)
            case _:
                pass
    said: list[items.Item] = []
    if thoughts:
        said.append(items.Reasoning("rs_heard", texts=("".join(reversed(thoughts)),)))
    if words:
        said.append(items.Message("msg_heard", "assistant", (items.Text("".join(reversed(words))),)))
    return tuple(said)


def _withdrawn(run: Run) -> Iterator[events.Event]:
    for index, item in _broken_turn(run):
        if not isinstance(item, items.HostedCall):
            yield events.Withdrawn(index, items.broken_off(item))


def _open(happened: Iterable[events.Event], run: Run) -> dict[int, items.Item]:
    """What was begun and not ended, by its place, as far as it was told."""
    begun: dict[int, items.Item] = {}
    for event in happened:
        match event:
            case events.ItemAdded(index, item):
                begun[index] = item
            case events.ItemDone(index) | events.Called(index):
                begun.pop(index, None)
            case _:
                pass
    return begun | {index: item for index, item in _broken_turn(run) if isinstance(item, items.HostedCall)}


def _ended(begun: dict[int, items.Item]) -> Iterator[events.Event]:
    for index, item in sorted(begun.items(), key=lambda one: one[0]):
        if isinstance(item, items.McpTools):
            yield events.CallProgress(index, item.id, "mcp_tools", "failed")
        yield events.ItemDone(index, items.broken_off(item))


def _broken_turn(run: Run) -> Iterator[tuple[int, items.Item]]:
    """What the model made in a turn that has no end, by its place. What was left of an earlier try counts no more."""
    for index, item in enumerate(run.output[run.accounted :], run.accounted):
        match item:
            case items.Message() | items.Reasoning() if not items.is_broken_off(item):
                yield index, item
            case items.FunctionCall() if item.turn == run.turns and not items.is_broken_off(item):
                yield index, item
            case items.HostedCall(status="in_progress") if item.turn == run.turns:
                yield index, item
            case _:
                continue
