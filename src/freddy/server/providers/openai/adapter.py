"""Models behind OpenAI's Responses API."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing

import msgspec

from freddy.server.core import errors
from freddy.server.core.deltas import Delta
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.wire import Answer, Wire
from freddy.server.providers import _answer, _failures
from freddy.server.providers._kept import Kept
from freddy.server.providers.openai import request, stream
from freddy.server.providers.openai.unmet import unmet


class _Tokens(msgspec.Struct):
    input_tokens: int


class _Listed(msgspec.Struct):
    id: str


class _List(msgspec.Struct):
    data: list[_Listed]


class OpenAIProvider:
    """An address that speaks OpenAI's Responses API. `wire` leads to what stands before `/responses`.

    `organization` and `project` are OpenAI's own words for whom a request is charged to.
    """

    def __init__(
        self,
        wire: Wire,
        name: str,
        *,
        profile_of: Callable[[str], Profile],
        key: str | None = None,
        organization: str | None = None,
        project: str | None = None,
    ) -> None:
        self.name = name
        self._wire = wire
        self._headers = _headers(key, organization, project)

        def make(called: str, own: str | None) -> OpenAI:
            # A key of somebody else's belongs to no organization or project of ours.
            whose = (None, None) if own else (organization, project)
            return OpenAI(wire, profile_of(called), key=own or key, organization=whose[0], project=whose[1])

        self._models: Kept[OpenAI] = Kept(make)

    def model(self, called: str, *, key: str | None = None) -> "OpenAI":
        return self._models.get(called, key)

    async def models(self) -> Sequence[str]:
        """https://platform.openai.com/docs/api-reference/models/list"""
        async with self._wire.get("/models", self._headers) as answer:
            said = await answer.read()
            if not _answer.accepts(answer):
                raise _failures.failure(self.name, answer.status, answer.headers, said)
        try:
            return tuple(one.id for one in msgspec.json.decode(said, type=_List).data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise errors.ProviderFailed(f"{self.name} could not list its models") from error


class OpenAI:
    """One model: a turn's `model` is what OpenAI calls it."""

    def __init__(
        self,
        wire: Wire,
        profile: Profile,
        *,
        key: str | None = None,
        organization: str | None = None,
        project: str | None = None,
    ) -> None:
        self.profile = profile
        self.availability: Availability = "ready"
        self._wire = wire
        self._headers = {"content-type": "application/json"} | _headers(key, organization, project)

    async def stream(self, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
        name, profile = self.profile.provider, self.profile
        reader = stream.Reader(name, enveloped=request.enveloped(turn))
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

    async def enforces(self, turn: Turn) -> bool:
        return request.enforced(turn)

    def warnings(self, turn: Turn) -> Sequence[str]:
        return tuple(unmet(turn, self.profile))

    async def count(self, turn: Turn) -> int | None:
        asked = request.counting(turn, self.profile)
        async with self._wire.post("/responses/input_tokens", asked, self._headers) as answer:
            said = await answer.read()
            if answer.status in (404, 405):
                return None  # Not every deployment of the API counts beforehand.
            if not _answer.accepts(answer):
                raise _failures.failure(self.profile.provider, answer.status, answer.headers, said)
        try:
            return msgspec.json.decode(said, type=_Tokens).input_tokens
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise errors.ProviderFailed(f"{self.profile.provider} could not count tokens") from error

    def _post(self, body: bytes) -> AbstractAsyncContextManager[Answer]:
        return self._wire.post("/responses", body, self._headers)


def _headers(key: str | None, organization: str | None, project: str | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    if key:
        headers["authorization"] = f"Bearer {key}"
    if organization:
        headers["openai-organization"] = organization
    if project:
        headers["openai-project"] = project
    return headers


def _unreadable(status: int, said: bytes) -> bool:
    """Whether OpenAI refuses what was thought before: its key may have changed, or what a thought led to is gone."""
    return status == 400 and (
        _failures.code(said) == "invalid_encrypted_content" or "required following item" in _failures.message(said)
    )
