"""A model name to the route that answers to it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.ports.model import Provider
from freddy.server.runtime.route import Candidate, Means, Route

_log = logging.getLogger(__name__)

_LONGEST = 256
_MOST_ROUTES = 1024
"""Routes by names that callers chose, which are kept made."""
_LISTING_SECONDS = 300.0
_FAILED_SECONDS = 30.0
_LISTING_PATIENCE = 5.0


class Routing:
    """`models` by name; `aliases` lead from a name to another; then the first of `patterns` (`gpt-*`) that fits,
    with the candidate that answers under the name it was asked for.

    A model that names itself answers to that name, too.
    """

    def __init__(
        self,
        models: Mapping[str, Sequence[Candidate]],
        means: Means,
        *,
        aliases: Mapping[str, str],
        patterns: Sequence[tuple[str, Candidate]] = (),
    ) -> None:
        self._models = {name: Route(candidates, means) for name, candidates in models.items()}
        self._means = means
        self._aliases = dict(aliases)
        self._patterns = list(patterns)
        self._made: dict[tuple[str, str], Route] = {}
        self._listed: tuple[float, list[tuple[str, Route]]] | None = None
        self._listing = asyncio.Lock()

    def find(self, name: str) -> Route:
        """Raises `errors.ModelNotFound`."""
        meant = self._aliases.get(name, name)
        if found := self._models.get(meant) or self._own_names().get(meant):
            return found
        # A pattern lets callers choose the name, which then stands in answers and metrics.
        fitting = self._patterns if len(meant) <= _LONGEST and meant.isprintable() else ()
        for pattern, candidate in fitting:
            if fnmatchcase(meant, pattern):
                return self._route(meant, candidate)
        raise errors.ModelNotFound(
            "Model not found", param="model", details=f"{name[:100]!r} is not served here, see GET /v1/models"
        )

    def known(self) -> Sequence[tuple[str, Route]]:
        """Every name that can be told beforehand, aliases too, with what answers it."""
        names = self._own_names() | self._models
        for alias in self._aliases:
            try:
                names[alias] = self.find(alias)
            except errors.ModelNotFound:
                continue
        return sorted(names.items())

    async def listed(self) -> Sequence[tuple[str, Route]]:
        """What is known, and what the providers behind patterns say that they have; those who say nothing are left out.

        Providers are asked again after some minutes, sooner where one did not answer.
        """
        known = dict(self.known())
        async with self._listing:
            now = self._means.clock.monotonic()
            if self._listed is None or now > self._listed[0]:
                self._listed = await self._ask(now)
        return sorted((dict(self._listed[1]) | known).items())

    async def _ask(self, now: float) -> tuple[float, list[tuple[str, Route]]]:
        """Until when the answer is good, and what all have."""
        providers = {id(one.provider): one.provider for _, one in self._patterns}
        async with asyncio.TaskGroup() as asking:
            tasks = [asking.create_task(_names(provider)) for provider in providers.values()]
        told: dict[str, Route] = {}
        for provider, task in zip(providers.values(), tasks, strict=True):
            for name in task.result() or ():
                fits = any(one.provider is provider and fnmatchcase(name, pattern) for pattern, one in self._patterns)
                if fits and len(name) <= _LONGEST and name.isprintable():
                    # The first provider whose pattern fits is the one that answers.
                    told.setdefault(name, self.find(name))
        failed = any(task.result() is None for task in tasks)
        return now + (_FAILED_SECONDS if failed else _LISTING_SECONDS), list(told.items())

    def _route(self, called: str, candidate: Candidate) -> Route:
        place = (candidate.provider.name, called)
        if (made := self._made.get(place)) is None:
            if len(self._made) >= _MOST_ROUTES:
                self._made.pop(next(iter(self._made)))
            made = self._made[place] = Route(
                (replace(candidate, called=candidate.renamed.get(called, called)),), self._means
            )
        return made

    def _own_names(self) -> dict[str, Route]:
        return {one.name: one for one in self._models.values() if one.candidates[0].called is None}


async def _names(provider: Provider) -> Sequence[str] | None:
    """None where it could not say."""
    try:
        async with asyncio.timeout(_LISTING_PATIENCE):
            return await provider.models()
    except (TimeoutError, errors.FreddyError) as error:
        _log.warning("models_not_listed", extra={"provider": provider.name, "reason": type(error).__name__})
        return None
