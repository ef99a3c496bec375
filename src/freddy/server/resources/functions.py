"""The use-cases of functions that organizations register: kept with what they are told in confidence, and opened for
those who call them.
"""

import asyncio
import logging
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from freddy.server.core import errors, functions, ids, signing, toolspec
from freddy.server.core.accounts import Caller
from freddy.server.core.functions import Change, Configuration, Previous
from freddy.server.ports.outward import Outward
from freddy.server.ports.records import Record, RecordStore
from freddy.server.ports.sealer import Sealer
from freddy.server.ports.stores import Page
from freddy.server.ports.tools import Answer, Asker, Confided, Registered, RegisteredCalls
from freddy.server.ports.world import Clock, IdSource
from freddy.server.resources.base import MOST, Changed, Kept, OvertakenError, beside, unheard, unless_overtaken
from freddy.server.resources.base import Collection as Kind

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode
_REMEMBERED: Final = 10_000
_TRIES: Final = 10


class Made(Struct, frozen=True):
    """A function and the secret that signs its calls: it is told this once."""

    kept: Kept[Configuration]
    secret: str

    def __repr__(self) -> str:
        return f"Made({self.kept.id!r})"


class Tested(Struct, frozen=True):
    """`seconds` is how long the call took."""

    answer: Answer
    seconds: float


