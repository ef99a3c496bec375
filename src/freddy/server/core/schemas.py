"""Owns which JSON Schemas are taken, and what keeps a value from one. https://json-schema.org/draft/2020-12

Checks hold Python's global lock, so a thread would not keep them from the event loop. They are bounded instead: by what
a schema may be, and by how much of it meets how much of a value.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    import jsonschema_rs

LONGEST_SCHEMA: Final = 131_072
"""Bytes of a schema."""
MOST_PLACES: Final = 5_000
"""Schemas within a schema, counted again wherever a reference leads to them."""
DEEPEST_SCHEMA: Final = 400
"""Levels of a schema, references followed."""
MOST_PATTERNS: Final = 100
LONGEST_PATTERN: Final = 2_000
DEEPEST_VALUE: Final = 200

_MOST_WORK: Final = 50_000_000
"""Places of the schema times values of the text: about a second where every place meets every value."""
_MOST_TOLD_WORK: Final = 20_000
"""The same where errors are told one by one, which takes a thousand times as long."""
_MOST_TOLD: Final = 5
_LONGEST_TOLD: Final = 200
_DATA: Final = frozenset(("const", "enum", "default", "examples"))
_ONE: Final = (
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_MANY: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED: Final = ("dependentSchemas", "patternProperties", "properties")
_NOWHERE: Final = object()


class Form(Struct, frozen=True):
    """`places` as in `MOST_PLACES`; `returns` counts the references by which the schema leads back into itself."""

    validator: "jsonschema_rs.Draft202012Validator"
    places: int
    returns: int


class Unfit(Exception):
    """Why a schema is not taken: completes `the schema …`."""


_OPENS: Final = frozenset(
    (
        "additionalProperties",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "$ref",
        "patternProperties",
        "unevaluatedProperties",
    )
)


def closed(schema: dict[str, object]) -> dict[str, object]:
    """The schema of an object that has nothing but its properties, where it does not say itself what else it may have.

    Whoever spreads the arguments of a call over parameters has no place for others. One that names no property says
    nothing about them.
    """
    says = not _OPENS & schema.keys() and schema.get("properties")
    return schema | {"additionalProperties": False} if says else schema


def misfits(form: Form, value: object, *, values: int) -> tuple[str, ...]:
    """What keeps the value, which has at most so many `values` in it, from the schema; empty when nothing does.

    No sentence repeats a part of the value.
    """
    if not shallow(value, DEEPEST_VALUE):
        return (f"it is nested deeper than {DEEPEST_VALUE} levels",)
    if form.places * values > _MOST_WORK:
        return ("it is too long to be checked",)
    try:
        if form.validator.is_valid(value):
            return ()
    except (ValueError, UnicodeError):
        return ("it holds a value that cannot be checked",)
    return _told(form, value, values=values)


def _told(form: Form, value: object, *, values: int) -> tuple[str, ...]:
    """Where and why the value does not fit."""
    depth = _depth(value) if form.returns else 0
    if form.places * values * max(1, form.returns) ** min(depth, 64) > _MOST_TOLD_WORK:
        return ("it does not fit the schema",)
    told: list[str] = []
    for error in form.validator.iter_errors(value):
        told.append(_sentence(error))
        if len(told) == _MOST_TOLD:
            break
    return tuple(told) or ("it does not fit the schema",)


def _sentence(error: "jsonschema_rs.ValidationError") -> str:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
    return _cut(f"at ${place}: {error.message}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TOLD else text[: _LONGEST_TOLD - 1] + "…"


def values_in(text: str) -> int:
    """At least as many as the JSON text has: for `misfits`."""
    return 1 + text.count(",") + text.count("[") + text.count("{")


def shallow(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(shallow(one, levels - 1) for one in inner)


def _depth(value: object) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)


@lru_cache(maxsize=64)
def form_of(schema: bytes) -> Form:
    """Raises `Unfit`."""
    import jsonschema_rs  # noqa: PLC0415 — 4 MB that a server has no need of before the first schema

    if len(schema) > LONGEST_SCHEMA:
        raise Unfit(f"must have at most {LONGEST_SCHEMA} bytes")
    try:
        told = msgspec.json.decode(schema)
    except (msgspec.DecodeError, RecursionError):
        raise Unfit("must be JSON that can be read") from None
    sizes = _Sizes(told)
    patterns = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000, size_limit=1 << 20, dfa_size_limit=1 << 20)
    try:
        places = sizes.weigh(told)
        validator = jsonschema_rs.Draft202012Validator(
            told, offline=True, validate_formats=True, pattern_options=patterns, mask="the value"
        )
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"/{step}" for step in error.instance_path)
        raise Unfit(_cut(f"must be a JSON Schema of Draft 2020-12 (at #{place}: {error.message})")) from None
    except (jsonschema_rs.ReferencingError, ValueError, UnicodeError):
        raise Unfit("must be a JSON Schema of Draft 2020-12 that refers only to its own parts") from None
    return Form(validator, places, sizes.returns)


class _Sizes:
    """How much work a schema makes. Raises `Unfit` when that is too much, or when it cannot be told."""

    def __init__(self, root: object) -> None:
        self.returns = 0
        self._root = root
        self._anchors: dict[str, object] = {}
        self._known: dict[int, int] = {}
        self._open: set[int] = set()
        self._look_around()

    def weigh(self, schema: object, depth: int = 0) -> int:
        """Its places. A schema that leads back into itself is counted once: the validator remembers what it saw."""
        if not isinstance(schema, dict):
            return 1
        if id(schema) in self._open:
            self.returns += 1
            return 1
        if (known := self._known.get(id(schema))) is not None:
            return known
        if depth > DEEPEST_SCHEMA:
            raise Unfit(f"must have at most {DEEPEST_SCHEMA} levels, references followed")
        self._open.add(id(schema))
        places = 1 + sum(len(schema[name]) // 8 for name in ("enum", "required") if isinstance(schema.get(name), list))
        for inner in self._inner(schema):
            places += self.weigh(inner, depth + 1)
            if places > MOST_PLACES:
                raise Unfit(f"must have at most {MOST_PLACES} parts, references followed")
        self._open.discard(id(schema))
        self._known[id(schema)] = places
        return places

    def _inner(self, schema: Mapping[str, object]) -> Iterator[object]:
        for name in _ONE:
            if name in schema:
                yield schema[name]
        for name in _MANY:
            many = schema.get(name)
            if isinstance(many, list):
                yield from many
        for name in _NAMED:
            named = schema.get(name)
            if isinstance(named, dict):
                yield from named.values()
        for name in ("$ref", "$dynamicRef"):
            if isinstance(reference := schema.get(name), str):
                yield self._target(reference)

    def _target(self, reference: str) -> object:
        base, _, fragment = reference.partition("#")
        own = self._root.get("$id") if isinstance(self._root, dict) else None
        if base and base != own:
            raise Unfit(f"must refer only to its own parts, as in '#/$defs/name' (not to {_cut(reference)!r})")
        at = self._root
        if fragment and not fragment.startswith("/"):
            at = self._anchors.get(fragment, _NOWHERE)
        for step in fragment.split("/")[1:] if fragment.startswith("/") else ():
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(at, list):
                at = at[int(key)] if key.isdecimal() and int(key) < len(at) else _NOWHERE
            else:
                at = at.get(key, _NOWHERE) if isinstance(at, dict) else _NOWHERE
        if at is _NOWHERE:
            raise Unfit(f"must refer only to its own parts (there is no {_cut(reference)!r})")
        return at

    def _look_around(self) -> None:
        """Finds the anchors, and what no schema may have."""
        patterns: set[str] = set()
        waiting: list[object] = [self._root]
        while waiting:
            one = waiting.pop()
            if isinstance(one, list):
                waiting += one
            if not isinstance(one, dict):
                continue
            if one is not self._root and isinstance(one.get("$id"), str):
                raise Unfit("must not have an $id but at its top")
            if isinstance(pattern := one.get("pattern"), str):
                patterns.add(pattern)
            if isinstance(named := one.get("patternProperties"), dict):
                patterns.update(named)
            for name in ("$anchor", "$dynamicAnchor"):
                if isinstance(anchor := one.get(name), str):
                    self._anchors[anchor] = one
            waiting += (value for name, value in one.items() if name not in _DATA)
        if len(patterns) > MOST_PATTERNS:
            raise Unfit(f"must have at most {MOST_PATTERNS} different patterns")
        if any(len(pattern) > LONGEST_PATTERN for pattern in patterns):
            raise Unfit(f"must have patterns of at most {LONGEST_PATTERN} characters")
