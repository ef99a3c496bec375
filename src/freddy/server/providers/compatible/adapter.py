"""The models behind a server that speaks OpenAI's chat completions."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.deltas import Delta
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.wire import Wire
from freddy.server.providers import _failures, _goodbye, _sse
from freddy.server.providers.compatible import catalog, request, stream
from freddy.server.providers.compatible.row import Row

_KEPT = 256
"""Models by name and key that are kept ready."""

_Told = TypeVar("_Told")


class _Prompt(msgspec.Struct):
    prompt: str


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _Named(msgspec.Struct):
    id: str | None = None


class _Listed(msgspec.Struct):
    data: list[_Named] | None = None


class CompatibleProvider:
    """`wire` leads to the vendor's base (what stands before `/chat/completions`), `row` says what its ways are.

    `profile_of` tells of a model by the vendor's name for it, as `row.fitted` leaves it. `headers` are the operator's
    own. `counter` leads to a server with llama.cpp's `/apply-template` and `/tokenize`, where there is one.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        name: str,
        row: Row,
        profile_of: Callable[[str], Profile],
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        counter: Wire | None = None,
    ) -> None:
        self.name = name
        self._wire = wire
        self._row = row
        self._profile_of = profile_of
        self._key = key
        self._headers = dict(headers or {})
        self._counter = counter
        self._models: OrderedDict[tuple[str, str | None], Compatible] = OrderedDict()

    def model(self, called: str, *, key: str | None = None) -> "Compatible":
        model = self._models.get((called, key))
        if model is None:
            model = Compatible(
                self._wire,
                self._profile_of(called),
                key=key or self._key,
                counter=self._counter,
                row=self._row,
                called=called,
                headers=self._headers,
            )
            self._models[called, key] = model
        self._models.move_to_end((called, key))
        if len(self._models) > _KEPT:
            self._models.popitem(last=False)
        return model

    async def models(self) -> Sequence[str]:
        """Raises like `Model.stream`."""
        if self._row.listing is None:
            return ()
        async with self._wire.get(self._row.listing, _headers(self._row, self._key, self._headers)) as answer:
            said = await answer.read()
            if answer.status in (404, 405):
                return ()
            if not 200 <= answer.status < 300:
                raise _failures.failure(self.name, answer.status, answer.headers, said)
        try:
            told = msgspec.json.decode(said, type=_Listed | list[_Named])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise errors.ProviderFailed(f"{self.name} could not tell its models") from error
        listed = told.data or () if isinstance(told, _Listed) else told
        return tuple(one.id for one in listed if one.id)


class Compatible:
    """One model. `called` is the vendor's name for it; None leaves it to the turn."""

    def __init__(
        self,
        wire: Wire,
        profile: Profile,
        *,
        key: str | None = None,
        counter: Wire | None = None,
        row: Row = catalog.COMPATIBLE,
        called: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.profile = profile
        self.availability: Availability = "ready"
        self._wire = wire
        self._counter = counter
        self._row = row
        self._called = called
        self._headers = {"content-type": "application/json"} | _headers(row, key, headers or {})

    async def stream(self, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
        name, turn = self.profile.provider, self._named(turn)
        facts = self._row.of(turn.model)
        reader = stream.Reader(name, facts, names=request.own_names(turn, facts))
        body = request.body(turn, self.profile, self._row)
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

    def warnings(self, turn: Turn) -> Sequence[str]:
        return request.warnings(self._named(turn), self.profile, self._row)

    async def count(self, turn: Turn) -> int | None:
        if self._counter is None:
            return None
        told = msgspec.json.decode(
            request.body(self._named(turn), self.profile, self._row), type=dict[str, msgspec.Raw]
        )
        asked = {name: told[name] for name in ("messages", "tools", "chat_template_kwargs") if name in told}
        prompt = await self._ask(self._counter, "/apply-template", asked, _Prompt)
        tokens = await self._ask(self._counter, "/tokenize", {"content": prompt.prompt}, _Tokens)
        return len(tokens.tokens)

    def _named(self, turn: Turn) -> Turn:
        return turn if self._called in (None, turn.model) else replace(turn, model=self._called)

    async def _ask(self, wire: Wire, path: str, body: object, told: type[_Told]) -> _Told:
        async with wire.post(path, msgspec.json.encode(body), self._headers) as answer:
            said = await answer.read()
            if answer.status != 200:
                raise _failures.failure(self.profile.provider, answer.status, answer.headers, said)
        try:
            return msgspec.json.decode(said, type=told)
        except msgspec.DecodeError as error:
            raise errors.ProviderFailed(f"{self.profile.provider} could not count tokens") from error


def _headers(row: Row, key: str | None, more: Mapping[str, str]) -> dict[str, str]:
    told = {name.lower(): value for name, value in {**row.headers, **more}.items()}
    if key:
        told[row.key_header] = f"Bearer {key}" if row.key_header == "authorization" else key
    return told
