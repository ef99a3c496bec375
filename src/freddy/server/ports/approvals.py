"""The need to know that a request for approval was answered once. A method is one transaction."""

from typing import Protocol

from msgspec import Struct


class Claim(Struct, frozen=True):
    """Who answered a request for approval: the response that went on with it."""

    response_id: str
    approve: bool
    at: int


class ApprovalStore(Protocol):
    """All raise `errors.StorageUnavailable`."""

    async def claim(self, organization_id: str, request_id: str, claim: Claim) -> Claim:
        """The first claim stands: returns it, which is this one or an earlier one."""
        ...

    async def release(self, organization_id: str, request_id: str, response_id: str) -> None:
        """The response did not begin, or came to nothing before the call was made: another may answer."""
        ...
