"""Turns core values into rows, and rows into core values."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors, items, request
from freddy.server.core.attempt import Attempt
from freddy.server.core.response import IncompleteReason, Response
from freddy.server.core.threads import Thread
from freddy.server.core.usage import Usage
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.statements import Row, Statement, Value

Direction: TypeAlias = Literal["in", "out"]

RESPONSE = [
    tables.responses.c[name]
    for name in (
        "id", "organization_id", "key_id", "thread_id", "status", "model", "provider",
        "created_at", "completed_at", "request", "outcome",
    )
]  # fmt: skip
"""What `response` wants of a row, in its order."""

INSERT_ITEM = Statement(
    tables.items.insert().prefix_with("OR IGNORE", dialect="sqlite").values(statements.params(tables.items))
)


class Outcome(Struct, frozen=True, omit_defaults=True):
    """What only the end of a response knows."""

    usage: Usage | None = None
    failure: errors.Failure | None = None
    incomplete_reason: IncompleteReason | None = None
    warnings: tuple[str, ...] = ()
    cost: float | None = None
    attempts: tuple[Attempt, ...] = ()


_encoder = msgspec.json.Encoder()
_item: msgspec.json.Decoder[items.Item] = msgspec.json.Decoder(items.Item)
_request = msgspec.json.Decoder(request.Request)
_outcome = msgspec.json.Decoder(Outcome)
_words = msgspec.json.Decoder(dict[str, str])


def text(value: object) -> str:
    return _encoder.encode(value).decode()


def item(data: str) -> items.Item:
    return _item.decode(data)


def item_row(
    value: items.Item, *, response_id: str, organization_id: str, direction: Direction, position: int
) -> tuple[Value, ...]:
    return INSERT_ITEM.bind(
        response_id=response_id,
        direction=direction,
        position=position,
        id=value.id,
        organization_id=organization_id,
        type=type_name(value),
        data=text(value),
    )


def type_name(value: items.Item) -> str:
    """The tag that the item's JSON bears."""
    return str(value.__struct_config__.tag)


def outcome(value: Response) -> str:
    return text(
        Outcome(
            usage=value.usage,
            failure=value.failure,
            incomplete_reason=value.incomplete_reason,
            warnings=value.warnings,
            cost=value.cost,
            attempts=value.attempts,
        )
    )


def failed_outcome(data: str, failure: errors.Failure) -> str:
    """The outcome, with a failure."""
    return text(replace(_outcome.decode(data), failure=failure))


def request_text(value: Response) -> str:
    return text(replace(value.request, input=()))


def response(row: Row, parts: Iterable[tuple[str, str]]) -> Response:
    """`row` holds the columns of `RESPONSE`; `parts` are direction and data of its items, in order."""
    (
        response_id, organization_id, key_id, thread_id, status, model, provider,
        created_at, completed_at, request_data, outcome_data,
    ) = row  # fmt: skip
    both: dict[str, list[items.Item]] = {"in": [], "out": []}
    for direction, data in parts:
        both[direction].append(_item.decode(data))
    end = _outcome.decode(outcome_data)
    return Response(
        id=response_id,
        organization_id=organization_id,
        key_id=key_id,
        thread_id=thread_id,
        status=status,
        model=model,
        provider=provider,
        created_at=created_at,
        completed_at=completed_at,
        request=replace(_request.decode(request_data), input=tuple(both["in"])),
        output=tuple(both["out"]),
        usage=end.usage,
        failure=end.failure,
        incomplete_reason=end.incomplete_reason,
        warnings=end.warnings,
        cost=end.cost,
        attempts=end.attempts,
    )


def thread(row: Sequence[Any]) -> Thread:
    """`row` holds the columns of the table, then the number of messages."""
    (
        organization_id, thread_id, created_at, updated_at, last_message_at,
        title, metadata, last_model, pinned_at, message_count,
    ) = row  # fmt: skip
    return Thread(
        id=thread_id,
        organization_id=organization_id,
        created_at=created_at,
        updated_at=updated_at,
        last_message_at=last_message_at,
        title=title,
        metadata=_words.decode(metadata),
        last_model=last_model,
        message_count=message_count,
        pinned_at=pinned_at,
    )
