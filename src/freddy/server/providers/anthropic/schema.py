"""A JSON Schema as Anthropic's constrained decoding takes it. Pure.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

Json: TypeAlias = dict[str, object]

_KEPT = frozenset(("type", "enum", "const", "title", "description", "required", "default"))
_FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"),
)


def closed(schema: msgspec.Raw) -> Json:
    """Objects take no further properties, and rules that the vendor refuses become part of the description."""
    told = _closed(msgspec.json.decode(schema), "")
    return told if isinstance(told, dict) else {}


def either(schemas: tuple[msgspec.Raw, ...]) -> Json:
    """One schema that is fit by what fits any of these. Their definitions move to the top under names of their own."""
    definitions: Json = {}
    variants: list[Json] = []
    for place, schema in enumerate(schemas):
        told = _closed(msgspec.json.decode(schema), f"s{place}_")
        if not isinstance(told, dict):
            continue
        own = told.pop("$defs", None)
        if isinstance(own, dict):
            definitions |= {f"s{place}_{name}": one for name, one in own.items()}
        variants.append(told)
    return {"anyOf": variants} | ({"$defs": definitions} if definitions else {})


def _closed(schema: object, prefix: str) -> object:
    if not isinstance(schema, Mapping):
        return schema
    told: Json = {}
    refused: list[str] = []
    for name, value in schema.items():
        match name:
            case "$ref":
                told[name] = str(value).replace("#/definitions/", "#/$defs/").replace("#/$defs/", f"#/$defs/{prefix}")
            case "$defs" | "definitions" | "properties" if isinstance(value, Mapping):
                place = "properties" if name == "properties" else "$defs"
                told[place] = {one: _closed(inner, prefix) for one, inner in value.items()}
            case "anyOf" | "allOf" | "oneOf" if isinstance(value, list):
                told["allOf" if name == "allOf" else "anyOf"] = [_closed(one, prefix) for one in value]
            case "items" if isinstance(value, Mapping):
                told[name] = _closed(value, prefix)
            case "minItems" if value in (0, 1):
                told[name] = value
            case "format" if value in _FORMATS:
                told[name] = value
            case "additionalProperties" | "$schema" | "$id":
                pass
            case _ if name in _KEPT:
                told[name] = value
            case _:
                refused.append(f"{name}: {msgspec.json.encode(value).decode()}")
    kinds = told.get("type")
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds) or "properties" in told:
        told.setdefault("properties", {})
        told["additionalProperties"] = False
    if refused:
        words = [str(told["description"])] if "description" in told else []
        told["description"] = "\n\n".join([*words, "{" + ", ".join(refused) + "}"])
    return told
