"""The schemas of models, health and the first page; parameters, headers and credentials."""

from freddy.server.core.accounts import SCOPES
from freddy.server.core.files import PURPOSES
from freddy.server.dialects.freddy import choices, models
from freddy.server.http.openapi.schemas import Schema, Types, text, thing, whole, word

_MODEL: dict[str, Schema] = {
    "id": {"description": "`mdl_` and the name to ask for."},
    "key": {"description": "The name to ask for."},
    "name": {"description": "The model that answers to it."},
    "provider": {"description": "Who runs it; `embedded` is this server itself."},
    "description": {"description": "What to expect of it."},
    "is_visible_in_ui": {"description": "Whether people should be offered it: not a deprecated one."},
    "is_deprecated": {"description": "Whether its vendor is about to take it away."},
    "availability_status": word("Whether it answers now.", ("ready", "starting", "unavailable")),
    "capabilities": {"description": "What it can do, such as `vision` or `tool_calling`."},
    "context_window": {"description": "Tokens it can read; null where nobody says."},
    "max_output_tokens": {"description": "Tokens it can write."},
    "pricing": {"description": "Null where it is not known, or not asked for."},
    "release_date": {"description": "ISO 8601; null where it is not known. Only with `include_details`."},
    "model_version": {"description": "The same as `name`. Only with `include_details`."},
}
_SHORT: dict[str, Schema] = {
    "id": {"description": "The name to ask for."},
    "created": {"description": "Unix seconds of its release; 0 where unknown."},
    "owned_by": {"description": "Its provider."},
}
_WORDS: dict[str, dict[str, Schema]] = {
    "OpenAIModel": _SHORT,
    "PlatformModel": _MODEL,
    "Model": _MODEL | _SHORT,
    "ModelList": {
        "data": {"description": "Every name that can be asked for, in OpenAI's shape."},
        "models": {"description": "In the platform's shape: those that the query asks for."},
        "total_count": {"description": "How many `models` there are."},
    },
    "ModelPricing": {
        "message": {"description": "What the numbers are."},
        "cached_input": {"description": "For what the vendor had read before; null where that costs the same."},
        "cache_write": {"description": "For what the vendor keeps to read again; null where that costs the same."},
        "long_context": {"description": "What all tokens cost where the input is longer; null where it is the same."},
    },
    "ModelLongRates": {"above_tokens": {"description": "Tokens of input from which on these rates are charged."}},
}


def _models() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    names: dict[type, str] = {
        models.OneModel: "Model",
        models.OpenAIModel: "OpenAIModel",
        models.PlatformModel: "PlatformModel",
    }
    written = Types(found, "Model", words=_WORDS, names=names)
    for answer in (models.OneModel, models.ModelList, choices.OutputModes, choices.ReasoningLevels):
        written.add(answer)
    return found


_CHECKS: Schema = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "description": "`ok`, or what is wrong.",
}

COMPONENTS: dict[str, Schema] = {
    **_models(),
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
    "include": _query(
        "include",
        {
            "type": "array",
            "items": {"type": "string"},
            "description": "What is shown besides, in the words of the request's `include`: it adds to that.",
        },
    ),
    "limit": _query("limit", whole("Entries of a page.", 1, 100, default=20)),
    "order": _query("order", word("By time: the newest first, or the oldest.", ("desc", "asc"), default="desc")),
    "after": _query("after", text("The id that the page follows: the `last_id` of the one before.")),
    "before": _query("before", text("The id that the page goes before.")),
    "files_limit": _query("limit", whole("Entries of a page.", 1, 10_000, default=10_000)),
    "purpose": _query("purpose", word("Only files for this.", PURPOSES)),
    "page": _query("page", whole("Which page, from 1.", 1, default=1)),
    "token": _query("token", text("Of a link.")),
    "expires": _query("expires", whole("Of a link: Unix seconds.", 0)),
    "organization_id": _query("organization_id", text("Whose; the key implies one.")),
    **{
        name: _query(name, word(says, ("true", "false"), default=default))
        for name, says, default in (
            ("ui_models_only", "Only models that people should be offered.", "false"),
            ("include_pricing", "Also prices.", "false"),
            ("include_details", "Also `release_date` and `model_version`.", "false"),
            ("include_capabilities", "Also `capabilities`.", "true"),
            ("include_deprecated", "Also models that their vendors are about to take away.", "false"),
        )
    },
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
            ("file_id", "Begins with `file_`; `file-` is taken for it."),
            ("ticket", "The end of the link."),
            ("organization", "The id of an organization that the key reaches."),
            ("upstream", "The name of an upstream in the server's settings."),
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
    "x-ratelimit-limit-requests": {
        "description": "Requests per minute that the key or the organization may make, whichever has fewer left. "
        "There where one of them has such a limit.",
        "schema": {"type": "integer"},
    },
    "x-ratelimit-remaining-requests": {
        "description": "How many of them are left, this one counted.",
        "schema": {"type": "integer"},
    },
    "x-ratelimit-reset-requests": {
        "description": "After how long none of them is used any more, if nobody else comes: `12ms`, `1.5s`, `6m0s`.",
        "schema": {"type": "string"},
    },
    "x-ratelimit-limit-tokens": {
        "description": "Tokens of input and output per minute, of the key or the organization in the same way.",
        "schema": {"type": "integer"},
    },
    "x-ratelimit-remaining-tokens": {
        "description": "How many of them are left. What a response may take at most counts as used until it ends.",
        "schema": {"type": "integer"},
    },
    "x-ratelimit-reset-tokens": {
        "description": "After how long none of them is used any more, if nobody else comes.",
        "schema": {"type": "string"},
    },
}

SECURITY: dict[str, Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, made with `freddy keys create`, or a user's access token, from `/v1/auth/login`. "
        "The scopes of keys: " + ", ".join(SCOPES) + ".",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key in a header of its own.",
    },
}
