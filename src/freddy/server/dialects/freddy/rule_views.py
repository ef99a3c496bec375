"""Owns how rules and their attachments are told: the answers of /v1/rules."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs

from freddy.server.core import rules
from freddy.server.core.rules import Attachment, Entity, Rule
from freddy.server.resources.base import Kept
from freddy.server.resources.rules import Shown, Wanted

PREVIEW: Final = 200
"""Characters of a rule's content that a list shows."""
_ANONYMOUS: Final = "anonymous"
"""Who made what was made without a credential; clients want a name there."""
_encode = msgspec.json.Encoder().encode


class AttachedView(Struct):
    id: str
    entity_type: str
    entity_id: str
    priority: int
    character_limit: int | None
    is_active: bool


class RuleFacts(Struct, kw_only=True):
    id: str
    object: Literal["rule"] = "rule"
    name: str
    description: str | None
    content_length: int
    category: str | None
    rule_type: str | None
    scope: str | None
    apply_mode: str
    priority: int
    character_limit: int | None
    keywords: tuple[str, ...]
    conditions: dict[str, tuple[str, ...]]
    organization_id: str
    created_by: str
    is_public: bool
    is_active: bool
    version: int
    usage_count: int
    can_edit: bool
    metadata: dict[str, str]
    created_at: str
    updated_at: str
    attached_entities: tuple[AttachedView, ...] | UnsetType = UNSET


class RuleView(RuleFacts, kw_only=True):
    content: str


class RuleSummaryView(RuleFacts, kw_only=True):
    content_preview: str


