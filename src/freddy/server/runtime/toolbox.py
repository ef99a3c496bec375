"""The tools of a run: what the model is offered, and who answers its calls."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import errors, events, ids, items, offers, toolspec
from freddy.server.core.accounts import Caller
from freddy.server.core.offers import Offer
from freddy.server.core.request import Request
from freddy.server.core.run import Run
from freddy.server.ports.mcp import McpConfigurations, McpServers, Server
from freddy.server.ports.outward import Outward
from freddy.server.ports.tools import Answer, Asker, Retriever, ServerFunction, ServerFunctions
from freddy.server.ports.world import IdSource
from freddy.server.runtime import forms

_log = logging.getLogger(__name__)

FILE_SEARCH: Final = "file_search"
_SEARCH_PARAMETERS: Final = Raw(
    b'{"type":"object","properties":{"query":{"type":"string","description":"What to look for, in full words"}},'
    b'"required":["query"],"additionalProperties":false}'
)
_SEARCH_DESCRIPTION: Final = (
    "Searches the files that the user has given and returns the passages that fit best. Use it whenever the answer may "
    "be in these files, and search again in other words where the first search finds nothing."
)
_FAULT: Final = "the tool has a fault, which is in the server's log"
_STOPPED: Final = "the response was stopped before the server answered"
_EMPTY_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')
_DESCRIPTION: Final = 500
"""Characters of what is told of a server, with each of its tools."""
_MOST_OF_LISTS: Final = 256 * 1024
"""Bytes of all tools that the MCP servers of a request offer: a model reads them in every turn."""


class Limits(Struct, frozen=True):
    """`seconds` that a call may take."""

    seconds: float = 60.0


class Means(Struct, frozen=True):
    """What tools are made of."""

    functions: ServerFunctions
    retriever: Retriever
    servers: McpServers
    configurations: McpConfigurations
    outward: Outward
    ids: IdSource
    limits: Limits = Limits()


class _Query(Struct):
    query: str | None = None
    queries: list[str] = []


class _McpServer(Struct, frozen=True):
    """A server of the request. Of its tools those may be called that all of `allowed` and none of `excluded` mean.

    What a saved server does not show no request can see; how its calls are approved each request says for itself.
    """

    spec: toolspec.Mcp
    server: Server
    allowed: tuple[toolspec.Which, ...]
    excluded: tuple[toolspec.Which, ...]
    approval: toolspec.Approval
    failure: str | None = None
    """Why it cannot be asked at all."""

    @property
    def guarded(self) -> bool:
        """Whether only the server itself can say what may be seen: a caller could hand back another list."""
        return any(which.read_only is not None for which in (*self.allowed, *self.excluded))

    def shows(self, tool: items.McpTool) -> bool:
        return all(_meant(which, tool) for which in self.allowed) and not any(
            _meant(which, tool) for which in self.excluded
        )

    def approves(self, tool: items.McpTool) -> bool:
        """Whether a call of it needs a yes."""
        if any(_meant(which, tool) for which in self.approval.always):
            return True
        if any(_meant(which, tool) for which in self.approval.never):
            return False
        return self.approval.otherwise == "always"


class Tools:
    """What this server can run."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def equip(self, request: Request, caller: Caller) -> "Toolbox | None":
        """The tools of the request that this server runs; None where there are none.

        Raises `errors.NotFound`, `InvalidRequest` and `InvalidValue` for what is not there, or may not be called.
        """
        if not request.tools:
            return None
        hosted = [tool.name for tool in request.tools if isinstance(tool, toolspec.Function) and tool.hosted]
        functions = await self._means.functions.find(caller.organization_id, hosted) if hosted else {}
        searches = tuple(tool for tool in request.tools if isinstance(tool, toolspec.FileSearch))
        servers: dict[str, _McpServer] = {}
        for place, tool in enumerate(request.tools):
            if isinstance(tool, toolspec.FileSearch):
                param = f"tools[{place}].vector_store_ids"
                await self._means.retriever.check(caller.organization_id, tool, param=param)
            elif isinstance(tool, toolspec.Mcp):
                servers[tool.server_label] = await self._server(tool, caller, at=f"tools[{place}]")
        if not functions and not searches and not servers:
            return None
        return Toolbox(self._means, request.tools, functions=functions, searches=searches, servers=servers)

    async def with_functions(
        self, toolbox: "Toolbox | None", request: Request, caller: Caller, *, names: Collection[str]
    ) -> "Toolbox | None":
        """Also with the server's functions of these names: a call that was approved is made, offered again or not."""
        functions = await self._means.functions.find(caller.organization_id, tuple(names))
        if toolbox is not None:
            return toolbox.knowing(functions)
        if not functions:
            return None
        return Toolbox(self._means, request.tools, functions=functions, searches=(), servers={})

    async def with_search(
        self, tools: tuple[toolspec.ToolSpec, ...], caller: Caller, store_ids: Sequence[str]
    ) -> tuple[tuple[toolspec.ToolSpec, ...], Sequence[str]]:
        """The tools with a search in these stores, unless they have one already; and which stores are not there."""
        if any(isinstance(tool, toolspec.FileSearch) for tool in tools):
            return tools, ()
        there, missing = [], []
        for store_id in store_ids:
            try:
                alone = _search_in((store_id,))
                await self._means.retriever.check(caller.organization_id, alone, param="vector_store_ids")
                there.append(store_id)
            except (errors.NotFound, errors.InvalidRequest):  # the latter has expired
                missing.append(store_id)
        return ((*tools, _search_in(tuple(there))) if there else tools), missing

    async def with_servers(
        self, tools: tuple[toolspec.ToolSpec, ...], caller: Caller, servers: Sequence[toolspec.Mcp]
    ) -> tuple[tuple[toolspec.ToolSpec, ...], Sequence[str]]:
        """The tools with these MCP servers, unless they have one of that label; and why some are left out."""
        labels = {tool.server_label for tool in tools if isinstance(tool, toolspec.Mcp)}
        there, left_out = [], []
        for server in servers:
            if server.server_label in labels:
                continue
            try:
                await self._server(server, caller, at="tools")
                there.append(server)
            except (errors.NotFound, errors.InvalidRequest, errors.InvalidValue) as error:
                left_out.append(f"the MCP server {server.server_label!r} of the assistant is left out: {error.message}")
        return (*tools, *there), left_out

    async def _server(self, spec: toolspec.Mcp, caller: Caller, *, at: str) -> _McpServer:
        organization_id = caller.organization_id
        headers = _headers(spec)
        if spec.configuration_id is not None:
            try:
                saved = await self._means.configurations.server(organization_id, spec.configuration_id)
            except errors.ToolFailed as error:
                nowhere = Server(organization_id=organization_id)
                return _McpServer(spec, nowhere, (), (), toolspec.Approval(), failure=_said(error))
            if saved.server.url is None:
                headers = {}  # a program hears none, and would be started once more for each that is new
            own = {name.lower() for name in headers}
            kept = {name: value for name, value in saved.server.headers.items() if name.lower() not in own}
            return _McpServer(
                spec,
                msgspec.structs.replace(saved.server, headers={**kept, **headers}),
                allowed=_whichs(saved.allowed, spec.allowed),
                excluded=_whichs(saved.excluded, spec.excluded),
                approval=spec.approval or saved.approval or toolspec.Approval(),
            )
        if spec.server_url is None:
            raise errors.InvalidRequest(
                "Connectors are not served here yet",
                param=f"{at}.connector_id",
                code="connector_unavailable",
                details="name the service's own MCP server with server_url, or a saved one with configuration_id",
            )
        self._means.outward.check(spec.server_url, param=f"{at}.server_url")
        return _McpServer(
            spec,
            Server(organization_id=organization_id, url=spec.server_url, headers=headers),
            allowed=_whichs(spec.allowed),
            excluded=_whichs(spec.excluded),
            approval=spec.approval or toolspec.Approval(),
        )


