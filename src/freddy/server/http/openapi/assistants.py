"""What the paths of assistants do, take and answer."""

from typing import Literal

from freddy.server.core.request import DEFAULT_MODEL
from freddy.server.dialects.freddy import assistants as wire
from freddy.server.http.openapi.paths import Area, Operation
from freddy.server.http.openapi.schemas import (
    METADATA,
    Schema,
    Types,
    either,
    flag,
    many,
    number,
    ref,
    text,
    thing,
    whole,
    word,
)
from freddy.server.resources.base import LONGEST_NAME

_PATH = "/v1/assistants"
_ONE = _PATH + "/{assistant_id}"
_KEPT = "Kept and handed back; has no effect."
_STRINGS: Schema = {"type": "string"}
_WRITE = (400, 404, 409, 413, 422)


def settings() -> dict[str, Schema]:
    """The fields that fill in requests: of assistants, and of organizations as their defaults."""
    return {
        "default_model_key": text(f"Who answers; `{DEFAULT_MODEL}` where nobody says. Also `model`."),
        "instructions": text(
            "What the model is told first. Instructions of a request take their place.", maxLength=wire.INSTRUCTIONS
        ),
        "system_message": many(
            "Messages that the model reads before the instructions, whoever these are from.",
            either(
                "A text, or a message with one.",
                _STRINGS,
                thing("", {"role": {"const": "system"}, "content": _STRINGS}, required=("content",)),
            ),
            maxItems=wire.MANY,
        ),
        "temperature": number("More is more varied.", 0, 2),
        "top_p": number("Only the likeliest tokens that make up this share.", 0, 1),
        "presence_penalty": number("More speaks of new things.", -2, 2),
        "frequency_penalty": number("More repeats less.", -2, 2),
        "top_logprobs": whole("Tell how probable each token was, and so many others at each place.", 0, 20),
        "seed": {
            "type": "integer",
            "description": "The same seed and request make the same answer, where that can be.",
        },
        "stop_sequences": either(
            "Up to 4 texts at which the answer ends.",
            _STRINGS,
            {"type": "array", "items": _STRINGS, "maxItems": 4},
        ),
        "verbosity": word("How long the answer should be.", ("low", "medium", "high")),
        "max_completion_tokens": whole("The longest answer.", 1),
        "output_mode": word("Form of the answer.", ("text", "json", "json_schema", "plain", "json_object")),
        "json_schemas": many("The schemas of `output_mode: json_schema`.", ref("FreddyInputSchema")),
        "response_format": either(
            "Another spelling of `output_mode` and `json_schemas`.", _STRINGS, {"type": "object"}
        ),
        "reasoning": thing(
            "How much to think, as in a request.",
            {
                "effort": word("", ("off", "low", "medium", "high", "xhigh", "maximum"), default="medium"),
                "summary": word("", ("off", "auto", "concise", "detailed")),
            },
        ),
        "max_tool_calls": whole("The most calls of tools in one response.", 0),
        "parallel_tool_calls": {"type": "boolean", "description": "Whether one answer may hold several calls."},
        "context_strategy": word("Which of a long thread the model reads.", ("auto", "recent", "smart", "full")),
        "truncation": {
            "type": "boolean",
            "description": "Whether what does not fit is left out. `auto` and `disabled` are the same.",
        },
        "store_responses": {"type": "boolean", "description": "Whether responses are kept."},
    }


_HERE: dict[str, Schema] = {
    "name": text("What people call it.", minLength=1, maxLength=LONGEST_NAME),
    "description": text("What it is for.", maxLength=wire.DESCRIPTION),
    "rule_ids": many("Rules for every request, as if attached to it.", _STRINGS, maxItems=wire.MANY),
    "vector_store_ids": many("Kept; has no effect yet.", _STRINGS, maxItems=wire.MANY),
    "allowed_model_providers": many("Whose models may answer; all where it is empty.", _STRINGS, maxItems=wire.MANY),
    "is_active": flag("Whether requests may name it.", default=True),
    "api_enabled": flag("Whether API keys may use it.", default=True),
    "access_mode": word("Which users may use it.", tuple(wire.ACCESS), default="organization"),
    "access_users": many("Users who may use it in mode `restricted`; `*` is everybody.", _STRINGS, maxItems=wire.MANY),
    "editable_by_users": many(
        "Users who may change it besides its maker; `*` is everybody.", _STRINGS, maxItems=wire.MANY
    ),
    "visible_in_chat_to_users": many(
        "To whom a list for a chat shows it; everybody where it is empty.", _STRINGS, maxItems=wire.MANY
    ),
    "metadata": METADATA,
}
_TYPES: dict[str, Schema] = {
    "text": {"type": "string"},
    "flag": {"type": "boolean"},
    "count": {"type": "integer", "minimum": 0},
    "texts": {"type": "array", "items": _STRINGS},
    "object": {"type": "object"},
}
_OTHERS: dict[str, Schema] = {name: {**_TYPES[form], "description": _KEPT} for name, form in wire.KEPT.items()}


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    names: dict[type, str] = {
        wire.Pagination: "AssistantPagination",
        wire.SchemaView: "AssistantSchema",
        wire.ReasoningView: "AssistantReasoning",
    }
    written = Types(found, "Assistant", words=_WORDS, names=names)
    for answer in (wire.AssistantView, wire.AssistantList, wire.AssistantHistory, wire.AssistantDeleted):
        written.add(answer)
    fields = settings() | _HERE | _OTHERS
    organization = text("Whose it is; the key implies one.")
    return found | {
        "AssistantCreate": thing(
            "A new assistant. What is left out is left to requests, to the organization's defaults and to the model.",
            fields | {"organization_id": organization},
            required=("name",),
        ),
        "AssistantUpdate": thing(
            "What is to be different. What is left out stays as it is, null takes away.",
            {name: either("", one, {"type": "null"}) if name != "name" else one for name, one in fields.items()}
            | {
                "organization_id": organization,
                "expected_version": whole("Answers 409 where it is in another version by now.", 1),
            },
        ),
    }


