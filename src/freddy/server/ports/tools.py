"""The need for tools that this server runs."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from freddy.server.core import items, toolspec
from freddy.server.core.items import Part


class Answer(Struct, frozen=True, kw_only=True):
    """What a tool gave back for the model to read. `error` says, in words for the model, why there is nothing to read.

    `found` is what a search found, best first, and `queries` what it asked. `source` says what answered.
    """

    parts: tuple[Part, ...] = ()
    error: str | None = None
    queries: tuple[str, ...] = ()
    found: tuple[items.Found, ...] = ()
    source: str | None = None


class Asker(Struct, frozen=True):
    """On whose behalf a tool is called."""

    organization_id: str
    user_id: str | None = None
    key_id: str | None = None
    response_id: str = ""
    call_id: str = ""


class ServerFunction(Protocol):
    """A function that this server runs: built in, brought by a package, or registered by an organization."""

    @property
    def spec(self) -> toolspec.Function:
        """As a model that is not told otherwise sees it."""
        ...

    @property
    def source(self) -> str:
        """Which function answers, as it is kept with the answer."""
        ...

    @property
    def origin(self) -> str:
        """Where a call of it goes: the same where the function was only brought up to date."""
        ...

    async def call(self, arguments: str, asker: Asker) -> Answer:
        """`arguments` is JSON text that fits the parameters of `spec`. A failure is an answer, not an error."""
        ...


class ServerFunctions(Protocol):
    async def find(self, organization_id: str, names: Sequence[str]) -> Mapping[str, ServerFunction]:
        """Those of them that this server has for the organization."""
        ...


class Registered(Struct, frozen=True, kw_only=True):
    """A function that an organization registered: it is called at its address, for at most `timeout_seconds`.

    What it is told in confidence stays sealed until then.
    """

    id: str
    organization_id: str
    spec: toolspec.Function
    url: str
    timeout_seconds: int
    headers: bytes | None = None
    secrets: tuple[bytes, ...] = ()


class Confided(Struct, frozen=True):
    """`headers` go along with a call, which each of the `secrets` signs."""

    headers: Mapping[str, str]
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return "Confided()"


class Registry(Protocol):
    async def named(self, organization_id: str, names: Sequence[str]) -> Mapping[str, Registered]:
        """The functions that the organization registered under these names, and that are enabled."""
        ...

    async def confided(self, function: Registered) -> Confided:
        """Raises `errors.StorageUnavailable` where it cannot be opened."""
        ...


class RegisteredCalls(Protocol):
    async def call(self, function: Registered, confided: Confided, *, arguments: str, asker: Asker) -> Answer:
        """`arguments` is JSON text. A failure is an answer, not an error; it does not repeat what was confided."""
        ...


class Retriever(Protocol):
    async def check(self, organization_id: str, spec: toolspec.FileSearch, *, param: str) -> None:
        """Raises `errors.NotFound` for the first store that is not there, which `param` has named."""
        ...

    async def search(self, organization_id: str, spec: toolspec.FileSearch, queries: Sequence[str]) -> Answer:
        """The passages that answer the queries best, as parts for the model to read and cite, and as `found`.

        A failure is an answer, not an error.
        """
        ...
