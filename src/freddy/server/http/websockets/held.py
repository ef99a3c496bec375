"""Responses that are not stored, for as long as the connection lasts that asked for them."""

from typing import TypeAlias

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from freddy.server.core import items
from freddy.server.core.accounts import Caller
from freddy.server.core.request import Request
from freddy.server.core.response import Response

Owner: TypeAlias = tuple[str, str | None, str | None]
"""Organization, user and key: who asked for a response goes on from it, and nobody else."""


def owner_of(caller: Caller) -> Owner:
    return caller.organization_id, caller.user_id, caller.key_id


class Held(Struct, frozen=True, kw_only=True):
    """What a response was about and what it said; `before` is the stored response that it followed, if one was.

    `size` is about how many bytes of JSON it is, and `cache_key` that of the request.
    """

    response_id: str
    owner: Owner
    lane: str | None
    said: tuple[items.Item, ...]
    before: str | None
    cache_key: str | None
    size: int


class Holding:
    """The last that were used: up to `most` responses of `most_bytes` together."""

    def __init__(self, *, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._held: dict[str, Held] = {}
        self._size = 0

    def keep(self, held: Held) -> None:
        self.drop(held.response_id)
        self._held[held.response_id] = held
        self._size += held.size
        while len(self._held) > self._most or self._size > self._most_bytes:
            self.drop(next(iter(self._held)))

    def find(self, response_id: str | None, owner: Owner) -> Held | None:
        held = self._held.get(response_id or "")
        if held is None or held.owner != owner:
            return None
        self._held[held.response_id] = self._held.pop(held.response_id)
        return held

    def failed(self, response_id: str | None, lane: str | None) -> None:
        """Who went wrong from here begins anew; but what another lane began, that may go on from."""
        held = self._held.get(response_id or "")
        if held is not None and held.lane == lane:
            self.drop(held.response_id)

    def drop(self, response_id: str) -> None:
        if (held := self._held.pop(response_id, None)) is not None:
            self._size -= held.size


def hold(ended: Response, owner: Owner, lane: str | None, *, size: int) -> Held:
    """A response whose request was `continued`, if it followed one that was held: then its input begins with that."""
    request = ended.request
    return Held(
        response_id=ended.id,
        owner=owner,
        lane=lane,
        said=(*request.input, *ended.output),
        before=request.previous_response_id,
        cache_key=request.cache_key,
        size=size,
    )


def continued(request: Request, held: Held) -> Request:
    """The request that follows a held response as one that says it all again: the engine knows nothing of it.

    As in every chain, a call that nobody answered is left out.
    """
    known = (*held.said, *request.input)
    answered = {item.call_id for item in known if isinstance(item, items.FunctionOutput)}
    approved = {item.request_id for item in request.input if isinstance(item, items.ApprovalAnswer)}
    # A call that waited for an approval waits no more.
    answered |= {item.call_id for item in known if isinstance(item, items.ApprovalRequest) and item.id in approved}
    said = tuple(item for item in held.said if not isinstance(item, items.FunctionCall) or item.call_id in answered)
    echo = {**request.echo, "previous_response_id": Raw(msgspec.json.encode(held.response_id))}
    return replace(
        request,
        input=(*said, *request.input),
        previous_response_id=held.before,
        cache_key=request.cache_key or held.cache_key,
        echo=echo,
    )
