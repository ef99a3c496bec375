"""The OpenAPI document of every path, built from the same types that decode requests."""

import re
from functools import cache
from typing import Any

import msgspec

from freddy.server.dialects.base import Dialect
from freddy.server.dialects.freddy import FREDDY
from freddy.server.dialects.openai import OPENAI
from freddy.server.http.openapi import (
    accounts,
    assistants,
    conversations,
    events,
    examples,
    failures,
    files,
    freddy,
    functions,
    mcp_configurations,
    openai,
    others,
    prompts,
    rules,
    threads,
    usage,
    vector_stores,
    webhooks,
)
from freddy.server.http.openapi.paths import OPERATIONS as _FIRST
from freddy.server.http.openapi.paths import TAGS, Area, Operation
from freddy.server.http.openapi.schemas import REF, Schema

_EVERYWHERE = (401, 403, 500, 503)
_AREAS: tuple[Area, ...] = (
    threads.AREA,
    accounts.AREA,
    assistants.AREA,
    rules.AREA,
    usage.AREA,
    conversations.AREA,
    prompts.AREA,
    vector_stores.AREA,
    mcp_configurations.AREA,
    functions.AREA,
    webhooks.AREA,
)
"""What is not about responses, a module each."""
OPERATIONS: tuple[Operation, ...] = (*_FIRST, *(one for area in _AREAS for one in area.operations))
_EMPTY = ("ThreadCreate", "ThreadNaming", "OpenAIVectorStoreCreate", "VectorStoreFileRetry")
"""Bodies that may be left out."""
_DIALECTS: dict[str, Dialect] = {"Freddy": FREDDY, "OpenAI": OPENAI}


@cache
def encoded(version: str) -> bytes:
    """The document as it is served."""
    return msgspec.json.encode(document(version))


@cache
def document(version: str) -> dict[str, Any]:
    """Nobody changes it: it is the same for all who ask."""
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Freddy",
            "version": version,
            "summary": "A self-hosted model-response API.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [{"name": name, "description": says} for name, says in TAGS.items()],
        "security": [{"bearer": []}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {
                f"{name}{status}": answer
                for name, dialect in _DIALECTS.items()
                for status, answer in failures.answers(dialect, f"{name}Error").items()
            },
            "parameters": others.PARAMETERS | {name: one for area in _AREAS for name, one in area.parameters.items()},
            "headers": others.HEADERS,
            "securitySchemes": others.SECURITY,
        },
    }


def _schemas() -> Schema:
    found = freddy.components() | openai.components() | files.components() | others.COMPONENTS
    for area in _AREAS:
        found |= area.components
    return dict(sorted(found.items()))


def _operation(operation: Operation) -> Schema:
    names = (*re.findall(r"{(\w+)}", operation.path), *operation.query)
    told: Schema = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.title,
    }
    if operation.says:
        told["description"] = operation.says
    if names:
        told["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in names]
    if operation.body:
        told["requestBody"] = {
            "required": operation.body not in _EMPTY,
            "content": {
                operation.sent: {
                    "schema": {"$ref": REF + operation.body},
                    "examples": {name: {"value": value} for name, value in operation.requests.items()},
                }
            },
        }
    told["responses"] = {str(operation.status): _answer(operation)} | _errors(operation)
    if operation.public:
        told["security"] = []
    return told


def _answer(operation: Operation) -> Schema:
    content: Schema = {}
    limited = failures.LIMITED if operation.streams and 429 in operation.statuses else ()
    if operation.answer:
        content[operation.kind] = {"schema": {"$ref": REF + operation.answer}}
        if operation.answer in ("FreddyResponse", "OpenAIResponse"):
            content[operation.kind]["examples"] = {"answer": {"value": examples.answer(_DIALECTS[operation.dialect])}}
    elif operation.kind != "application/json":
        content[operation.kind] = {"schema": {"type": "string"}}
    if operation.streams:
        content["text/event-stream"] = {
            "schema": {"type": "string", "description": _events(operation)},
            "examples": {"stream": {"value": examples.stream(_DIALECTS[operation.dialect])}},
        }
    return {
        "description": "The WebSocket is open." if operation.status == 101 else "Done.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in (*failures.SHARED, *limited)},
        "content": content,
    }


def _events(operation: Operation) -> str:
    told = events.FREDDY if operation.streams == "FREDDY" else events.OPENAI
    end = "" if operation.streams == "FREDDY" else " The stream ends with `data: [DONE]`."
    return (
        "Server-sent events. The data of each is a JSON object with `type` (the event's name), "
        "`sequence_number` and: "
        + "; ".join(f"{event.name} ({event.members})" for event in told)
        + f". A line `: ping` keeps a silent stream open.{end}"
    )


def _errors(operation: Operation) -> Schema:
    if operation.public and not operation.open:
        return {"503": _answer(operation)} if operation.name == "ready" else {}
    name = operation.dialect
    known = failures.answers(_DIALECTS[name], f"{name}Error")
    wanted = sorted({*_EVERYWHERE, *operation.statuses} & known.keys())
    return {str(status): {"$ref": f"#/components/responses/{name}{status}"} for status in wanted}
