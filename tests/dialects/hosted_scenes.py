"""Responses in which this server ran tools: requests, the events of their runs and the items they end with."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from freddy.server.core import deltas, events, items, offers, request, toolspec, transcript
from freddy.server.core.calls import Call
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage
from freddy.server.dialects.freddy import FREDDY
from freddy.server.dialects.openai import OPENAI
from freddy_fakes import CountingIds

Scene = list[events.Event]

SERVER = {"type": "mcp", "server_label": "deepwiki", "server_url": "https://mcp.example.com/mcp"}
SEARCH = {"type": "file_search", "vector_store_ids": ["vs_1"]}
SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"q":{"type":"string"}}}')
ASK = items.McpTool("ask", "Asks.", SCHEMA, msgspec.Raw(b'{"readOnlyHint":true}'), read_only=True)
WEATHER = toolspec.Function("weather", hosted=True, require_approval=True)
PIXEL = "data:image/png;base64,iVBORw0KGgo="
FOUND = (
    items.Found("file_1", "guide.md", 0.91, "Keys go in the header.", {"year": 2026.0, "draft": False}, "vs_1"),
    items.Found("file_1", "guide.md", 0.5, "Keys end.", {}, "vs_1"),
    items.Found("file_2", "faq.md", 0.25, "Which key?", {}, "vs_1"),
)
USAGE = Usage(input_tokens=12, output_tokens=7)

OF_MCP = offers.Offer(function=toolspec.Function("ask"), here=True, work=items.Mcp("deepwiki"), name="ask")
OF_MCP_ASKED = replace(OF_MCP, approve=True)
OF_SEARCH = offers.Offer(
    function=toolspec.Function("file_search"), here=True, work=items.FileSearch(), name="file_search"
)
OF_FUNCTION = offers.Offer(function=WEATHER, here=True, approve=True, name="weather")


def openai(**body: Any) -> request.Request:
    return OPENAI.decode_request(json.dumps({"model": "m", "input": "Hi", **body}).encode(), CountingIds().new)


def freddy(**body: Any) -> request.Request:
    return FREDDY.decode_request(json.dumps({"inputs": "Hi", **body}).encode(), CountingIds().new)


def response_to(made: request.Request, **changes: Any) -> Response:
    values = {
        "id": "resp_1",
        "organization_id": "org_1",
        "created_at": 1_700_000_000,
        "completed_at": 1_700_000_009,
        "status": "completed",
        "model": "m-2026",
        "request": made,
        "usage": USAGE,
    }
    return Response(**{**values, **changes})


def whole(made: request.Request, told: Scene, status: str = "completed") -> Scene:
    """With its beginning and its end."""
    opened = response_to(made, status="in_progress", usage=None, completed_at=None)
    done = {event.index: event.item for event in told if isinstance(event, events.ItemDone)}
    output = tuple(done[index] for index in sorted(done))
    ended = response_to(made, status=status, output=output)
    return [events.Created(opened), events.InProgress(opened), *told, events.Finished(ended)]


def listing(item: items.McpTools, index: int = 0) -> Scene:
    stage = "completed" if item.error is None else "failed"
    return [
        events.ItemAdded(index, items.McpTools(item.id, item.server_label)),
        events.CallProgress(index, item.id, "mcp_tools", "in_progress"),
        events.CallProgress(index, item.id, "mcp_tools", stage),
        events.ItemDone(index, item),
        events.ToolsOpened((OF_MCP,)),
    ]


def turn(new_id: Callable[[str], str], index: int, *said: deltas.Delta, given: Iterable[offers.Offer] = ()) -> Scene:
    """What a model says in a turn, from the place `index` on."""
    writer = transcript.Transcript(index=index, new_id=new_id, offers=given, expires_at=1_700_003_600)
    return writer.feed(said)


def called(name: str, arguments: str = '{"q":"MCP"}') -> tuple[deltas.Delta, ...]:
    return (
        deltas.ToolCall(0, arguments[:4], name, "call_m"),
        deltas.ToolCall(0, arguments[4:]),
        deltas.Stop("tool_calls", USAGE),
    )


def answered(told: Scene, **answer: Any) -> Scene:
    """The end of the last hosted call."""
    (index, call) = next((event.index, event.item) for event in reversed(told) if isinstance(event, events.Called))
    searches = isinstance(call.work, items.FileSearch)
    stage = "failed" if answer.get("error") and not searches else "completed"
    done = replace(call, status="failed" if answer.get("error") else "completed", milliseconds=12, **answer)
    before = [events.CallProgress(index, call.id, "file_search", "searching")] if searches else []
    tool_call = Call(kind="tool", name=call.name, provider="", status="completed")
    return [
        *before,
        events.CallProgress(index, call.id, transcript.kind_of(call), stage),
        events.ItemDone(index, done),
        events.ToolDone(tool_call),
    ]


SAY = (deltas.Text("It is "), deltas.Text("so."), deltas.Stop("stop", USAGE))
TOOLS = items.McpTools("mcpl_1", "deepwiki", (ASK,))
DOWN = items.McpTools("mcpl_1", "deepwiki", error="Nobody is there")


def mcp(made: request.Request, **answer: Any) -> Scene:
    """A call of an MCP tool, and the model's answer."""
    new_id = CountingIds().new
    first = turn(new_id, 1, *called("ask"), given=[OF_MCP])
    told = [*listing(TOOLS), *first, *answered(first, **(answer or {"parts": (items.Text("A protocol."),)}))]
    return whole(made, [*told, *turn(new_id, 2, *SAY)])


