"""What the paths of prompt templates do, take and answer."""

from freddy.server.core.prompts import LONGEST_CONTENT, MOST_VARIABLES
from freddy.server.dialects.freddy import prompts as wire
from freddy.server.http.openapi.paths import Area, Operation
from freddy.server.http.openapi.schemas import METADATA, Schema, Types, flag, many, ref, text, thing, whole, word
from freddy.server.resources.base import LONGEST_NAME

_PATH = "/v1/prompts"
_ONE = _PATH + "/{prompt_id}"
_WRITE = (400, 409, 413, 422)
_ANYTHING: Schema = {}


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    types = Types(found, "Prompt", words=_WORDS)
    for answer in (wire.PromptView, wire.PromptList, wire.PromptDeleted):
        types.add(answer)
    fields: dict[str, Schema] = {
        "name": text("What people call it.", minLength=1, maxLength=LONGEST_NAME),
        "content": text(
            "The text, with `{{name}}` for variables and `\\{{` for the braces themselves.",
            minLength=1,
            maxLength=LONGEST_CONTENT,
        ),
        "description": text("What it is for.", maxLength=wire.DESCRIPTION),
        "variables": {
            "type": "object",
            "description": "What may be given, by name. A variable of the text that is not here is required, and of "
            "any type.",
            "additionalProperties": ref("PromptVariableSent"),
            "maxProperties": MOST_VARIABLES,
        },
        "tags": many("To find it by.", {"type": "string", "maxLength": wire.TAG}, maxItems=wire.TAGS),
        "is_public": flag("Kept and handed back; has no effect.", default=False),
        "metadata": METADATA,
        "model": text("Who answers where the request names no model.", maxLength=wire.MODEL),
        "organization_id": text("Whose it is; the key implies one."),
    }
    expected = whole("Answers 409 where it is in another version by now.", 1)
    return found | {
        "PromptVariableSent": thing(
            "A variable.",
            {
                "type": word("What its values are.", tuple(wire.TYPES), default="string"),
                "description": text("What it is for.", maxLength=wire.DESCRIPTION),
                "required": flag("Whether every request must give it.", default=False),
                "default": {**_ANYTHING, "description": "Where none is given. A text may hold other variables."},
                "enum": many("The only values.", _ANYTHING, maxItems=wire.CHOICES),
            },
        ),
        "PromptCreate": thing("A new template.", fields, required=("name", "content")),
        "PromptReplace": thing(
            "All of the template: what is left out goes.",
            fields | {"expected_version": expected},
            required=("name", "content"),
        ),
        "PromptUpdate": thing("What is to be different.", fields | {"expected_version": expected}),
    }


_WORDS: dict[str, dict[str, Schema]] = {
    "Prompt": {
        "id": {"description": "Begins with `prompt_`."},
        "required_variables": {"description": "What a request must give."},
        "version": {"description": "Counts from 1; every change makes another."},
        "created_at": {"description": "Unix seconds, of the first version."},
        "updated_at": {"description": "Unix seconds, of this version."},
        "created_by": {"description": "Who made this version: a user, or an API key."},
        "metadata": METADATA,
    },
}


def _query(name: str, schema: Schema) -> Schema:
    says = schema.pop("description")
    return {"name": name, "in": "query", "schema": schema, "description": says}


_PARAMETERS: dict[str, Schema] = {
    "prompt_id": {
        "name": "prompt_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Begins with `prompt_`.",
    },
    "prompt_version": _query("version", text("Which version; the newest where it is left out.")),
    "prompts_search": _query("search", text("Words that name, description or tags have.")),
    "prompts_tag": _query("tag", many("Only those with this tag; with all of several.", {"type": "string"})),
}

AREA = Area(
    operations=(
        Operation(
            method="post",
            path=_PATH,
            name="createPrompt",
            tag="Prompts",
            title="Create a template",
            body="PromptCreate",
            requests={
                "support": {
                    "name": "Support",
                    "content": "You help with {{product}}. Be {{tone}}.",
                    "variables": {"tone": {"default": "kind", "enum": ["kind", "brief"]}},
                }
            },
            answer="Prompt",
            status=201,
            statuses=_WRITE,
        ),
        Operation(
            method="get",
            path=_PATH,
            name="listPrompts",
            tag="Prompts",
            title="List templates",
            query=("organization_id", "limit", "order", "after", "before", "prompts_search", "prompts_tag"),
            answer="PromptList",
            statuses=(422,),
        ),
        Operation(
            method="get",
            path=_ONE,
            name="getPrompt",
            tag="Prompts",
            title="Get a template",
            query=("prompt_version", "organization_id"),
            answer="Prompt",
            statuses=(404,),
        ),
        Operation(
            method="put",
            path=_ONE,
            name="replacePrompt",
            tag="Prompts",
            title="Replace a template",
            says="Makes the next version, where anything differs.",
            body="PromptReplace",
            requests={"new": {"name": "Support", "content": "You help with {{product}}."}},
            answer="Prompt",
            statuses=(404, *_WRITE),
        ),
        Operation(
            method="patch",
            path=_ONE,
            name="updatePrompt",
            tag="Prompts",
            title="Change a template",
            says="What is left out stays. Makes the next version, where anything differs.",
            body="PromptUpdate",
            requests={"content": {"content": "You help with {{product}}. Be brief.", "expected_version": 1}},
            answer="Prompt",
            statuses=(404, *_WRITE),
        ),
        Operation(
            method="delete",
            path=_ONE,
            name="deletePrompt",
            tag="Prompts",
            title="Delete a template",
            says="With all its versions.",
            query=("organization_id",),
            answer="PromptDeleted",
            statuses=(404,),
        ),
        Operation(
            method="get",
            path=_ONE + "/versions",
            name="listPromptVersions",
            tag="Prompts",
            title="List a template's versions",
            says="All of them, the newest first.",
            query=("organization_id",),
            answer="PromptList",
            statuses=(404,),
        ),
    ),
    components=_components(),
    parameters=_PARAMETERS,
)
