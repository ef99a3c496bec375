"""How an answer in JSON is asked for: by a field where the vendor has one, else in words. Pure."""

import msgspec

from freddy.server.core import items
from freddy.server.core.turn import Turn
from freddy.server.providers.compatible import schemas
from freddy.server.providers.compatible.row import Facts, Json

JSON = "Answer with one JSON object, and with nothing else."
ONE = "Answer with JSON that fits this JSON Schema, and with nothing else:"
MANY = "Answer with JSON that fits one of these JSON Schemas, and with nothing else:"

_NAME = "answer"
_OBJECT = msgspec.Raw(b'{"type":"object"}')


class Form(msgspec.Struct, frozen=True):
    """`asked` is the `response_format`, if any; `words` are for the system message."""

    asked: Json | None = None
    words: str = ""


def form(turn: Turn, facts: Facts, *, thinking: bool) -> Form:
    output = turn.output
    tools = turn.tools if turn.tool_choice != "none" else ()
    able = (facts.form_beside_tools or not tools) and not (thinking and "form" in facts.thinking_excludes)
    if output.mode == "text":
        return Form()
    if output.mode == "json":
        # Vendors demand that JSON is spoken of: without, models are known to write blanks without end.
        spoken = "json" in facts.guarantees or (able and facts.json is not None and _speaks_of_json(turn))
        return Form(_any_object(facts) if able else None, "" if spoken else JSON)
    objects = all(schemas.is_object(one.schema) for one in output.schemas)
    if able and facts.schema and (not facts.closed_schemas or (objects and len(output.schemas) == 1)):
        return Form(_schema(turn, facts))
    told = "\n".join(bytes(one.schema).decode() for one in output.schemas)
    words = f"{ONE if len(output.schemas) == 1 else MANY}\n{told}"
    return Form(_any_object(facts) if able and objects and facts.json == "json_object" else None, words)


def _any_object(facts: Facts) -> Json | None:
    match facts.json:
        case "json_object":
            return {"type": "json_object"}
        case "json_schema":
            return {"type": "json_schema", "json_schema": {"name": _NAME, "schema": _OBJECT}}
        case None:
            return None


def _schema(turn: Turn, facts: Facts) -> Json:
    first, *others = turn.output.schemas
    if others:
        either = schemas.either([one.schema for one in turn.output.schemas])
        strict = all(one.strict for one in turn.output.schemas)
        return {"type": "json_schema", "json_schema": {"name": _NAME, "schema": either, "strict": strict}}
    strict = first.strict and (not facts.closed_schemas or schemas.is_strict(first.schema))
    told: Json = {"name": first.name, "schema": first.schema, "strict": strict}
    if first.description:
        told["description"] = first.description
    return {"type": "json_schema", "json_schema": told}


def _speaks_of_json(turn: Turn) -> bool:
    texts = [turn.instructions or "", *(item.text for item in turn.items if isinstance(item, items.Message))]
    return any("json" in text.lower() for text in texts)
