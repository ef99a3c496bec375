"""The need to keep configured things: assistants, rules, prompts and their like. A method is one transaction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal["assistant", "rule", "prompt", "mcp_configuration", "function", "webhook"]


class Record(Struct, frozen=True, kw_only=True):
    """`data` is the JSON of the kind's own Struct. `version` counts from 1. Times are Unix seconds."""

    id: str
    organization_id: str
    kind: Kind
    version: int = 1
    name: str
    data: bytes
    created_at: int
    updated_at: int
    created_by: str | None = None


class RecordStore(Protocol):
    """Every version of a record is kept until the record is deleted."""

    async def add(self, record: Record, *, most: int) -> None:
        """Raises `errors.Conflict` when the id is taken, and when the organization has `most` of the kind."""
        ...

    async def get(self, organization_id: str, record_id: str, *, version: int | None = None) -> Record | None:
        """The newest version, or the one asked for: its `updated_at` and `created_by` are then that version's."""
        ...

    async def find(self, organization_id: str, record_ids: Sequence[str]) -> Mapping[str, Record]:
        """The records among these ids, in their newest versions."""
        ...

    async def all(self, organization_id: str, kind: Kind) -> Sequence[Record]:
        """By `created_at`, then id, the newest first."""
        ...

    async def change(self, organization_id: str, record_id: str, alter: Callable[[Record], Record]) -> Record | None:
        """Reads, alters and keeps the next version, as one: nobody else comes between. None where it is not there.

        What `alter` raises is raised, and nothing is changed; where it returns what it was given there is no new
        version. Its `created_by` is who made the version. `alter` may be called twice.
        """
        ...

    async def delete(self, organization_id: str, record_id: str) -> bool:
        """Whether it was there. Its versions and attachments go with it."""
        ...

    async def versions(self, organization_id: str, record_id: str) -> Sequence[Record]:
        """All versions, the newest first."""
        ...
