"""The need to keep what rules are attached to. A method is one transaction."""

from collections.abc import Callable, Sequence
from typing import Protocol

from freddy.server.core.rules import Attachment, Entity
from freddy.server.ports.records import Record


class AttachmentStore(Protocol):
    """A rule is attached to an entity once. Lists are by priority, the highest first, then by age, the oldest first."""

    async def add_rule(self, rule: Record, attachments: Sequence[Attachment], *, most: int) -> None:
        """Keeps a new rule with its attachments. Raises what `RecordStore.add` raises."""
        ...

    async def add(self, attachment: Attachment, *, most: int) -> None:
        """Raises `errors.Conflict` for a rule that is attached there already, or that has `most` attachments.

        Raises `errors.NotFound` for a rule that is not there.
        """
        ...

    async def get(
        self, organization_id: str, rule_id: str, *, entity_type: Entity, entity_id: str
    ) -> Attachment | None: ...

    async def all(self, organization_id: str) -> Sequence[Attachment]: ...

    async def of_rule(self, organization_id: str, rule_id: str) -> Sequence[Attachment]: ...

    async def of_entity(self, organization_id: str, entity_type: Entity, entity_id: str) -> Sequence[Attachment]: ...

    async def change(
        self,
        organization_id: str,
        rule_id: str,
        *,
        entity_type: Entity,
        entity_id: str,
        alter: Callable[[Attachment], Attachment],
    ) -> Attachment | None:
        """Reads, alters and keeps, as one. None where it is not there. `alter` may be called twice."""
        ...

    async def delete(
        self, organization_id: str, rule_id: str, *, entity_type: Entity, entity_id: str
    ) -> Attachment | None:
        """What was there."""
        ...

    async def public(self) -> Sequence[Record]:
        """The rules of all organizations that are public, the newest first."""
        ...

    async def public_rule(self, rule_id: str) -> Record | None:
        """A rule of any organization, where it is public."""
        ...
