"""How a run ended: the response as it is kept and told. Pure."""

from msgspec.structs import replace

from freddy.server.core import calls, items
from freddy.server.core.response import IncompleteReason, Response, Status
from freddy.server.core.run import Run


def ended(run: Run) -> Response:
    """The end but for `completed_at`, which only a clock knows."""
    status: Status = "completed"
    reason: IncompleteReason | None = None
    if run.cancelled:
        status = "cancelled"
    elif run.failure:
        status = "failed"
    elif reason := _incomplete(run):
        status = "incomplete"
    elif any(isinstance(item, items.ApprovalRequest) for item in run.output):
        status = "requires_action"
    return replace(
        run.response,
        status=status,
        model=run.answered_by or run.response.model,
        output=tuple(_closed(item) for item in run.output) if run.works else run.output,
        usage=run.usage,
        provider=run.provider or run.response.provider,
        cost=None if run.usage is None else calls.spent(run.calls),
        attempts=run.attempts,
        calls=run.calls,
        shares=run.shares,
        partial=run.partial,
        warnings=run.response.warnings + tuple(one for one in run.warnings if one not in run.response.warnings),
        failure=run.failure,
        incomplete_reason=reason if status == "incomplete" else None,
    )


def _closed(item: items.Item) -> items.Item:
    """A call that nobody will answer any more is not in progress."""
    if isinstance(item, items.HostedCall) and item.status == "in_progress":
        return replace(item, status="incomplete")
    return item


def _incomplete(run: Run) -> IncompleteReason | None:
    if run.finish == "length":
        return "max_output_tokens"
    if run.finish == "content_filter":
        return "content_filter"
    # Calls were answered, and there was nothing left to read the answers with.
    limit = run.response.request.max_output_tokens
    if limit is None or run.usage is None or run.spent < limit or not run.output:
        return None
    unread = isinstance(run.output[-1], items.HostedCall | items.FunctionOutput)
    return "max_output_tokens" if unread and not run.asks_caller(run.last_turn) else None
