"""Turns core values into rows, and rows into core values."""

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors, items, request
from freddy.server.core.attempt import Attempt
from freddy.server.core.response import IncompleteReason, Response
from freddy.server.core.rules import Considered
from freddy.server.core.threads import Thread
from freddy.server.core.usage import Shares, Usage
from freddy.server.ports.stores import PlacedItem
from freddy.server.stores.sql import statements, tables
from freddy.server.stores.sql.statements import Row, Statement, Value, param

Direction: TypeAlias = Literal["in", "out"]

RESPONSE = [
    tables.responses.c[name]
    for name in (
        "id", "organization_id", "key_id", "user_id", "thread_id", "status", "model", "provider",
        "created_at", "completed_at", "request", "outcome",
    )
]  # fmt: skip
"""What `response` wants of a row, in its order."""

PLACED = [
    tables.items.c.data,
    tables.items.c.owner_id,
    tables.entries.c.created_at,
    tables.entries.c.place,
    tables.items.c.direction,
    tables.items.c.position,
]
"""What `placed` wants of a row, in its order."""

# Written out, because SQLite's driver is slow to learn what a bool is.
_put_item = statements.insert(tables.items).values(
    {**statements.params(tables.items, leave_out=("hidden",)), "hidden": sa.false()}
)
INSERT_ITEM = Statement(_put_item.on_conflict_do_nothing())
PUT_ITEM = Statement(
    _put_item.on_conflict_do_update(
        index_elements=[tables.items.c.owner_id, tables.items.c.direction, tables.items.c.position],
        set_={name: _put_item.excluded[name] for name in ("id", "type", "data")},
    )
)
"""As `INSERT_ITEM`, in the place of what stands there."""
INSERT_LABEL = Statement(
    statements.insert(tables.labels).values(statements.params(tables.labels)).on_conflict_do_nothing()
)


class Outcome(Struct, frozen=True, omit_defaults=True):
    """What only the end of a response knows."""

    usage: Usage | None = None
    failure: errors.Failure | None = None
    incomplete_reason: IncompleteReason | None = None
    warnings: tuple[str, ...] = ()
    cost: float | None = None
    attempts: tuple[Attempt, ...] = ()
    considered: tuple[Considered, ...] = ()
    shares: Shares | None = None
    partial: bool = False


BROKEN_OFF = "broken_off"
"""The type of what is kept for its place alone: it is no message, for one."""
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
    value: items.Item, *, owner_id: str, organization_id: str, direction: Direction, position: int
) -> dict[str, Value]:
    """The values of `INSERT_ITEM`."""
    return {
        "owner_id": owner_id,
        "direction": direction,
        "position": position,
        "id": value.id,
        "organization_id": organization_id,
        "type": BROKEN_OFF if items.is_broken_off(value) else type_name(value),
        "data": text(value),
    }


def placed(row: Row) -> PlacedItem:
    """`row` holds the columns of `PLACED`."""
    data, owner_id, created_at, place, direction, position = row
    return PlacedItem(_item.decode(data), owner_id, created_at, (place, direction, position))


def label_rows(
    organization_id: str, kind: Literal["thread", "response"], labelled_id: str, metadata: Mapping[str, str]
) -> list[dict[str, Value]]:
    """The values of `INSERT_LABEL`."""
    return [
        {"organization_id": organization_id, "kind": kind, "id": labelled_id, "key": key, "value": value}
        for key, value in metadata.items()
    ]


def label_values(metadata: Mapping[str, str]) -> dict[str, Value]:
    """What fills as many `labelled`."""
    values: dict[str, Value] = {}
    for place, (key, value) in enumerate(metadata.items()):
        values |= {f"key_{place}": key, f"value_{place}": value}
    return values


def labelled(kind: Literal["thread", "response"], id_: sa.Column[str], place: int) -> sa.ColumnElement[bool]:
    """Whether what has this id has a pair of metadata.

    It is looked up for each row: as a join, PostgreSQL without statistics reads all labels for each of them.
    """
    labels = tables.labels
    found = sa.select(labels.c.id).where(
        labels.c.organization_id == param("organization_id"),
        labels.c.kind == kind,
        labels.c.key == param(f"key_{place}"),
        labels.c.value == param(f"value_{place}"),
        labels.c.id == id_,
    )
    return found.correlate(id_.table).limit(1).scalar_subquery().is_not(None)


def type_name(value: items.Item) -> str:
    """The tag that the item's JSON bears."""
    return tag(type(value))


def tag(of: type[items.Item]) -> str:
    """What `type_name` says of all items of a type."""
    return str(of.__struct_config__.tag)


def outcome(value: Response) -> str:
    return text(
        Outcome(
            usage=value.usage,
            failure=value.failure,
            incomplete_reason=value.incomplete_reason,
            warnings=value.warnings,
            cost=value.cost,
            attempts=value.attempts,
            considered=value.considered,
            shares=value.shares,
            partial=value.partial,
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
        response_id, organization_id, key_id, user_id, thread_id, status, model, provider,
        created_at, completed_at, request_data, outcome_data,
    ) = row  # fmt: skip
    both: dict[str, list[items.Item]] = {"in": [], "out": []}
    for direction, data in parts:
        both[direction].append(_item.decode(data))
    if status == "failed":
        # What a crash left open nobody answers any more.
        both["out"] = [_closed(item) for item in both["out"]]
    end = _outcome.decode(outcome_data)
    return Response(
        id=response_id,
        organization_id=organization_id,
        key_id=key_id,
        user_id=user_id,
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
        considered=end.considered,
        shares=end.shares,
        partial=end.partial,
    )


def _closed(value: items.Item) -> items.Item:
    if isinstance(value, items.HostedCall) and value.status == "in_progress":
        return replace(value, status="incomplete")
    return value


def thread(row: Row) -> Thread:
    """`row` holds the columns of the table."""
    (
        organization_id, thread_id, created_at, updated_at, last_message_at, title, metadata, last_model,
        pinned_at, assistant_id, user_id, visible, message_count, places,
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
        places=places,
        pinned_at=pinned_at,
        assistant_id=assistant_id,
        user_id=user_id,
        visible=bool(visible),
    )


def thread_values(value: Thread) -> dict[str, Value]:
    """The columns of the table."""
    return {
        "organization_id": value.organization_id,
        "id": value.id,
        "created_at": value.created_at,
        "updated_at": value.updated_at,
        "last_message_at": value.last_message_at,
        "title": value.title,
        "metadata": text(value.metadata),
        "last_model": value.last_model,
        "pinned_at": value.pinned_at,
        "assistant_id": value.assistant_id,
        "user_id": value.user_id,
        "visible": value.visible,
        "message_count": value.message_count,
        "places": value.places,
    }
