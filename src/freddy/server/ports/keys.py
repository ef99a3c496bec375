"""The need for the keys that organizations bring for a provider."""

from typing import Protocol


class ProviderKeys(Protocol):
    async def key(self, organization_id: str, provider: str) -> str | None:
        """The organization's own key, or None where it asks with the operator's."""
        ...
