"""A model behind OpenAI's Responses API."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack

import msgspec
from msgspec.structs import replace

from freddy.server.core import errors, items
from freddy.server.core.deltas import Delta
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.wire import Answer, Wire
from freddy.server.providers import _failures, _goodbye, _sse
from freddy.server.providers.openai import request, stream


class _Tokens(msgspec.Struct):
    input_tokens: int


class _Refusal(msgspec.Struct):
    code: str | int | None = None


class _Refused(msgspec.Struct):
    error: _Refusal


class OpenAI:
    """`wire` leads to the base of the API (what stands before `/responses`).

    `organization` and `project` are OpenAI's own words for whom a request is charged to.
    """

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
        self._headers = {"content-type": "application/json"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        if organization:
            self._headers["openai-organization"] = organization
        if project:
            self._headers["openai-project"] = project

    async def stream(self, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
        reader = stream.Reader(self.profile.provider, enveloped=request.enveloped(turn))
        async with AsyncExitStack() as opened:
            answer = await self._ask(turn, opened)
            lines = _sse.DataLines()
            said: list[Delta] = []
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                said = reader.read((await answer.read(),))
                if said and not reader.whole:
                    yield said
                yield [*said, reader.close()]
                return
            chunks = answer.chunks()
            async for chunk in chunks:
                said = reader.read(lines.feed(chunk))
                if reader.done:
                    break
                if said:
                    yield said
            else:
                said = reader.read(lines.close())
            if reader.whole:
                await _goodbye.see_out(chunks)
        if said and not reader.whole:
            yield said
        yield [*said, reader.close()]

    def warnings(self, turn: Turn) -> Sequence[str]:  # noqa: ARG002
        return ()

    async def count(self, turn: Turn) -> int | None:
        asked = request.counting(turn, self.profile)
        async with self._wire.post("/responses/input_tokens", asked, self._headers) as answer:
            said = await answer.read()
            if answer.status in (404, 405):
                return None  # Not every deployment of the API counts beforehand.
            if not _accepted(answer):
                raise self._failure(answer, said)
        try:
            return msgspec.json.decode(said, type=_Tokens).input_tokens
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise errors.ProviderFailed(f"{self.profile.provider} could not count tokens") from error

    async def _ask(self, turn: Turn, opened: AsyncExitStack) -> Answer:
        """Asks again without what was thought before, if that is what OpenAI cannot read: its key may have changed."""
        body = request.body(turn, self.profile)
        answer = await opened.enter_async_context(self._wire.post("/responses", body, self._headers))
        if _accepted(answer):
            return answer
        said = await answer.read()
        plain = request.body(_thoughtless(turn), self.profile)
        if plain == body or not _unverified(answer, said):
            raise self._failure(answer, said)
        await opened.aclose()
        answer = await opened.enter_async_context(self._wire.post("/responses", plain, self._headers))
        if not _accepted(answer):
            raise self._failure(answer, await answer.read())
        return answer

    def _failure(self, answer: Answer, said: bytes) -> errors.FreddyError:
        error = _failures.failure(self.profile.provider, answer.status, answer.headers, said)
        if isinstance(error, errors.RateLimited) and _code(said) == "insufficient_quota":
            return errors.RateLimited(f"{self.profile.provider} has no quota left", details=error.details)
        return error


def _accepted(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _unverified(answer: Answer, said: bytes) -> bool:
    return answer.status == 400 and _code(said) == "invalid_encrypted_content"


def _code(said: bytes) -> str | int | None:
    try:
        return msgspec.json.decode(said, type=_Refused).error.code
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _thoughtless(turn: Turn) -> Turn:
    return replace(turn, items=tuple(item for item in turn.items if not isinstance(item, items.Reasoning)))
