"""Answers to requests for approval: each is given once, in time, and to the request it is for."""

from collections.abc import Collection, Iterable, Sequence

from freddy.server.core import compaction, errors, items
from freddy.server.core.run import Run
from freddy.server.ports.approvals import ApprovalStore, Claim
from freddy.server.ports.stores import ResponseStore
from freddy.server.ports.world import Clock


class Approvals:
    def __init__(self, store: ApprovalStore, responses: ResponseStore, clock: Clock) -> None:
        self._store = store
        self._responses = responses
        self._clock = clock

    def check(
        self,
        answers: Sequence[items.ApprovalAnswer],
        context: Iterable[items.Item],
        *,
        labels: Collection[str],
        param: str,
    ) -> None:
        """Whether the answers can be taken up. `labels` are those of the request's MCP servers.

        Raises `errors.InvalidRequest` where a request is not there, has expired, or needs a server that is not in the
        request, and `Conflict` where it was answered earlier in the conversation.
        """
        asked: dict[str, items.ApprovalRequest] = {}
        answered: list[str] = []
        for item in context:
            if isinstance(item, items.ApprovalRequest):
                asked[item.id] = item
            elif isinstance(item, items.ApprovalAnswer):
                answered.append(item.request_id)
        for answer in answers:
            request = asked.get(answer.request_id)
            if request is None:
                raise errors.InvalidRequest(
                    f"There is no request for approval {answer.request_id[:100]!r} in this conversation",
                    param=param,
                    code="approval_request_not_found",
                    details="continue the response that asked: name its thread or previous_response_id, "
                    "or hand its items back",
                )
            if answered.count(request.id) > 1:
                raise _answered(request.id, param)
            if request.expires_at is not None and request.expires_at < self._clock.now():
                raise errors.InvalidRequest(
                    f"The request for approval {request.id!r} has expired",
                    param=param,
                    code="approval_expired",
                    details="ask the model again: it will make the call anew",
                )
            if answer.approve and request.server_label is not None and request.server_label not in labels:
                raise errors.InvalidRequest(
                    f"The approved call is for the MCP server {request.server_label!r}, which tools does not have",
                    param="tools",
                    code="mcp_server_missing",
                    details="send the same tool again, with its credentials: they are not kept",
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


def _answered(request_id: str, param: str, response_id: str | None = None) -> errors.Conflict:
    by = f" by the response {response_id}" if response_id else ""
    return errors.Conflict(
        f"The request for approval {request_id!r} was answered already{by}",
        param=param,
        code="approval_answered",
        details="get that response, or go on from it" if response_id else "go on without answering it again",
    )