class Toolbox:
    """The tools of one request."""

    def __init__(
        self,
        means: Means,
        specs: Sequence[toolspec.ToolSpec],
        *,
        functions: Mapping[str, ServerFunction],
        searches: Sequence[toolspec.FileSearch],
        servers: Mapping[str, _McpServer],
    ) -> None:
        self._means = means
        self._specs = specs
        self._functions = functions
        self._searches = tuple(searches)
        self._servers = servers
        self._shown: dict[str, frozenset[str]] = {}
        """The tools of each server that may be called: what a caller hands back as approved may name others."""

    def knowing(self, functions: Mapping[str, ServerFunction]) -> "Toolbox":
        """The same, which can also answer calls of these."""
        return Toolbox(
            self._means,
            self._specs,
            functions={**functions, **self._functions},
            searches=self._searches,
            servers=self._servers,
        )

    @property
    def labels(self) -> frozenset[str]:
        """Those of its MCP servers."""
        return frozenset(self._servers)

    def origin(self, request: items.ApprovalRequest) -> str | None:
        """Where the call goes, None where nobody here answers it. Credentials are no part of it: tokens are renewed."""
        if request.server_label is None:
            function = self._functions.get(request.name)
            return None if function is None else function.origin
        server = self._servers.get(request.server_label)
        if server is None or server.failure is not None:
            return None
        return msgspec.json.encode((server.spec.configuration_id, server.server.url, server.server.program)).decode()

    @property
    def known(self) -> bool:
        """Whether all that is offered is known without asking anybody."""
        return not self._servers

    def offers(self, listed: Mapping[str, Sequence[items.McpTool]] | None = None) -> tuple[Offer, ...]:
        """What the model is offered. `listed` are the tools of each MCP server, by its label."""
        return offers.named(self._offers(listed or {}))

    def _offers(self, listed: Mapping[str, Sequence[items.McpTool]]) -> Iterator[Offer]:
        for spec in self._specs:
            match spec:
                case toolspec.Function(name=name):
                    found = self._functions.get(name) if spec.hosted else None
                    yield offers.of_caller(spec) if found is None else _of_function(spec, found)
                case toolspec.FileSearch():
                    function = toolspec.Function(FILE_SEARCH, _SEARCH_DESCRIPTION, _SEARCH_PARAMETERS, strict=False)
                    if spec is self._searches[0]:  # one search looks into all of them
                        yield Offer(function=function, here=True, work=items.FileSearch(), name=FILE_SEARCH)
                case toolspec.Mcp(server_label=label):
                    server = self._servers[label]
                    yield from (_of_server(server, tool) for tool in listed.get(label, ()) if server.shows(tool))
                case toolspec.Other():
                    continue

    async def open(self, run: Run) -> AsyncGenerator[list[events.Event], None]:
        """Asks the MCP servers what they can do; what was told before in the conversation is not asked again.

        The last batch is `ToolsOpened`. A server that does not answer is told as an item, and its tools are not there.
        """
        guarded = {label for label, server in self._servers.items() if server.guarded}
        known = {
            item.server_label: item.tools
            for item in (*(item for item in run.context if not _lists(item, guarded)), *run.output)
            if isinstance(item, items.McpTools) and item.error is None
        }
        missing = [server for label, server in self._servers.items() if label not in known]
        place = len(run.output)
        begun = [items.McpTools(self._means.ids.new(ids.MCP_TOOLS), one.spec.server_label) for one in missing]
        if begun:
            yield [event for index, item in enumerate(begun, place) for event in _listing(index, item)]
        try:
            async with asyncio.TaskGroup() as asking:
                tasks = [asking.create_task(self._listed(one, item)) for one, item in zip(missing, begun, strict=True)]
        except asyncio.CancelledError:
            for index, item in enumerate(begun, place):
                yield _told(index, msgspec.structs.replace(item, error=_STOPPED))
            raise
        described = {label: min(len(one.spec.description or ""), _DESCRIPTION) for label, one in self._servers.items()}
        listed = _bounded([task.result() for task in tasks], before=known.values(), described=described)
        for index, item in enumerate(listed, place):
            yield _told(index, item)
            known[item.server_label] = item.tools
        self._shown = {
            label: frozenset(tool.name for tool in known.get(label, ()) if server.shows(tool))
            for label, server in self._servers.items()
        }
        offered = self.offers(known)
        away = {item.server_label for item in listed if item.error is not None}
        if _is_absent(run.response.request.tool_choice, offered, away=away):
            absent = errors.InvalidRequest(
                "tool_choice asks for a tool that its MCP server does not have, or that allowed_tools leaves out",
                param="tool_choice",
                code="invalid_value",
                details="name one of the server's tools: the item mcp_list_tools of the response has them",
            )
            yield [events.Failed(absent.as_failure())]
            return
        yield [events.ToolsOpened(offered)]

    async def _listed(self, one: _McpServer, item: items.McpTools) -> items.McpTools:
        if one.failure is not None:
            return msgspec.structs.replace(item, error=one.failure)
        try:
            async with asyncio.timeout(self._means.limits.seconds):
                told = await self._means.servers.tools(one.server)
        except errors.FreddyError as error:
            return msgspec.structs.replace(item, error=_said(error))
        except TimeoutError:
            return msgspec.structs.replace(item, error=_too_long(self._means.limits.seconds))
        except asyncio.CancelledError:
            if _is_stopped():
                raise
            _log.warning("tool_went", extra={"tool": one.spec.server_label})
            return msgspec.structs.replace(item, error=_FAULT)
        except Exception:  # noqa: BLE001
            # A fault on the way to a server is that server's: the run goes on without it.
            _log.exception("tool_fault", extra={"tool": one.spec.server_label})
            return msgspec.structs.replace(item, error=_FAULT)
        return msgspec.structs.replace(item, tools=tuple(tool for tool in told if one.shows(tool)))

    async def answer(self, call: items.HostedCall | items.FunctionCall, asker: Asker) -> Answer:
        """Never raises but for being cancelled: what goes wrong is for the model to read."""
        limit = self._means.limits.seconds
        try:
            async with asyncio.timeout(limit):
                return await self._answer(call, asker)
        except errors.FreddyError as error:
            return Answer(error=_said(error))
        except TimeoutError:
            return Answer(error=_too_long(limit))
        except asyncio.CancelledError:
            if _is_stopped():
                raise
            # Something that the tool waited for was cancelled: the run would wait for its answer for ever.
            _log.warning("tool_went", extra={"response_id": asker.response_id, "tool": call.name})
            return Answer(error=_FAULT)
        except Exception:  # noqa: BLE001
            # A fault of a tool is the tool's: the run goes on.
            _log.exception("tool_fault", extra={"response_id": asker.response_id, "tool": call.name})
            return Answer(error=_FAULT)

    async def _answer(self, call: items.HostedCall | items.FunctionCall, asker: Asker) -> Answer:
        if isinstance(call, items.FunctionCall):
            function = self._functions.get(call.name)
            if function is None:
                return Answer(error=f"there is no function {call.name!r} in this request")
            if faults := forms.unfit_arguments(function.spec.parameters or _EMPTY_SCHEMA, call.arguments):
                return Answer(error=f"the arguments do not fit the function's parameters: {'; '.join(faults)}")
            return await function.call(call.arguments, asker)
        match call.work:
            case items.Mcp(label):
                server = self._servers.get(label)
                if server is None:
                    return Answer(error=f"there is no MCP server {label!r} in this request")
                if server.failure is not None:
                    return Answer(error=server.failure)
                if call.name not in self._shown.get(label, ()):
                    return Answer(error=f"the MCP server {label!r} does not offer the tool {call.name!r} here")
                return await self._means.servers.call(server.server, call.name, call.arguments)
            case items.FileSearch():
                queries = _queries(call.arguments)
                if not queries:
                    return Answer(error='the arguments must be {"query": "what to look for"}')
                return await self._means.retriever.search(asker.organization_id, _merged(self._searches), queries)


