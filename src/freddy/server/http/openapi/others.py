"""The schemas of models, health and the first page; parameters, headers and credentials."""

from freddy.server.core.accounts import SCOPES
from freddy.server.http.openapi.schemas import Schema, many, text, thing, whole, word

_MODEL: Schema = {
    "id": text("The name to ask for."),
    "object": {"const": "model"},
    "created": {"type": "integer", "description": "Unix seconds of its release; 0 where unknown."},
    "owned_by": text("Its provider."),
}
_PLATFORM: Schema = {
    "id": text("The name to ask for."),
    "key": text("The same as `id`."),
    "name": text("The model that answers to it."),
    "provider": text("Who runs it; `embedded` is this server itself."),
    "description": text("What to expect of it."),
    "is_visible_in_ui": {"const": True},
    "is_deprecated": {"const": False},
    "availability_status": word("Whether it answers now.", ("ready", "starting", "unavailable")),
    "capabilities": many("What it can do, such as `vision` or `tool_calling`.", {"type": "string"}),
    "context_window": {
        "type": ["integer", "null"],
        "description": "Tokens it can read; null where nobody says.",
    },
    "max_output_tokens": {"type": ["integer", "null"], "description": "Tokens it can write."},
    "pricing": {"type": "null", "description": "No prices are kept yet."},
}
_CHECKS: Schema = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "description": "`ok`, or what is wrong.",
}

COMPONENTS: dict[str, Schema] = {
    "Model": thing("A model, in both shapes at once.", _PLATFORM | _MODEL, required=_PLATFORM | _MODEL),
    "ModelList": thing(
        "Every name that can be asked for.",
        {
            "object": {"const": "list"},
            "data": many("In OpenAI's shape.", {"type": "object", "properties": _MODEL, "required": list(_MODEL)}),
            "models": many("In the platform's shape.", {"type": "object", "properties": _PLATFORM}),
            "total_count": {"type": "integer"},
        },
        required=("object", "data", "models", "total_count"),
    ),
    "Live": thing("", {"status": {"const": "ok"}, "version": {"type": "string"}}, required=("status", "version")),
    "Ready": thing("", {"status": word("", ("ready", "not_ready")), "checks": _CHECKS}, required=("status", "checks")),
    "Index": thing(
        "Where to go from here.",
        {
            "name": {"const": "freddy"},
            "version": {"type": "string"},
            "development": {"type": "boolean", "description": "Whether local development mode is on."},
            "links": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        required=("name", "version", "links"),
    ),
    "OpenAPI": thing("This document.", {"openapi": {"type": "string"}}, required=("openapi",)),
}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": schema.pop("description")}


PARAMETERS: dict[str, Schema] = {
    "stream": _query("stream", word("`true` tells the events.", ("true", "false"), default="false")),
    "starting_after": _query(
        "starting_after", whole("Tell only events with a higher `sequence_number`.", -1, default=-1)
    ),
    "limit": _query("limit", whole("Entries of a page.", 1, 100, default=20)),
    "order": _query("order", word("By time: the newest first, or the oldest.", ("desc", "asc"), default="desc")),
    "after": _query("after", text("The id that the page follows: the `last_id` of the one before.")),
    "before": _query("before", text("The id that the page goes before.")),
    "organization_id": _query("organization_id", text("Whose; the key implies one.")),
    **{
        name: {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": says,
        }
        for name, says in (
            ("response_id", "Begins with `resp_`."),
            ("thread_id", "Of the server's choice or of yours."),
            ("model", "A name of GET /v1/models."),
        )
    },
}

HEADERS: dict[str, Schema] = {
    "x-request-id": {
        "description": "Names the request in the logs. One that you send is kept: up to 128 of `A-Z a-z 0-9 . _ : -`.",
        "schema": {"type": "string"},
    },
    "freddy-processing-ms": {
        "description": "Milliseconds until the answer began.",
        "schema": {"type": "integer"},
    },
    "retry-after": {"description": "Seconds to wait before the next try.", "schema": {"type": "integer"}},
}

SECURITY: dict[str, Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, made with `freddy keys create`. Its scopes: " + ", ".join(SCOPES) + ".",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key in a header of its own.",
    },
}
