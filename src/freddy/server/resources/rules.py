"""The use-cases of rules: create, get, list, change, copy, delete, and what they are attached to."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors, ids
from freddy.server.core.accounts import Caller
from freddy.server.core.rules import USUAL, Attachment, Entity, Rule
from freddy.server.ports.attachments import AttachmentStore
from freddy.server.ports.records import Record, RecordStore
from freddy.server.ports.stores import Page
from freddy.server.ports.world import Clock, IdSource
from freddy.server.resources import base
from freddy.server.resources.base import Action, Kept
from freddy.server.resources.sample_rules import SampleRules

MOST_ATTACHMENTS: Final = 1_000
"""Of a rule."""
_COPY: Final = " (copy)"
_decode = msgspec.json.Decoder(Rule).decode

Attached: TypeAlias = Callable[[Caller, Action, Attachment | None, Attachment | None], Awaitable[None]]
"""Is told of every change of an attachment after it was made, with the attachment before and after."""


class Aim(Struct, frozen=True, kw_only=True):
    """What a rule is to be attached to, and how."""

    entity_type: Entity
    entity_id: str
    priority: int = USUAL
    character_limit: int | None = None


class Shown(Struct, frozen=True):
    """A rule, what it is attached to, and whether who asks may change it."""

    kept: Kept[Rule]
    attachments: Sequence[Attachment] = ()
    can_edit: bool = False


class Wanted(Struct, frozen=True, kw_only=True):
    """Which rules are asked for; None asks for nothing. Each word of `search` is in name, description or content."""

    search: str | None = None
    category: str | None = None
    rule_type: str | None = None
    scope: str | None = None
    is_active: bool | None = None
    is_public: bool | None = None
    entity_type: Entity | None = None
    entity_id: str | None = None
    attached_only: bool | None = None
    """Only what is attached to something, or (false) to nothing."""


async def unheard(caller: Caller, action: Action, before: Attachment | None, after: Attachment | None) -> None:
    """The `Attached` that tells nobody."""


def collection(
    records: RecordStore,
    *,
    clock: Clock,
    ids_from: IdSource,
    most: int = base.MOST,
    changed: base.Changed = base.unheard,
) -> base.Collection[Rule]:
    """Where rules are kept; `most` is how many an organization may have."""
    return base.Collection(
        "rule", Rule, prefix=ids.RULE, records=records, clock=clock, ids=ids_from, most=most, changed=changed
    )


class Rules:
    def __init__(
        self,
        collection: base.Collection[Rule],
        *,
        attachments: AttachmentStore,
        records: RecordStore,
        forget: Callable[[str], None],
        clock: Clock,
        ids_from: IdSource,
        samples: SampleRules | None = None,
        attached: Attached = unheard,
    ) -> None:
        """`forget` is told the organization whose rules have changed."""
        self._collection = collection
        self._attachments = attachments
        self._records = records
        self._forget = forget
        self._clock = clock
        self._ids = ids_from
        self._samples = samples or SampleRules()
        self._attached = attached

    async def home(self, rule_id: str, organization_ids: Collection[str]) -> str | None:
        """Which of the organizations has the rule."""
        for organization_id in organization_ids:
            if self._samples.find(organization_id, rule_id) or await self._collection.find(organization_id, [rule_id]):
                return organization_id
        return None

    async def create(self, caller: Caller, *, name: str, rule: Rule, aims: Sequence[Aim] = ()) -> Shown:
        """Raises `errors.Conflict` for too many rules, `errors.NotFound` for an entity that is not there."""
        for place, aim in enumerate(aims):
            await self._check(caller, aim, at=f"attachments[{place}].")
        made: list[Attachment] = []

        async def add(record: Record, most: int) -> None:
            made[:] = [self._made(caller, record.id, aim) for aim in aims]
            await self._attachments.add_rule(record, made, most=most)

        kept = await self._collection.create(caller, name=name, value=rule, add=add)
        self._forget(caller.organization_id)
        for one in made:
            await self._attached(caller, "created", None, one)
        made.sort(key=lambda one: -one.priority)
        return Shown(kept, made, can_edit=True)

    async def get(self, caller: Caller, rule_id: str) -> Shown:
        """One of the caller's organization, or a public one of another. Raises `errors.NotFound`."""
        kept = self._samples.find(caller.organization_id, rule_id)
        if kept is not None:
            return Shown(kept)
        found = await self._collection.find(caller.organization_id, [rule_id])
        if rule_id in found:
            attachments = await self._attachments.of_rule(caller.organization_id, rule_id)
            return Shown(found[rule_id], attachments, _may_edit(caller))
        record = await self._attachments.public_rule(rule_id)
        if record is None:
            raise _missing(rule_id)
        return Shown(_public(record))

    async def all(self, caller: Caller, wanted: Wanted) -> Sequence[Shown]:
        """The newest first."""
        attachments: dict[str, list[Attachment]] = {}
        for one in await self._attachments.all(caller.organization_id):
            attachments.setdefault(one.rule_id, []).append(one)
        rules = await self._collection.all(caller.organization_id)
        shown = (Shown(kept, attachments.get(kept.id, ()), _may_edit(caller)) for kept in rules)
        return [one for one in shown if _fits(one, wanted)]

    async def public(self, caller: Caller, wanted: Wanted) -> Sequence[Shown]:
        """Those of all organizations that are public and active, the newest first."""
        shown = (
            Shown(kept, (), _may_edit(caller) and kept.organization_id == caller.organization_id)
            for kept in map(_public, await self._attachments.public())
        )
        return [one for one in shown if one.kept.value.is_active and _fits(one, wanted)]

    async def change(
        self,
        caller: Caller,
        rule_id: str,
        *,
        name: str | None,
        values: Mapping[str, Any],
        expected_version: int | None = None,
    ) -> Shown:
        """Changes these fields. Raises `errors.NotFound`, and `errors.Conflict` for another version."""
        kept = await self._collection.change(
            caller,
            rule_id,
            lambda before: (before.name if name is None else name, replace(before.value, **values)),
            expected_version=expected_version,
        )
        self._forget(caller.organization_id)
        return Shown(kept, await self._attachments.of_rule(caller.organization_id, rule_id), can_edit=True)

    async def copy(self, caller: Caller, rule_id: str) -> Shown:
        """A rule of the caller's organization like this one, attached to nothing. Raises `errors.NotFound`."""
        kept = (await self.get(caller, rule_id)).kept
        name = kept.name[: base.LONGEST_NAME - len(_COPY)] + _COPY
        return await self.create(caller, name=name, rule=replace(kept.value, is_public=False))

    async def delete(self, caller: Caller, rule_id: str, *, force: bool) -> None:
        """Raises `errors.NotFound`, and unless forced `errors.Conflict` for one that is attached to something."""
        attachments = await self._attachments.of_rule(caller.organization_id, rule_id)
        active = sum(one.active for one in attachments)
        if active and not force:
            raise errors.Conflict(
                f"The rule {rule_id!r} is attached to {active} {'entities' if active > 1 else 'entity'}",
                param="force",
                details="detach it first, or delete it with force=true",
            )
        await self._collection.delete(caller, rule_id)
        self._forget(caller.organization_id)

    async def attachments(self, caller: Caller, rule_id: str) -> tuple[Kept[Rule], Sequence[Attachment]]:
        """The highest priority first. Raises `errors.NotFound`."""
        kept = await self._collection.get(caller, rule_id, param="rule_id")
        return kept, await self._attachments.of_rule(caller.organization_id, rule_id)

    async def attach(self, caller: Caller, rule_id: str, aim: Aim) -> tuple[Kept[Rule], Attachment]:
        """Raises `errors.NotFound` for rule or entity, and `errors.Conflict` for what is attached already."""
        kept = await self._collection.get(caller, rule_id, param="rule_id")
        await self._check(caller, aim)
        made = self._made(caller, rule_id, aim)
        await self._attachments.add(made, most=MOST_ATTACHMENTS)
        self._forget(caller.organization_id)
        await self._attached(caller, "created", None, made)
        return kept, made

    async def attachment(
        self, caller: Caller, rule_id: str, *, entity_type: Entity, entity_id: str
    ) -> tuple[Kept[Rule], Attachment]:
        """Raises `errors.NotFound`."""
        kept = await self._collection.get(caller, rule_id, param="rule_id")
        found = await self._attachments.get(
            caller.organization_id, rule_id, entity_type=entity_type, entity_id=entity_id
        )
        if found is None:
            raise _detached(rule_id, entity_type, entity_id)
        return kept, found

    async def change_attachment(
        self,
        caller: Caller,
        rule_id: str,
        *,
        entity_type: Entity,
        entity_id: str,
        values: Mapping[str, Any],
    ) -> tuple[Kept[Rule], Attachment]:
        """Changes these fields. Raises `errors.NotFound`."""
        kept = await self._collection.get(caller, rule_id, param="rule_id")
        now = int(self._clock.now())
        before: Attachment | None = None

        def alter(attachment: Attachment) -> Attachment:
            nonlocal before
            before = attachment
            return replace(attachment, **values, updated_at=max(now, attachment.updated_at))

        changed = await self._attachments.change(
            caller.organization_id, rule_id, entity_type=entity_type, entity_id=entity_id, alter=alter
        )
        if changed is None:
            raise _detached(rule_id, entity_type, entity_id)
        self._forget(caller.organization_id)
        await self._attached(caller, "updated", before, changed)
        return kept, changed

    async def detach(self, caller: Caller, rule_id: str, *, entity_type: Entity, entity_id: str) -> int:
        """When it was, in Unix seconds. Raises `errors.NotFound`."""
        gone = await self._attachments.delete(
            caller.organization_id, rule_id, entity_type=entity_type, entity_id=entity_id
        )
        if gone is None:
            await self._collection.get(caller, rule_id, param="rule_id")
            raise _detached(rule_id, entity_type, entity_id)
        self._forget(caller.organization_id)
        await self._attached(caller, "deleted", gone, None)
        return int(self._clock.now())

    async def of_entity(
        self, caller: Caller, entity_type: Entity, entity_id: str
    ) -> Sequence[tuple[Kept[Rule], Attachment]]:
        """The highest priority first."""
        attachments = await self._attachments.of_entity(caller.organization_id, entity_type, entity_id)
        found = await self._collection.find(caller.organization_id, [one.rule_id for one in attachments])
        return [(found[one.rule_id], one) for one in attachments if one.rule_id in found]

    async def categories(self, caller: Caller) -> Sequence[tuple[str, int]]:
        """How many rules each category has, the fullest first; those without one count as `custom`."""
        rules = await self._collection.all(caller.organization_id)
        counted = Counter(kept.value.category or "custom" for kept in rules)
        return sorted(counted.items(), key=lambda one: (-one[1], one[0]))

    async def _check(self, caller: Caller, aim: Aim, *, at: str = "") -> None:
        """What this server knows by id must be there. Models, users and vector stores may come later."""
        match aim.entity_type:
            case "assistant":
                found = await self._records.find(caller.organization_id, [aim.entity_id])
                is_there = aim.entity_id in found and found[aim.entity_id].kind == "assistant"
            case "organization":
                is_there = aim.entity_id == caller.organization_id
            case _:
                is_there = True
        if not is_there:
            raise errors.NotFound(f"There is no {aim.entity_type} {aim.entity_id!r}", param=f"{at}entity_id")

    def _made(self, caller: Caller, rule_id: str, aim: Aim) -> Attachment:
        now = int(self._clock.now())
        return Attachment(
            id=self._ids.new(ids.ATTACHMENT),
            organization_id=caller.organization_id,
            rule_id=rule_id,
            entity_type=aim.entity_type,
            entity_id=aim.entity_id,
            priority=aim.priority,
            character_limit=aim.character_limit,
            created_at=now,
            updated_at=now,
            created_by=base.author(caller),
        )


