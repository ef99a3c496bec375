"""Owns the frames of the WebSocket of responses: reading those of clients, and writing those that are no event. Pure.

https://developers.openai.com/api/docs/guides/websocket-mode
https://developers.openai.com/api/docs/guides/steering
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from freddy.server.core import errors, ids, items
from freddy.server.core.response import Response
from freddy.server.dialects.openai import errors as spelling
from freddy.server.dialects.openai import input as reading
from freddy.server.dialects.openai import shapes
from freddy.server.dialects.openai.tools import ABSENT

_LANE: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_DATA: Final = b"\ndata: "
_encode = msgspec.json.Encoder().encode


class Create(Struct, frozen=True):
    """Asks for a response. `body` is what a POST would have, and `generate` whether a model is to say anything.

    `follows` is the response that it goes on from.
    """

    body: bytes
    generate: bool = True
    follows: str | None = None


class Cancel(Struct, frozen=True):
    """Stops a response: the one of this id, or else the one that is in flight in the lane."""

    response_id: str | None = None


class Steer(Struct, frozen=True):
    """Says something more to a response that is in flight; `input` is as it came."""

    response_id: str
    input: Raw


Frame: TypeAlias = Create | Cancel | Steer


class _Envelope(Struct):
    type: str = ""
    stream_id: Raw = ABSENT
    generate: bool | None = None
    response: Raw = ABSENT
    response_id: str | None = None
    previous_response_id: str | None = None
    input: Raw = ABSENT


_ENVELOPE = shapes.Shape(_Envelope)
_ITEMS = shapes.Shape(list[Raw])
_TEXT = shapes.Shape(str)


class Received(Struct, frozen=True):
    """A frame that is a JSON object; `lane` is its `stream_id`, None for the lane without a name."""

    raw: bytes
    envelope: _Envelope
    lane: str | None


def read(text: str) -> Received:
    """Raises `errors.InvalidJson`, and `InvalidRequest` for a lane that cannot be."""
    raw = text.encode()
    envelope = _ENVELOPE.read(raw)
    return Received(raw, envelope, _lane(envelope.stream_id))


def decode(received: Received) -> Frame:
    """Raises `errors.InvalidRequest` and `InvalidValue`."""
    envelope = received.envelope
    match envelope.type:
        case "response.create":
            body, follows = received.raw, envelope.previous_response_id
            if shapes.given(envelope.response):
                body = bytes(shapes.an_object(envelope.response, "response"))
                follows = _ENVELOPE.read(body, "response").previous_response_id
            return Create(body, generate=envelope.generate is not False, follows=follows)
        case "response.cancel":
            return Cancel(envelope.response_id)
        case "response.steer":
            if not envelope.previous_response_id:
                raise shapes.missing("previous_response_id")
            return Steer(envelope.previous_response_id, envelope.input)
        case _:
            raise errors.InvalidRequest(
                f"Unknown event type {envelope.type[:100]!r}" if envelope.type else "The event has no type",
                param="type",
                code="unknown_event_type",
                details="send 'response.create', 'response.cancel' or 'response.steer'",
            )


def decode_steered(steer: Steer, new_id: ids.NewId) -> tuple[items.Item, ...]:
    """The messages of a steer. Raises `errors.InvalidInput` for what is none of a user's."""
    raw = steer.input
    said: tuple[items.Item, ...] = ()
    if bytes(memoryview(raw)[:1]) == b'"':
        text = _TEXT.read(raw, "input")
        said = (reading.user_message(text, new_id),) if text else ()
    elif bytes(memoryview(raw)[:1]) == b"[":
        said = reading.decode(_ITEMS.read(raw, "input"), new_id)
    if not said or not all(isinstance(item, items.Message) and item.role == "user" for item in said):
        raise errors.InvalidInput(
            "Only messages of the user can be added to a response in flight",
            param="input",
            details="send a text, or a list of messages whose role is 'user'",
        )
    return said


