"""The need to keep things. A method is one transaction; when it returns, the write is durable.

Every look-up by id takes the organization. All raise `errors.StorageUnavailable` when nothing can be kept or read.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from freddy.server.core.accounts import ApiKey, Member, Organization
from freddy.server.core.audit import Entry
from freddy.server.core.files import File, Purpose
from freddy.server.core.items import Item
from freddy.server.core.provider_keys import ProviderKey
from freddy.server.core.response import Response, Status
from freddy.server.core.threads import Branch, Spot, Thread

Order: TypeAlias = Literal["asc", "desc"]


class Page(Struct, frozen=True):
    """`after` and `before` are ids of the entries next to the page; `limit` counts entries."""

    limit: int = 20
    order: Order = "desc"
    after: str | None = None
    before: str | None = None


class ResponseFilter(Struct, frozen=True, kw_only=True):
    """Which responses of an organization are listed; None asks for nothing. All of `metadata` must be there."""

    thread_id: str | None = None
    status: Status | None = None
    model: str | None = None
    user_id: str | None = None
    metadata: Mapping[str, str] = {}


ANY_RESPONSE = ResponseFilter()


class ResponseStore(Protocol):
    """A response that succeeded (`completed`, `incomplete`, `requires_action`) is added to its thread when its end is
    kept, in the same transaction: it takes the next place, whatever began before it.

    Then what its request branches off from is hidden, and a thread that has no assistant is bound to the request's.
    """

    async def open(self, response: Response) -> None:
        """Keeps a response that begins, with its input items; `output` is empty.

        Where `thread_id` names a thread that does not exist it is made (with the request's thread metadata), in the
        same transaction; but where the request has `seen` the thread, it was deleted since, and stays so: the
        response is kept without a thread. Two organizations may have threads of the same id. Raises
        `errors.Conflict` when the response's id is taken.
        """
        ...

    async def keep(self, response: Response) -> None:
        """Keeps a response that has ended and was never opened: all of it at once. Repeating it changes nothing."""
        ...

    async def add_items(self, response_id: str, items: Mapping[int, Item]) -> None:
        """Keeps output items by their places. One that has its place takes it from what was kept there.

        A hosted call is kept when it is made, and again with its answer. Repeating it changes nothing.
        """
        ...

    async def finish(self, response: Response) -> None:
        """Keeps the end: status, usage, failure and every output item as it is now. A first end stays as it is.

        What `RunStore.bury` did is none: who made the response knows better.
        """
        ...

    async def get(self, organization_id: str, response_id: str) -> Response | None:
        """The whole response: with its input in `request.input` and its output."""
        ...

    async def list(
        self, organization_id: str, page: Page, having: ResponseFilter = ANY_RESPONSE
    ) -> tuple[Sequence[Response], bool]:
        """Whole responses in the order in which they were kept first, and whether more follow."""
        ...

    async def delete(self, organization_id: str, response_id: str) -> bool:
        """Whether it was there. Its items go with it, out of its thread too."""
        ...

    async def input_items(self, organization_id: str, response_id: str, page: Page) -> tuple[Sequence[Item], bool]:
        """A page of the input items, and whether more follow."""
        ...

    async def find_items(
        self, organization_id: str, item_ids: Sequence[str], *, user_id: str | None = None
    ) -> Mapping[str, Item]:
        """The kept items among these ids, of input or output, or put into a thread; of this user, or of any."""
        ...

    async def chain(self, organization_id: str, response_id: str, *, limit: int | None = None) -> Sequence[Response]:
        """The response and those it continues, oldest first, each whole; the last `limit` of them. Empty when unknown.

        A link that was deleted ends the chain.
        """
        ...

    async def chain_start(self, organization_id: str, response_id: str, *, limit: int) -> Sequence[Response]:
        """The first responses of the same chain, oldest first. It looks at every link."""
        ...


class ThreadFilter(Struct, frozen=True, kw_only=True):
    """Which threads of an organization are listed; None asks for nothing. All of `metadata` must be there."""

    user_id: str | None = None
    assistant_id: str | None = None
    visible: bool | None = None
    pinned: bool | None = None
    metadata: Mapping[str, str] = {}


ANY_THREAD = ThreadFilter()


class PlacedItem(Struct, frozen=True):
    """An item of a thread. `owner_id` is the response that it belongs to, or the entry put there by hand."""

    item: Item
    owner_id: str
    created_at: int
    spot: Spot


class ThreadStore(Protocol):
    """A thread is a log of entries: places are given in the order in which entries are added, and never again.

    What is read is a prefix of it, without what is hidden or deleted: of a request that ends meanwhile all is seen, or
    nothing.
    """

    async def create(self, thread: Thread, items: Sequence[Item] = (), *, entry_id: str = "") -> None:
        """With `items` as its first entry, which is then named. Raises `errors.Conflict` when the id is taken."""
        ...

    async def get(self, organization_id: str, thread_id: str) -> Thread | None: ...

    async def list(
        self, organization_id: str, page: Page, having: ThreadFilter = ANY_THREAD
    ) -> tuple[Sequence[Thread], bool]:
        """Those that are pinned first, the last pinned before the others; then by `created_at` and id.

        And whether more follow. Raises `errors.InvalidValue` where the page is next to none of them.
        """
        ...

    async def count(self, organization_id: str, having: ThreadFilter = ANY_THREAD) -> int:
        """It looks at each of them."""
        ...

    async def change(self, organization_id: str, thread_id: str, alter: Callable[[Thread], Thread]) -> Thread | None:
        """Reads, alters and keeps title, metadata, pin, assistant, visibility and `updated_at`, as one: nobody else
        comes between. None where it is not there.

        What `alter` raises is raised, and nothing is changed. `alter` may be called twice.
        """
        ...

    async def delete(self, organization_id: str, thread_id: str) -> bool:
        """Whether it was there. Its items and its responses go with it, but for those that have not ended: they stay,
        without a thread."""
        ...

    async def delete_some(self, organization_id: str, *, user_id: str | None, limit: int) -> int:
        """Deletes up to `limit` threads, those of one user or any. Returns how many."""
        ...

    async def items(self, organization_id: str, thread_id: str) -> Sequence[Item]:
        """All items, oldest first."""
        ...

    async def tail(
        self, organization_id: str, thread_id: str, *, before: Spot | None = None, limit: int
    ) -> Sequence[PlacedItem]:
        """The last items, or the last before a spot: the newest first."""
        ...

    async def head(
        self, organization_id: str, thread_id: str, *, after: Spot | None = None, limit: int
    ) -> Sequence[PlacedItem]:
        """The first items, or the first after a spot: the oldest first."""
        ...

    async def page_items(
        self, organization_id: str, thread_id: str, page: Page, *, messages: bool = False
    ) -> tuple[Sequence[PlacedItem], bool]:
        """A page of the items, or of messages, calls and their outputs only; and whether more follow."""
        ...

    async def item(self, organization_id: str, thread_id: str, item_id: str) -> PlacedItem | None:
        """The last of this id, if it came more than once."""
        ...

    async def branch(self, organization_id: str, thread_id: str, message_id: str, *, behind: bool) -> Branch | None:
        """Where a request leaves the thread that begins at the message, or behind it. None where there is no such
        message."""
        ...

    async def append(
        self, organization_id: str, thread_id: str, items: Sequence[Item], *, entry_id: str, now: int
    ) -> int | None:
        """Puts items into a thread, as one entry. Its place, or None where there is no such thread."""
        ...

    async def change_item(
        self, organization_id: str, thread_id: str, item_id: str, alter: Callable[[Item], Item], *, now: int
    ) -> PlacedItem | None:
        """Like `change`, of an item: its response has it so, too."""
        ...

    async def delete_item(self, organization_id: str, thread_id: str, item_id: str, *, now: int) -> bool:
        """Whether it was there. What makes no sense without it goes with it (`core.threads.gone_with`)."""
        ...


AlterOrganization: TypeAlias = Callable[[Organization], tuple[Organization, Sequence[Entry]]]
"""What it raises is raised, and nothing is changed. It may be called twice; so may `AlterKey`."""
AlterKey: TypeAlias = Callable[[ApiKey], tuple[ApiKey, Sequence[Entry]]]


class AccountStore(Protocol):
    """`told` are entries of the audit log, kept together with what they tell of.

    A key belongs to the first of its organizations: there it is listed, found by its id, and changed.
    """

    async def add_organization(
        self,
        organization: Organization,
        *,
        owner: Member | None = None,
        key_id: str | None = None,
        told: Sequence[Entry] = (),
    ) -> None:
        """Does nothing when it is there, even deleted. The key reaches it from then on.

        Raises `errors.NotFound` for a key that is not there.
        """
        ...

    async def find_organization(self, organization_id: str) -> Organization | None:
        """Also a deleted one."""
        ...

    async def list_organizations(self) -> Sequence[Organization]:
        """Those that are not deleted, in the order they came."""
        ...

    async def list_deleted_organizations(self) -> Sequence[Organization]: ...

    async def change_organization(self, organization_id: str, alter: AlterOrganization) -> Organization | None:
        """Reads, alters and keeps, as one."""
        ...

    async def purge_organization(self, organization_id: str) -> int:
        """Forgets all that is kept of a deleted organization, for good. Returns how many rows; 0 where none is deleted.

        Users stay: they may belong elsewhere. The blobs of its files have nobody any more.
        """
        ...

    async def add_key(self, key: ApiKey, *, told: Sequence[Entry] = ()) -> None:
        """Raises `errors.Conflict` when the id or the digest is taken."""
        ...

    async def find_key(self, digest: bytes) -> ApiKey | None:
        """By the SHA-256 of the secret; also revoked and expired ones."""
        ...

    async def get_key(self, organization_id: str, key_id: str) -> ApiKey | None: ...

    async def list_keys(self, organization_id: str) -> Sequence[ApiKey]:
        """In the order they came."""
        ...

    async def page_keys(self, organization_id: str, *, skip: int, take: int) -> tuple[Sequence[ApiKey], int]:
        """The newest first; and how many there are."""
        ...

    async def change_key(self, organization_id: str, key_id: str, alter: AlterKey) -> ApiKey | None:
        """Reads, alters and keeps, as one: all but id, creation and the organization that it belongs to."""
        ...

    async def update_key(self, key: ApiKey) -> bool:
        """Replaces all but id, creation, and when it was used; whether it was there."""
        ...

    async def delete_key(self, organization_id: str, key_id: str, *, told: Sequence[Entry] = ()) -> ApiKey | None:
        """The key that is gone."""
        ...

    async def touch_keys(self, used: Mapping[str, int]) -> None:
        """When keys were last used, by id, in Unix seconds. Unknown ones are left out, and no time goes back."""
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

    async def expired(self, now: int) -> Sequence[tuple[str, str]]:
        """What has expired and was not deleted yet, in all organizations: their ids, and the ids of the files."""
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