class RuleList(Struct, kw_only=True):
    """A page by cursor."""

    object: Literal["list"] = "list"
    data: tuple[RuleSummaryView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool
    limit: int
    total: int


class RulePage(Struct, kw_only=True):
    """A page by number of rules to skip. `filters` are those that were asked for."""

    rules: tuple[RuleSummaryView, ...]
    total: int
    skip: int
    limit: int
    filters: dict[str, str | bool]


class RuleDeleted(Struct):
    id: str
    object: Literal["rule.deleted"] = "rule.deleted"
    deleted: bool = True


class RuleBrief(Struct):
    id: str
    name: str
    description: str | None
    category: str | None
    rule_type: str | None
    is_active: bool


class RuleAttachmentView(Struct, kw_only=True):
    id: str
    object: Literal["rule.attachment"] = "rule.attachment"
    rule_id: str
    entity_type: str
    entity_id: str
    priority: int
    character_limit: int | None
    attached_by: str
    attached_at: int
    is_active: bool
    created_at: str
    updated_at: str
    rule_summary: RuleBrief | None = None


class RuleAttachmentList(Struct):
    attachments: tuple[RuleAttachmentView, ...]
    total: int


class RuleDetached(Struct):
    message: str
    rule_id: str
    entity_type: str
    entity_id: str
    detached_at: str


class CategoryCount(Struct):
    category: str
    count: int


class CategoryCounts(Struct):
    statistics: tuple[CategoryCount, ...]
    total: int


class EntityCount(Struct):
    entity_type: str
    count: int
    entity_ids: tuple[str, ...]


class RuleUsage(Struct):
    rule_id: str
    total_attachments: int
    by_entity_type: tuple[EntityCount, ...]


def encode_rule(shown: Shown, *, with_attachments: bool = True) -> bytes:
    return _encode(RuleView(**_facts(shown, with_attachments=with_attachments), content=shown.kept.value.content))


def encode_rules(shown: Sequence[Shown], *, has_more: bool, limit: int, total: int, with_attachments: bool) -> bytes:
    return _encode(
        RuleList(
            data=tuple(_summary(one, with_attachments=with_attachments) for one in shown),
            first_id=shown[0].kept.id if shown else None,
            last_id=shown[-1].kept.id if shown else None,
            has_more=has_more,
            limit=limit,
            total=total,
        )
    )


def encode_rule_page(
    shown: Sequence[Shown],
    *,
    total: int,
    skip: int,
    limit: int,
    filters: Mapping[str, str | bool],
    with_attachments: bool,
) -> bytes:
    return _encode(
        RulePage(
            rules=tuple(_summary(one, with_attachments=with_attachments) for one in shown),
            total=total,
            skip=skip,
            limit=limit,
            filters=dict(filters),
        )
    )


def filters(wanted: Wanted) -> dict[str, str | bool]:
    """Those that were asked for."""
    asked: dict[str, str | bool | None] = structs.asdict(wanted)
    return {name: value for name, value in asked.items() if value is not None}


def encode_deleted(rule_id: str) -> bytes:
    return _encode(RuleDeleted(rule_id))


def encode_attachment(kept: Kept[Rule] | None, attachment: Attachment) -> bytes:
    """With the rule, where one is given."""
    return _encode(_attachment(kept, attachment))


def encode_attachments(several: Sequence[tuple[Kept[Rule] | None, Attachment]]) -> bytes:
    return _encode(RuleAttachmentList(tuple(_attachment(*one) for one in several), len(several)))


def encode_detached(rule_id: str, entity_type: Entity, entity_id: str, *, at: int) -> bytes:
    return _encode(RuleDetached("The rule is detached", rule_id, entity_type, entity_id, _iso(at)))


def encode_categories(counted: Sequence[tuple[str, int]]) -> bytes:
    statistics = tuple(CategoryCount(category, count) for category, count in counted)
    return _encode(CategoryCounts(statistics, sum(one.count for one in statistics)))


def encode_usage(rule_id: str, attachments: Sequence[Attachment]) -> bytes:
    """Of the attachments that are active."""
    entities = {
        kind: tuple(one.entity_id for one in attachments if one.active and one.entity_type == kind)
        for kind in rules.ENTITIES
    }
    counts = tuple(EntityCount(kind, len(names), names) for kind, names in entities.items() if names)
    return _encode(RuleUsage(rule_id, sum(one.count for one in counts), counts))


def _summary(shown: Shown, *, with_attachments: bool) -> RuleSummaryView:
    content = shown.kept.value.content
    return RuleSummaryView(**_facts(shown, with_attachments=with_attachments), content_preview=content[:PREVIEW])


def _facts(shown: Shown, *, with_attachments: bool) -> dict[str, Any]:
    kept, rule = shown.kept, shown.kept.value
    return {
        "id": kept.id,
        "name": kept.name,
        "description": rule.description,
        "content_length": len(rule.content),
        "category": rule.category,
        "rule_type": rule.rule_type,
        "scope": rule.scope,
        "apply_mode": rule.apply_mode,
        "priority": rule.priority,
        "character_limit": rule.character_limit,
        "keywords": rule.keywords,
        "conditions": rule.conditions,
        "organization_id": kept.organization_id,
        "created_by": kept.created_by or _ANONYMOUS,
        "is_public": rule.is_public,
        "is_active": rule.is_active,
        "version": kept.version,
        "usage_count": sum(one.active for one in shown.attachments),
        "can_edit": shown.can_edit,
        "metadata": rule.metadata,
        "created_at": _iso(kept.created_at),
        "updated_at": _iso(kept.updated_at),
        "attached_entities": tuple(map(_attached, shown.attachments)) if with_attachments else UNSET,
    }


def _attached(one: Attachment) -> AttachedView:
    return AttachedView(one.id, one.entity_type, one.entity_id, one.priority, one.character_limit, one.active)


def _attachment(kept: Kept[Rule] | None, one: Attachment) -> RuleAttachmentView:
    rule = kept and kept.value
    return RuleAttachmentView(
        id=one.id,
        rule_id=one.rule_id,
        entity_type=one.entity_type,
        entity_id=one.entity_id,
        priority=one.priority,
        character_limit=one.character_limit,
        attached_by=one.created_by or _ANONYMOUS,
        attached_at=one.created_at,
        is_active=one.active,
        created_at=_iso(one.created_at),
        updated_at=_iso(one.updated_at),
        rule_summary=RuleBrief(kept.id, kept.name, rule.description, rule.category, rule.rule_type, rule.is_active)
        if kept and rule
        else None,
    )


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
