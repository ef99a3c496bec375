"""The functions that this server has for an organization: its own, those of packages, those that are registered."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from freddy.server.core import errors
from freddy.server.core.toolspec import Function
from freddy.server.ports.tools import Answer, Asker, Registered, RegisteredCalls, Registry, ServerFunction
from freddy.server.tools.functions import answers

_log = logging.getLogger(__name__)


class Chain:
    """The port `ServerFunctions`. Of functions with the same name the first counts, and before all those registered."""

    def __init__(self, own: Iterable[ServerFunction], registry: Registry, calls: RegisteredCalls) -> None:
        """`own` are there for every organization."""
        self._own: dict[str, ServerFunction] = {}
        for function in own:
            self._own.setdefault(function.spec.name, function)
        self._registry = registry
        self._calls = calls

    async def find(self, organization_id: str, names: Sequence[str]) -> Mapping[str, ServerFunction]:
        found: dict[str, ServerFunction] = {name: self._own[name] for name in names if name in self._own}
        if others := [name for name in names if name not in found]:
            registered = await self._registry.named(organization_id, others)
            found |= {name: _Remote(one, self._registry, self._calls) for name, one in registered.items()}
        return found


class _Remote:
    def __init__(self, function: Registered, registry: Registry, calls: RegisteredCalls) -> None:
        self.spec: Function = function.spec
        self.source = f"registered {function.id}"
        self.origin = f"{self.source} {function.url}"
        self._function = function
        self._registry = registry
        self._calls = calls

    async def call(self, arguments: str, asker: Asker) -> Answer:
        try:
            confided = await self._registry.confided(self._function)
        except errors.StorageUnavailable as error:
            _log.warning(
                "function_secrets_unreadable",
                extra={
                    "organization_id": self._function.organization_id,
                    "function_id": self._function.id,
                    "reason": error.message,
                    "cure": error.details,
                },
            )
            return answers.failed("what the function is told in confidence cannot be opened", source=self.source)
        return await self._calls.call(self._function, confided, arguments=arguments, asker=asker)
