"""The events of a response that ended, made again from its items: what a late follower is told."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import assert_never

from msgspec.structs import replace

from freddy.server.core import events, items, log, transcript
from freddy.server.core.response import Response
from freddy.server.ports.channel import Batch


async def follow(response: Response, after: int) -> AsyncGenerator[Batch, None]:
    """Every text comes in one delta, so numbers differ from those of the live stream.

    There are fewer of them: who heard a higher number live still hears how it ended, under the next one.
    """
    told = list(_events(response))
    yield after + 1, told[after + 1 :] or ending(told)


def ending(told: Sequence[events.Event]) -> Sequence[events.Event]:
    """What is told at last: the end, and before it why it came too soon."""
    return [event for event in told[-2:] if isinstance(event, events.Failed | events.Finished)]


def _events(response: Response) -> Iterator[events.Event]:
    beginning = log.beginning(response)
    yield events.Created(beginning)
    yield events.InProgress(beginning)
    for index, item in enumerate(response.output):
        yield from _item(index, item)
    if response.failure is not None:
        yield events.Failed(response.failure)
    yield events.Finished(response)


def _item(index: int, item: items.Item) -> Iterator[events.Event]:
    match item:
        case items.Message():
            yield events.ItemAdded(index, replace(item, parts=(), status="in_progress"))
            for place, part in enumerate(item.parts):
                yield from _part(index, item.id, place, part)
        case items.Reasoning():
            yield events.ItemAdded(index, replace(item, texts=(), summaries=(), encrypted=None, status="in_progress"))
            for place, text in enumerate(item.summaries):
                yield from _thought(index, item.id, place, text, "summary")
            for place, text in enumerate(item.texts):
                yield from _thought(index, item.id, place, text, "text")
        case items.FunctionCall():
            yield events.ItemAdded(index, replace(item, arguments="", status="in_progress"))
            yield events.ArgumentsDelta(index, item.id, item.arguments, item.form)
            yield events.ArgumentsDone(index, item.id, item.name, item.arguments, item.form)
        case items.HostedCall():
            yield from _hosted(index, item)
        case items.McpTools():
            yield events.ItemAdded(index, replace(item, tools=(), error=None))
            yield events.CallProgress(index, item.id, "mcp_tools", "in_progress")
            yield events.CallProgress(index, item.id, "mcp_tools", "failed" if item.error else "completed")
        case items.Compaction():
            yield events.ItemAdded(index, items.Compaction(item.id, sealed=""))
            yield events.CallProgress(index, item.id, "compaction", "in_progress")
        case items.FunctionOutput():
            yield events.ItemAdded(index, replace(item, parts=(), status="in_progress"))
        case items.ApprovalRequest() | items.ApprovalAnswer() | items.Other():
            yield events.ItemAdded(index, item)
        case _:
            assert_never(item)
    yield events.ItemDone(index, item)


def _hosted(index: int, call: items.HostedCall) -> Iterator[events.Event]:
    work = call.work
    begun = replace(
        call,
        arguments="",
        work=items.FileSearch() if isinstance(work, items.FileSearch) else work,
        parts=(),
        error=None,
        status="in_progress",
        milliseconds=None,
    )
    yield from transcript.begin_hosted(index, begun)
    if call.status in ("in_progress", "incomplete"):
        return
    yield from (event for event in transcript.call_hosted(index, call) if not isinstance(event, events.UNTOLD))
    failed = call.status == "failed" and isinstance(work, items.Mcp)
    yield events.CallProgress(index, call.id, transcript.kind_of(call), "failed" if failed else "completed")


def _part(index: int, item_id: str, place: int, part: items.Part) -> Iterator[events.Event]:
    match part:
        case items.Text(text, annotations, logprobs):
            yield events.PartAdded(index, item_id, place, items.Text(""))
            yield events.TextDelta(index, item_id, place, text, logprobs)
            for number, annotation in enumerate(annotations):
                yield events.AnnotationAdded(index, item_id, place, annotation, number)
            yield events.TextDone(index, item_id, place, text, logprobs)
            yield events.PartDone(index, item_id, place, part)
        case items.Refusal(refusal):
            yield events.PartAdded(index, item_id, place, items.Refusal(""))
            yield events.RefusalDelta(index, item_id, place, refusal)
            yield events.RefusalDone(index, item_id, place, refusal)
            yield events.PartDone(index, item_id, place, part)
        case _:
            return


def _thought(index: int, item_id: str, place: int, text: str, kind: events.ReasoningKind) -> Iterator[events.Event]:
    yield events.ReasoningPartAdded(index, item_id, place, kind)
    yield events.ReasoningDelta(index, item_id, place, text, kind)
    yield events.ReasoningDone(index, item_id, place, text, kind)
    yield events.ReasoningPartDone(index, item_id, place, text, kind)
