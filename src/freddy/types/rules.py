"""Rules: reusable instructions, as the server tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypedDict

from freddy.types._view import Reader, View, many, one, plain


class AttachmentParam(TypedDict, total=False):
    """What a rule is to be attached to: type and id are needed."""

    entity_type: str
    entity_id: str
    priority: int
    character_limit: int | None


class Attachment(View):
    """Where a rule applies. In a rule's `attached_entities` it has no `rule_id` and no times."""

    id: str
    rule_id: str | None
    entity_type: str
    entity_id: str
    priority: int
    character_limit: int | None
    is_active: bool
    attached_by: str | None
    attached_at: int | None
    created_at: str | None
    updated_at: str | None
    rule_summary: Rule | None
    _readers: ClassVar[Mapping[str, Reader]] = {}


class Rule(View):
    """A rule. `content` is whole where it was created, got or changed; lists have the `content_preview`."""

    id: str
    object: str
    name: str
    content: str | None
    content_preview: str | None
    content_length: int | None
    description: str | None
    category: str | None
    rule_type: str | None
    scope: str | None
    apply_mode: str | None
    priority: int | None
    character_limit: int | None
    keywords: list[str]
    conditions: dict[str, list[str]] | None
    organization_id: str | None
    created_by: str | None
    is_public: bool | None
    is_active: bool | None
    version: int | None
    usage_count: int | None
    can_edit: bool | None
    metadata: dict[str, str] | None
    created_at: str | None
    updated_at: str | None
    attached_entities: list[Attachment]
    _readers: ClassVar[Mapping[str, Reader]] = {
        "metadata": plain,
        "conditions": plain,
        "attached_entities": many(Attachment),
    }


Attachment._readers = {"rule_summary": one(Rule)}  # noqa: SLF001 each of the two holds the other


class AttachmentList(View):
    """All attachments of a rule or of an entity, the highest priority first."""

    attachments: list[Attachment]
    total: int
    _readers: ClassVar[Mapping[str, Reader]] = {"attachments": many(Attachment)}


class Detached(View):
    """The receipt of an attachment that is gone."""

    message: str
    rule_id: str
    entity_type: str
    entity_id: str
    detached_at: str
