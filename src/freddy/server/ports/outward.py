"""The need to call addresses that callers chose, without reaching what is not theirs to reach."""

from collections.abc import Mapping
from typing import Protocol

import httpx2


class Refused(httpx2.ConnectError):
    """The address may not be called: nothing was sent, and trying again is no use. The message is for the caller."""


class Outward(Protocol):
    """Every address is resolved and checked before it is called, redirects too: private, local and reserved networks
    are refused, but for those that the operator allows. Proxies of the environment are not used.
    """

    def check(self, url: str, *, param: str) -> None:
        """Raises `errors.InvalidValue` for `param` where the address surely may not be called, whatever it resolves to.

        For addresses that are kept: what its name resolves to is looked at when it is called.
        """
        ...

    def client(
        self, *, headers: Mapping[str, str] | None = None, timeout: httpx2.Timeout | float | None = None
    ) -> httpx2.AsyncClient:
        """A client whose requests raise `Refused`, an `httpx2.ConnectError`, for an address that may not be called.

        Redirects are followed only within the same origin; another is an answer with its status and no `location`.
        Without a timeout only connecting has one. Whoever asked for it closes it.
        """
        ...
