"""Addresses that are their own credential, for a while: to download a file, and to upload one."""

import base64
import binascii

import msgspec
from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.accounts import Caller
from freddy.server.core.files import File, Purpose
from freddy.server.ports.sealer import Sealer
from freddy.server.ports.world import Clock

SECONDS = 3600
_DOWNLOAD, _UPLOAD = "file download", "file upload"
_SEALED = 4096
"""Characters of the longest ticket."""


class Ticket(Struct, frozen=True):
    """Leave to upload one file; `expires_at` in Unix seconds."""

    organization_id: str
    file_id: str
    filename: str
    media_type: str | None
    purpose: Purpose
    key_id: str | None
    expires_at: int

    @property
    def caller(self) -> Caller:
        return Caller(self.organization_id, (self.organization_id,), frozenset(), self.key_id)


class Links:
    """Links hold for an hour, over restarts, and as long as the server's secret key is the same."""

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self._sealer = sealer
        self._clock = clock

    async def to_download(self, file: File) -> tuple[str, int]:
        """The token, and when it expires."""
        expires_at = self.expiry()
        sealed = await self._sealer.seal("", (_DOWNLOAD, file.organization_id, file.id, str(expires_at)))
        return _spelled(sealed), expires_at

    async def check_download(self, organization_id: str, file_id: str, *, token: str, expires_at: int) -> Caller:
        """Who may download that file. Raises `errors.PermissionDenied`."""
        await self._open(token, (_DOWNLOAD, organization_id, file_id, str(expires_at)))
        self._check_time(expires_at)
        return Caller(organization_id, (organization_id,), frozenset())

    async def to_upload(self, ticket: Ticket) -> str:
        sealed = await self._sealer.seal(msgspec.json.encode(ticket).decode(), (_UPLOAD, ticket.organization_id))
        return _spelled(sealed)

    async def check_upload(self, organization_id: str, token: str) -> Ticket:
        """What may be uploaded. Raises `errors.PermissionDenied`."""
        ticket = msgspec.json.decode(await self._open(token, (_UPLOAD, organization_id)), type=Ticket)
        self._check_time(ticket.expires_at)
        return ticket

    def expiry(self) -> int:
        return int(self._clock.now()) + SECONDS

    async def _open(self, token: str, bound_to: tuple[str, ...]) -> str:
        try:
            if len(token) > _SEALED:
                raise _refused("not valid")
            return await self._sealer.open(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), bound_to)
        except (binascii.Error, ValueError, errors.StorageUnavailable):
            # Which of its reasons it was is nobody's business.
            raise _refused("not valid") from None

    def _check_time(self, expires_at: int) -> None:
        if expires_at <= self._clock.now():
            raise _refused("over")


def _spelled(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _refused(why: str) -> errors.PermissionDenied:
    return errors.PermissionDenied(f"The link is {why}", code="invalid_link", details="ask for another one")
