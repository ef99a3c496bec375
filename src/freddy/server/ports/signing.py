"""The need for keys to sign with that every process of this server has, and nobody else."""

from collections.abc import Sequence
from typing import Protocol


class SigningKeys(Protocol):
    async def derived(self, purpose: str) -> Sequence[bytes]:
        """32 bytes for this purpose from each of the server's secret keys; the first signs, all verify.

        Raises `errors.StorageUnavailable`, which says what the operator can do.
        """
        ...
