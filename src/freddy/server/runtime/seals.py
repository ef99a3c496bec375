"""Seals compactions for callers: only this server reads them, and only for those whom the conversation belongs to."""

import base64
import binascii
import logging
from typing import Final

import msgspec
from msgspec import Struct

from freddy.server.core import errors, items
from freddy.server.core.accounts import Caller
from freddy.server.core.response import Response
from freddy.server.ports.sealer import Sealer

_MARK: Final = "frdy1."
"""What an encrypted content of ours begins with: any other is of another service."""
_PURPOSE: Final = "compaction"

_log = logging.getLogger(__name__)


class _Content(Struct, omit_defaults=True):
    summary: str
    before: tuple[items.Message, ...] = ()
    after: tuple[items.Kept, ...] = ()
    user_id: str | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Content).decode


class Seals:
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def close(self, compaction: items.Compaction, response: Response) -> items.Compaction:
        """The same as the caller keeps it. Raises `errors.StorageUnavailable`."""
        content = _Content(compaction.summary, compaction.before, compaction.after, response.user_id)
        sealed = await self._sealer.seal(_encode(content).decode(), (_PURPOSE, response.organization_id))
        told = _MARK + base64.urlsafe_b64encode(sealed).decode()
        return msgspec.structs.replace(compaction, sealed=told)

    async def open(self, compaction: items.Compaction, caller: Caller, *, at: str) -> items.Compaction:
        """The same with what it holds; one of another service stays closed.

        Raises `errors.InvalidRequest` for what was changed, or is of others: that is all that is told.
        """
        if not compaction.sealed.startswith(_MARK):
            return compaction
        place = f"{at}.encrypted_content"
        try:
            sealed = base64.b64decode(compaction.sealed[len(_MARK) :], altchars=b"-_", validate=True)
            content = _decode(await self._sealer.open(sealed, (_PURPOSE, caller.organization_id)))
        except (binascii.Error, ValueError, msgspec.DecodeError) as error:
            raise _unreadable(place) from error
        except errors.StorageUnavailable as error:
            # Nothing that a caller sends may look like a fault of the server; one that has lost its key must be told.
            _log.warning("compaction_not_opened", extra={"reason": error.message})
            raise _unreadable(place) from error
        if caller.sees_only not in (None, content.user_id):
            raise _unreadable(place)
        return msgspec.structs.replace(compaction, summary=content.summary, before=content.before, after=content.after)


def _unreadable(param: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        "The encrypted content of the compaction cannot be opened",
        param=param,
        code="invalid_encrypted_content",
        details="send it unchanged, with a credential of the organization and the user that it was made for",
    )
