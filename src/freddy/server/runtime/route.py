"""One model that callers ask for, and the providers that may answer: who is asked, and who next when that fails."""

import asyncio
import hashlib
import math
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import deltas, errors, items, window
from freddy.server.core.attempt import Attempt
from freddy.server.core.profile import Availability, Profile
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.ports.keys import ProviderKeys
from freddy.server.ports.model import Model, Provider
from freddy.server.ports.world import Chance, Clock
from freddy.server.runtime import estimate, retrying
from freddy.server.runtime.conforming import conforming
from freddy.server.runtime.health import Health
from freddy.server.runtime.media import Media
from freddy.server.runtime.strictness import strictly

_NOT_WORDS = (deltas.Answering, deltas.Tried, deltas.Chosen, deltas.Counted)
"""What is said beside the answer: as long as there is nothing else, somebody else can be asked."""
_BETTER: tuple[Availability, ...] = ("ready", "starting")


class Candidate(Struct, frozen=True):
    """`provider` may answer; `called` is its name for the model, None where it has but one and names it itself.

    Those with the lowest `order` are asked first; among them each gets a share of the requests by its `weight`.
    """

    provider: Provider
    called: str | None = None
    order: int = 0
    weight: float = 1.0
    word: float | None = None
    """Seconds to its first word, where it has a time of its own."""
    renamed: Mapping[str, str] = {}
    """Where `called` is still open: names that callers use, and what the provider calls those models."""


class Means(Struct, frozen=True):
    """What every route needs. `keys` is None where organizations have no keys, `media` where there are no files."""

    policy: retrying.Policy
    health: Health
    clock: Clock
    chance: Chance
    keys: ProviderKeys | None = None
    media: Media | None = None


