"""Says what rules a request is told. An organization's rules are read once, and remembered for a few seconds."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors, items, shortening, toolspec
from freddy.server.core.accounts import Caller
from freddy.server.core.request import Request
from freddy.server.core.rules import USUAL, Attachment, Entity, Rule
from freddy.server.core.ruling import ASSISTANT, REQUEST, Candidate, Ruling, ruled
from freddy.server.ports.attachments import AttachmentStore
from freddy.server.ports.world import Clock
from freddy.server.resources.base import Collection, Kept
from freddy.server.resources.sample_rules import SampleRules

_NOTHING: Final = Ruling()
_ROOM: Final = 32_000_000
"""Characters of rules that are remembered, of all organizations together."""
_SHORTENED: Final = 256
"""Shortened texts that are remembered."""
_AT_ONCE: Final = 8_000
"""Characters of rules that are looked at without leaving the loop: to shorten more may take a while."""
_FIELDS: Final = 32
"""Fields of a rule context that are looked at."""
_LONGEST_FIELD: Final = 64
_QUARTER: Final = 4
_PER_TOKEN: Final = 3
"""Characters of a token, few enough for code and most languages; in scripts without an alphabet it is one."""


class _Known(Struct, frozen=True):
    """An organization's rules by id, and what is attached to what. `until` is when it has to be read again."""

    until: float
    rules: Mapping[str, Kept[Rule]] = {}
    attached: Mapping[tuple[Entity, str], Sequence[Attachment]] = {}
    size: int = 0


