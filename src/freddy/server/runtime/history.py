"""The items that came before a request: those of its thread, or of the responses it continues."""

from collections.abc import Sequence

from freddy.server.core import errors, items
from freddy.server.core.request import Request
from freddy.server.ports.stores import ResponseStore, ThreadStore


class History:
    def __init__(self, responses: ResponseStore, threads: ThreadStore) -> None:
        self._responses = responses
        self._threads = threads

    async def before(self, organization_id: str, request: Request) -> Sequence[items.Item]:
        """Raises `errors.InvalidRequest`, `Conflict` and `NotFound` for what is not there or has not ended."""
        before: Sequence[items.Item] = ()
        if request.previous_response_id is not None:
            before = await self._chain(organization_id, request.previous_response_id)
        elif request.thread is not None and request.thread.id is not None:
            thread_id = request.thread.id
            before = await self._threads.items(organization_id, thread_id)
            if not before and request.thread.must_exist:
                await self._require(organization_id, thread_id)
        if not before:
            return before
        answered = {item.call_id for item in (*before, *request.input) if isinstance(item, items.FunctionOutput)}
        return [item for item in before if not _is_stale(item, request, answered)]

    async def resolve(self, organization_id: str, input_: Sequence[items.Item]) -> tuple[items.Item, ...]:
        """The input with every reference replaced by the item it names. Raises `errors.InvalidRequest`.

        A thought that comes back without its sealed part is as good as a reference, where it is kept.
        """
        wanted = [item.id for item in input_ if _is_reference(item)]
        thoughts = [item.id for item in input_ if _is_unsealed(item)]
        if not wanted and not thoughts:
            return tuple(input_)
        found = await self._responses.find_items(organization_id, [*wanted, *thoughts])
        if missing := [item_id for item_id in wanted if item_id not in found]:
            raise errors.InvalidRequest(f"Item with id {missing[0]!r} not found", param="input", code="item_not_found")
        return tuple(_kept(item, found.get(item.id)) for item in input_)

    async def _require(self, organization_id: str, thread_id: str) -> None:
        if await self._threads.get(organization_id, thread_id) is None:
            raise errors.NotFound(
                f"Conversation with id {thread_id!r} not found", param="conversation", code="conversation_not_found"
            )

    async def _chain(self, organization_id: str, response_id: str) -> list[items.Item]:
        chain = await self._responses.chain(organization_id, response_id)
        if not chain:
            raise errors.InvalidRequest(
                f"Previous response with id {response_id[:100]!r} not found",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        if not chain[-1].ended:
            raise errors.Conflict(
                f"The response {response_id!r} has not ended",
                param="previous_response_id",
                details="wait for it, or cancel it, before it is continued",
            )
        return [item for response in chain for item in (*response.request.input, *response.output)]


def _is_stale(item: items.Item, request: Request, answered: set[str]) -> bool:
    """New instructions take the place of earlier system messages; a call that nobody answered is of no use."""
    match item:
        case items.Message(role=("system" | "developer")):
            return bool(request.instructions)
        case items.FunctionCall(call_id=call_id):
            return call_id not in answered
        case _:
            return False


def _kept(item: items.Item, found: items.Item | None) -> items.Item:
    if found is None:
        return item
    whole = _is_reference(item) or (_is_unsealed(item) and isinstance(found, items.Reasoning))
    return found if whole else item


def _is_reference(item: items.Item) -> bool:
    return isinstance(item, items.Other) and item.type == "item_reference"


def _is_unsealed(item: items.Item) -> bool:
    """Callers that did not ask for the sealed part send back what they were shown, with its id."""
    return isinstance(item, items.Reasoning) and item.encrypted is None
