"""The need to call a vendor over HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct


class Limits(Struct, frozen=True):
    """Seconds to wait: to connect, for the head of the answer, between two pieces of it, and in all."""

    connect: float = 10.0
    first: float = 120.0
    idle: float = 60.0
    total: float = 600.0


class Answer(Protocol):
    """An HTTP answer whose head has come. Header names are lower case."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """The whole body. Raises like `chunks`."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `errors.ProviderFailed` when it breaks off, `ProviderTimeout` when it stalls."""
        ...


class Wire(Protocol):
    """A pool of connections to one address. Leaving the context before the end closes the connection."""

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> AbstractAsyncContextManager[Answer]:
        """Sends JSON. Raises `errors.ProviderUnavailable` when nobody is there, `ProviderTimeout` when none answers."""
        ...

    def get(self, path: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager[Answer]:
        """Raises like `post`."""
        ...
