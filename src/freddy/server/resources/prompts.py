"""The use-cases of prompt templates: to keep them, and to fill those that requests name."""

from collections.abc import Callable, Sequence

import msgspec

from freddy.server.core import errors, prompts
from freddy.server.core.accounts import Caller
from freddy.server.core.ids import PROMPT
from freddy.server.core.prompts import Prompt
from freddy.server.core.request import PromptRef, Request
from freddy.server.ports.records import Record, RecordStore
from freddy.server.ports.stores import Page
from freddy.server.ports.world import Clock, IdSource
from freddy.server.resources.base import MOST, Changed, Collection, Kept, beside, unheard

_LATEST = "latest"
_LARGEST_VERSION = 2**31 - 1
_prompt = msgspec.json.Decoder(Prompt)
_values = msgspec.json.Decoder(dict[str, object])


class Prompts:
    def __init__(
        self, *, records: RecordStore, clock: Clock, ids: IdSource, most: int = MOST, changed: Changed = unheard
    ) -> None:
        """`most` is how many an organization may have."""
        self._records = records
        self._ids = ids
        self._kept = Collection(
            "prompt", Prompt, prefix=PROMPT, records=records, clock=clock, ids=ids, most=most, changed=changed
        )

    async def create(self, caller: Caller, *, name: str, prompt: Prompt) -> Kept[Prompt]:
        """Raises `errors.InvalidValue` for a template that could never be filled, and `errors.Conflict`."""
        return await self._kept.create(caller, name=name, value=prompts.check(prompt))

    async def get(self, caller: Caller, prompt_id: str, *, version: str | None = None) -> Kept[Prompt]:
        """The newest version, or the one asked for. Raises `errors.NotFound`."""
        number = _number(version)
        if number == 0:
            raise _no_version(prompt_id, version or "", "version")
        return await self._kept.get(caller, prompt_id, version=number, param="id" if number is None else "version")

    async def list(
        self, caller: Caller, page: Page, *, search: str = "", tags: Sequence[str] = ()
    ) -> tuple[Sequence[Kept[Prompt]], bool, int]:
        """Those of one page that have all the tags and all words of the search, whether more follow, and how many
        there are on all pages. Raises `errors.InvalidValue` where the page is next to none of them."""
        words = search.casefold().split()
        found = [one for one in await self._kept.all(caller.organization_id) if _fits(one, words, tags)]
        shown, more = beside(found, page, id_of=lambda one: one.id, noun="prompt")
        return shown, more, len(found)

    async def change(
        self,
        caller: Caller,
        prompt_id: str,
        alter: Callable[[str, Prompt], tuple[str, Prompt]],
        *,
        expected_version: int | None = None,
    ) -> Kept[Prompt]:
        """`alter` makes the new name and template of those there are.

        Raises `errors.NotFound`, `errors.InvalidValue`, and `errors.Conflict` for another version.
        """

        def checked(kept: Kept[Prompt]) -> tuple[str, Prompt]:
            name, prompt = alter(kept.name, kept.value)
            return name, prompts.check(prompt)

        return await self._kept.change(caller, prompt_id, checked, expected_version=expected_version)

    async def delete(self, caller: Caller, prompt_id: str) -> None:
        """Raises `errors.NotFound`."""
        await self._kept.delete(caller, prompt_id)

    async def versions(self, caller: Caller, prompt_id: str) -> Sequence[Kept[Prompt]]:
        """The newest first. Raises `errors.NotFound`."""
        return await self._kept.versions(caller, prompt_id)

    async def filled(self, request: Request, organization_id: str) -> Request:
        """The request with what its template says, filled with its variables; the same where it names none.

        Raises `errors.NotFound` for `prompt` and `prompt.version`, and `errors.InvalidValue` for
        `prompt.variables.…`.
        """
        reference = request.prompt
        if reference is None:
            return request
        record = await self._named(organization_id, reference)
        prompt = _prompt.decode(record.data)
        values = _values.decode(reference.variables) if reference.variables is not None else {}
        said = prompts.filled(prompt, values)
        request = prompts.applied(request, prompt, said, self._ids.new)
        return msgspec.structs.replace(request, prompt=prompts.pinned(reference, record.version))

    async def _named(self, organization_id: str, reference: PromptRef) -> Record:
        number = _number(reference.version)
        found = None if number == 0 else await self._records.get(organization_id, reference.id, version=number)
        if found is not None and found.kind == "prompt":
            return found
        if number is not None:
            newest = await self._records.get(organization_id, reference.id)
            if newest is not None and newest.kind == "prompt":
                raise _no_version(reference.id, reference.version or "", "prompt.version")
        raise errors.NotFound(f"There is no prompt {reference.id[:100]!r}", param="prompt")


def _fits(kept: Kept[Prompt], words: Sequence[str], tags: Sequence[str]) -> bool:
    if not {*tags} <= {*kept.value.tags}:
        return False
    text = "\n".join((kept.name, kept.value.description or "", *kept.value.tags)).casefold()
    return all(word in text for word in words)


def _number(version: str | None) -> int | None:
    """The number of a version: None for the newest, 0 for what is no version."""
    if version in (None, "", _LATEST):
        return None
    assert version is not None
    number = int(version) if version.isascii() and version.isdigit() and len(version) <= 10 else 0
    return number if number <= _LARGEST_VERSION else 0


def _no_version(prompt_id: str, version: str, param: str) -> errors.NotFound:
    return errors.NotFound(
        f"There is no version {version[:100]!r} of the prompt {prompt_id[:100]!r}",
        param=param,
        details="leave the version out for the newest one",
    )
