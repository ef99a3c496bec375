"""The assistant that the documentation's examples name. It is there in local development mode, and kept nowhere."""

from collections.abc import Collection
from typing import Final

from freddy.server.core.assistants import Assistant, Settings
from freddy.server.resources.base import Kept

_ID: Final = "asst_abc123"
_SAMPLE: Final = Assistant(
    description="Named by the examples of the documentation.",
    settings=Settings(instructions="You are a helpful assistant. Answer briefly."),
)


class SampleAssistants:
    """`organizations` are those that have it."""

    def __init__(self, organizations: Collection[str] = ()) -> None:
        self._organizations = frozenset(organizations)

    def find(self, organization_id: str, assistant_id: str) -> Kept[Assistant] | None:
        if assistant_id != _ID or organization_id not in self._organizations:
            return None
        return Kept(id=_ID, organization_id=organization_id, name="Sample", value=_SAMPLE, created_at=0, updated_at=0)
