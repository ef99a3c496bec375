"""Passwords: hashed slowly, in threads, and compared so that nothing shows who has an account.

scrypt with what OWASP asks for: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
"""

import asyncio
import hashlib
import secrets
import unicodedata
from base64 import b64decode, b64encode
from typing import Final

from msgspec import Struct

from freddy.server.core import errors

SHORTEST: Final = 10
LONGEST: Final = 1024
_AT_ONCE = 2
_SALT = 16
_SIZE = 32


class Cost(Struct, frozen=True):
    """Of scrypt: `memory` is the logarithm of N, so that 15 with 8 blocks takes 32 MiB."""

    memory: int = 15
    blocks: int = 8
    passes: int = 3


USUAL: Final = Cost()


class Passwords:
    def __init__(self, cost: Cost = USUAL) -> None:
        self._cost = cost
        # More would only take memory and the other threads' time: hashing keeps a processor busy.
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def hashed(self, password: str, *, param: str = "password") -> str:
        """How a new password is kept. Raises `errors.InvalidValue`."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise errors.InvalidValue(param, f"must be {SHORTEST} to {LONGEST} characters long")
        salt = secrets.token_bytes(_SALT)
        return _written(self._cost, salt, await self._derive(password, salt, self._cost))

    async def fits(self, password: str, kept: str | None) -> bool:
        """Takes as long where there is no password to compare with."""
        if len(password) > LONGEST:
            return False
        if kept is None:
            await self._derive(password, bytes(_SALT), self._cost)
            return False
        cost, salt, wanted = _read(kept)
        return secrets.compare_digest(await self._derive(password, salt, cost), wanted)

    def is_outdated(self, kept: str) -> bool:
        """Whether it was hashed at another cost than is usual now."""
        return _read(kept)[0] != self._cost

    async def _derive(self, password: str, salt: bytes, cost: Cost) -> bytes:
        async with self._turns:
            return await asyncio.to_thread(_scrypt, password, salt, cost)


def _scrypt(password: str, salt: bytes, cost: Cost) -> bytes:
    n = 1 << cost.memory
    return hashlib.scrypt(
        # The same letters can be typed as different code points.
        unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass"),
        salt=salt,
        n=n,
        r=cost.blocks,
        p=cost.passes,
        maxmem=256 * n * cost.blocks,
        dklen=_SIZE,
    )


def _written(cost: Cost, salt: bytes, derived: bytes) -> str:
    parts = (
        str(cost.memory),
        str(cost.blocks),
        str(cost.passes),
        b64encode(salt).decode(),
        b64encode(derived).decode(),
    )
    return "scrypt$" + "$".join(parts)


def _read(kept: str) -> tuple[Cost, bytes, bytes]:
    _, memory, blocks, passes, salt, derived = kept.split("$")
    return Cost(int(memory), int(blocks), int(passes)), b64decode(salt), b64decode(derived)
