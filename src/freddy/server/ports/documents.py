"""The need to read a small public document of another server."""

from typing import Protocol


class Documents(Protocol):
    async def get(self, url: str) -> bytes:
        """Raises `errors.ProviderUnavailable` where it cannot be had, or is larger than a document should be."""
        ...
