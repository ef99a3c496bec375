"""Reads small public documents of other servers."""

from types import TracebackType
from typing import Self

import httpx2

from freddy.server.core import errors

_SECONDS = 10.0
_MOST_BYTES = 1024 * 1024


class Fetching:
    """The port `Documents`. No redirect is followed: a document is where its address says."""

    def __init__(self) -> None:
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def get(self, url: str) -> bytes:
        if self._client is None:
            # Reading the certificates takes long, and most servers never fetch anything.
            self._client = httpx2.AsyncClient(timeout=_SECONDS)
        try:
            async with self._client.stream("GET", url, headers={"accept": "application/json"}) as answer:
                if answer.status_code != 200:
                    raise errors.ProviderUnavailable(f"{url} answered with status {answer.status_code}")
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > _MOST_BYTES:
                        raise errors.ProviderUnavailable(f"{url} is larger than {_MOST_BYTES:,} bytes")
                return body
        except httpx2.HTTPError as error:
            raise errors.ProviderUnavailable(f"{url} cannot be read: {type(error).__name__}") from error
        except httpx2.InvalidURL as error:
            raise errors.ProviderUnavailable(f"{url} is no address") from error