_WORDS: dict[str, dict[str, Schema]] = {
    "Assistant": {
        "id": {"description": "Begins with `asst_`."},
        "version": {"description": "Counts from 1; every change makes another."},
        "created_by": {"description": "A user, or an API key."},
        "created_at": {"description": "Unix seconds. So are the other times."},
        "user_access_level": word("What you may do with it.", ("owner", "edit", "view")),
        "response_format": {"description": "Always null: it is told as `output_mode`."},
    },
    "AssistantSummary": {"temperature": {"description": f"{wire.TEMPERATURE:g} where the assistant says none."}},
    "AssistantStandard": {"temperature": {"description": f"{wire.TEMPERATURE:g} where the assistant says none."}},
    "AssistantList": {"assistants": {"description": "As detailed as `fields` asks for."}},
    "AssistantHistoryEntry": {
        "id": {"description": "The assistant's id, a colon, and the version."},
        "timestamp": {"description": "Unix seconds."},
        "user_id": {"description": "Who made the version: a user, or an API key."},
        "user_name": {"description": "Empty: look the user up by the id."},
        "user_email": {"description": "Empty, too."},
        "changes": {"description": "What differs from the version before."},
    },
}


def _query(name: str, schema: Schema) -> Schema:
    says = schema.pop("description")
    return {"name": name, "in": "query", "schema": schema, "description": says}


_PARAMETERS: dict[str, Schema] = {
    "assistant_id": {
        "name": "assistant_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Begins with `asst_`.",
    },
    "assistants_search": _query("search", text("Words that name or description have.")),
    "assistants_access_mode": _query("access_mode", word("Only those in this mode.", tuple(wire.ACCESS))),
    "assistants_vector_store_id": _query("vector_store_id", text("Only those that name this vector store.")),
    "assistants_in_chat": _query("visible_in_chat", word("Only those that a chat offers you.", ("true", "false"))),
    "assistants_inactive": _query("include_inactive", word("Those that are not active, too.", ("true", "false"))),
    "assistants_sort_by": _query(
        "sort_by", word("By what they are sorted.", ("created_at", "updated_at", "name"), default="created_at")
    ),
    "assistants_sort_order": _query("sort_order", word("Which comes first.", ("desc", "asc"), default="desc")),
    "assistants_fields": _query("fields", word("How much is told of each.", tuple(wire.DETAILS), default="standard")),
    "assistants_offset": _query("offset", whole("How many to skip.", 0, default=0)),
    "assistants_action": _query("action", word("Only this.", ("created", "updated"))),
    "assistants_user_id": _query("user_id", text("Only what this user or key did.")),
    "assistants_since": _query("start_date", text("Not before this date or time, in ISO 8601.")),
    "assistants_until": _query("end_date", text("Not after this date or time, in ISO 8601.")),
}


def _change(method: Literal["patch", "put"], name: str, says: str) -> Operation:
    return Operation(
        method=method,
        path=_ONE,
        name=name,
        tag="Assistants",
        title="Change an assistant",
        says=says,
        body="AssistantUpdate",
        requests={"cooler": {"temperature": 0.1, "expected_version": 1}},
        answer="Assistant",
        statuses=_WRITE,
    )


AREA = Area(
    operations=(
        Operation(
            method="post",
            path=_PATH,
            name="createAssistant",
            tag="Assistants",
            title="Create an assistant",
            body="AssistantCreate",
            requests={
                "brief": {
                    "name": "Support",
                    "instructions": "You help the customers of a shop for tea. Be brief.",
                    "temperature": 0.3,
                }
            },
            answer="Assistant",
            status=201,
            statuses=_WRITE,
        ),
        Operation(
            method="get",
            path=_PATH,
            name="listAssistants",
            tag="Assistants",
            title="List assistants",
            says="Those that you may use.",
            query=(
                "organization_id",
                "limit",
                "assistants_offset",
                "page",
                "assistants_search",
                "assistants_access_mode",
                "assistants_vector_store_id",
                "assistants_in_chat",
                "assistants_inactive",
                "assistants_sort_by",
                "assistants_sort_order",
                "assistants_fields",
            ),
            answer="AssistantList",
            statuses=(422,),
        ),
        Operation(
            method="get",
            path=_ONE,
            name="getAssistant",
            tag="Assistants",
            title="Get an assistant",
            answer="Assistant",
            statuses=(404,),
        ),
        _change("patch", "updateAssistant", "Makes the next version, where anything differs."),
        _change("put", "putAssistant", "The same as PATCH: what is left out stays."),
        Operation(
            method="delete",
            path=_ONE,
            name="deleteAssistant",
            tag="Assistants",
            title="Delete an assistant",
            says="With all its versions. Its threads go on without it.",
            answer="AssistantDeleted",
            statuses=(404,),
        ),
        Operation(
            method="get",
            path=_ONE + "/history",
            name="getAssistantHistory",
            tag="Assistants",
            title="List an assistant's versions",
            says="Who changed what, and when; the newest first.",
            query=(
                "assistants_action",
                "assistants_user_id",
                "assistants_since",
                "assistants_until",
                "limit",
                "assistants_offset",
            ),
            answer="AssistantHistory",
            statuses=(404, 422),
        ),
    ),
    components=_components(),
    parameters=_PARAMETERS,
)
