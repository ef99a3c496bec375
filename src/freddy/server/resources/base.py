"""Keeps things of one kind: what is alike for assistants, rules and prompts. What is not alike stays with each."""

import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.accounts import Caller
from freddy.server.ports.records import Kind, Record, RecordStore
from freddy.server.ports.stores import Page
from freddy.server.ports.world import Clock, IdSource

T = TypeVar("T", bound=Struct)
U = TypeVar("U")

Action: TypeAlias = Literal["created", "updated", "deleted"]
Changed: TypeAlias = Callable[[Caller, Action, Kind, Record | None, Record | None], Awaitable[None]]
"""Is told of every change after it was made, with the record before and after."""
Add: TypeAlias = Callable[[Record, int], Awaitable[None]]
"""Keeps a new record, unless the organization has so many of its kind; for what is kept together with others."""
Sort: TypeAlias = Literal["created_at", "updated_at", "name"]

MOST: Final = 1_000
"""Of a kind, in an organization."""
LARGEST: Final = 256 * 1024
"""Bytes of one thing as JSON."""
LONGEST_NAME: Final = 255
_CONTROLS: Final = frozenset(("Cc", "Cs", "Zl", "Zp"))
_encode = msgspec.json.Encoder().encode


class Kept(Struct, Generic[T], frozen=True, kw_only=True):
    """A thing as it is kept. `created_by` is a user or an API key: of the thing, or of the version that was asked for.

    Times are Unix seconds.
    """

    id: str
    organization_id: str
    name: str
    value: T
    version: int = 1
    created_at: int
    updated_at: int
    created_by: str | None = None


class Listing(Struct, frozen=True, kw_only=True):
    search: str | None = None
    sort: Sort = "created_at"
    descending: bool = True
    limit: int = 20
    offset: int = 0


class OvertakenError(Exception):
    """Somebody else made another version meanwhile."""


def unless_overtaken(read: Kept[T], name: str, value: T) -> Callable[[Kept[T]], tuple[str, T]]:
    """What to alter a thing to that was read before. Raises `OvertakenError` where it is another by now."""

    def alter(now: Kept[T]) -> tuple[str, T]:
        if now.version != read.version:
            raise OvertakenError
        return name, value

    return alter


async def unheard(caller: Caller, action: Action, kind: Kind, before: Record | None, after: Record | None) -> None:
    """The `Changed` that tells nobody."""


class Collection(Generic[T]):
    """The things of one kind. Those of organizations out of the caller's reach are not there."""

    def __init__(
        self,
        kind: Kind,
        of: type[T],
        *,
        prefix: str,
        records: RecordStore,
        clock: Clock,
        ids: IdSource,
        most: int = MOST,
        changed: Changed = unheard,
        param: str = "id",
        code: str | None = None,
    ) -> None:
        """`prefix` is that of their ids, `most` how many an organization may have.

        `param` is what errors call an id, `code` that of the error for what is not there, if it is not the usual one.
        """
        self._kind: Kind = kind
        self._decoder = msgspec.json.Decoder(of)
        self._prefix = prefix
        self._records = records
        self._clock = clock
        self._ids = ids
        self._most = most
        self._changed = changed
        self._param = param
        self._code = code

    async def create(
        self, caller: Caller, *, name: str, value: T, add: Add | None = None, thing_id: str | None = None
    ) -> Kept[T]:
        """Raises `errors.Conflict` when the organization has as many as it may have.

        `thing_id` is for those whose value depends on their id.
        """
        now = int(self._clock.now())
        record = Record(
            id=thing_id or self._ids.new(self._prefix),
            organization_id=caller.organization_id,
            kind=self._kind,
            name=_checked(name),
            data=self._data(value),
            created_at=now,
            updated_at=now,
            created_by=author(caller),
        )
        await (add(record, self._most) if add else self._records.add(record, most=self._most))
        await self._changed(caller, "created", self._kind, None, record)
        return self._kept(record)

    async def get(
        self, caller: Caller, thing_id: str, *, version: int | None = None, param: str | None = None
    ) -> Kept[T]:
        """Raises `errors.NotFound`, which names `param`."""
        for organization_id in caller.reach:
            record = await self._records.get(organization_id, thing_id, version=version)
            if record is not None and record.kind == self._kind:
                return self._kept(record)
        raise self._missing(thing_id, version=version, param=param)

    async def find(self, organization_id: str, thing_ids: Sequence[str]) -> dict[str, Kept[T]]:
        """Those among the ids that are there."""
        found = await self._records.find(organization_id, thing_ids)
        return {record.id: self._kept(record) for record in found.values() if record.kind == self._kind}

    async def check(self, organization_id: str, thing_ids: Sequence[str], *, param: str) -> None:
        """Raises `errors.NotFound` for the first id that nothing has: `param` is the array it stands in."""
        if not thing_ids:
            return
        found = await self.find(organization_id, thing_ids)
        for place, thing_id in enumerate(thing_ids):
            if thing_id not in found:
                raise self._missing(thing_id, param=f"{param}[{place}]")

    async def all(self, organization_id: str) -> Sequence[Kept[T]]:
        """The newest first."""
        return [self._kept(record) for record in await self._records.all(organization_id, self._kind)]

    async def change(
        self,
        caller: Caller,
        thing_id: str,
        alter: Callable[[Kept[T]], tuple[str, T]],
        *,
        expected_version: int | None = None,
    ) -> Kept[T]:
        """Keeps the name and value that `alter` makes of it as its next version; the same ones make none.

        `alter` may run twice, and may refuse. Raises `errors.NotFound`, and `errors.Conflict` when somebody else
        made another version than the expected one.
        """
        found: Record | None = None

        def altered(record: Record) -> Record:
            nonlocal found
            if record.kind != self._kind:
                raise self._missing(thing_id)
            found = record
            if expected_version is not None and expected_version != record.version:
                raise errors.Conflict(
                    f"The {self._kind} {thing_id!r} is at version {record.version}, not {expected_version}",
                    param="expected_version",
                    details="read it again, and change that version",
                )
            name, value = alter(self._kept(record))
            data = self._data(value)
            if name == record.name and data == record.data:
                return record
            return replace(
                record,
                name=_checked(name),
                data=data,
                updated_at=max(int(self._clock.now()), record.updated_at),
                created_by=author(caller),
            )

        for organization_id in caller.reach:
            after = await self._records.change(organization_id, thing_id, altered)
            if after is None or found is None:
                continue
            if after != found:
                await self._changed(caller, "updated", self._kind, found, after)
            return self._kept(after)
        raise self._missing(thing_id)

    async def delete(self, caller: Caller, thing_id: str) -> Kept[T]:
        """What was there. Raises `errors.NotFound`."""
        for organization_id in caller.reach:
            record = await self._records.get(organization_id, thing_id)
            if record is None or record.kind != self._kind or not await self._records.delete(organization_id, thing_id):
                continue
            await self._changed(caller, "deleted", self._kind, record, None)
            return self._kept(record)
        raise self._missing(thing_id)

    async def versions(self, caller: Caller, thing_id: str) -> Sequence[Kept[T]]:
        """The newest first. Raises `errors.NotFound`."""
        for organization_id in caller.reach:
            records = await self._records.versions(organization_id, thing_id)
            if records and records[0].kind == self._kind:
                return [self._kept(record) for record in records]
        raise self._missing(thing_id)

    def _kept(self, record: Record) -> Kept[T]:
        return Kept(
            id=record.id,
            organization_id=record.organization_id,
            name=record.name,
            value=self._decoder.decode(record.data),
            version=record.version,
            created_at=record.created_at,
            updated_at=record.updated_at,
            created_by=record.created_by,
        )

    def _data(self, value: T) -> bytes:
        data = _encode(value)
        if len(data) > LARGEST:
            raise errors.TooLarge(
                f"The {self._kind} is larger than {LARGEST:,} bytes", details="shorten its longest fields"
            )
        return data

    def _missing(self, thing_id: str, *, version: int | None = None, param: str | None = None) -> errors.NotFound:
        of = "" if version is None else f" in version {version}"
        return errors.NotFound(
            f"There is no {self._kind} {thing_id[:100]!r}{of}", param=param or self._param, code=self._code
        )