def of_event(written: bytes, lane: str | None) -> str:
    """A server-sent event as a frame."""
    start = written.index(_DATA) + len(_DATA)
    return written[start:-3].decode() + _end(lane)


def error(failure: errors.Failure, lane: str | None, headers: Mapping[str, str]) -> str:
    """A request that led to nothing; `headers` are those that a reply over HTTP would have."""
    status, body = spelling.encode(failure)
    told = f',"headers":{_encode(headers).decode()}' if headers else ""
    return f'{{"type":"error","status":{status},{body[1:-1].decode()}{told}{_end(lane)}'


class _Steer(Struct):
    id: str
    previous_response_id: str


class _Unsteered(Struct):
    previous_response_id: str
    input: Raw
    id: str | UnsetType = UNSET


class _SteerError(Struct):
    code: str
    message: str
    type: str = "invalid_request_error"


class _Required(Struct, omit_defaults=True):
    """What a caller must hand in before a response can go on, without the result."""

    type: str
    call_id: str | None = None
    name: str | None = None
    approval_request_id: str | None = None


class _Accepted(Struct, tag_field="type", tag="response.steer.accepted"):
    sequence_number: int
    steer: _Steer


class _Pending(Struct, tag_field="type", tag="response.steer.pending"):
    sequence_number: int
    steer: _Steer
    required_input: list[_Required]
    reason: str = "waiting_for_required_input"


class _Failed(Struct, tag_field="type", tag="response.steer.failed"):
    sequence_number: int
    steer: _Unsteered
    error: _SteerError


SteerCode: TypeAlias = Literal[
    "response_not_found",
    "invalid_input",
    "steering_not_supported",
    "too_many_pending_steers",
    "response_not_active",
    "successor_creation_failed",
]


def steer_accepted(number: int, steer_id: str, steer: Steer, lane: str | None) -> str:
    return _frame(_Accepted(number, _Steer(steer_id, steer.response_id)), lane)


def steer_pending(number: int, steer_id: str, ended: Response, lane: str | None) -> str:
    return _frame(_Pending(number, _Steer(steer_id, ended.id), [*_required(ended)]), lane)


def steer_failed(
    number: int, steer_id: str | None, steer: Steer, lane: str | None, *, code: SteerCode, message: str
) -> str:
    given = steer.input if shapes.given(steer.input) else Raw(b"null")
    returned = _Unsteered(steer.response_id, given, steer_id or UNSET)
    return _frame(_Failed(number, returned, _SteerError(code, message)), lane)


def awaits_caller(ended: Response) -> bool:
    """Whether a response stopped for results or approvals that only its caller has."""
    return any(_required(ended))


def _required(ended: Response) -> Iterator[_Required]:
    answered = {item.call_id for item in ended.output if isinstance(item, items.FunctionOutput)}
    for item in ended.output:
        match item:
            case items.FunctionCall(form="custom") if item.call_id not in answered:
                yield _Required("custom_tool_call_output", item.call_id)
            case items.FunctionCall() if item.call_id not in answered:
                yield _Required("function_call_output", item.call_id, item.name)
            case items.ApprovalRequest():
                yield _Required("mcp_approval_response", approval_request_id=item.id)
            case _:
                pass


def _frame(told: Struct, lane: str | None) -> str:
    return _encode(told)[:-1].decode() + _end(lane)


def _end(lane: str | None) -> str:
    """A lane has no character that JSON would have to escape."""
    return "}" if lane is None else f',"stream_id":"{lane}"}}'


def _lane(raw: Raw) -> str | None:
    if not shapes.given(raw):
        return None
    try:
        lane = msgspec.json.decode(raw, type=str)
    except msgspec.ValidationError:
        lane = ""
    if not _LANE.fullmatch(lane):
        raise errors.InvalidRequest(
            "Invalid 'stream_id'",
            param="stream_id",
            code="invalid_stream_id",
            details="send 1 to 256 letters, digits, underscores, hyphens and periods, or leave it out",
        )
    return lane