class Functions:
    """The port `Registry`, and the use-cases of those who keep functions.

    A member changes what they made themselves; who sees everything of the organization, whatever is there. What was
    looked up for requests is remembered for `seconds`: so long a change by another process may go unseen.
    """

    def __init__(
        self,
        records: RecordStore,
        *,
        sealer: Sealer,
        outward: Outward,
        calls: RegisteredCalls,
        clock: Clock,
        ids_from: IdSource,
        reserved: Collection[str] = (),
        most: int = MOST,
        changed: Changed = unheard,
        seconds: float = 5.0,
    ) -> None:
        """`reserved` are the names of functions that the server has for everybody; `most` counts an organization's."""
        self._records = records
        self._sealer = sealer
        self._outward = outward
        self._calls = calls
        self._clock = clock
        self._ids = ids_from
        self._reserved = frozenset(reserved)
        self._seconds = seconds
        self._known: dict[str, tuple[float, Mapping[str, Kept[Configuration]]]] = {}
        self._changes = 0
        self._naming = asyncio.Lock()
        self._kept = Kind(
            "function",
            Configuration,
            prefix=ids.FUNCTION,
            records=records,
            clock=clock,
            ids=ids_from,
            most=most,
            changed=changed,
            param="function_id",
            code="function_not_found",
        )

    async def named(self, organization_id: str, names: Sequence[str]) -> Mapping[str, Registered]:
        known = self._known.get(organization_id)
        kept = known[1] if known and known[0] > self._clock.monotonic() else await self._look_up(organization_id)
        return {name: self._registered(kept[name]) for name in names if name in kept}

    async def confided(self, function: Registered) -> Confided:
        headers: dict[str, str] = {}
        if function.headers is not None:
            place = functions.headers_bound_to(function.organization_id, function.id, function.url)
            headers = _decode(await self._sealer.open(function.headers, place))
        place = functions.secret_bound_to(function.organization_id, function.id)
        opened = [await self._sealer.open(sealed, place) for sealed in function.secrets]
        return Confided(headers, tuple(opened))

    async def create(self, caller: Caller, change: Change) -> Made:
        """Raises `errors.InvalidValue` for what cannot be, and `errors.Conflict` when the name is taken."""
        name = change.name
        if name is UNSET:
            raise errors.InvalidRequest(
                "Missing required parameter: 'name'", param="name", code="missing_required_parameter"
            )
        self._check(change)
        value, headers = functions.changed(Configuration(), change, {})
        function_id = self._ids.new(ids.FUNCTION)
        secret = _new_secret()
        value = replace(
            value,
            headers=await self._sealed(headers, caller.organization_id, function_id, value.url),
            secret=await self._sealer.seal(secret, functions.secret_bound_to(caller.organization_id, function_id)),
        )
        async with self._naming:
            await self._check_free(caller.organization_id, name)
            kept = await self._kept.create(caller, name=name, value=value, add=self._add, thing_id=function_id)
        self._forget(caller.organization_id)
        return Made(kept, secret)

    async def get(self, caller: Caller, function_id: str) -> Kept[Configuration]:
        """Raises `errors.NotFound`."""
        return await self._kept.get(caller, function_id)

    async def list(
        self, caller: Caller, page: Page, *, search: str = ""
    ) -> tuple[Sequence[Kept[Configuration]], bool, int]:
        """Those of one page that have all words of the search, whether more follow, and how many there are."""
        words = search.casefold().split()
        found = [one for one in await self._kept.all(caller.organization_id) if _fits(one, words)]
        shown, more = beside(found, page, id_of=lambda one: one.id, noun="function")
        return shown, more, len(found)

    async def change(self, caller: Caller, function_id: str, change: Change) -> Kept[Configuration]:
        """Raises `errors.NotFound`, `errors.InvalidValue`, `errors.PermissionDenied` for another member's, and
        `errors.Conflict` when the name is taken or it is not in the expected version.
        """
        self._check(change)
        for _ in range(_TRIES):
            read = await self._editable(caller, function_id)
            name = read.name if change.name is UNSET else change.name
            value = await self._changed(read, change)
            async with self._naming:
                if name != read.name:
                    await self._check_free(read.organization_id, name, but=function_id)
                kept = await self._replaced(caller, read, name, value, expected_version=change.expected_version)
            if kept is not None:
                return kept
        raise _busy(function_id)

    async def rotate(self, caller: Caller, function_id: str, *, overlap_seconds: int) -> Made:
        """With another secret. The one before goes on signing, too, for so long.

        Raises `errors.NotFound`, and `errors.PermissionDenied` for another member's.
        """
        for _ in range(_TRIES):
            read = await self._editable(caller, function_id)
            secret = _new_secret()
            sealed = await self._sealer.seal(secret, functions.secret_bound_to(read.organization_id, function_id))
            until = int(self._clock.now()) + overlap_seconds
            previous = Previous(read.value.secret, until) if overlap_seconds else None
            value = replace(read.value, secret=sealed, previous=previous)
            kept = await self._replaced(caller, read, read.name, value)
            if kept is not None:
                return Made(kept, secret)
        raise _busy(function_id)

    async def delete(self, caller: Caller, function_id: str) -> None:
        """Raises `errors.NotFound`, and `errors.PermissionDenied` for another member's."""
        await self._editable(caller, function_id)
        gone = await self._kept.delete(caller, function_id)
        self._forget(gone.organization_id)

    async def test(self, caller: Caller, function_id: str, *, arguments: Raw) -> Tested:
        """Calls it as a model would, whether or not it is enabled.

        Raises `errors.NotFound`, `errors.InvalidValue` for arguments that do not fit, and `errors.StorageUnavailable`.
        """
        kept = await self._editable(caller, function_id)
        functions.check_arguments(arguments, kept.value.parameters)
        function = self._registered(kept)
        confided = await self.confided(function)
        asker = Asker(kept.organization_id, caller.user_id, caller.key_id, call_id=self._ids.new(ids.CALL))
        begun = self._clock.monotonic()
        answer = await self._calls.call(function, confided, arguments=bytes(arguments).decode(), asker=asker)
        return Tested(answer, self._clock.monotonic() - begun)

    def _check(self, change: Change) -> None:
        if change.name is not UNSET:
            functions.check_name(change.name, reserved=self._reserved)
        if change.url is not UNSET:
            self._outward.check(change.url, param="url")

    async def _check_free(self, organization_id: str, name: str, *, but: str | None = None) -> None:
        for other in await self._records.all(organization_id, "function"):
            if other.name == name and other.id != but:
                raise _taken(name)

    async def _add(self, record: Record, most: int) -> None:
        await self._records.add(record, most=most)
        # Of two that two processes make at the same time each may have seen none before. Now one of them sees both, or
        # both do, and none stays.
        others = [one for one in await self._records.all(record.organization_id, "function") if one.id != record.id]
        if any(one.name == record.name for one in others):
            await self._records.delete(record.organization_id, record.id)
            raise _taken(record.name)

    async def _editable(self, caller: Caller, function_id: str) -> Kept[Configuration]:
        kept = await self._kept.get(caller, function_id)
        if caller.sees_only is not None and caller.sees_only != kept.created_by:
            raise errors.PermissionDenied(
                f"The function {kept.id!r} was made by somebody else: you may use it, not change it",
                param="function_id",
                details="ask its maker, an administrator or an owner of the organization",
            )
        return kept

    async def _changed(self, kept: Kept[Configuration], change: Change) -> Configuration:
        known: dict[str, str] | None = {}
        function = self._registered(kept)
        if kept.value.headers is not None:
            try:
                known = dict((await self.confided(replace(function, secrets=()))).headers)
            except errors.StorageUnavailable:
                known = None
        value, headers = functions.changed(kept.value, change, known)
        if headers == known and value.url == kept.value.url:
            return value
        return replace(value, headers=await self._sealed(headers, kept.organization_id, kept.id, value.url))

    async def _replaced(
        self,
        caller: Caller,
        read: Kept[Configuration],
        name: str,
        value: Configuration,
        *,
        expected_version: int | None = None,
    ) -> Kept[Configuration] | None:
        """None where somebody else made another version meanwhile."""
        try:
            kept = await self._kept.change(
                caller, read.id, unless_overtaken(read, name, value), expected_version=expected_version
            )
        except OvertakenError:
            return None
        self._forget(kept.organization_id)
        return kept

    async def _sealed(
        self, headers: Mapping[str, str], organization_id: str, function_id: str, url: str
    ) -> bytes | None:
        if not headers:
            return None
        place = functions.headers_bound_to(organization_id, function_id, url)
        return await self._sealer.seal(_encode(headers).decode(), place)

    async def _look_up(self, organization_id: str) -> Mapping[str, Kept[Configuration]]:
        changes = self._changes
        every = sorted(await self._kept.all(organization_id), key=_age, reverse=True)
        found = {one.name: one for one in every if one.value.enabled}
        if changes == self._changes:  # else what was read may be of before the change
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[organization_id] = (self._clock.monotonic() + self._seconds, found)
        return found

    def _forget(self, organization_id: str) -> None:
        self._changes += 1
        self._known.pop(organization_id, None)

    def _registered(self, kept: Kept[Configuration]) -> Registered:
        value = kept.value
        sealed = [value.secret]
        if value.previous is not None and value.previous.until > self._clock.now():
            sealed.append(value.previous.sealed)
        return Registered(
            id=kept.id,
            organization_id=kept.organization_id,
            spec=toolspec.Function(
                kept.name,
                value.description,
                value.parameters,
                strict=False,
                require_approval=value.require_approval,
                hosted=True,
                once=not value.idempotent,
            ),
            url=value.url,
            timeout_seconds=value.timeout_seconds,
            headers=value.headers,
            secrets=tuple(sealed),
        )


def _new_secret() -> str:
    return signing.secret_of(secrets.token_bytes(signing.SECRET_BYTES))


def _age(one: Record | Kept[Configuration]) -> tuple[int, str]:
    return one.created_at, one.id


def _fits(kept: Kept[Configuration], words: Sequence[str]) -> bool:
    text = "\n".join((kept.name, kept.value.description or "", kept.value.url)).casefold()
    return all(word in text for word in words)


def _taken(name: str) -> errors.Conflict:
    return errors.Conflict(
        f"There is a function {name!r} in the organization already",
        param="name",
        details="change that one, or take another name",
    )


def _busy(function_id: str) -> errors.Conflict:
    return errors.Conflict(f"The function {function_id!r} is being changed by others", details="try again in a moment")
