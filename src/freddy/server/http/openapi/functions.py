"""What the paths of registered functions do, take and answer."""

from freddy.server.core.functions import (
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    MOST_OVERLAP_SECONDS,
    MOST_SECONDS,
    NAME,
    OVERLAP_SECONDS,
    REDACTED,
    SECONDS,
)
from freddy.server.core.headers import LONGEST_HEADER, LONGEST_SECRET, MOST_HEADERS
from freddy.server.dialects.freddy import functions as wire
from freddy.server.http.openapi.paths import Area, Operation
from freddy.server.http.openapi.schemas import METADATA, Schema, Types, either, flag, text, thing, whole

_PATH = "/v1/functions"
_ONE = _PATH + "/{function_id}"
_WRITE = (400, 409, 413, 422)
_REMOVABLE = ("description", "headers", "metadata")
_STOCK = {
    "name": "stock_of",
    "description": "How many pieces of an article are in the warehouse.",
    "parameters": {
        "type": "object",
        "properties": {"article": {"type": "string", "description": "Its number"}},
        "required": ["article"],
    },
    "url": "https://functions.example.com/stock",
    "headers": {"authorization": "Bearer the-token"},
}


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    names: dict[type, str] = {
        wire.FunctionView: "RegisteredFunction",
        wire.FunctionList: "RegisteredFunctionList",
        wire.FunctionDeleted: "RegisteredFunctionDeleted",
        wire.FunctionTest: "RegisteredFunctionTest",
    }
    types = Types(found, "RegisteredFunction", words=_WORDS, names=names)
    for answer in names:
        types.add(answer)
    fields: dict[str, Schema] = {
        "name": text(
            "What models call it: unique in the organization, and not the name of a function that the server has "
            "itself.",
            pattern=f"^{NAME}$",
            maxLength=LONGEST_NAME,
        ),
        "description": text("When a model should call it.", maxLength=LONGEST_DESCRIPTION),
        "parameters": {
            "type": "object",
            "description": "JSON Schema of its arguments, an object; at most 32 KiB. It takes none where this is left "
            "out.",
        },
        "url": text("Where it is called. With another one than before the headers are sent again.", maxLength=2048),
        "headers": {
            "type": "object",
            "description": f"What is sent along, in confidence. `{REDACTED}` keeps what is there.",
            "additionalProperties": {"type": "string", "maxLength": LONGEST_SECRET},
            "propertyNames": {"maxLength": LONGEST_HEADER},
            "maxProperties": MOST_HEADERS,
        },
        "timeout_seconds": whole("How long an answer is waited for.", 1, MOST_SECONDS, default=SECONDS),
        "require_approval": flag("Whether somebody must approve each call, whatever requests say.", default=False),
        "idempotent": flag(
            "Whether a call that may have been made before a crash can be made again. Where not, somebody is asked.",
            default=True,
        ),
        "enabled": flag("Whether requests may use it.", default=True),
        "metadata": METADATA,
        "organization_id": text("Whose it is; the key implies one."),
    }
    expected = {"expected_version": whole("Answers 409 where it is in another version by now.", 1)}
    removable = {name: either("Null takes away.", fields[name], {"type": "null"}) for name in _REMOVABLE}
    return found | {
        "RegisteredFunctionCreate": thing("A new function.", fields, required=("name", "url")),
        "RegisteredFunctionReplace": thing(
            "All of the function: what is left out is as in a new one, but for its name, its address and its secret.",
            fields | removable | expected,
        ),
        "RegisteredFunctionUpdate": thing(
            "What is to be different; what is left out stays.", fields | removable | expected
        ),
        "RegisteredFunctionTrial": thing(
            "A call.", {"arguments": {"type": "object", "description": "They must fit its parameters."}}
        ),
        "RegisteredFunctionRotation": thing(
            "How the secret changes.",
            {
                "overlap_seconds": whole(
                    "The secret before signs calls, too, for so long.",
                    0,
                    MOST_OVERLAP_SECONDS,
                    default=OVERLAP_SECONDS,
                )
            },
        ),
    }


