"""A model behind any server that speaks OpenAI's chat completions."""

from collections.abc import AsyncGenerator, Sequence
from typing import TypeVar

import msgspec

from freddy.server.core import errors
from freddy.server.core.deltas import Delta
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.wire import Wire
from freddy.server.providers import _failures, _goodbye, _sse
from freddy.server.providers.compatible import request, stream

_Told = TypeVar("_Told")


class _Prompt(msgspec.Struct):
    prompt: str


class _Tokens(msgspec.Struct):
    tokens: list[int]


class Compatible:
    """`wire` leads to the server's base (what stands before `/chat/completions`).

    `counter` leads to a server with llama.cpp's `/apply-template` and `/tokenize`, where there is one.
    """

    def __init__(self, wire: Wire, profile: Profile, *, key: str | None = None, counter: Wire | None = None) -> None:
        self.profile = profile
        self.availability: Availability = "ready"
        self._wire = wire
        self._counter = counter
        self._headers = {"content-type": "application/json"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"

    async def stream(self, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
        name = self.profile.provider
        reader = stream.Reader(name)
        body = request.body(turn, self.profile)
        async with self._wire.post("/chat/completions", body, self._headers) as answer:
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
        if self._counter is None:
            return None
        told = msgspec.json.decode(request.body(turn, self.profile), type=dict[str, msgspec.Raw])
        asked = {name: told[name] for name in ("messages", "tools") if name in told}
        prompt = await self._ask(self._counter, "/apply-template", asked, _Prompt)
        tokens = await self._ask(self._counter, "/tokenize", {"content": prompt.prompt}, _Tokens)
        return len(tokens.tokens)

    async def _ask(self, wire: Wire, path: str, body: object, told: type[_Told]) -> _Told:
        async with wire.post(path, msgspec.json.encode(body), self._headers) as answer:
            said = await answer.read()
            if answer.status != 200:
                raise _failures.failure(self.profile.provider, answer.status, answer.headers, said)
        try:
            return msgspec.json.decode(said, type=told)
        except msgspec.DecodeError as error:
            raise errors.ProviderFailed(f"{self.profile.provider} could not count tokens") from error
