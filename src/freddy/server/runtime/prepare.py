"""A request and its caller to a run: what must be looked up, in order."""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import approvals, assistants, compaction, errors, ids, items, offers, plan, toolspec
from freddy.server.core.accounts import Caller
from freddy.server.core.deciding import CallModel, decide, next_turn
from freddy.server.core.plan import Plan
from freddy.server.core.request import DEFAULT_MODEL, Request, ThreadRef
from freddy.server.core.response import Response
from freddy.server.core.ruling import Ruling
from freddy.server.core.run import Run
from freddy.server.core.turn import Turn
from freddy.server.ports.sealer import Sealer
from freddy.server.ports.world import Clock, IdSource
from freddy.server.resources.assistants import Assistants, Settled
from freddy.server.resources.prompts import Prompts
from freddy.server.resources.rulebook import Rulebook
from freddy.server.runtime import forms
from freddy.server.runtime.approvals import Approvals
from freddy.server.runtime.history import History
from freddy.server.runtime.media import Media
from freddy.server.runtime.route import Route
from freddy.server.runtime.routing import Routing
from freddy.server.runtime.threads import Threads
from freddy.server.runtime.toolbox import Toolbox, Tools

Renewed: TypeAlias = Callable[[Caller], Awaitable[Caller]]
"""Who somebody is by now. Raises `errors.NotAuthenticated`, `PermissionDenied` for who may not ask any more."""


async def as_before(caller: Caller) -> Caller:
    """For where nobody's rights change."""
    return caller


class Unreadable(Exception):
    """What was put down of a run cannot be read by this process; it may be by another.

    `failure` is for its caller, `cure` for the operator.
    """

    def __init__(self, what: str, *, code: str, cure: str) -> None:
        super().__init__(what)
        self.failure = errors.Internal(
            f"This response cannot be made: {what}", code=code, details="ask again; the operator's log says more"
        ).as_failure()
        self.cure = cure


class Prepared(Struct, frozen=True):
    """`turn` is about what the model will be asked first: what a tool will say is not known yet.

    `tools` are those of the request with what they are told in confidence, which is not in the `plan`.
    """

    run: Run
    model: Route
    plan: Plan
    toolbox: Toolbox | None = None
    tools: tuple[toolspec.ToolSpec, ...] = ()

    @property
    def caller(self) -> Caller:
        return self.plan.caller

    @property
    def turn(self) -> Turn:
        run = self.run
        step = decide(replace(run, opened=True) if not run.opened else run)
        return step.turn if isinstance(step, CallModel) else next_turn(run)


class Configured(Struct, frozen=True):
    """What an organization keeps that requests refer to."""

    assistants: Assistants
    prompts: Prompts
    rulebook: Rulebook


