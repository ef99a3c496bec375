"""Fits JSON Schemas to what vendors take of them. Pure.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from collections.abc import Mapping, Sequence

import msgspec

from freddy.server.providers.compatible.row import Json

_FORMATS = frozenset(("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"))
_KNOWN = frozenset(
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


def is_object(schema: msgspec.Raw) -> bool:
    """Whether only objects fit, as the root says."""
    told = msgspec.json.decode(schema)
    return isinstance(told, dict) and told.get("type") == "object"


def is_strict(schema: msgspec.Raw) -> bool:
    """Whether OpenAI's strict mode takes it: closed objects, all properties required, no keyword it does not know."""
    told = msgspec.json.decode(schema)
    return isinstance(told, dict) and told.get("type") == "object" and "anyOf" not in told and _strict(told)


def either(schemas: Sequence[msgspec.Raw]) -> Json:
    """One schema for what fits one of these. Definitions are gathered at its root, where references look for them."""
    choices: list[object] = []
    gathered: Json = {}
    for place, raw in enumerate(schemas):
        schema = msgspec.json.decode(raw)
        for keyword in ("$defs", "definitions"):
            own = schema.pop(keyword, {}) if isinstance(schema, dict) else {}
            gathered |= {f"{place}_{name}": _led(one, place) for name, one in own.items()}
        choices.append(_led(schema, place))
    told: Json = {"anyOf": choices}
    return told | ({"$defs": gathered} if gathered else {})


def _led(schema: object, place: int) -> object:
    """The schema with its references led to where they point in the whole."""
    if isinstance(schema, list):
        return [_led(one, place) for one in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: _led(one, place) for name, one in schema.items()}
    pointer = told.get("$ref")
    if isinstance(pointer, str) and pointer.startswith("#"):
        told["$ref"] = _pointer(pointer, place)
    return told


def _pointer(pointer: str, place: int) -> str:
    for keyword in ("#/$defs/", "#/definitions/"):
        if pointer.startswith(keyword):
            return f"#/$defs/{place}_{pointer.removeprefix(keyword)}"
    return f"#/anyOf/{place}{pointer[1:]}"


def _strict(schema: object) -> bool:
    if not isinstance(schema, dict) or not schema.keys() & {"type", "anyOf", "$ref", "enum", "const"}:
        return False
    kind = schema.get("type")
    objects = "properties" in schema or kind == "object" or (isinstance(kind, list) and "object" in kind)
    return (not objects or _closed(schema)) and all(_keyword(name, one) for name, one in schema.items())


def _closed(schema: Mapping[str, object]) -> bool:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    return (
        schema.get("additionalProperties") is False
        and isinstance(properties, dict)
        and isinstance(required, list)
        and all(isinstance(name, str) for name in required)
        and set(required) == properties.keys()
    )


def _keyword(name: str, value: object) -> bool:
    if name in ("properties", "$defs"):
        return isinstance(value, dict) and all(_strict(one) for one in value.values())
    if name == "anyOf":
        return isinstance(value, list) and all(_strict(one) for one in value)
    if name == "items":
        return _strict(value)
    if name == "format":
        return value in _FORMATS
    if name == "$ref":
        return isinstance(value, str) and value.startswith("#")
    return name in _KNOWN
