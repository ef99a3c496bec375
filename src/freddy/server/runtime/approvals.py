"""Requests for approval, and answers to them: each is given once, in time, and to what this server has asked."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from freddy.server.core import approvals, compaction, errors, events, items
from freddy.server.core.run import Run
from freddy.server.ports.approvals import ApprovalStore, Claim
from freddy.server.ports.signing import SigningKeys
from freddy.server.ports.stores import ResponseStore
from freddy.server.ports.world import Clock

_PURPOSE: Final = "approvals"
_SHOWN: Final = 100
"""Characters of an id that a caller made up."""


class Origins(Protocol):
    """Who knows where calls go: the tools of a request."""

    @property
    def labels(self) -> Collection[str]: ...

    def origin(self, request: items.ApprovalRequest) -> str | None: ...


class Marks:
    """Marks what this server asks, so that it knows it again: see `core.approvals`."""

    def __init__(self, keys: SigningKeys) -> None:
        self._source = keys
        self._keys: Sequence[bytes] = ()

    async def told(
        self, told: Sequence[events.Event], organization_id: str, origins: Origins | None
    ) -> list[events.Event]:
        """The events with marks on what they ask. Raises `errors.StorageUnavailable`."""
        return [
            replace(event, item=await self._marked(event.item, organization_id, origins))
            if isinstance(event, events.ItemAdded | events.ItemDone) and isinstance(event.item, items.ApprovalRequest)
            else event
            for event in told
        ]

    async def asked(self, request: items.ApprovalRequest, organization_id: str) -> bool:
        """Whether this server has asked exactly that."""
        keys = await self._all()
        return any(approvals.asked_by(request, key, organization_id=organization_id) for key in keys)

    async def leads(self, request: items.ApprovalRequest, origins: Origins | None) -> bool:
        """Whether the call would go where it was asked for."""
        origin = origins.origin(request) if origins is not None else None
        return any(approvals.goes_to(request, key, origin=origin) for key in await self._all())

    async def _marked(
        self, request: items.ApprovalRequest, organization_id: str, origins: Origins | None
    ) -> items.ApprovalRequest:
        first, *_ = await self._all()
        origin = origins.origin(request) if origins is not None else None
        return approvals.marked(request, key=first, organization_id=organization_id, origin=origin)

    async def ready(self) -> None:
        """Raises `errors.StorageUnavailable` where there is no key to mark with."""
        await self._all()

    async def _all(self) -> Sequence[bytes]:
        if not self._keys:
            self._keys = await self._source.derived(_PURPOSE)
        return self._keys


class Approvals:
    def __init__(self, store: ApprovalStore, responses: ResponseStore, clock: Clock, marks: Marks) -> None:
        self._store = store
        self._responses = responses
        self._clock = clock
        self._marks = marks

    async def check(
        self,
        answers: Sequence[items.ApprovalAnswer],
        context: Iterable[items.Item],
        *,
        organization_id: str,
        origins: Origins | None,
        param: str,
    ) -> None:
        """Whether the answers can be taken up. `origins` are the tools of the request, with all approved functions.

        Raises `errors.InvalidRequest` where a request is not there, is not what this server has asked, has expired, or
        its call would go elsewhere now, and `Conflict` where it was answered earlier in the conversation.
        """
        said = _Said(context)
        for answer in answers:
            requests = said.requests.get(answer.request_id)
            if requests is None:
                raise errors.InvalidRequest(
                    f"There is no request for approval {answer.request_id[:_SHOWN]!r} in this conversation",
                    param=param,
                    code="approval_request_not_found",
                    details="continue the response that asked: name its thread or previous_response_id, "
                    "or hand its items back",
                )
            if said.answers[answer.request_id] > 1:
                raise _answered(answer.request_id, param)
            for request in requests:
                if not await self._marks.asked(request, organization_id):
                    raise _changed(
                        f"The request for approval {request.id[:_SHOWN]!r} is not what this server has asked",
                        param,
                        "hand its item back as it came, with its id, name and arguments unchanged; "
                        "or ask the model again: it will make the call anew",
                    )
            request = said.beside_its_call(requests)
            expires_at = approvals.expires_at(request)
            if expires_at is not None and expires_at < self._clock.now():
                raise errors.InvalidRequest(
                    f"The request for approval {request.id!r} has expired",
                    param=param,
                    code="approval_expired",
                    details="ask the model again: it will make the call anew",
                )
            if answer.approve:
                await self._check_call(request, said, origins=origins, param=param)

    async def check_again(
        self,
        answers: Sequence[items.ApprovalAnswer],
        context: Iterable[items.Item],
        *,
        origins: Origins | None,
        param: str,
    ) -> None:
        """Whether what was approved a while ago can still be called as it was asked for. Raises as `check`."""
        said = _Said(context)
        for answer in answers:
            if answer.approve and (requests := said.requests.get(answer.request_id)):
                await self._check_call(said.beside_its_call(requests), said, origins=origins, param=param)

    async def _check_call(
        self, request: items.ApprovalRequest, said: "_Said", *, origins: Origins | None, param: str
    ) -> None:
        """Whether exactly the call that was asked about can be made."""
        label = request.server_label
        if label is not None and (origins is None or label not in origins.labels):
            raise errors.InvalidRequest(
                f"The approved call is for the MCP server {label!r}, which tools does not have",
                param="tools",
                code="mcp_server_missing",
                details="send the same tool again, with its credentials: they are not kept",
            )
        if label is None and (request.call_id, request.name) not in said.calls:
            raise _changed(
                f"The function_call that the request for approval {request.id!r} is about is not in this conversation",
                param,
                "hand it back as it came, with its call_id and name unchanged",
            )
        if not await self._marks.leads(request, origins):
            what = f"function {request.name!r}" if label is None else f"MCP server {label!r}"
            cure = "" if label is None else "send the same tool as in the request that asked; or "
            raise errors.InvalidRequest(
                f"The approved call cannot be made as it was asked: the {what} is not there, or is another one now",
                param=param if label is None else "tools",
                code="approval_server_changed",
                details=f"{cure}ask the model again: it will make the call anew",
            )

    async def claim(self, run: Run) -> None:
        """The run is the one that goes on with its answers. Raises `errors.Conflict` where another is."""
        if not run.answers:
            return
        response = run.response
        hosted = {
            item.id
            for item in compaction.opened(run.context)
            if isinstance(item, items.ApprovalRequest) and item.server_label is not None
        }
        claimed: list[str] = []
        for item in run.answers:
            mine = Claim(response.id, approve=item.approve, at=int(self._clock.now()))
            first = await self._claimed(response.organization_id, item.request_id, mine, hosted=hosted)
            if first.response_id != response.id:
                await self._give_back(run, claimed)
                raise _answered(item.request_id, "input", first.response_id)
            claimed.append(item.request_id)

    async def release(self, run: Run) -> None:
        """The run did not begin."""
        await self._give_back(run, [answer.request_id for answer in run.answers])

    async def _give_back(self, run: Run, request_ids: Iterable[str]) -> None:
        for request_id in request_ids:
            await self._store.release(run.response.organization_id, request_id, run.response.id)

    async def _claimed(self, organization_id: str, request_id: str, mine: Claim, *, hosted: Collection[str]) -> Claim:
        first = await self._store.claim(organization_id, request_id, mine)
        # Before a hosted call is made that is kept; of a function's nobody knows whether it was begun.
        if first.response_id == mine.response_id or request_id not in hosted:
            return first
        if not await self._came_to_nothing(organization_id, request_id, first):
            return first
        await self._store.release(organization_id, request_id, first.response_id)
        return await self._store.claim(organization_id, request_id, mine)

    async def _came_to_nothing(self, organization_id: str, request_id: str, first: Claim) -> bool:
        """Whether the response that went on with it ended before the call was made, so that another may make it.

        A call that was begun and has no answer may have been made: nobody makes it again.
        """
        response = await self._responses.get(organization_id, first.response_id)
        if response is None or response.status not in ("failed", "cancelled"):
            return False
        return not any(
            isinstance(item, items.HostedCall) and item.approval_id == request_id for item in response.output
        )


class _Said:
    """What a conversation has of approvals. Built once: callers may hand back thousands of each."""

    def __init__(self, context: Iterable[items.Item]) -> None:
        self.requests: dict[str, list[items.ApprovalRequest]] = {}
        self.answers: Counter[str] = Counter()
        self.calls: set[tuple[str, str]] = set()
        for item in context:
            match item:
                case items.ApprovalRequest(id=request_id):
                    self.requests.setdefault(request_id, []).append(item)
                case items.ApprovalAnswer(request_id=request_id):
                    self.answers[request_id] += 1
                case items.FunctionCall(call_id=call_id, name=name):
                    self.calls.add((call_id, name))
                case _:
                    continue

    def beside_its_call(self, requests: Sequence[items.ApprovalRequest]) -> items.ApprovalRequest:
        """Of several with one id: what came back may have come back once more."""
        return next((one for one in requests if (one.call_id, one.name) in self.calls), requests[-1])


def _changed(message: str, param: str, cure: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(message, param=param, code="approval_request_changed", details=cure)


def _answered(request_id: str, param: str, response_id: str | None = None) -> errors.Conflict:
    by = f" by the response {response_id}" if response_id else ""
    return errors.Conflict(
        f"The request for approval {request_id!r} was answered already{by}",
        param=param,
        code="approval_answered",
        details="get that response, or go on from it" if response_id else "go on without answering it again",
    )
