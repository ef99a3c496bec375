"""Examples for the reference: requests as in the docs, answers and streams as the dialects write them."""

import msgspec
from msgspec.structs import replace

from freddy.server.core import events, items
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.core.usage import Usage
from freddy.server.dialects.base import Dialect
from freddy.server.dialects.freddy import FREDDY
from freddy.server.http.openapi.schemas import Schema

_WEATHER: Schema = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
FREDDY_REQUESTS: dict[str, Schema] = {
    "text": {"inputs": "Say hello in one sentence."},
    "messages": {
        "inputs": [
            {"role": "system", "content": "You answer in one sentence."},
            {"role": "user", "texts": [{"text": "What is a fox?"}]},
        ],
        "max_output_synapses": 200,
    },
    "thread": {"inputs": "My fox is called Reineke.", "thread": "thrd_foxes"},
    "stream": {"inputs": "Tell me a short story.", "stream": True},
    "background": {"inputs": "Think about foxes.", "background": True},
    "functions": {"inputs": "How warm is it in Zurich?", "tools": [_WEATHER]},
    "json_schema": {
        "inputs": "Name a fox and its age.",
        "output_mode": "json_schema",
        "json_schema": {
            "id": "fox",
            "description": "A fox.",
            "schema": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
                "required": ["name", "age"],
            },
        },
    },
}
OPENAI_REQUESTS: dict[str, Schema] = {
    "text": {"model": "ftg-3.0", "input": "Say hello in one sentence."},
    "messages": {
        "model": "ftg-3.0",
        "instructions": "You answer in one sentence.",
        "input": [{"role": "user", "content": "What is a fox?"}],
        "max_output_tokens": 200,
    },
    "stream": {"model": "ftg-3.0", "input": "Tell me a short story.", "stream": True},
    "functions": {"model": "ftg-3.0", "input": "How warm is it in Zurich?", "tools": [_WEATHER]},
}


def answer(dialect: Dialect) -> Schema:
    told: Schema = msgspec.json.decode(dialect.encode_response(_response(dialect)))
    return told


def stream(dialect: Dialect) -> str:
    """A short stream, whole."""
    ended = _response(dialect)
    begun = replace(ended, status="in_progress", output=(), usage=None, completed_at=None)
    message = items.Message("msg_01", "assistant", (items.Text("Hello!"),))
    encode = dialect.event_encoder(begun)
    happened: tuple[events.Event, ...] = (
        events.Created(begun),
        events.InProgress(begun),
        events.ItemAdded(0, replace(message, parts=(), status="in_progress")),
        events.PartAdded(0, message.id, 0, items.Text("")),
        events.TextDelta(0, message.id, 0, "Hel"),
        events.TextDelta(0, message.id, 0, "lo!"),
        events.TextDone(0, message.id, 0, "Hello!"),
        events.PartDone(0, message.id, 0, items.Text("Hello!")),
        events.ItemDone(0, message),
        events.Finished(ended),
    )
    return b"".join((*(encode(number, event) for number, event in enumerate(happened)), dialect.end_of_stream)).decode()


def _response(dialect: Dialect) -> Response:
    said = items.Message("msg_in", "user", (items.Text("Say hello in one sentence."),))
    return Response(
        id="resp_01",
        organization_id="org_local",
        created_at=1_780_000_000,
        completed_at=1_780_000_001,
        status="completed",
        model="qwen2.5-coder-0.5b",
        provider="embedded",
        request=Request(model="ftg-3.0", input=(said,)),
        thread_id="thrd_01" if dialect is FREDDY else None,
        output=(items.Message("msg_01", "assistant", (items.Text("Hello!"),)),),
        usage=Usage(input_tokens=14, output_tokens=3),
    )