class Route:
    """The candidates as one `Model`: once a word was said, whoever said it goes on to the end or fails."""

    def __init__(self, candidates: Sequence[Candidate], means: Means) -> None:
        self.candidates = tuple(sorted(candidates, key=lambda one: one.order))
        self._means = means

    def among(self, providers: Collection[str]) -> "Route | None":
        """The same, but for candidates of other providers. None where none is left."""
        kept = [one for one in self.candidates if one.provider.name in providers]
        if len(kept) == len(self.candidates):
            return self
        return Route(kept, self._means) if kept else None

    @property
    def name(self) -> str:
        """What the first candidate calls the model."""
        first = self.candidates[0]
        return first.called or self.profile.name

    @property
    def profile(self) -> Profile:
        """Of the candidate that is asked first."""
        return self._plain(self.candidates[0]).profile

    @property
    def reads_least(self) -> int | None:
        """Tokens that each candidate reads which says how many. None where nobody says."""
        return min((tokens for tokens in self._windows() if tokens is not None), default=None)

    @property
    def reads_most(self) -> int | None:
        """Tokens that no candidate reads more than. None where one of them does not say."""
        known = [tokens for tokens in self._windows() if tokens is not None]
        return max(known) if len(known) == len(self.candidates) else None

    def most_cost(self, usage: Usage) -> float | None:
        """US dollars of a turn with the dearest of the candidates. None where no price is known."""
        prices = [price for one in self.candidates if (price := self._plain(one).profile.price) is not None]
        return max((price.cost(usage) for price in prices), default=None)

    @property
    def availability(self) -> Availability:
        """The best of all."""
        rests = self._means.health.rests
        told = {self._plain(one).availability for one in self.candidates if not rests(_way(one))}
        return next((one for one in _BETTER if one in told), "unavailable")

    def warnings(self, turn: Turn) -> Sequence[str]:
        first = self.candidates[0]
        return self._plain(first).warnings(_asked(turn, first))

    async def count(self, turn: Turn) -> int | None:
        first = self.candidates[0]
        model, _ = await self._model(first, turn)
        return await model.count(_asked(turn, first))

    def stream(self, turn: Turn) -> AsyncGenerator[Sequence[deltas.Delta], None]:
        if len(self.candidates) == 1:
            return self._tries(self.candidates[0], turn)
        return self._one_of_them(turn)

    async def _one_of_them(self, turn: Turn) -> AsyncGenerator[Sequence[deltas.Delta], None]:
        failure: errors.FreddyError | None = None
        waiting = list(self._in_turn(turn))
        while waiting:
            said = False
            try:
                async with aclosing(self._next(waiting, turn)) as answer:
                    async for batch in answer:
                        said = said or _speaks(batch)
                        yield batch
            except errors.FreddyError as error:
                failed = error
            else:
                return
            if said or not retrying.elsewhere(failed):
                raise failed
            # What may pass says more to the caller than what another lacked.
            if failure is None or retrying.passes(failed) or not retrying.passes(failure):
                failure = failed
        assert failure is not None
        raise failure

    def _next(self, waiting: list[Candidate], turn: Turn) -> AsyncGenerator[Sequence[deltas.Delta], None]:
        candidate = waiting.pop(0)
        # The first word of an answer in one piece is its end: any long one would be asked for twice.
        if self._means.policy.hedge and waiting and turn.live:
            return self._hedged(candidate, waiting, turn)
        return self._tries(candidate, turn)

    async def _hedged(
        self, candidate: Candidate, waiting: list[Candidate], turn: Turn
    ) -> AsyncGenerator[Sequence[deltas.Delta], None]:
        """When the candidate keeps silent for long, the next one is asked too: who speaks first goes on."""
        lead = self._tries(candidate, turn)
        async with AsyncExitStack() as opened:
            await opened.enter_async_context(aclosing(lead))
            # Whoever stops the run from here on has somebody asked.
            yield await anext(lead)
            heard: list[Sequence[deltas.Delta]] = []
            failure: errors.FreddyError | None = None
            speaker = None
            async with asyncio.TaskGroup() as asking:
                task = asking.create_task(_first_words(lead))
                asked = {task: lead}
                done, _ = await asyncio.wait(asked, timeout=self._means.policy.hedge)
                alone = not done
                while asked and speaker is None:
                    if alone and waiting:
                        spare = self._tries(waiting.pop(0), turn)
                        await opened.enter_async_context(aclosing(spare))
                        asked[asking.create_task(_first_words(spare))] = spare
                        alone = False
                    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                    ended = next(task for task in asked if task in done)
                    said, failed = ended.result()
                    heard += said
                    one = asked.pop(ended)
                    failure = failure or failed
                    speaker = one if failed is None else None
                    # Who is silent still is not waited for alone because another failed.
                    over = any(task.done() for task in asked)
                    alone = failed is not None and retrying.elsewhere(failed) and not over
                for task in asked:
                    task.cancel()
            for batch in heard:
                yield batch
            if speaker is None:
                assert failure is not None
                raise failure
            async for batch in speaker:
                yield batch

    async def _tries(self, candidate: Candidate, turn: Turn) -> AsyncGenerator[Sequence[deltas.Delta], None]:
        """One candidate, again where that may help and nothing was said."""
        tried = 0
        while True:
            tried += 1
            said, way, price, asked = False, _way(candidate), None, turn
            began = self._means.clock.monotonic()
            try:
                model, way = await self._model(candidate, turn)
                turn, asked, warnings = await self._prepared(model, candidate, turn)
                price = model.profile.price
                # Before a word: who stops the run from here on has somebody asked, who charges for it.
                yield [deltas.Chosen(candidate.provider.name, price, warnings, _name(model, candidate))]
                async with aclosing(strictly(model, asked, conforming)) as answer:
                    while True:
                        # The vendor may keep the line open without a word; between words the wire watches.
                        waits = turn.live and not said
                        batch = await (self._word(answer, candidate) if waits else anext(answer, None))
                        if batch is None:
                            return
                        said = said or _speaks(batch)
                        if isinstance(batch[-1], deltas.Stop):
                            self._means.health.answered(way)
                            batch = [*batch[:-1], deltas.Tried(self._attempt(candidate, began)), batch[-1]]
                        yield batch
            except errors.FreddyError as error:
                failed = error
            self._means.health.failed(way, failed)
            # An answer of no use is charged for like any other, at the price of who gave it.
            used = _used(asked, failed) if not said else estimate.completed(asked, (), failed.usage)
            yield [deltas.Tried(self._attempt(candidate, began, failed), used, price)]
            failed.usage = None
            if not said and isinstance(failed, errors.ContextOverflow) and (shorter := _shorter(turn)) is not None:
                turn, tried = shorter, 0
                continue
            pause = retrying.pause(failed, tried, self._means.policy, self._means.chance())
            if said or pause is None:
                raise failed
            await asyncio.sleep(pause)

    async def _prepared(self, model: Model, candidate: Candidate, turn: Turn) -> tuple[Turn, Turn, tuple[str, ...]]:
        """The turn as far as the model can read it, the same as the model is asked it, and what is lost of it."""
        turn = _within(turn, model.profile)
        asked = _asked(turn, candidate)
        lost = _unread_compactions(asked, model.profile)
        if lost:
            asked = replace(asked, items=tuple(item for item in asked.items if not isinstance(item, items.Compaction)))
        if self._means.media is not None:
            asked = await self._means.media.furnish(asked, model.profile)
        return turn, asked, (*lost, *model.warnings(asked))

    async def _word(
        self, answer: AsyncGenerator[Sequence[deltas.Delta], None], candidate: Candidate
    ) -> Sequence[deltas.Delta] | None:
        try:
            async with asyncio.timeout(candidate.word or self._means.policy.word):
                return await anext(answer, None)
        except TimeoutError as error:
            raise errors.ProviderTimeout(f"{candidate.provider.name} did not say a word in time") from error

    async def _model(self, candidate: Candidate, turn: Turn) -> tuple[Model, tuple[str, ...]]:
        """The model with the key that the organization has for it, and the way to it by which its health is known."""
        provider, keys = candidate.provider, self._means.keys
        key = await keys.key(turn.organization_id, provider.name) if keys is not None else None
        if key is None:
            return self._plain(candidate), _way(candidate)
        return provider.model(candidate.called or "", key=key), (*_way(candidate), turn.organization_id)

    def _windows(self) -> Sequence[int | None]:
        return [self._plain(one).profile.context_tokens for one in self.candidates]

    def _plain(self, candidate: Candidate) -> Model:
        return candidate.provider.model(candidate.called or "")

    def _in_turn(self, turn: Turn) -> Sequence[Candidate]:
        """Those that rest come last: they are better than nobody."""
        if len(self.candidates) == 1:
            return self.candidates
        rests = self._means.health.rests
        return sorted(
            self.candidates, key=lambda one: (rests(_way(one)), one.order, -_share(one, turn.cache_key or ""))
        )

    def _attempt(self, candidate: Candidate, began: float, error: errors.FreddyError | None = None) -> Attempt:
        return Attempt(
            provider=candidate.provider.name,
            model=_name(self._plain(candidate), candidate),
            seconds=round(self._means.clock.monotonic() - began, 6),
            code=error.code if error else "",
            status=error.status if error else None,
        )