def unreachable(made: request.Request) -> Scene:
    return whole(made, [*listing(DOWN), *turn(CountingIds().new, 1, *SAY)])


def asked(made: request.Request) -> Scene:
    """A call of an MCP tool that needs approval."""
    told = [*listing(TOOLS), *turn(CountingIds().new, 1, *called("ask"), given=[OF_MCP_ASKED])]
    return whole(made, told, "requires_action")


def approved(made: request.Request) -> Scene:
    """The call that was approved is made before the model is asked again."""
    new_id = CountingIds().new
    call = items.HostedCall("mcp_1", "call_m", "ask", '{"q":"MCP"}', items.Mcp("deepwiki"), approval_id="mcpr_1")
    told = [
        *transcript.begin_hosted(0, replace(call, arguments="")),
        *transcript.call_hosted(0, call),
    ]
    told += answered(told, parts=(items.Text("A protocol."),))
    return whole(made, [*told, *turn(new_id, 1, *SAY)])


def asked_function(made: request.Request) -> Scene:
    told = turn(CountingIds().new, 0, *called("weather"), given=[OF_FUNCTION])
    return whole(made, told, "requires_action")


def function(made: request.Request, **changes: Any) -> Scene:
    """A function that this server ran."""
    new_id = CountingIds().new
    output = items.FunctionOutput(
        "fco_1", "call_m", (items.Text("22"),), name="weather", source="built-in", milliseconds=7
    )
    output = replace(output, **changes)
    told = [
        *turn(new_id, 0, *called("weather"), given=[replace(OF_FUNCTION, approve=False)]),
        events.ItemAdded(1, replace(output, parts=(), status="in_progress")),
        events.ItemDone(1, output),
    ]
    return whole(made, [*told, *turn(new_id, 2, *SAY)])


def search(made: request.Request, **answer: Any) -> Scene:
    new_id = CountingIds().new
    first = turn(new_id, 0, *called("file_search", '{"queries":["keys"]}'), given=[OF_SEARCH])
    given = answer or {
        "work": items.FileSearch(("keys", "API key"), FOUND),
        "parts": (items.Text("[1] Keys go in the header."),),
    }
    cited = items.Annotation(
        "file_citation",
        msgspec.Raw(b'{"type":"file_citation","index":2,"file_id":"file_1","filename":"guide.md"}'),
    )
    say = (SAY[0], deltas.Annotated(cited), *SAY[1:])
    return whole(made, [*first, *answered(first, **given), *turn(new_id, 1, *say)])


def stopped(made: request.Request) -> Scene:
    """Cancelled while a tool was at work."""
    first = turn(CountingIds().new, 0, *called("ask"), given=[OF_MCP])
    unanswered = events.ItemDone(0, replace(first[-2].item, status="incomplete"))
    return whole(made, [*first, unanswered, events.Cancelled()], "cancelled")


SCENES: dict[str, Callable[[request.Request], Scene]] = {
    "mcp": mcp,
    "mcp with an image": lambda made: mcp(made, parts=(items.Text("See:"), items.Image(url=PIXEL))),
    "mcp with nothing": lambda made: mcp(made, parts=()),
    "mcp error": lambda made: mcp(made, error="No such page"),
    "unreachable server": unreachable,
    "asked": asked,
    "approved": approved,
    "asked function": asked_function,
    "function": function,
    "function that failed": lambda made: function(made, failed=True, parts=(items.Text("Error: no"),)),
    "search": search,
    "search error": lambda made: search(made, error="The store is gone"),
    "stopped": stopped,
}


def frames(dialect: Any, told: Scene) -> list[bytes]:
    """The frames as they are sent: events that are not told have no number."""
    encode = dialect.event_encoder(told[-1].response)
    heard = [event for event in told if not isinstance(event, events.UNTOLD)]
    assert not any(encode(0, event) for event in told if isinstance(event, events.UNTOLD))
    return [frame for number, event in enumerate(heard) if (frame := encode(number, event))]


def data(frame: bytes) -> dict[str, Any]:
    name, body = frame.decode().removesuffix("\n\n").split("\n")
    value = json.loads(body.removeprefix("data: "))
    assert name == f"event: {value['type']}"
    return value


def kinds(dialect: Any, told: Scene) -> list[str]:
    return [data(frame)["type"] for frame in frames(dialect, told)]


def written(dialect: Any, told: Scene) -> dict[str, Any]:
    return json.loads(dialect.encode_response(told[-1].response))
