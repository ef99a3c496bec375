"""The need to keep things. A method is one transaction; when it returns, the write is durable.

Every look-up by id takes the organization. All raise `errors.StorageUnavailable` when nothing can be kept or read.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from freddy.server.core.accounts import ApiKey, Organization
from freddy.server.core.files import File, Purpose
from freddy.server.core.items import Item
from freddy.server.core.provider_keys import ProviderKey
from freddy.server.core.response import Response
from freddy.server.core.threads import Thread

Order: TypeAlias = Literal["asc", "desc"]


class Page(Struct, frozen=True):
    """`after` and `before` are ids of the entries next to the page; `limit` counts entries."""

    limit: int = 20
    order: Order = "desc"
    after: str | None = None
    before: str | None = None


class ResponseStore(Protocol):
    async def open(self, response: Response) -> None:
        """Keeps a response that begins, with its input items; `output` is empty.

        Where `thread_id` names a thread that does not exist it is made (with the request's thread metadata), in the
        same transaction. Two organizations may have threads of the same id. Raises `errors.Conflict` when the
        response's id is taken.
        """
        ...

    async def keep(self, response: Response) -> None:
        """Keeps a response that has ended and was never opened: all of it at once. Repeating it changes nothing."""
        ...

    async def add_items(self, response_id: str, start: int, items: Sequence[Item]) -> None:
        """Keeps finished output items; `start` is the first one's place in the output. Repeating it changes nothing."""
        ...

    async def finish(self, response: Response) -> None:
        """Keeps the end: status, usage, failure and every output item not yet kept.

        Where the response succeeded, its thread's `updated_at`, `last_message_at`, `last_model` move.
        """
        ...

    async def get(self, organization_id: str, response_id: str) -> Response | None:
        """The whole response: with its input in `request.input` and its output."""
        ...

    async def delete(self, organization_id: str, response_id: str) -> bool:
        """Whether it was there. Its items go with it, out of its thread too."""
        ...

    async def input_items(self, organization_id: str, response_id: str, page: Page) -> tuple[Sequence[Item], bool]:
        """A page of the input items, and whether more follow."""
        ...

    async def find_items(self, organization_id: str, item_ids: Sequence[str]) -> Mapping[str, Item]:
        """The kept items among these ids, of input or output."""
        ...

    async def chain(self, organization_id: str, response_id: str) -> Sequence[Response]:
        """The response and those it continues, oldest first, each whole. Empty when unknown.

        A link that was deleted ends the chain.
        """
        ...

    async def fail_unfinished(self, response_ids_alive: Sequence[str], now: int) -> int:
        """Marks every response that is `queued` or `in_progress` and not alive as failed (`code` `interrupted`).

        Called at start: they belonged to a process that is gone. Returns how many. Output items already kept stay.
        """
        ...


class ThreadStore(Protocol):
    async def create(self, thread: Thread) -> None:
        """Raises `errors.Conflict` when the id is taken."""
        ...

    async def get(self, organization_id: str, thread_id: str) -> Thread | None: ...

    async def list(self, organization_id: str, page: Page) -> tuple[Sequence[Thread], bool]:
        """By `created_at`, then id; and whether more follow."""
        ...

    async def update(self, thread: Thread) -> bool:
        """Replaces title, metadata and pin; whether it was there."""
        ...

    async def delete(self, organization_id: str, thread_id: str) -> bool:
        """Its responses go with it."""
        ...

    async def items(self, organization_id: str, thread_id: str) -> Sequence[Item]:
        """All items of the thread's responses that are `completed`, `incomplete` or `requires_action`, oldest first."""
        ...

    async def page_items(self, organization_id: str, thread_id: str, page: Page) -> tuple[Sequence["ThreadItem"], bool]:
        """A page of the same, each with its response and time."""
        ...


class ThreadItem(Struct, frozen=True):
    item: Item
    response_id: str
    created_at: int


class AccountStore(Protocol):
    async def add_organization(self, organization: Organization) -> None:
        """Does nothing when it is there."""
        ...

    async def list_organizations(self) -> Sequence[Organization]: ...

    async def add_key(self, key: ApiKey) -> None:
        """Raises `errors.Conflict` when the id or the digest is taken."""
        ...

    async def find_key(self, digest: bytes) -> ApiKey | None:
        """By the SHA-256 of the secret; also revoked and expired ones."""
        ...

    async def list_keys(self, organization_id: str) -> Sequence[ApiKey]: ...

    async def update_key(self, key: ApiKey) -> bool:
        """Replaces name, scopes, organizations, expiry and revocation."""
        ...


class ProviderKeyStore(Protocol):
    """Keys that organizations bring: one for each upstream."""

    async def put(self, key: ProviderKey) -> ProviderKey:
        """Keeps the key, in the place of the one before. The answer is what is kept: `created_at` stays the first."""
        ...

    async def list(self, organization_id: str) -> Sequence[ProviderKey]:
        """By the name of the upstream."""
        ...

    async def list_all(self) -> Sequence[ProviderKey]:
        """Of every organization, for the operator."""
        ...

    async def reseal(self, key: ProviderKey, sealed: bytes) -> bool:
        """Replaces how the same key is sealed; whether it was still sealed as `key` says."""
        ...

    async def delete(self, organization_id: str, upstream: str) -> bool:
        """Whether it was there."""
        ...


class FilePage(Struct, frozen=True):
    """Files by the time of their upload. `after` is the id before the page, even of a file that is gone."""

    limit: int = 20
    order: Order = "desc"
    after: str | None = None
    skip: int = 0
    purpose: Purpose | None = None


class FileStore(Protocol):
    """Files, and the names of blobs that no file has: those being written and those to be removed.

    `now` is in Unix seconds: what has expired by then is not there.
    """

    async def begin(self, file_id: str) -> None:
        """Remembers the blob of a file to be, before anything is written to it.

        Raises `errors.Conflict` when the id is taken, by a file or by another that begins.
        """
        ...

    async def add(self, files: Sequence[File]) -> None:
        """Keeps the files, and forgets that nobody has their blobs."""
        ...

    async def find(self, organization_id: str, file_ids: Sequence[str], now: int) -> Mapping[str, File]:
        """The files among these ids."""
        ...

    async def list(self, organization_id: str, page: FilePage, now: int) -> tuple[Sequence[File], bool]:
        """A page, and whether more follow."""
        ...

    async def count(self, organization_id: str, now: int) -> int: ...

    async def delete(self, organization_id: str, file_id: str, now: int) -> bool:
        """Whether it was there. Nobody has its blob any more."""
        ...

    async def expire(self, now: int) -> int:
        """Deletes what has expired, in all organizations. Returns how many."""
        ...

    async def orphans(self) -> Sequence[str]:
        """The blobs that no file has."""
        ...

    async def forget(self, blobs: Sequence[str]) -> None:
        """These blobs are gone."""
        ...
