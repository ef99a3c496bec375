"""A model name to the model that answers to it."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

from freddy.server.core import errors
from freddy.server.ports.model import Model

_LONGEST = 256


class Candidate(Struct, frozen=True):
    """`called` is what the provider calls the model; None leaves it to the model, which may change."""

    model: Model
    called: str | None = None

    @property
    def name(self) -> str:
        return self.called or self.model.profile.name


class Routing:
    """`models` by name; `aliases` lead from a name to another; then the first of `patterns` (`gpt-*`) that fits.

    A model that names itself answers to that name, too.
    """

    def __init__(
        self,
        models: Mapping[str, Candidate],
        *,
        aliases: Mapping[str, str],
        patterns: Sequence[tuple[str, Model]] = (),
    ) -> None:
        self._models = dict(models)
        self._aliases = dict(aliases)
        self._patterns = list(patterns)

    def find(self, name: str) -> Candidate:
        """Raises `errors.ModelNotFound`."""
        meant = self._aliases.get(name, name)
        if found := self._models.get(meant) or self._own_names().get(meant):
            return found
        # A pattern lets callers choose the name, which then stands in answers and metrics.
        fitting = self._patterns if len(meant) <= _LONGEST and meant.isprintable() else ()
        for pattern, model in fitting:
            if fnmatchcase(meant, pattern):
                return Candidate(model, meant)
        raise errors.ModelNotFound(
            "Model not found", param="model", details=f"{name[:100]!r} is not served here, see GET /v1/models"
        )

    def known(self) -> Sequence[tuple[str, Candidate]]:
        """Every name that can be told beforehand, aliases too, with what answers it."""
        names = self._own_names() | self._models
        for alias in self._aliases:
            try:
                names[alias] = self.find(alias)
            except errors.ModelNotFound:
                continue
        return sorted(names.items())

    def _own_names(self) -> dict[str, Candidate]:
        return {one.name: one for one in self._models.values() if one.called is None}
