"""Models behind Anthropic's Messages API."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from urllib.parse import quote

import msgspec

from freddy.server.core import errors
from freddy.server.core.deltas import Delta
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.wire import Answer, Wire
from freddy.server.providers import _answer, _failures
from freddy.server.providers._kept import Kept
from freddy.server.providers.anthropic import request, stream
from freddy.server.providers.anthropic.unmet import unmet

_VERSION = "2023-06-01"
_PAGE = 1000
_MOST_PAGES = 20


class _Counted(msgspec.Struct):
    input_tokens: int


class _Listed(msgspec.Struct):
    id: str


class _List(msgspec.Struct):
    data: list[_Listed]
    has_more: bool = False
    last_id: str | None = None


class AnthropicProvider:
    """An address that speaks Anthropic's Messages API. `wire` leads to what stands before `/messages`.

    `betas` are names of the vendor's features that it has not opened to all yet.
    """

    def __init__(
        self,
        wire: Wire,
        name: str,
        *,
        profile_of: Callable[[str], Profile],
        key: str | None = None,
        betas: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._wire = wire
        self._headers = _headers(key, betas)

        def make(called: str, own: str | None) -> Anthropic:
            return Anthropic(wire, profile_of(called), key=own or key, betas=betas)

        self._models: Kept[Anthropic] = Kept(make)

    def model(self, called: str, *, key: str | None = None) -> "Anthropic":
        return self._models.get(called, key)

    async def models(self) -> Sequence[str]:
        """https://platform.claude.com/docs/en/api/models-list"""
        names: list[str] = []
        after = ""
        for _ in range(_MOST_PAGES):
            page = await self._page(f"/models?limit={_PAGE}{after}")
            names += [one.id for one in page.data]
            if not page.has_more or not page.data:
                break
            after = f"&after_id={quote(page.last_id or page.data[-1].id, safe='')}"
        return tuple(names)

    async def _page(self, path: str) -> _List:
        async with self._wire.get(path, self._headers) as answer:
            said = await answer.read()
            if not _answer.accepts(answer):
                raise _failures.failure(self.name, answer.status, answer.headers, said)
        try:
            return msgspec.json.decode(said, type=_List)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise errors.ProviderFailed(f"{self.name} could not list its models") from error


class Anthropic:
    """One model: a turn's `model` is what Anthropic calls it."""

    def __init__(self, wire: Wire, profile: Profile, *, key: str | None = None, betas: Sequence[str] = ()) -> None:
        self.profile = profile
        self.availability: Availability = "ready"
        self._wire = wire
        self._headers = {"content-type": "application/json"} | _headers(key, betas)

    async def stream(self, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
        name, profile = self.profile.provider, self.profile
        reader = stream.Reader(name, request.answers(turn, profile))
        asking = _answer.accepted(
            name,
            self._post,
            request.body(turn, profile),
            plain=lambda: request.body(_answer.thoughtless(turn), profile),
            unreadable=_unreadable,
        )
        async with asking as answer, aclosing(_answer.said(reader, answer)) as saying:
            async for said in saying:
                yield said

    def warnings(self, turn: Turn) -> Sequence[str]:
        return tuple(unmet(turn, self.profile))

    async def count(self, turn: Turn) -> int | None:
        name = self.profile.provider
        body = request.count_body(turn, self.profile)
        async with self._wire.post("/messages/count_tokens", body, self._headers) as answer:
            said = await answer.read()
            if answer.status in (404, 405):
                return None  # Not every server of this API counts beforehand.
            if not _answer.accepts(answer):
                raise _failures.failure(name, answer.status, answer.headers, said)
        try:
            return msgspec.json.decode(said, type=_Counted).input_tokens
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise errors.ProviderFailed(f"{name} could not count tokens") from error

    def _post(self, body: bytes) -> AbstractAsyncContextManager[Answer]:
        return self._wire.post("/messages", body, self._headers)


def _headers(key: str | None, betas: Sequence[str]) -> dict[str, str]:
    headers = {"anthropic-version": _VERSION}
    if betas:
        headers["anthropic-beta"] = ",".join(betas)
    if key:
        headers["x-api-key"] = key
    return headers


def _unreadable(status: int, said: bytes) -> bool:
    """Whether it may be what was thought before that the vendor refuses: what stood above it may have changed.

    https://platform.claude.com/docs/en/build-with-claude/preserved-thinking
    """
    told = _failures.message(said).lower()
    return status == 400 and ("thinking" in told or "signature" in told)