def page_of(shown: Sequence[Shown], page: Page) -> tuple[Sequence[Shown], bool]:
    """The rules of a page of those that are there, the newest first, and whether more follow behind it.

    Raises `errors.InvalidValue` for a cursor that is none of them.
    """
    return base.beside(shown, page, id_of=lambda one: one.kept.id, noun="rule")


def _fits(one: Shown, wanted: Wanted) -> bool:
    rule = one.kept.value
    for asked, has in (
        (wanted.category, rule.category),
        (wanted.rule_type, rule.rule_type),
        (wanted.scope, rule.scope),
        (wanted.is_active, rule.is_active),
        (wanted.is_public, rule.is_public),
        (wanted.attached_only, bool(one.attachments)),
    ):
        if asked is not None and asked != has:
            return False
    text = f"{one.kept.name}\n{rule.description or ''}\n{rule.content}".casefold() if wanted.search else ""
    if not all(word in text for word in (wanted.search or "").casefold().split()):
        return False
    return wanted.entity_type is None or any(
        each.entity_type == wanted.entity_type and wanted.entity_id in (None, each.entity_id)
        for each in one.attachments
    )


def _may_edit(caller: Caller) -> bool:
    return "rules:write" in caller.scopes


def _public(record: Record) -> Kept[Rule]:
    """As everybody may see it: who made it and how it is labelled is the organization's own business."""
    return Kept(
        id=record.id,
        organization_id=record.organization_id,
        name=record.name,
        value=replace(_decode(record.data), metadata={}),
        version=record.version,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def _missing(rule_id: str) -> errors.NotFound:
    return errors.NotFound(f"There is no rule {rule_id[:100]!r}", param="rule_id")


def _detached(rule_id: str, entity_type: Entity, entity_id: str) -> errors.NotFound:
    return errors.NotFound(
        f"The rule {rule_id!r} is not attached to the {entity_type} {entity_id[:100]!r}", param="entity_id"
    )