def author(caller: Caller) -> str | None:
    """Who makes a change: a user or an API key. None for the anonymous caller of local development mode."""
    return caller.user_id or caller.key_id


def page(
    things: Iterable[Kept[T]], listing: Listing, *, words: Callable[[Kept[T]], Iterable[str | None]]
) -> tuple[Sequence[Kept[T]], int]:
    """The things of one page, and how many there are on all pages. `words` is what the search looks at."""
    wanted = (listing.search or "").casefold().split()
    found = [thing for thing in things if not wanted or _has(words(thing), wanted)]
    found.sort(key=lambda thing: _key(thing, listing.sort), reverse=listing.descending)
    return found[listing.offset : listing.offset + listing.limit], len(found)


def beside(found: Sequence[U], page: Page, *, id_of: Callable[[U], str], noun: str) -> tuple[Sequence[U], bool]:
    """The part of a list, which has the newest first, that a page with cursors asks for; and whether more follow.

    Raises `errors.InvalidValue` for a cursor that is none of them.
    """
    ordered = found if page.order == "desc" else found[::-1]
    places = {id_of(one): place for place, one in enumerate(ordered)}
    for side, cursor in (("after", page.after), ("before", page.before)):
        if cursor is not None and cursor not in places:
            raise errors.InvalidValue(side, f"must be the id of a {noun} of this list")
    first = places[page.after] + 1 if page.after is not None else 0
    end = places[page.before] if page.before is not None else len(ordered)
    if page.before is not None and page.after is None:
        # What is nearest to the cursor; more lies before it.
        return ordered[max(0, end - page.limit) : end], end > page.limit
    return ordered[first : min(end, first + page.limit)], end - first > page.limit


def _has(words: Iterable[str | None], wanted: Sequence[str]) -> bool:
    """Whether each of the wanted words is somewhere, in capital letters or not."""
    text = "\n".join(word for word in words if word).casefold()
    return all(each in text for each in wanted)


def _key(thing: Kept[T], sort: Sort) -> tuple[str | int, str]:
    match sort:
        case "name":
            return thing.name.casefold(), thing.id
        case "created_at":
            return thing.created_at, thing.id
        case "updated_at":
            return thing.updated_at, thing.id


def _checked(name: str) -> str:
    if not 0 < len(name.strip()) <= LONGEST_NAME:
        raise errors.InvalidValue("name", f"must be 1 to {LONGEST_NAME} characters, not all of them blank")
    if any(unicodedata.category(character) in _CONTROLS for character in name):
        raise errors.InvalidValue("name", "must have no control characters and no line breaks")
    return name.strip()
