"""Fits JSON Schemas to what OpenAI demands of them. Pure.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

Json: TypeAlias = dict[str, object]

ENVELOPE: Final = "answer"
"""The property that holds the answer where one of several schemas may be met: the root cannot be a choice."""

_FORMATS = frozenset(("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"))
_PLAIN = frozenset(
    (
        "type",
        "title",
        "description",
        "enum",
        "const",
        "required",
        "additionalProperties",
        "pattern",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
    )
)
_DEFINITIONS = "#/$defs/"


def strict(schema: object) -> bool:
    """Whether strict mode takes the schema: all objects closed, all properties required, no other keywords."""
    return isinstance(schema, dict) and schema.get("type") == "object" and "anyOf" not in schema and _fits(schema)


def either(schemas: Sequence[msgspec.Raw]) -> Json:
    """One schema for an object whose only property fits one of these."""
    choices: list[object] = []
    definitions: Json = {}
    for place, raw in enumerate(schemas):
        schema = msgspec.json.decode(raw)
        if isinstance(schema, dict):
            own = schema.pop("$defs", {})
            definitions |= {f"{place}_{name}": _moved(one, place) for name, one in own.items()}
        choices.append(_moved(schema, place))
    envelope: Json = {
        "type": "object",
        "properties": {ENVELOPE: {"anyOf": choices}},
        "required": [ENVELOPE],
        "additionalProperties": False,
    }
    return envelope | ({"$defs": definitions} if definitions else {})


def _moved(schema: object, place: int) -> object:
    """The schema with its references led to where they point now."""
    if isinstance(schema, list):
        return [_moved(one, place) for one in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {name: _moved(one, place) for name, one in schema.items()}
    pointer = moved.get("$ref")
    if isinstance(pointer, str) and pointer.startswith(_DEFINITIONS):
        moved["$ref"] = f"{_DEFINITIONS}{place}_{pointer.removeprefix(_DEFINITIONS)}"
    elif pointer == "#":
        moved["$ref"] = f"#/properties/{ENVELOPE}/anyOf/{place}"
    return moved


def _fits(schema: object) -> bool:
    if not isinstance(schema, dict) or not schema.keys() & {"type", "anyOf", "$ref", "enum", "const"}:
        return False
    return (_closed(schema) or not _is_object(schema)) and all(_keyword(name, one) for name, one in schema.items())


def _is_object(schema: Json) -> bool:
    kind = schema.get("type")
    return "properties" in schema or kind == "object" or (isinstance(kind, list) and "object" in kind)


def _closed(schema: Json) -> bool:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    return (
        isinstance(properties, dict)
        and isinstance(required, list)
        and all(isinstance(name, str) for name in required)
        and schema.get("additionalProperties") is False
        and properties.keys() == set(required)
    )


def _keyword(name: str, value: object) -> bool:
    match name:
        case "properties" | "$defs":
            return isinstance(value, dict) and all(map(_fits, value.values()))
        case "anyOf":
            return isinstance(value, list) and all(map(_fits, value))
        case "items":
            return _fits(value)
        case "format":
            return value in _FORMATS
        case "$ref":
            return isinstance(value, str) and value.startswith("#")
        case _:
            return name in _PLAIN
