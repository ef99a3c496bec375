"""A request and its caller to a run: what must be looked up, in order."""

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors, ids, toolspec
from freddy.server.core.accounts import Caller
from freddy.server.core.request import Request, ThreadRef
from freddy.server.core.response import Response
from freddy.server.core.run import CallModel, Run, decide
from freddy.server.core.turn import Turn
from freddy.server.ports.model import Model
from freddy.server.ports.world import Clock, IdSource
from freddy.server.runtime import forms
from freddy.server.runtime.history import History
from freddy.server.runtime.media import Media
from freddy.server.runtime.routing import Routing


class Prepared(Struct, frozen=True):
    """`turn` is what the model would be asked first."""

    run: Run
    model: Model

    @property
    def turn(self) -> Turn:
        step = decide(self.run)
        assert isinstance(step, CallModel)
        return step.turn


class Preparation:
    def __init__(
        self, *, routing: Routing, history: History, clock: Clock, ids: IdSource, media: Media | None = None
    ) -> None:
        """Without `media` there are no files that a request could name."""
        self._routing = routing
        self._history = history
        self._media = media
        self._clock = clock
        self._ids = ids

    async def prepare(self, request: Request, caller: Caller) -> Prepared:
        """Raises what keeps the run from starting: `errors.ModelNotFound`, `InvalidRequest`, `NotFound`, …"""
        _refuse(request)
        route = self._routing.find(request.model)
        organization_id = caller.organization_id
        resolved = await self._history.resolve(organization_id, request.input)
        if self._media is not None:
            await self._media.check(organization_id, resolved)
        before = await self._history.before(organization_id, request)
        thread = self._thread(request)
        request = replace(request, input=resolved, thread=thread)
        response = Response(
            id=self._ids.new(ids.RESPONSE),
            organization_id=organization_id,
            key_id=caller.key_id,
            created_at=int(self._clock.now()),
            status="queued" if request.background else "in_progress",
            model=route.name,
            request=request,
            thread_id=thread.id if thread else None,
            provider=route.profile.provider,
            warnings=_warnings(request),
        )
        run = Run(
            response=response,
            context=(*before, *resolved),
            instructions=request.instructions,
            model=route.name,
            live=request.stream or request.background,
            cache_key=response.thread_id or request.previous_response_id or response.id,
        )
        return Prepared(run, route)

    def _thread(self, request: Request) -> ThreadRef | None:
        """A thread is made at first use; what is not stored has none of its own."""
        thread = request.thread
        if thread is None or (thread.id is None and not request.store):
            return None
        if thread.id is None:
            return replace(thread, id=self._ids.new(ids.THREAD))
        return thread


def _refuse(request: Request) -> None:
    if request.background and not request.store:
        raise errors.InvalidRequest(
            "A background response must be stored", param="store", details="leave store out, or background"
        )
    if request.assistant_id is not None:
        raise errors.NotFound(f"There is no assistant {request.assistant_id!r}", param="assistant_id")
    if request.prompt is not None:
        raise errors.NotFound(f"There is no prompt {request.prompt.id!r}", param="prompt")
    if request.rules and not request.disable_rules:
        raise errors.NotFound(f"There is no rule {request.rules[0]!r}", param="rules")
    forms.refuse(request.output)


def _warnings(request: Request) -> tuple[str, ...]:
    """What this server will not do as asked, whoever answers."""
    return tuple(
        f"the tool {tool.type} is not run by this server" for tool in request.tools if isinstance(tool, toolspec.Other)
    )
