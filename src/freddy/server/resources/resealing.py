"""Seals what is kept in confidence anew, so that a secret key that sealed it can be taken away."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors, functions, mcp_configurations, webhooks
from freddy.server.core.functions import Previous
from freddy.server.ports.records import Kind, Record, RecordStore
from freddy.server.ports.sealer import Name, SealedRows, Sealer

Places: TypeAlias = Mapping[bytes, tuple[str, ...]]
"""What is sealed, and what each of it is bound to."""
Anew: TypeAlias = Mapping[bytes, bytes]
"""What was sealed, and the same sealed anew."""

_encode: Final = msgspec.json.Encoder().encode
_function: Final = msgspec.json.Decoder(functions.Configuration).decode
_webhook: Final = msgspec.json.Decoder(webhooks.Configuration).decode
_mcp_configuration: Final = msgspec.json.Decoder(mcp_configurations.Configuration).decode


class Form(Struct, frozen=True):
    """How something is sealed in what is kept: `places` finds it, `swapped` puts other seals where it was."""

    places: Callable[[Name, bytes], Places]
    swapped: Callable[[bytes, Anew], bytes]


class Resealed(Struct, frozen=True):
    """How many are sealed with the first secret key now, and those in which something could not be opened."""

    done: int
    unreadable: Sequence[Name]


async def reseal(rows: SealedRows, form: Form, sealer: Sealer) -> Resealed:
    """What changes meanwhile is sealed with the first secret key already, or is changed after it has changed."""
    done, unreadable = 0, []
    for name in await rows.names():
        data = await rows.get(name)
        try:
            places = {} if data is None else form.places(name, data)
        except (msgspec.MsgspecError, ValueError):
            # What cannot be read is told, and keeps nothing else from being sealed anew.
            unreadable.append(name)
            continue
        if not places:
            continue
        anew = await _sealed_anew(places, sealer)
        if anew:
            await rows.change(name, partial(_swapped, form, anew))
        if len(anew) < len(places):
            unreadable.append(name)
        else:
            done += 1
    return Resealed(done, unreadable)


class SealedRecords:
    """The port `SealedRows`: the records of one kind."""

    def __init__(self, records: RecordStore, kind: Kind, *, organization_ids: Collection[str]) -> None:
        self._records = records
        self._kind: Kind = kind
        self._organization_ids = organization_ids

    async def names(self) -> Sequence[Name]:
        return [
            (organization_id, record.id)
            for organization_id in self._organization_ids
            for record in await self._records.all(organization_id, self._kind)
        ]

    async def get(self, name: Name) -> bytes | None:
        record = await self._records.get(*name)
        return None if record is None else record.data

    async def change(self, name: Name, alter: Callable[[bytes], bytes]) -> None:
        def altered(record: Record) -> Record:
            data = alter(record.data)
            return record if data == record.data else replace(record, data=data)

        await self._records.change(*name, altered)


def of_mcp_configurations() -> Form:
    def places(name: Name, data: bytes) -> Places:
        sealed = _mcp_configuration(data).credentials
        return {} if sealed is None else {sealed: mcp_configurations.bound_to(*name)}

    def swapped(data: bytes, anew: Anew) -> bytes:
        value = _mcp_configuration(data)
        sealed = value.credentials
        return _encode(replace(value, credentials=None if sealed is None else anew.get(sealed, sealed)))

    return Form(places, swapped)


def of_functions(now: float) -> Form:
    """Secrets that sign no more at `now`, in Unix seconds, stay as they are."""

    def places(name: Name, data: bytes) -> Places:
        value = _function(data)
        found = _signing(value.secret, value.previous, functions.secret_bound_to(*name), now=now)
        if value.headers is not None:
            found[value.headers] = functions.headers_bound_to(*name, value.url)
        return found

    def swapped(data: bytes, anew: Anew) -> bytes:
        value = _function(data)
        headers = None if value.headers is None else anew.get(value.headers, value.headers)
        secret = anew.get(value.secret, value.secret)
        return _encode(replace(value, headers=headers, secret=secret, previous=_previous(value.previous, anew)))

    return Form(places, swapped)


def of_webhooks(now: float) -> Form:
    """Secrets that sign no more at `now`, in Unix seconds, stay as they are."""

    def places(name: Name, data: bytes) -> Places:
        value = _webhook(data)
        return _signing(value.secret, value.previous, webhooks.secret_bound_to(*name), now=now)

    def swapped(data: bytes, anew: Anew) -> bytes:
        value = _webhook(data)
        secret = anew.get(value.secret, value.secret)
        return _encode(replace(value, secret=secret, previous=_previous(value.previous, anew)))

    return Form(places, swapped)


async def _sealed_anew(places: Places, sealer: Sealer) -> Anew:
    """Without what cannot be opened."""
    anew = {}
    for sealed, place in places.items():
        with suppress(errors.StorageUnavailable):
            anew[sealed] = await sealer.seal(await sealer.open(sealed, place), place)
    return anew


def _swapped(form: Form, anew: Anew, data: bytes) -> bytes:
    return form.swapped(data, anew)


def _signing(
    secret: bytes, previous: Previous | None, place: tuple[str, ...], *, now: float
) -> dict[bytes, tuple[str, ...]]:
    found = {secret: place} if secret else {}
    if previous is not None and previous.until > now:
        found[previous.sealed] = place
    return found


def _previous(before: Previous | None, anew: Anew) -> Previous | None:
    return None if before is None else replace(before, sealed=anew.get(before.sealed, before.sealed))