class Rulebook:
    """`characters` are what all rules of a request may take. Changes by other processes are seen after `seconds`."""

    def __init__(
        self,
        rules: Collection[Rule],
        attachments: AttachmentStore,
        *,
        clock: Clock,
        characters: int = 20_000,
        samples: SampleRules | None = None,
        seconds: float = 5.0,
    ) -> None:
        self._rules = rules
        self._attachments = attachments
        self._clock = clock
        self._characters = characters
        self._samples = samples or SampleRules()
        self._seconds = seconds
        self._known: dict[str, _Known] = {}
        self._held = 0
        self._changes = 0
        self._shorten = lru_cache(_SHORTENED)(shortening.shorten)

    async def ruling(
        self,
        request: Request,
        caller: Caller,
        *,
        assistant_rules: Sequence[str] = (),
        model_names: Sequence[str] = (),
        context_tokens: int | None = None,
    ) -> Ruling:
        """What becomes of the rules that concern a request of the caller's organization.

        `assistant_rules` are those that the assistant names, `model_names` the name that was asked for and those that
        answer to it. Raises `errors.NotFound` for a rule that the request names and that is not there,
        `errors.PermissionDenied` for a user who wants none, `errors.ContextOverflow` for more than can be told.
        """
        if request.disable_rules:
            if caller.user_id is not None:
                raise errors.PermissionDenied(
                    "Rules can be disabled with an API key only",
                    param="disable_rules",
                    details="leave it out, or send the request with an API key instead of a user's token",
                )
            return _NOTHING
        known = await self._of(caller.organization_id)
        if not (known.rules or request.rules or assistant_rules):
            return _NOTHING
        candidates = [
            *self._named(request.rules, known, caller.organization_id),
            *_of_assistant(assistant_rules, known),
            *_attached(request, caller, model_names, known),
        ]
        if not candidates:
            return _NOTHING
        decide = partial(
            ruled,
            candidates,
            _context(request),
            _last_said(request),
            characters=self._room(context_tokens, candidates),
            shorten=self._shorten,
        )
        if sum(len(one.rule.content) for one in candidates if one.rule is not None) <= _AT_ONCE:
            return decide()
        return await asyncio.to_thread(decide)

    def forget(self, organization_id: str) -> None:
        """Its rules have changed: the next request reads them again."""
        self._changes += 1
        self._drop(organization_id)

    async def _of(self, organization_id: str) -> _Known:
        known, now = self._known.get(organization_id), self._clock.monotonic()
        if known is not None:
            if known.until > now:
                return known
            # While one request reads, the others go on with what they had.
            self._known[organization_id] = replace(known, until=now + self._seconds)
        return await self._read(organization_id)

    async def _read(self, organization_id: str) -> _Known:
        changes = self._changes
        attached: dict[tuple[Entity, str], list[Attachment]] = {}
        rules = {kept.id: kept for kept in await self._rules.all(organization_id)}
        if rules:
            for one in await self._attachments.all(organization_id):
                attached.setdefault((one.entity_type, one.entity_id), []).append(one)
        size = 1_000 + sum(len(kept.value.content) for kept in rules.values())
        read = _Known(self._clock.monotonic() + self._seconds, rules, attached, size)
        if changes == self._changes:  # else what was read may be of before the change
            self._remember(organization_id, read)
        return read

    def _remember(self, organization_id: str, read: _Known) -> None:
        self._drop(organization_id)
        self._known[organization_id] = read
        self._held += read.size
        while self._held > _ROOM and len(self._known) > 1:
            self._drop(next(iter(self._known)))

    def _drop(self, organization_id: str) -> None:
        if known := self._known.pop(organization_id, None):
            self._held -= known.size

    def _named(self, rule_ids: Sequence[str], known: _Known, organization_id: str) -> Iterator[Candidate]:
        for rule_id in dict.fromkeys(rule_ids):
            kept = known.rules.get(rule_id) or self._samples.find(organization_id, rule_id)
            if kept is None:
                raise errors.NotFound(
                    f"There is no rule {rule_id[:100]!r}", param="rules", details="GET /v1/rules lists those there are"
                )
            yield Candidate(kept.id, kept.name, kept.value, REQUEST, kept.value.priority, named=True)

    def _room(self, context_tokens: int | None, candidates: Sequence[Candidate]) -> int:
        """Characters: never more than a quarter of what the model can read."""
        if context_tokens is None:
            return self._characters
        texts = [one.rule.content for one in candidates if one.rule is not None]
        wide = sum(len(text.encode()) - len(text) for text in texts if not text.isascii())
        # Scripts without an alphabet have three bytes to a character.
        per_token = 1 if wide > sum(map(len, texts)) else _PER_TOKEN
        return min(self._characters, context_tokens // _QUARTER * per_token)


def _of_assistant(rule_ids: Sequence[str], known: _Known) -> Iterator[Candidate]:
    for rule_id in rule_ids:
        kept = known.rules.get(rule_id)
        if kept is None:
            yield Candidate(rule_id, "", None, ASSISTANT, USUAL)
        else:
            yield Candidate(kept.id, kept.name, kept.value, ASSISTANT, kept.value.priority, named=True)


def _attached(request: Request, caller: Caller, model_names: Sequence[str], known: _Known) -> Iterator[Candidate]:
    if not known.attached:
        return
    for entity in _entities(request, caller, model_names):
        for one in known.attached.get(entity, ()):
            kept = known.rules.get(one.rule_id)
            if kept is not None:
                yield Candidate(
                    kept.id, kept.name, kept.value, entity[0], one.priority, one.character_limit, active=one.active
                )


def _entities(request: Request, caller: Caller, model_names: Sequence[str]) -> Iterator[tuple[Entity, str]]:
    if request.assistant_id is not None:
        yield "assistant", request.assistant_id
    if caller.user_id is not None:
        yield "user", caller.user_id
    for name in dict.fromkeys(model_names):
        yield "model", name
    for store_id in dict.fromkeys(_vector_stores(request)):
        yield "vector_store", store_id
    yield "organization", caller.organization_id


def _vector_stores(request: Request) -> Iterator[str]:
    """Those that the request names by itself, and those that its tools name."""
    if named := request.echo.get("vector_store_ids"):
        yield from msgspec.json.decode(named, type=list[str])
    for tool in request.tools:
        if isinstance(tool, toolspec.FileSearch):
            yield from tool.vector_store_ids
        if isinstance(tool, toolspec.Other):
            told = msgspec.json.decode(tool.data)
            given = told.get("vector_store_ids", told.get("vectorStoreIds")) if isinstance(told, dict) else None
            yield from (each for each in given or () if isinstance(each, str))


def _context(request: Request) -> dict[str, str]:
    """The fields of the rule context that are words or numbers."""
    if request.rule_context is None:
        return {}
    told = msgspec.json.decode(request.rule_context)
    assert isinstance(told, dict)
    words = ((field, _word(value)) for field, value in list(told.items())[:_FIELDS])
    return {field: word for field, word in words if word and field.isidentifier() and len(field) <= _LONGEST_FIELD}


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _last_said(request: Request) -> str:
    """The last message of the user among the inputs."""
    for item in reversed(request.input):
        if isinstance(item, items.Message) and item.role == "user":
            return item.text
    return ""
