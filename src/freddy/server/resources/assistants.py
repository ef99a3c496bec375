"""Keeps assistants, and fills in requests with what they say."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import assistants, errors, ids
from freddy.server.core.accounts import Caller
from freddy.server.core.assistants import Access, AccessMode, Assistant, Settings
from freddy.server.core.request import Request
from freddy.server.ports.records import RecordStore
from freddy.server.ports.world import Clock, IdSource
from freddy.server.resources.base import MOST, Changed, Collection, Kept, Listing, page, unheard
from freddy.server.resources.sample_assistants import SampleAssistants

Defaults: TypeAlias = Callable[[str], Awaitable[Settings]]
"""Gives the settings of an organization that hold where neither the request nor its assistant says otherwise."""
NO_SAMPLES: Final = SampleAssistants()


class Settled(Struct, frozen=True):
    """A request with everything filled in that was kept for it. `warnings` say what could not be."""

    request: Request
    assistant: Kept[Assistant] | None = None
    warnings: tuple[str, ...] = ()


class Filters(Struct, frozen=True, kw_only=True):
    """Which assistants are listed."""

    access: AccessMode | None = None
    vector_store_id: str | None = None
    in_chat: bool = False
    inactive: bool = False
    """Whether those that are not active are listed, too."""


async def none(_: str) -> Settings:
    """The `Defaults` of those who have none."""
    return Settings()


class Assistants:
    def __init__(
        self,
        records: RecordStore,
        *,
        clock: Clock,
        ids_from: IdSource,
        defaults: Defaults = none,
        most: int = MOST,
        changed: Changed = unheard,
        samples: SampleAssistants = NO_SAMPLES,
    ) -> None:
        """`most` is how many an organization may have; `changed` is told of every change."""
        self._records = records
        self._defaults = defaults
        self._samples = samples
        self._kept = Collection(
            "assistant",
            Assistant,
            prefix=ids.ASSISTANT,
            records=records,
            clock=clock,
            ids=ids_from,
            most=most,
            changed=changed,
            param="assistant_id",
            code="assistant_not_found",
        )

    async def settle(self, request: Request, caller: Caller, *, bound: str | None = None) -> Settled:
        """The request, with what its caller left out from its assistant, else from the organization's defaults.

        `bound` is the assistant of its thread, which is taken where the request names none; when that one is there no
        longer, a warning says so. Raises `errors.NotFound` for the one that the request names.
        """
        defaults = await self._defaults(caller.organization_id)
        named = request.assistant_id
        if named is None and bound is None:
            return Settled(assistants.applied(request, defaults))
        if named is not None:
            assistant = await self._usable(caller, named)
        elif bound is not None:
            try:
                assistant = await self._usable(caller, bound)
            except errors.NotFound as error:
                left_out = f"{error.message}: the request was answered without the assistant of its thread"
                return Settled(assistants.applied(request, defaults), warnings=(left_out,))
        filled = assistants.applied(request, assistant.value.settings.over(defaults))
        return Settled(replace(filled, assistant_id=assistant.id), assistant)

    async def create(self, caller: Caller, *, name: str, assistant: Assistant) -> Kept[Assistant]:
        """Raises `errors.NotFound` for a rule that is not there, `errors.Conflict` when there are too many."""
        await self._check_rules(caller.organization_id, assistant.rules)
        return await self._kept.create(caller, name=name, value=assistant)

    async def get(self, caller: Caller, assistant_id: str) -> tuple[Kept[Assistant], Access]:
        kept = await self._kept.get(caller, assistant_id)
        return kept, self._access(caller, kept)

    async def list(
        self, caller: Caller, listing: Listing, filters: Filters
    ) -> tuple[Sequence[tuple[Kept[Assistant], Access]], int]:
        """A page of those that the caller may see, and how many there are on all pages."""
        levels: dict[str, Access] = {}
        found = []
        for kept in await self._kept.all(caller.organization_id):
            access = assistants.access(kept.value, caller.sees_only, created_by=kept.created_by)
            if access is not None and _wanted(kept.value, filters, caller):
                levels[kept.id] = access
                found.append(kept)
        chosen, total = page(found, listing, words=lambda kept: (kept.name, kept.value.description))
        return [(kept, levels[kept.id]) for kept in chosen], total

    async def change(
        self,
        caller: Caller,
        assistant_id: str,
        alter: Callable[[str, Assistant], tuple[str, Assistant]],
        *,
        rules: Sequence[str] = (),
        expected_version: int | None = None,
    ) -> tuple[Kept[Assistant], Access]:
        """`alter` makes the new name and assistant of the old ones; `rules` are those that it adds, to be looked for.

        Raises `errors.NotFound`, `errors.PermissionDenied` for those who may only use it, and `errors.Conflict` when
        it is not in the expected version.
        """
        if rules:
            there, _ = await self.get(caller, assistant_id)
            await self._check_rules(there.organization_id, rules)

        def altered(kept: Kept[Assistant]) -> tuple[str, Assistant]:
            self._check_editor(caller, kept)
            return alter(kept.name, kept.value)

        kept = await self._kept.change(caller, assistant_id, altered, expected_version=expected_version)
        # Whoever takes the right to see it from themselves is told once more how it is now.
        return kept, assistants.access(kept.value, caller.sees_only, created_by=kept.created_by) or "edit"

    async def delete(self, caller: Caller, assistant_id: str) -> None:
        self._check_editor(caller, await self._kept.get(caller, assistant_id))
        await self._kept.delete(caller, assistant_id)

    async def versions(self, caller: Caller, assistant_id: str) -> Sequence[Kept[Assistant]]:
        """The newest first."""
        await self.get(caller, assistant_id)
        return await self._kept.versions(caller, assistant_id)

    async def _usable(self, caller: Caller, assistant_id: str) -> Kept[Assistant]:
        kept = (await self._kept.find(caller.organization_id, [assistant_id])).get(assistant_id)
        kept = kept or self._samples.find(caller.organization_id, assistant_id)
        if kept is None:
            raise _missing(assistant_id)
        self._access(caller, kept)
        if not kept.value.active:
            raise errors.NotFound(
                f"The assistant {assistant_id!r} is not active",
                param="assistant_id",
                code="assistant_not_found",
                details="set its `is_active` to true, or name another one",
            )
        if not kept.value.api_enabled and caller.user_id is None:
            raise errors.NotFound(
                f"The assistant {assistant_id!r} is not there for API keys",
                param="assistant_id",
                code="assistant_not_found",
                details="set its `api_enabled` to true, or name another one",
            )
        return kept

    def _access(self, caller: Caller, kept: Kept[Assistant]) -> Access:
        access = assistants.access(kept.value, caller.sees_only, created_by=kept.created_by)
        if access is None:
            raise _missing(kept.id)
        return access

    def _check_editor(self, caller: Caller, kept: Kept[Assistant]) -> None:
        if self._access(caller, kept) == "view":
            raise errors.PermissionDenied(
                f"You may use the assistant {kept.id!r}, not change it",
                param="assistant_id",
                details="ask its maker to add you to `editable_by_users`",
            )

    async def _check_rules(self, organization_id: str, rule_ids: Sequence[str]) -> None:
        if not rule_ids:
            return
        found = await self._records.find(organization_id, rule_ids)
        for place, rule_id in enumerate(rule_ids):
            if rule_id not in found or found[rule_id].kind != "rule":
                raise errors.NotFound(f"There is no rule {rule_id!r}", param=f"rule_ids[{place}]")


def _missing(assistant_id: str) -> errors.NotFound:
    return errors.NotFound(
        f"There is no assistant {assistant_id[:100]!r}", param="assistant_id", code="assistant_not_found"
    )


def _wanted(assistant: Assistant, filters: Filters, caller: Caller) -> bool:
    if not assistant.active and not filters.inactive:
        return False
    if filters.access is not None and assistant.access != filters.access:
        return False
    if filters.vector_store_id is not None and filters.vector_store_id not in assistant.vector_store_ids:
        return False
    return not filters.in_chat or assistants.offered(assistant, caller.user_id)
