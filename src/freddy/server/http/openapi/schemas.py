"""JSON Schemas of the types that read requests and write answers: the reference cannot drift from them."""

import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, UNSET, Raw, Struct, UnsetType, structs

Schema: TypeAlias = dict[str, Any]

REF = "#/components/schemas/"
_SCALARS: dict[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_SHAPE = frozenset(("type", "$ref", "anyOf", "oneOf", "enum", "const", "items"))
"""What says which values fit: words that have any of these stand instead of what the type says."""


class Types:
    """Adds the schemas of Structs to `components`, each with a name that begins with `prefix`.

    `sent` is for what callers send, where a default makes a field optional. `words` has what a type cannot
    say: by component, then by property, keys to add; a shape among them replaces the type's.
    """

    def __init__(
        self,
        components: dict[str, Schema],
        prefix: str,
        *,
        words: Mapping[str, Mapping[str, Schema]],
        names: Mapping[type, str] | None = None,
        sent: bool = False,
    ) -> None:
        self._components = components
        self._prefix = prefix
        self._words = words
        self._names = dict(names or {})
        self._sent = sent

    def add(self, kind: type[Struct]) -> Schema:
        """A reference to the Struct's schema, which is added with all that it is made of."""
        name = self._names.get(kind)
        if name is None:
            name = self._names[kind] = self._name(kind)
        if name not in self._components:
            self._components[name] = {}
            self._components[name] = self._struct(kind, self._words.get(name, {}))
        return {"$ref": REF + name}

    def _name(self, kind: type[Struct]) -> str:
        plain = kind.__name__.lstrip("_").removesuffix("View")
        name = plain if plain.startswith(self._prefix) else self._prefix + plain
        if name in self._components:
            raise ValueError(f"{kind.__module__}.{kind.__qualname__} needs a name of its own: {name} is taken")
        return name

    def _struct(self, kind: type[Struct], words: Mapping[str, Schema]) -> Schema:
        hints, config = get_type_hints(kind), kind.__struct_config__
        properties: Schema = {}
        required: list[str] = []
        if config.tag is not None:
            properties[str(config.tag_field)] = {"const": config.tag}
            required.append(str(config.tag_field))
        for field in structs.fields(kind):
            hint = hints[field.name]
            properties[field.encode_name] = _worded(self.schema(hint), words.get(field.encode_name, {}))
            defaulted = field.default is not NODEFAULT or field.default_factory is not NODEFAULT
            if self._sent:
                optional = defaulted
                if field.default not in (NODEFAULT, UNSET, None) and not isinstance(field.default, Raw):
                    properties[field.encode_name].setdefault("default", field.default)
            else:
                optional = UnsetType in get_args(hint) or (defaulted and config.omit_defaults)
            if not optional:
                required.append(field.encode_name)
        schema: Schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        return schema

    def schema(self, kind: Any) -> Schema:  # noqa: ANN401 (a type form has no type of its own yet)
        """The schema of a type as it stands in an annotation."""
        origin, inner = get_origin(kind), get_args(kind)
        if kind in _SCALARS:
            return {"type": _SCALARS[kind]}
        if kind is type(None):
            return {"type": "null"}
        if kind in (Raw, object):
            return {}
        if isinstance(kind, type) and issubclass(kind, Struct):
            return self.add(kind)
        if origin is Literal:
            return {"type": "string", "enum": list(inner)} if len(inner) > 1 else {"const": inner[0]}
        if origin in (list, tuple):
            return {"type": "array", "items": self.schema(inner[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.schema(inner[1])}
        if origin in (Union, types.UnionType):
            return _either([self.schema(each) for each in inner if each is not UnsetType])
        raise TypeError(f"no JSON Schema is known for {kind!r}")


def _either(schemas: list[Schema]) -> Schema:
    if len(schemas) == 1:
        return schemas[0]
    if all(set(schema) == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    # A value that is kept as it came fits everything; what is known of it is worth more than that.
    return {"anyOf": [schema or {"type": "object"} for schema in schemas]}


def _worded(schema: Schema, words: Schema) -> Schema:
    return dict(words) if _SHAPE & words.keys() else schema | words


def text(description: str, **more: Any) -> Schema:  # noqa: ANN401
    return {"type": "string", "description": description, **more}


def flag(description: str, *, default: bool) -> Schema:
    return {"type": "boolean", "description": description, "default": default}


def whole(description: str, low: int, high: int | None = None, **more: Any) -> Schema:  # noqa: ANN401
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return {"type": "integer", "description": description, **bounds, **more}


def number(description: str, low: float, high: float, **more: Any) -> Schema:  # noqa: ANN401
    return {"type": "number", "description": description, "minimum": low, "maximum": high, **more}


def word(description: str, choices: Iterable[str], **more: Any) -> Schema:  # noqa: ANN401
    return {"type": "string", "enum": list(choices), "description": description, **more}


def many(description: str, items: Schema, **more: Any) -> Schema:  # noqa: ANN401
    return {"type": "array", "items": items, "description": description, **more}


def thing(description: str, properties: Schema, *, required: Iterable[str] = (), **more: Any) -> Schema:  # noqa: ANN401
    told: Schema = {"type": "object", "description": description, "properties": properties, **more}
    return told | {"required": list(required)} if required else told


def either(description: str, *schemas: Schema) -> Schema:
    return {"description": description, "anyOf": list(schemas)}


def ref(name: str) -> Schema:
    return {"$ref": REF + name}


METADATA: Schema = {
    "type": "object",
    "description": "Up to 16 pairs of your own: keys of at most 64 characters, values of at most 512.",
    "maxProperties": 16,
    "additionalProperties": {"type": "string", "maxLength": 512},
    "propertyNames": {"maxLength": 64},
}
