"""The need to keep who used what. A method is one transaction."""

from typing import Protocol

from freddy.server.core.response import Response


class UsageStore(Protocol):
    async def add(self, response: Response) -> None:
        """Keeps the calls of a response that is itself not kept. Repeating it changes nothing."""
        ...

    async def month_cost(self, organization_id: str, key_id: str | None, *, since: int, until: int) -> int:
        """Billionths of a US dollar spent in that time, by one key or by all of the organization."""
        ...
