"""What a caller sees, in words of neither dialect, so that answers can be compared whoever gave them."""

import json
from typing import Any

from gateway import Stream
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

Json = dict[str, Any]

DIALECTS = ("freddy", "openai")
TERMINAL = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_VARIES = ("id", "created_at", "createdAt", "completed_at", "thread", "thread_id", "conversation")


def alike(value: object, *also: str) -> object:
    """A response without what differs from one run to the next: ids, times, and `also` these fields."""
    if isinstance(value, dict):
        return {key: alike(inner, *also) for key, inner in value.items() if key not in (*_VARIES, *also)}
    return [alike(one, *also) for one in value] if isinstance(value, list) else value


def answer(response: Json) -> Json:
    """Status and items, and what was thought, wherever the dialect puts it."""
    told: Json = {"status": response["status"], "items": [], "thought": None}
    if response.get("incomplete_details"):
        told["reason"] = response["incomplete_details"]["reason"]
    for item in response["output"]:
        match item["type"]:
            case "reasoning":
                shown = [part["text"] for part in (*item.get("content", ()), *item["summary"])]
                told["thought"] = "".join([*(filter(None, [told["thought"]])), *shown]) or told["thought"]
            case "message":
                told["items"].append(("message", *(_part(part) for part in item["content"])))
            case "function_call":
                told["items"].append(("call", item["call_id"], item["name"], _json(item["arguments"])))
            case "custom_tool_call":
                told["items"].append(("custom", item["call_id"], item["name"], item["input"]))
            case kind:
                raise AssertionError(f"an item of type {kind}")
    if "response" in response:  # The Freddy dialect: in the other one `reasoning` repeats what was asked for.
        thinking = response["reasoning"] or {}
        told["thought"] = thinking.get("content") or thinking.get("summary")
    return told


def _part(part: Json) -> tuple[str, ...]:
    return (part["type"], part["refusal"] if part["type"] == "refusal" else part["text"])


def _json(arguments: str) -> object:
    """Arguments are compared as values: vendors space them as they like."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def check_stream(told: Stream, dialect: str) -> None:
    """Fails where a stream is not well formed: types, numbers, ids, places, pieces, one end."""
    numbers = [event["sequence_number"] for event in told.events]
    assert numbers == sorted(set(numbers))
    assert [kind for kind in told.types if kind in TERMINAL] == [told.types[-1]], told.types
    assert told.done == (dialect == "openai")
    assert told.types[0] in ("response.created", "response.queued")
    response = told.last["response"]
    assert {event["response"]["id"] for event in told.events if "response" in event} == {response["id"]}
    items: dict[int, str] = {}
    closed: set[int] = set()
    pieces: dict[tuple[str, str], str] = {}
    for event in told.events:
        kind, place = event["type"], event.get("output_index")
        if place is None:
            continue
        item_id = event["item"]["id"] if "item" in event else event["item_id"]
        if kind == "response.output_item.added":
            assert place == len(items), "places are given in order"
            assert item_id not in items.values()
            items[place] = item_id
        assert items[place] == item_id, f"{kind} is about another item"
        assert place not in closed, f"{kind} comes after its item was done"
        if kind == "response.output_item.done":
            closed.add(place)
            assert event["item"] == response["output"][place]
        elif kind.endswith(".delta"):
            assert event["delta"] != ""
            pieces[item_id, kind] = pieces.get((item_id, kind), "") + event["delta"]
        elif kind.endswith((".arguments.done", "_text.done", "refusal.done", "_input.done")):
            (whole,) = [event[name] for name in ("text", "refusal", "arguments", "input") if name in event]
            said = pieces.pop((item_id, kind.removesuffix("done") + "delta"), "")
            assert said == whole
    assert [items[place] for place in sorted(closed)] == [item["id"] for item in response["output"]]
    if dialect == "openai":
        assert numbers == list(range(len(numbers)))
        Response.model_validate(response)
        for event in told.events:
            _EVENT.validate_python(event)
