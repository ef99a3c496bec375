"""A model behind Anthropic's Messages API."""

from collections.abc import AsyncGenerator, Sequence

import msgspec

from freddy.server.core import errors
from freddy.server.core.deltas import Delta
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.wire import Wire
from freddy.server.providers import _failures, _goodbye, _sse
from freddy.server.providers.anthropic import request, stream

_VERSION = "2023-06-01"


class _Counted(msgspec.Struct):
    input_tokens: int


class Anthropic:
    """`wire` leads to the server's base (what stands before `/messages`): `https://api.anthropic.com/v1`."""

    def __init__(self, wire: Wire, profile: Profile, *, key: str | None = None) -> None:
        self.profile = profile
        self.availability: Availability = "ready"
        self._wire = wire
        self._headers = {"content-type": "application/json", "anthropic-version": _VERSION}
        if key:
            self._headers["x-api-key"] = key

    async def stream(self, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
        name = self.profile.provider
        reader = stream.Reader(name, request.answers(turn, self.profile))
        body = request.body(turn, self.profile)
        async with self._wire.post("/messages", body, self._headers) as answer:
            if not 200 <= answer.status < 300:
                raise _failures.failure(name, answer.status, answer.headers, await answer.read())
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
        name = self.profile.provider
        body = request.count_body(turn, self.profile)
        async with self._wire.post("/messages/count_tokens", body, self._headers) as answer:
            said = await answer.read()
            if not 200 <= answer.status < 300:
                raise _failures.failure(name, answer.status, answer.headers, said)
        try:
            return msgspec.json.decode(said, type=_Counted).input_tokens
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise errors.ProviderFailed(f"{name} could not count tokens") from error
