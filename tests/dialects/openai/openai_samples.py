"""Requests, responses and event lists that the tests of the OpenAI dialect share."""

import itertools
import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from freddy.server.core import deltas, errors, events, items, request, toolspec, transcript
from freddy.server.core.offers import of_caller
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage
from freddy.server.dialects.openai import OPENAI

USAGE = Usage(input_tokens=12, output_tokens=7, cached_tokens=4, reasoning_tokens=2)


def counter() -> Callable[[str], str]:
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}_{next(numbers)}"


def decode(**body: Any) -> request.Request:
    return OPENAI.decode_request(json.dumps({"model": "m", "input": "Hi", **body}).encode(), counter())


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


def run(
    made: request.Request,
    *turn: deltas.Delta,
    status: str = "completed",
    failure: errors.Failure | None = None,
    **changes: Any,
) -> list[events.Event]:
    """All events of a response in which the model says these deltas."""
    opened = response_to(made, status="in_progress", usage=None, completed_at=None)
    functions = [tool for tool in made.tools if isinstance(tool, toolspec.Function)]
    writer = transcript.Transcript(index=0, new_id=counter(), offers=map(of_caller, functions))
    told = writer.feed(turn)
    if failure:
        told += [*writer.close("incomplete"), events.Failed(failure)]
    output = tuple(event.item for event in told if isinstance(event, events.ItemDone))
    ended = response_to(made, status=status, output=output, failure=failure, **changes)
    return [events.Created(opened), events.InProgress(opened), *told, events.Finished(ended)]


def frames(told: Iterable[events.Event], response: Response | None = None) -> list[bytes]:
    """The frames as they are sent: events that are not told have no number."""
    told = list(told)
    encode = OPENAI.event_encoder(response or told[-1].response)
    sent = []
    for event in told:
        frame = encode(len(sent), event)
        if frame:
            sent.append(frame)
    return sent


def data(frame: bytes) -> dict[str, Any]:
    return msgspec.json.decode(frame.split(b"\ndata: ", 1)[1])


STOP = deltas.Stop("stop", USAGE)
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}
PATCH = {
    "type": "custom",
    "name": "patch",
    "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
}
CITATION = items.Annotation(
    "url_citation",
    msgspec.Raw(b'{"type":"url_citation","url":"https://a.b","title":"A","start_index":0,"end_index":2}'),
)


def scenes() -> dict[str, list[events.Event]]:
    tools = [WEATHER, PATCH]
    ask = decode(tools=tools, include=["reasoning.encrypted_content"])
    broken = errors.Failure(
        "Too many requests", type="rate_limit_error", code="rate_limit_exceeded", status=429, retry_after=1.5
    )
    say = deltas.Text
    return {
        "text": run(ask, say("Hel"), say("lo"), deltas.Annotated(CITATION), STOP),
        "text with logprobs": run(
            decode(top_logprobs=1),
            say("Hi", (items.Logprob("Hi", -0.1, (72, 105), (items.TopLogprob("Yo", -2.5, (89, 111)),)),)),
            STOP,
        ),
        "refusal": run(ask, deltas.Refusal("I can"), deltas.Refusal("not."), STOP),
        "reasoning with summary": run(
            ask,
            deltas.Reasoning("Look", "summary"),
            deltas.Reasoning("Then", "summary", 1),
            deltas.Signature("c2VjcmV0"),
            say("Done"),
            STOP,
        ),
        "reasoning with text": run(ask, deltas.Reasoning("Hmm"), deltas.Reasoning(" ok"), say("Done"), STOP),
        "two parallel calls": run(
            ask,
            deltas.ToolCall(0, "", "weather", "call_a"),
            deltas.ToolCall(1, '{"b":', "weather", "call_b"),
            deltas.ToolCall(0, '{"a":1}'),
            deltas.ToolCall(1, "2}"),
            deltas.Stop("tool_calls", USAGE),
        ),
        "custom call": run(
            ask,
            deltas.ToolCall(0, '{"input":"*** Begin"}', "patch", "call_p"),
            deltas.Stop("tool_calls", USAGE),
        ),
        "length cut": run(
            ask,
            say("Hel"),
            deltas.Stop("length", USAGE),
            status="incomplete",
            incomplete_reason="max_output_tokens",
        ),
        "failure": run(ask, say("Hel"), status="failed", failure=broken, usage=None),
        "cancelled": run(ask, say("Hel"), status="cancelled", usage=None),
    }


SCENES = scenes()