def _search_in(store_ids: tuple[str, ...]) -> toolspec.FileSearch:
    return toolspec.FileSearch(
        store_ids, Raw(msgspec.json.encode({"type": FILE_SEARCH, "vector_store_ids": store_ids}))
    )


def _merged(searches: Sequence[toolspec.FileSearch]) -> toolspec.FileSearch:
    """One search over all stores: what the first says of it counts."""
    stores = tuple(dict.fromkeys(store for one in searches for store in one.vector_store_ids))
    return msgspec.structs.replace(searches[0], vector_store_ids=stores)


def _headers(spec: toolspec.Mcp) -> dict[str, str]:
    headers = dict(spec.headers)
    if spec.authorization:
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        scheme = "" if spec.authorization.lower().startswith(("bearer ", "basic ")) else "Bearer "
        headers["authorization"] = scheme + spec.authorization
    return headers


def _of_function(spec: toolspec.Function, found: ServerFunction) -> Offer:
    """As the caller describes it; what the caller leaves out, the function says itself."""
    own = found.spec
    function = msgspec.structs.replace(
        spec,
        description=spec.description or own.description,
        parameters=own.parameters if spec.parameters is None else spec.parameters,
    )
    return Offer(
        function=function,
        here=True,
        approve=spec.require_approval or own.require_approval,
        once=own.once,
        name=spec.name,
    )


