"""What a late follower is told of a response that ended."""

from freddy.server.core import events, items
from freddy.server.core.attempt import Attempt
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage
from freddy.server.runtime import replay

ENDED = Response(
    id="resp_1",
    organization_id="org_1",
    created_at=1,
    completed_at=2,
    status="completed",
    model="m",
    request=Request(model="m", input=()),
    output=(items.Message("msg_1", "assistant", (items.Text("Yes"),)),),
    usage=Usage(1, 2),
    cost=0.5,
    attempts=(Attempt("vendor", "m", 1.0),),
)


async def test_what_it_took_is_told_at_the_end_and_not_before():
    told = [event async for _, batch in replay.follow(ENDED, -1) for event in batch]
    created, finished = told[0], told[-1]
    assert isinstance(created, events.Created)
    begun = created.response
    assert (begun.usage, begun.cost, begun.attempts, begun.output) == (None, None, (), ())
    assert finished == events.Finished(ENDED)
