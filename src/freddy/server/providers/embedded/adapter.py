"""The embedded engine as a `Model`: waits for it, keeps order before it, and gives it tools and forms."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from freddy.server.core import deltas, errors, items
from freddy.server.core.pricing import Price
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.turn import Turn
from freddy.server.ports.model import Model
from freddy.server.providers import _prompted, _tool_prompt
from freddy.server.providers.embedded import grammar
from freddy.server.providers.embedded.child import Address
from freddy.server.providers.embedded.engine import Engine
from freddy.server.providers.embedded.faults import EngineUnavailable
from freddy.server.providers.embedded.keeper import Phase
from freddy.server.providers.embedded.room import RETRY_SECONDS, Room

Connect: TypeAlias = Callable[[Address, Mapping[str, object]], AbstractAsyncContextManager[Model]]
"""A model of the chat-completions wire at an address, which adds these fields to each body; opened for one answer."""

PROVIDER = "embedded"
AVAILABILITY: dict[Phase, Availability] = {
    "absent": "unavailable",
    "starting": "starting",
    "ready": "ready",
    "restarting": "starting",
    "failed": "unavailable",
}
COUNTED = 512
PER_ITEM = 32
MIN_ANSWER = 256
NOTICED = 0.5
NO_FIELDS: Mapping[str, object] = MappingProxyType({})


class Embedded:
    """At most `slots` answers at a time, `queue` more wait. `patience`: seconds for the engine to be ready.

    `answer_tokens` is the longest answer where the caller names no limit: small models may talk without end.
    """

    def __init__(
        self,
        engine: Engine,
        connect: Connect,
        *,
        slots: int = 4,
        queue: int = 32,
        patience: float = 60.0,
        answer_tokens: int | None = None,
    ) -> None:
        self._engine = engine
        self._connect = connect
        self._patience = patience
        self._answer_tokens = answer_tokens or max(MIN_ANSWER, engine.context // slots)
        self._room = Room(slots=slots, tokens=engine.context, queue=queue)

    @property
    def name(self) -> str:
        return PROVIDER

    def model(self, called: str, *, key: str | None = None) -> Model:  # noqa: ARG002
        """This one, however it is called."""
        return self

    async def models(self) -> Sequence[str]:
        return ()

    @property
    def profile(self) -> Profile:
        choice = self._engine.choice
        return Profile(
            name=choice.name if choice else "none",
            provider=PROVIDER,
            description=choice.note if choice else "",
            context_tokens=self._context,
            schemas=True,
            price=Price(0, 0),
            json=True,
        )

    @property
    def availability(self) -> Availability:
        return AVAILABILITY[self._engine.state.phase]

    async def stream(self, turn: Turn) -> AsyncGenerator[Sequence[deltas.Delta], None]:
        with self._room.entered():
            bounded = msgspec.structs.replace(turn, max_output_tokens=turn.max_output_tokens or self._answer_tokens)
            needs = await self._needs(bounded)
            async with self._room.taken(needs), contextlib.aclosing(self._stream(bounded)) as answer:
                async for batch in answer:
                    yield batch

    async def enforces(self, turn: Turn) -> bool:
        held = await _grammar(turn)
        return held is not None and held.exact

    async def _stream(self, turn: Turn) -> AsyncGenerator[Sequence[deltas.Delta], None]:
        for last in (False, True):
            said, address = False, self._engine.address
            try:
                async with contextlib.aclosing(_prompted.answer(self._ask, turn)) as answer:
                    async for batch in answer:
                        said = True
                        yield batch
            except (errors.ProviderUnavailable, errors.ProviderFailed):
                # Did it die before it said anything? Then the next one is asked.
                if said or last or not address or not await self._engine.left(address, within=NOTICED):
                    raise
            else:
                return

    async def _ask(self, turn: Turn) -> AsyncGenerator[Sequence[deltas.Delta], None]:
        """What the engine writes, as text: calls are still to be found in it."""
        held = await _grammar(turn)
        fields = NO_FIELDS if held is None else {"grammar": held.text}
        async with self._model(fields) as model, contextlib.aclosing(model.stream(_tool_prompt.plain(turn))) as answer:
            async for batch in answer:
                yield batch

    def warnings(self, turn: Turn) -> Sequence[str]:
        lost = []
        if turn.reasoning.effort not in (None, "off"):
            lost.append("reasoning.effort")
        if turn.sampling.verbosity not in (None, "medium"):
            lost.append("verbosity")
        if any(tool.constrained for tool in turn.tools):
            lost.append("the format of custom tools")
        return [f"{one} has no effect with the model {self.profile.name}" for one in lost]

    async def count(self, turn: Turn) -> int | None:
        if self._engine.state.phase != "ready":
            return None
        async with self._model() as model:
            return await model.count(_tool_prompt.plain(turn))

    @property
    def _context(self) -> int:
        choice = self._engine.choice
        return min(self._engine.context, (choice and choice.context) or self._engine.context)

    async def _needs(self, turn: Turn) -> int:
        """Tokens that the engine must keep for this turn: counted, unless a rough bound is good enough."""
        asked = _tool_prompt.plain(turn)
        bound = _bound(asked)
        if bound > COUNTED:
            async with self._model() as model:
                counted = await model.count(asked)
            if counted is not None and counted >= self._context:
                raise errors.ContextOverflow(
                    "The input is longer than the model can read",
                    param="input",
                    details=f"it has {counted} tokens, the model reads {self._context}",
                )
            bound = bound // 3 if counted is None else counted
        return min(self._engine.context, bound + PER_ITEM + (turn.max_output_tokens or 0))

    @contextlib.asynccontextmanager
    async def _model(self, fields: Mapping[str, object] = NO_FIELDS) -> AsyncIterator[Model]:
        async with contextlib.AsyncExitStack() as stack:
            try:
                address = await stack.enter_async_context(self._engine.lease(self._patience))
            except EngineUnavailable as error:
                waits = self.availability == "starting"
                raise errors.ProviderUnavailable(
                    f"The embedded model is not available: {error.reason}",
                    details=error.cure or None,
                    retry_after=RETRY_SECONDS if waits else None,
                ) from error
            yield await stack.enter_async_context(self._connect(address, fields))


async def _grammar(turn: Turn) -> grammar.Grammar | None:
    """What holds the model to the form of the turn; None where it may write any text."""
    form = _tool_prompt.form(turn)
    return None if form is None else await asyncio.to_thread(grammar.closest, bytes(form))


def _bound(turn: Turn) -> int:
    """More tokens than the turn can have: one for each byte of its texts, and some around each item."""
    told = [turn.instructions or "", *(item.text for item in turn.items if isinstance(item, items.Message))]
    return sum(len(text.encode()) + PER_ITEM for text in told)
