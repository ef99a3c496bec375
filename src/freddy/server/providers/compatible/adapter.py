"""The models behind a server that speaks OpenAI's chat completions."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from freddy.server.core import errors, items
from freddy.server.core.deltas import Delta
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.request import Output, Schema
from freddy.server.core.turn import Turn
from freddy.server.ports.wire import Wire
from freddy.server.providers import _answer, _failures, _prompted, _tool_prompt
from freddy.server.providers._kept import Kept
from freddy.server.providers.compatible import catalog, request, stream
from freddy.server.providers.compatible.row import Row

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
        self._headers = headed(row, key, headers or {})

        def make(called: str, own: str | None) -> Compatible:
            return Compatible(
                wire,
                profile_of(called),
                key=own or key,
                counter=counter,
                row=row,
                called=called,
                headers=headers,
            )

        self._models: Kept[Compatible] = Kept(make)

    def model(self, called: str, *, key: str | None = None) -> "Compatible":
        return self._models.get(called, key)

    async def models(self) -> Sequence[str]:
        """Raises like `Model.stream`."""
        if self._row.listing is None:
            return ()
        async with self._wire.get(self._row.listing, self._headers) as answer:
            said = await answer.read()
            if answer.status in (404, 405):
                return ()
            if not _answer.accepts(answer):
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
        self._headers = {"content-type": "application/json"} | headed(row, key, headers or {})

    def stream(self, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
        return _prompted.answer(self._in_words, turn) if self._prompts(turn) else self._answer(turn)

    def _in_words(self, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
        return self._answer(_plain(turn))

    def _prompts(self, turn: Turn) -> bool:
        """Whether the model has to be told of tools in words."""
        called = any(isinstance(item, items.FunctionCall | items.FunctionOutput) for item in turn.items)
        return not self.profile.tools and bool(turn.tools or called)

    async def _answer(self, turn: Turn) -> AsyncGenerator[Sequence[Delta], None]:
        name, turn = self.profile.provider, self._named(turn)
        facts = self._row.of(turn.model)
        reader = stream.Reader(name, facts, names=request.own_names(turn, facts))
        body = request.body(turn, self.profile, self._row)
        async with self._wire.post("/chat/completions", body, self._headers) as answer:
            if not _answer.accepts(answer):
                raise _failures.failure(name, answer.status, answer.headers, await answer.read())
            async with aclosing(_answer.said(reader, answer)) as saying:
                async for said in saying:
                    yield said

    def warnings(self, turn: Turn) -> Sequence[str]:
        if self._prompts(turn):
            turn = _plain(turn)
        return request.warnings(self._named(turn), self.profile, self._row)

    async def count(self, turn: Turn) -> int | None:
        if self._counter is None:
            return None
        if self._prompts(turn):
            turn = _plain(turn)
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


def _plain(turn: Turn) -> Turn:
    """The turn for a model that knows of no tools. What must be a call is held to the form of one as well as may be."""
    held = _tool_prompt.form(turn)
    plain = _tool_prompt.plain(turn)
    if held is None:
        return plain
    return replace(plain, output=Output("json_schema", (Schema("answer", held),)))


def headed(row: Row, key: str | None, more: Mapping[str, str]) -> dict[str, str]:
    """What every request says of who asks."""
    told = {name.lower(): value for name, value in {**row.headers, **more}.items()}
    if key:
        told[row.key_header] = f"Bearer {key}" if row.key_header == "authorization" else key
    return told
