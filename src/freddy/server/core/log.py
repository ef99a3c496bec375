"""Owns how what happens in a run is kept in its log, and read from there: JSON, with no response in it twice."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import events
from freddy.server.core.response import Response


class _Began(Struct, frozen=True, tag="began"):
    """In the place of `Created`, `Queued` and `InProgress`: of the response as it was then, what may change."""

    status: str
    model: str
    provider: str
    warnings: tuple[str, ...] = ()
    waits: bool = False


class _Ended(Struct, frozen=True, tag="ended"):
    """In the place of `Finished`."""


_Kept: TypeAlias = (
    _Began
    | _Ended
    | events.ItemAdded
    | events.PartAdded
    | events.TextDelta
    | events.TextDone
    | events.AnnotationAdded
    | events.RefusalDelta
    | events.RefusalDone
    | events.PartDone
    | events.ReasoningPartAdded
    | events.ReasoningDelta
    | events.ReasoningDone
    | events.ReasoningPartDone
    | events.ArgumentsDelta
    | events.ArgumentsDone
    | events.CallProgress
    | events.Called
    | events.Withdrawn
    | events.ToolDone
    | events.Asked
    | events.TurnLost
    | events.ItemDone
    | events.TurnDone
    | events.Compacted
    | events.Failed
    | events.Cancelled
)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[_Kept, ...])


def write(happened: Iterable[events.Event]) -> bytes:
    """What `ToolsOpened` says is looked up again, and is not kept."""
    return _encoder.encode([_kept(event) for event in happened if not isinstance(event, events.ToolsOpened)])


def read(written: bytes, response: Response) -> list[events.Event]:
    """The events, of which the last of a run tells `response`: as it is now."""
    return [_told(event, response) for event in _decoder.decode(written)]


def is_end(happened: Sequence[events.Event]) -> bool:
    return bool(happened) and isinstance(happened[-1], events.Finished)


def _kept(event: events.Event) -> object:
    match event:
        case events.Created(response) | events.InProgress(response):
            return _Began(response.status, response.model, response.provider, response.warnings)
        case events.Queued(response):
            return _Began(response.status, response.model, response.provider, response.warnings, waits=True)
        case events.Finished():
            return _Ended()
        case _:
            return event


def _told(event: _Kept, response: Response) -> events.Event:
    match event:
        case _Began(status, model, provider, warnings, waits):
            began = replace(beginning(response), model=model, provider=provider, warnings=warnings)
            if status == "in_progress":
                return events.InProgress(began)
            began = replace(began, status="queued")
            return events.Queued(began) if waits else events.Created(began)
        case _Ended():
            return events.Finished(response)
        case _:
            return event


def beginning(response: Response) -> Response:
    """The response as it was when nothing had happened yet."""
    return replace(
        response,
        status="in_progress",
        output=(),
        usage=None,
        cost=None,
        attempts=(),
        calls=(),
        shares=None,
        partial=False,
        completed_at=None,
        failure=None,
        incomplete_reason=None,
    )