class Preparation:
    def __init__(
        self,
        *,
        routing: Routing,
        history: History,
        clock: Clock,
        ids: IdSource,
        configured: Configured,
        media: Media | None = None,
        threads: Threads | None = None,
        tools: Tools | None = None,
        approvals: Approvals | None = None,
        sealer: Sealer | None = None,
        renewed: Renewed = as_before,
    ) -> None:
        """Without `media` there are no files that a request could name; without `threads` nothing binds or branches.

        Without `tools` this server runs none, without `approvals` nothing can have asked for one, and without
        `sealer` nothing in confidence can be put down. `renewed` says who it is by now that a run was put down for.
        """
        self._renewed = renewed
        self._sealer = sealer
        self._tools = tools
        self._approvals = approvals
        self._routing = routing
        self._history = history
        self._media = media
        self._threads = threads
        self._configured = configured
        self._clock = clock
        self._ids = ids

    async def prepare(self, request: Request, caller: Caller) -> Prepared:
        """Raises what keeps the run from starting: `errors.ModelNotFound`, `InvalidRequest`, `NotFound`, …"""
        settled = await self._settled(request, caller)
        request = settled.request
        _refuse(request)
        route = self._route(settled)
        request = replace(request, input=await self._history.resolve(caller, request.input))
        if self._media is not None:
            await self._media.check(caller.organization_id, request.input)
        toolbox = await self._tools.equip(request, caller) if self._tools is not None else None
        tools = request.tools
        if request.tools:
            request = replace(request, tools=_without_secrets(request.tools))
        ruling = await self._ruling(settled, caller, route)
        instructions = ruling.after(request.instructions)
        before = await self._history.before(
            caller,
            request,
            route.reads_least,
            largest=route.reads_most,
            instructions=instructions,
        )
        _refuse_strays(request.input, before.said)
        answers = approvals.fresh(request.input) if self._approvals is not None else ()
        if self._approvals is not None and answers:
            said = compaction.opened((*before.said, *request.input))
            await self._approvals.check(
                answers,
                said,
                organization_id=caller.organization_id,
                origins=await self._with_approved(toolbox, request, caller, _approved(answers, said)),
                param="input",
            )
        thread = self._thread(request)
        request = replace(request, thread=thread)
        response = Response(
            id=self._ids.new(ids.RESPONSE),
            organization_id=caller.organization_id,
            key_id=caller.key_id,
            user_id=caller.user_id,
            created_at=int(self._clock.now()),
            status="queued" if request.background else "in_progress",
            model=route.name,
            request=request,
            thread_id=thread.id if thread else None,
            provider=route.profile.provider,
            warnings=(*settled.warnings, *_warnings(request), *before.warnings),
            considered=ruling.considered,
        )
        made = Plan(
            caller=caller,
            before=before.said,
            instructions=instructions,
            model=route.name,
            cache_key=_cache_key(response),
            parallel=_parallel(request, route),
            answers=answers,
            providers=tuple(settled.assistant.value.providers) if settled.assistant is not None else (),
        )
        prepared = await self._made(response, made, route, toolbox, tools=tools)
        if made.answers and response.status == "queued" and self._approvals is not None:
            # While it waited, a server or a function of that name may have become another one.
            said = compaction.opened(prepared.run.context)
            await self._approvals.check_again(made.answers, said, origins=prepared.toolbox, param="input")
        return prepared

    async def _made(
        self,
        response: Response,
        made: Plan,
        route: Route,
        toolbox: Toolbox | None,
        *,
        tools: tuple[toolspec.ToolSpec, ...],
    ) -> Prepared:
        """The run of a plan, be it new or taken up."""
        request = response.request
        run = Run(
            response=response,
            context=(*made.before, *request.input),
            instructions=made.instructions,
            model=made.model,
            live=request.stream or request.background,
            cache_key=made.cache_key,
            offers=toolbox.offers() if toolbox else _of_caller(request.tools),
            opened=toolbox is None or toolbox.known,
            parallel=made.parallel,
            answers=made.answers,
            compaction=self._shortening(request, route),
        )
        if made.answers:
            approved = _approved(made.answers, compaction.opened(run.context))
            toolbox = await self._with_approved(toolbox, request, made.caller, approved)
        return Prepared(run, route, made, toolbox, tools)

    async def _with_approved(
        self, toolbox: Toolbox | None, request: Request, caller: Caller, names: Collection[str]
    ) -> Toolbox | None:
        if self._tools is None or not names:
            return toolbox
        return await self._tools.with_functions(toolbox, request, caller, names=names)

    async def put_down(self, prepared: Prepared) -> bytes:
        """The plan of a run, for whichever process performs it. Raises `errors.StorageUnavailable`."""
        run = prepared.run
        secrets = None
        if prepared.tools != run.response.request.tools:
            if self._sealer is None:
                raise errors.StorageUnavailable("Secrets of tools cannot be kept here")
            told = msgspec.json.encode(prepared.tools).decode()
            secrets = await self._sealer.seal(told, _bound_to(run.response))
        return plan.write(replace(prepared.plan, tools=secrets))

    async def take_up(self, response: Response, written: bytes) -> Prepared:
        """A run as it was put down, and what it needs as that is now. Raises what keeps it from going on.

        Raises `Unreadable` where that is so for this process at least, and `errors.StorageUnavailable`.
        """
        try:
            made = plan.read(written)
        except (msgspec.MsgspecError, ValueError) as error:
            raise Unreadable(
                "what was kept of its beginning cannot be read",
                code="plan_unreadable",
                cure="have all processes run the same version",
            ) from error
        made = replace(made, caller=await self._renewed(made.caller))
        request, tools = response.request, await self._opened(response, made)
        route = self._routing.find(request.model or DEFAULT_MODEL)
        if made.providers and (allowed := route.among(made.providers)) is not None:
            route = allowed
        toolbox = None
        if self._tools is not None:
            toolbox = await self._tools.equip(replace(request, tools=tools), made.caller)
        return await self._made(response, made, route, toolbox, tools=tools)

    async def _opened(self, response: Response, made: Plan) -> tuple[toolspec.ToolSpec, ...]:
        """The tools of the request, with what they are told in confidence. Raises `Unreadable`."""
        if made.tools is None:
            return response.request.tools
        lost = "the secrets of its tools cannot be opened"
        if self._sealer is None:
            raise Unreadable(lost, code="secrets_unreadable", cure="start this process with a secret key")
        try:
            told = await self._sealer.open(made.tools, _bound_to(response))
            return msgspec.json.decode(told, type=tuple[toolspec.ToolSpec, ...])
        except errors.StorageUnavailable as error:
            cure = f"{error.message}: {error.details}" if error.details else error.message
            raise Unreadable(lost, code="secrets_unreadable", cure=cure) from error
        except (msgspec.MsgspecError, ValueError) as error:
            cure = "have all processes run the same version"
            raise Unreadable(lost, code="secrets_unreadable", cure=cure) from error

    async def _settled(self, request: Request, caller: Caller) -> Settled:
        """With what the thread, the assistant, the organization and the prompt say."""
        thread = None
        if self._threads is not None:
            request, thread = await self._threads.joined(request, caller)
        bound = thread.assistant_id if thread is not None else None
        prompted = await self._configured.prompts.filled(request, caller.organization_id)
        settled = await self._configured.assistants.settle(prompted, caller, bound=bound)
        if self._tools is None or settled.assistant is None:
            return settled
        tools, own, warnings = settled.request.tools, settled.assistant.value, settled.warnings
        if own.vector_store_ids:
            tools, missing = await self._tools.with_search(tools, caller, own.vector_store_ids)
            warnings += tuple(
                f"the vector store {store} of the assistant is not there, and was not searched" for store in missing
            )
        if own.servers:
            tools, left_out = await self._tools.with_servers(tools, caller, own.servers)
            warnings += tuple(left_out)
        return replace(settled, request=replace(settled.request, tools=tools), warnings=warnings)

    def _route(self, settled: Settled) -> Route:
        model, assistant = settled.request.model or DEFAULT_MODEL, settled.assistant
        route = self._routing.find(model)
        if assistant is None or not assistant.value.providers:
            return route
        allowed = route.among(assistant.value.providers)
        if allowed is None:
            assistants.check_provider(
                assistant.value, name=assistant.name, model=model, provider=route.profile.provider
            )
        return allowed or route

    async def _ruling(self, settled: Settled, caller: Caller, route: Route) -> Ruling:
        asked = settled.request.model or DEFAULT_MODEL
        return await self._configured.rulebook.ruling(
            settled.request,
            caller,
            assistant_rules=settled.assistant.value.rules if settled.assistant is not None else (),
            model_names=(asked,) if asked == route.name else (asked, route.name),
            context_tokens=route.reads_least,
        )

    def _shortening(self, request: Request, route: Route) -> compaction.Limits | None:
        asked = request.compaction
        if asked is None:
            return None
        assumed = self._history.context_tokens
        return compaction.limits(asked.threshold, reads=route.reads_least, assumed=assumed, at_once=asked.at_once)

    def _thread(self, request: Request) -> ThreadRef | None:
        """A thread is made at first use; what is not stored has none of its own."""
        thread = request.thread
        if thread is None or (thread.id is None and not request.store):
            return None
        if thread.id is None:
            return replace(thread, id=self._ids.new(ids.THREAD))
        return thread


