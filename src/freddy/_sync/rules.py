# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`client.rules`: reusable instructions, and what they are attached to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from freddy._sync.paging import Page, fetch_page
from freddy._sync.transport import Transport, Call
from freddy._settings import path
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.responses import Deleted
from freddy.types.rules import Attachment, AttachmentList, AttachmentParam, Detached, Rule


class Rules:
    """Rules. Attach one to what it is for, or give its id to `responses.create(rules=[...])`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        name: str,
        content: str,
        description: Maybe[str] = NOT_GIVEN,
        category: Maybe[str] = NOT_GIVEN,
        rule_type: Maybe[str] = NOT_GIVEN,
        scope: Maybe[str] = NOT_GIVEN,
        apply_mode: Maybe[Literal["always", "auto", "manual"]] = NOT_GIVEN,
        priority: Maybe[int] = NOT_GIVEN,
        character_limit: Maybe[int] = NOT_GIVEN,
        keywords: Maybe[Sequence[str]] = NOT_GIVEN,
        conditions: Maybe[Mapping[str, str | Sequence[str]]] = NOT_GIVEN,
        is_public: Maybe[bool] = NOT_GIVEN,
        is_active: Maybe[bool] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        attachments: Maybe[Sequence[AttachmentParam]] = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Rule:
        """A new rule, attached to all that `attachments` names, or not made at all."""
        fields = {
            "name": name,
            "content": content,
            "description": description,
            "category": category,
            "rule_type": rule_type,
            "scope": scope,
            "apply_mode": apply_mode,
            "priority": priority,
            "character_limit": character_limit,
            "keywords": keywords,
            "conditions": conditions,
            "is_public": is_public,
            "is_active": is_active,
            "metadata": metadata,
            "attachments": attachments,
            "organization_id": self._organization(organization_id),
            **extra,
        }
        call = Call(method="POST", path=path("rules"), body=without_omitted(fields))
        return Rule((self._transport.send(call)).body)

    def get(self, rule_id: str) -> Rule:
        call = Call(method="GET", path=path("rules", rule_id))
        return Rule((self._transport.send(call)).body)

    def update(
        self,
        rule_id: str,
        *,
        name: Maybe[str] = NOT_GIVEN,
        content: Maybe[str] = NOT_GIVEN,
        description: Maybe[str] = NOT_GIVEN,
        category: Maybe[str] = NOT_GIVEN,
        rule_type: Maybe[str] = NOT_GIVEN,
        scope: Maybe[str] = NOT_GIVEN,
        apply_mode: Maybe[Literal["always", "auto", "manual"]] = NOT_GIVEN,
        priority: Maybe[int] = NOT_GIVEN,
        character_limit: Maybe[int] = NOT_GIVEN,
        keywords: Maybe[Sequence[str]] = NOT_GIVEN,
        conditions: Maybe[Mapping[str, str | Sequence[str]]] = NOT_GIVEN,
        is_public: Maybe[bool] = NOT_GIVEN,
        is_active: Maybe[bool] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        expected_version: Maybe[int] = NOT_GIVEN,
        **extra: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Rule:
        """Changes the fields that are given, and no other; None takes one back to its default.

        With `expected_version` the change is refused where somebody else came before (`ConflictError`).
        """
        fields = {
            "name": name,
            "content": content,
            "description": description,
            "category": category,
            "rule_type": rule_type,
            "scope": scope,
            "apply_mode": apply_mode,
            "priority": priority,
            "character_limit": character_limit,
            "keywords": keywords,
            "conditions": conditions,
            "is_public": is_public,
            "is_active": is_active,
            "metadata": metadata,
            "expected_version": expected_version,
            **extra,
        }
        call = Call(method="PATCH", path=path("rules", rule_id), body=without_omitted(fields))
        return Rule((self._transport.send(call)).body)

    def delete(self, rule_id: str, *, force: bool = False) -> Deleted:
        """Deletes a rule and its versions; with `force` although it is attached to something."""
        query = {"force": "true"} if force else {}
        call = Call(method="DELETE", path=path("rules", rule_id), query=query)
        return Deleted((self._transport.send(call)).body)

    def list(
        self,
        *,
        search: Maybe[str] = NOT_GIVEN,
        category: Maybe[str] = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        order: Literal["asc", "desc"] | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
        **filters: Any,  # noqa: ANN401 goes into the query as it is
    ) -> Page[Rule]:
        """The rules of an organization, the newest first. Filters: `rule_type`, `scope`, `is_active`, …"""
        query = {
            "search": search,
            "category": category,
            "limit": limit,
            "order": order,
            "after": after,
            "organization_id": self._organization(organization_id),
            **filters,
        }
        return fetch_page(self._transport, path("rules"), query, Rule)

    def duplicate(self, rule_id: str, *, organization_id: str | None = None) -> Rule:
        """A copy in the organization (by default the one that has the rule); of a public rule, too."""
        if organization_id is None:
            organization_id = self._transport.settings.organization_id or (self.get(rule_id)).organization_id
        call = Call(method="POST", path=path("organizations", organization_id or "", "rules", rule_id, "duplicate"))
        return Rule((self._transport.send(call)).body)

    def attach(
        self,
        rule_id: str,
        *,
        entity_type: str,
        entity_id: str,
        priority: Maybe[int] = NOT_GIVEN,
        character_limit: Maybe[int] = NOT_GIVEN,
    ) -> Attachment:
        """Attaches a rule to an assistant, a user, a model (by its name), a vector store or an organization."""
        fields = {
            "entity_type": entity_type,
            "entity_id": entity_id,
            "priority": priority,
            "character_limit": character_limit,
        }
        call = Call(method="POST", path=path("rules", rule_id, "attachments"), body=without_omitted(fields))
        return Attachment((self._transport.send(call)).body)

    def attachments(self, rule_id: str) -> AttachmentList:
        """What a rule is attached to."""
        call = Call(method="GET", path=path("rules", rule_id, "attachments"))
        return AttachmentList((self._transport.send(call)).body)

    def update_attachment(
        self,
        rule_id: str,
        *,
        entity_type: str,
        entity_id: str,
        priority: Maybe[int] = NOT_GIVEN,
        character_limit: Maybe[int] = NOT_GIVEN,
        is_active: Maybe[bool] = NOT_GIVEN,
    ) -> Attachment:
        """Changes the fields that are given, and no other."""
        fields = without_omitted({"priority": priority, "character_limit": character_limit, "is_active": is_active})
        where = path("rules", rule_id, "attachments", entity_type, entity_id)
        return Attachment((self._transport.send(Call(method="PUT", path=where, body=fields))).body)

    def detach(self, rule_id: str, *, entity_type: str, entity_id: str) -> Detached:
        where = path("rules", rule_id, "attachments", entity_type, entity_id)
        return Detached((self._transport.send(Call(method="DELETE", path=where))).body)

    def of_entity(self, entity_type: str, entity_id: str) -> AttachmentList:
        """The rules that an assistant, a user, a model, … has."""
        call = Call(method="GET", path=path("rules", "entities", entity_type, entity_id, "rules"))
        return AttachmentList((self._transport.send(call)).body)

    def _organization(self, given: Maybe[str]) -> Maybe[str]:
        return given or self._transport.settings.organization_id or NOT_GIVEN