def _of_server(server: _McpServer, tool: items.McpTool) -> Offer:
    return Offer(
        function=toolspec.Function(tool.name, _description(server.spec, tool), _parameters(tool), strict=False),
        here=True,
        approve=server.approves(tool),
        once=tool.once,
        work=items.Mcp(server.spec.server_label),
        name=tool.name,
    )


def _description(spec: toolspec.Mcp, tool: items.McpTool) -> str | None:
    """With what the caller says of the server: a model sees functions, and no servers."""
    if not spec.description:
        return tool.description
    told = f"[{spec.server_label}: {spec.description[:_DESCRIPTION]}]"
    return f"{tool.description}\n\n{told}" if tool.description else told


def _parameters(tool: items.McpTool) -> Raw:
    """As vendors want it: MCP leaves `properties` out where a tool takes nothing, and OpenAI refuses that."""
    own = tool.input_schema or _EMPTY_SCHEMA
    schema = msgspec.json.decode(own)
    if not isinstance(schema, dict):
        return _EMPTY_SCHEMA
    if schema.get("type") == "object" and "properties" in schema:
        return own
    return Raw(msgspec.json.encode({"properties": {}, **schema, "type": "object"}))


def _whichs(*told: toolspec.Which | None) -> tuple[toolspec.Which, ...]:
    return tuple(which for which in told if which is not None)