def _bound_to(response: Response) -> tuple[str, ...]:
    return plan.bound_to(response.organization_id, response.id)


def _refuse(request: Request) -> None:
    if request.background and not request.store:
        raise errors.InvalidRequest(
            "A background response must be stored", param="store", details="leave store out, or background"
        )
    forms.refuse(request.output)


def _refuse_strays(said: Sequence[items.Item], before: Sequence[items.Item]) -> None:
    """Outputs of calls that were never made: vendors refuse them, each in words of its own."""
    outputs = [item for item in said if isinstance(item, items.FunctionOutput)]
    # What a compaction stands for is not at hand.
    if not outputs or compaction.last(said) is not None:
        return
    called = {
        item.call_id
        for item in (*before, *compaction.opened(before), *said)
        if isinstance(item, items.FunctionCall | items.HostedCall | items.ApprovalRequest)
    }
    for output in outputs:
        if output.call_id not in called:
            raise errors.InvalidRequest(
                f"There is no call {output.call_id!r} that this output could answer",
                param="input",
                details="hand the call back before its output, or name the response or the thread that has it",
            )


def _without_secrets(tools: tuple[toolspec.ToolSpec, ...]) -> tuple[toolspec.ToolSpec, ...]:
    """What a tool is told in confidence is for whoever runs it, and is not kept."""
    if not any(isinstance(tool, toolspec.Mcp) for tool in tools):
        return tools
    return tuple(tool.told if isinstance(tool, toolspec.Mcp) else tool for tool in tools)


def _approved(answers: Iterable[items.ApprovalAnswer], said: Iterable[items.Item]) -> frozenset[str]:
    """The names of the functions whose calls are approved."""
    granted = {answer.request_id for answer in answers if answer.approve}
    return frozenset(
        item.name
        for item in said
        if isinstance(item, items.ApprovalRequest) and item.id in granted and item.server_label is None
    )


def _of_caller(tools: tuple[toolspec.ToolSpec, ...]) -> tuple[offers.Offer, ...]:
    return tuple(offers.of_caller(tool) for tool in tools if isinstance(tool, toolspec.Function))


def _cache_key(response: Response) -> str:
    """A caller's own word never meets that of another organization."""
    request = response.request
    if request.cache_key is not None:
        told = f"{response.organization_id}\n{request.cache_key}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(told).hexdigest()[:32]
    return response.thread_id or request.previous_response_id or response.id


def _parallel(request: Request, route: Route) -> bool:
    """Whether the model may make several calls at once: as the caller says, or else as the model is used to."""
    if request.parallel_tool_calls or "parallel_tool_calls" in request.given:
        return request.parallel_tool_calls
    return bool(request.tools) and route.profile.parallel_by_default


def _warnings(request: Request) -> tuple[str, ...]:
    """What this server will not do as asked, whoever answers."""
    return tuple(
        f"the tool {tool.type} is not run by this server" for tool in request.tools if isinstance(tool, toolspec.Other)
    )