_WORDS: dict[str, dict[str, Schema]] = {
    "RegisteredFunction": {
        "id": {"description": "Begins with `func_`."},
        "parameters": {"type": "object", "description": "JSON Schema of its arguments."},
        "headers": {"description": f"Each name with `{REDACTED}`."},
        "secret": {"description": "What signs the calls; begins with `whsec_`. Only in the answer that made it."},
        "previous_secret_until": {"description": "Unix seconds until which the secret before signs, too."},
        "metadata": METADATA,
        "version": {"description": "Counts from 1; every change makes another."},
        "created_at": {"description": "Unix seconds. So are the other times."},
        "created_by": {"description": "A user, or an API key."},
    },
    "RegisteredFunctionTest": {
        "success": {"description": "Whether it answered."},
        "output": {"description": "What a model would read."},
        "error": {"description": "Why there is nothing to read."},
        "duration_ms": {"description": "Milliseconds that the call took."},
    },
}
_PARAMETERS: dict[str, Schema] = {
    "function_id": {
        "name": "function_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Begins with `func_`.",
    },
    "functions_search": {
        "name": "search",
        "in": "query",
        "schema": {"type": "string"},
        "description": "Words that name, description or address have.",
    },
}

AREA = Area(
    operations=(
        Operation(
            method="post",
            path=_PATH,
            name="createFunction",
            tag="Functions",
            title="Register a function",
            says="Only this answer tells the secret that signs its calls.",
            body="RegisteredFunctionCreate",
            requests={"stock": _STOCK},
            answer="RegisteredFunction",
            status=201,
            statuses=_WRITE,
        ),
        Operation(
            method="get",
            path=_PATH,
            name="listFunctions",
            tag="Functions",
            title="List functions",
            query=("organization_id", "limit", "order", "after", "before", "functions_search"),
            answer="RegisteredFunctionList",
            statuses=(422,),
        ),
        Operation(
            method="get",
            path=_ONE,
            name="getFunction",
            tag="Functions",
            title="Get a function",
            query=("organization_id",),
            answer="RegisteredFunction",
            statuses=(404,),
        ),
        Operation(
            method="put",
            path=_ONE,
            name="replaceFunction",
            tag="Functions",
            title="Replace a function",
            says="Makes the next version, where anything differs. Its secret stays.",
            query=("organization_id",),
            body="RegisteredFunctionReplace",
            requests={"stock": _STOCK},
            answer="RegisteredFunction",
            statuses=(404, *_WRITE),
        ),
        Operation(
            method="patch",
            path=_ONE,
            name="updateFunction",
            tag="Functions",
            title="Change a function",
            says="What is left out stays. Makes the next version, where anything differs.",
            query=("organization_id",),
            body="RegisteredFunctionUpdate",
            requests={"off": {"enabled": False, "expected_version": 1}},
            answer="RegisteredFunction",
            statuses=(404, *_WRITE),
        ),
        Operation(
            method="delete",
            path=_ONE,
            name="deleteFunction",
            tag="Functions",
            title="Delete a function",
            says="With all its versions and secrets.",
            query=("organization_id",),
            answer="RegisteredFunctionDeleted",
            statuses=(404,),
        ),
        Operation(
            method="post",
            path=_ONE + "/test",
            name="testFunction",
            tag="Functions",
            title="Call a function",
            says="As a model would, enabled or not. Where that fails, the answer is 200 all the same, with "
            "`success: false` and the reason.",
            query=("organization_id",),
            body="RegisteredFunctionTrial",
            requests={"stock": {"arguments": {"article": "A-17"}}},
            answer="RegisteredFunctionTest",
            statuses=(404, 422),
        ),
        Operation(
            method="post",
            path=_ONE + "/rotate-secret",
            name="rotateFunctionSecret",
            tag="Functions",
            title="Change the secret of a function",
            says="Only this answer tells the new one.",
            query=("organization_id",),
            body="RegisteredFunctionRotation",
            requests={"at_once": {"overlap_seconds": 0}},
            answer="RegisteredFunction",
            statuses=(404, 409, 422),
        ),
    ),
    components=_components(),
    parameters=_PARAMETERS,
)