def _meant(which: toolspec.Which, tool: items.McpTool) -> bool:
    if which.read_only is not None and which.read_only != tool.read_only:
        return False
    if not which.names:
        return True
    plain, patterns = _told_apart(which.names)
    return tool.name in plain or any(_fits(tool.name, pattern) for pattern in patterns)


@lru_cache(maxsize=256)
def _told_apart(names: tuple[str, ...]) -> tuple[frozenset[str], tuple[tuple[str, ...], ...]]:
    """Names, and patterns as what stands between their wildcards."""
    return frozenset(names), tuple(tuple(name.split("*")) for name in names if "*" in name)


def _fits(name: str, pattern: tuple[str, ...]) -> bool:
    # Not as a regular expression: making those of strangers' patterns takes seconds.
    first, *middle, last = pattern
    at, end = len(first), len(name) - len(last)
    if at > end or not (name.startswith(first) and name.endswith(last)):
        return False
    for piece in middle:
        found = name.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _bounded(
    listed: Iterable[items.McpTools], *, before: Iterable[Sequence[items.McpTool]], described: Mapping[str, int]
) -> list[items.McpTools]:
    """The lists there is room for beside those told before; in the place of another stands why there is none.

    `described` tells how much is told of a server with each of its tools.
    """
    room = _MOST_OF_LISTS - sum(_size(tools) for tools in before)
    told: list[items.McpTools] = []
    for item in listed:
        size = _size(item.tools) + len(item.tools) * described.get(item.server_label, 0)
        if size > room:
            reason = (
                f"its {len(item.tools)} tools take {size:,} bytes, and those of all servers may take "
                f"{_MOST_OF_LISTS:,}: name the ones that are needed in allowed_tools"
            )
            item = msgspec.structs.replace(item, tools=(), error=reason)
            size = 0
        room -= size
        told.append(item)
    return told


def _size(tools: Sequence[items.McpTool]) -> int:
    """A model does not read the hints, but every conversation keeps them."""
    return sum(
        len(tool.name)
        + len(tool.description or "")
        + len(bytes(tool.input_schema or b""))
        + len(bytes(tool.annotations or b""))
        for tool in tools
    )


def _listing(index: int, item: items.McpTools) -> Iterator[events.Event]:
    yield events.ItemAdded(index, item)
    yield events.CallProgress(index, item.id, "mcp_tools", "in_progress")


def _told(index: int, item: items.McpTools) -> list[events.Event]:
    progress = events.CallProgress(index, item.id, "mcp_tools", "failed" if item.error else "completed")
    return [progress, events.ItemDone(index, item)]


def _is_absent(asked: toolspec.ToolChoice, offered: Sequence[Offer], *, away: Collection[str]) -> bool:
    """Whether one tool is asked for, of a server that has told its tools and does not have it."""
    if not isinstance(asked, toolspec.Hosted) or asked.name is None or asked.server_label in away:
        return False
    return offers.choice(asked, offered) == "none"


def _lists(item: items.Item, labels: Collection[str]) -> bool:
    return isinstance(item, items.McpTools) and item.server_label in labels


def _is_stopped() -> bool:
    """Whether it is this task that is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _queries(arguments: str) -> list[str]:
    try:
        asked = msgspec.json.decode(arguments, type=_Query)
    except msgspec.DecodeError:
        return []
    return [query.strip() for query in (asked.query, *asked.queries) if query and query.strip()]


def _said(error: errors.FreddyError) -> str:
    return f"{error.message}: {error.details}" if error.details else error.message


def _too_long(seconds: float) -> str:
    return f"it took longer than {seconds:g} seconds"