def _within(turn: Turn, profile: Profile) -> Turn:
    """Without what is surely too much, as far as one may guess: the provider counts for itself."""
    if turn.truncation != "auto" or profile.context_tokens is None:
        return turn
    room = profile.context_tokens - (turn.max_output_tokens or 0)
    kept = window.fitted(turn.items, lambda said: estimate.input_tokens(replace(turn, items=tuple(said))) <= room)
    return turn if len(kept) == len(turn.items) else replace(turn, items=kept)


def _used(turn: Turn, failed: errors.FreddyError) -> Usage | None:
    """What a try took that failed before its first word. None where it was refused, or nobody was reached."""
    if failed.usage is None and not isinstance(failed, errors.ProviderTimeout):
        return None
    return estimate.completed(turn, (), failed.usage)


def _shorter(turn: Turn) -> Turn | None:
    """Half of what may go is gone. None where nothing may."""
    if turn.truncation != "auto":
        return None
    kept = window.halved(turn.items)
    return None if len(kept) == len(turn.items) else replace(turn, items=kept)


def _unread_compactions(turn: Turn, profile: Profile) -> tuple[str, ...]:
    """Those that are left in a turn are of other services."""
    if profile.compactions or not any(isinstance(item, items.Compaction) for item in turn.items):
        return ()
    return (f"a compaction that another service made is left out: the model {profile.name} cannot read it",)


def _speaks(batch: Sequence[deltas.Delta]) -> bool:
    """Whether there is something in it that a caller hears."""
    for one in batch:  # noqa: SIM110 a generator costs more than all that is in it, and this runs with every batch
        if type(one) not in _NOT_WORDS:
            return True
    return False


async def _first_words(
    answer: AsyncGenerator[Sequence[deltas.Delta], None],
) -> tuple[list[Sequence[deltas.Delta]], errors.FreddyError | None]:
    """What is said up to the first word, and how it failed before that, if it did."""
    said: list[Sequence[deltas.Delta]] = []
    try:
        async for batch in answer:
            said.append(batch)
            if _speaks(batch):
                break
    except errors.FreddyError as error:
        return said, error
    return said, None


def _asked(turn: Turn, candidate: Candidate) -> Turn:
    return turn if candidate.called in (None, turn.model) else replace(turn, model=candidate.called)


def _name(model: Model, candidate: Candidate) -> str:
    return candidate.called or model.profile.name


def _way(candidate: Candidate) -> tuple[str, ...]:
    return candidate.provider.name, candidate.called or ""


def _share(candidate: Candidate, key: str) -> float:
    """Orders candidates by chance and weight, always alike for the same key: what they cached for it is used again.

    This is weighted rendezvous hashing: https://en.wikipedia.org/wiki/Rendezvous_hashing
    """
    if candidate.weight <= 0:
        return -math.inf
    told = hashlib.blake2b("\0".join((key, *_way(candidate))).encode(), digest_size=8).digest()
    return candidate.weight / -math.log((int.from_bytes(told) + 1) / (2**64 + 1))
