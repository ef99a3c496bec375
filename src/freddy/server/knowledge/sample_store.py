"""The vector store that the documentation's examples search: there in local development mode, and kept nowhere."""

from collections.abc import Collection, Sequence
from typing import Final

from msgspec.structs import replace

from freddy.server.core import toolspec
from freddy.server.core.vector_stores import Passage
from freddy.server.core.wording import telling
from freddy.server.knowledge.retrieval import Retrieval
from freddy.server.ports.tools import Answer

_ID: Final = "vs_abc123"
_FILE: Final = "file_authentication_md"
_NAME: Final = "authentication.md"
_PASSAGES: Final = (
    "# Authentication\n\nEvery request carries an API key, in the header `X-API-Key` or as a bearer token in "
    "`Authorization`. A request without a key is answered with 401 and the code `invalid_api_key`.",
    "## Making and changing keys\n\nAn administrator makes keys, gives each the scopes that it needs, and sets a date "
    "on which it expires. A key is shown once, when it is made. Rotating it makes a new one, and the old one stops.",
    "## Signed-in users\n\nPeople sign in with their e-mail address and password and get a token that lasts for an "
    "hour, and one that renews it. A user's token reaches only what belongs to that user.",
)


class SampleStore:
    """The port `Retriever`: `organizations` have the sample beside their own stores."""

    def __init__(self, retrieval: Retrieval, organizations: Collection[str]) -> None:
        self._retrieval = retrieval
        self._organizations = frozenset(organizations)

    async def check(self, organization_id: str, spec: toolspec.FileSearch, *, param: str) -> None:
        if (own := self._own(organization_id, spec)).vector_store_ids:
            await self._retrieval.check(organization_id, own, param=param)

    async def search(self, organization_id: str, spec: toolspec.FileSearch, queries: Sequence[str]) -> Answer:
        own = self._own(organization_id, spec)
        if own.vector_store_ids:
            return await self._retrieval.search(organization_id, own, queries)
        return self._retrieval.told(_fitting(queries), tuple(queries))

    def _own(self, organization_id: str, spec: toolspec.FileSearch) -> toolspec.FileSearch:
        """Without the sample, where this organization has it."""
        if organization_id not in self._organizations or _ID not in spec.vector_store_ids:
            return spec
        return replace(spec, vector_store_ids=tuple(one for one in spec.vector_store_ids if one != _ID))


def _fitting(queries: Sequence[str]) -> Sequence[Passage]:
    """The passages with words of the queries, the most of them first; all where none has any."""
    wanted = frozenset(word for query in queries for word in telling(query))
    shares = [(len(wanted & telling(text)) / max(1, len(wanted)), place) for place, text in enumerate(_PASSAGES)]
    chosen = sorted((one for one in shares if one[0]), key=lambda one: (-one[0], one[1])) or shares
    return [
        Passage(store_id=_ID, file_id=_FILE, filename=_NAME, place=place, text=_PASSAGES[place], score=score)
        for score, place in chosen
    ]
