"""Owns whether an answer has the form that was asked for: JSON, or JSON that fits a schema.

The checks hold Python's global lock, so a thread would not keep them from the event loop. They are bounded instead:
by what a schema may be, and by how much of it meets how long a text. https://json-schema.org/draft/2020-12
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import jsonschema_rs
import msgspec
from msgspec import Raw, Struct

from freddy.server.core import errors
from freddy.server.core.request import Output, Schema

LONGEST_SCHEMA: Final = 131_072
"""Bytes of a schema."""
MOST_PLACES: Final = 5_000
"""Schemas within a schema, counted again wherever a reference leads to them."""
DEEPEST_SCHEMA: Final = 400
"""Levels of a schema, references followed."""
MOST_PATTERNS: Final = 100
LONGEST_PATTERN: Final = 2_000
DEEPEST_ANSWER: Final = 200

_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000, size_limit=1 << 20, dfa_size_limit=1 << 20)
_MOST_WORK: Final = 50_000_000
"""Places of the schema times values of the text: about a second where every place meets every value."""
_MOST_TOLD_WORK: Final = 20_000
"""The same where errors are told one by one, which takes a thousand times as long."""
_MOST_TOLD: Final = 5
_LONGEST_TOLD: Final = 200
_OPENINGS: Final = 16
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
_COMMON: Final = frozenset(
    (
        "$comment",
        "$id",
        "$ref",
        "$schema",
        "const",
        "default",
        "deprecated",
        "description",
        "enum",
        "examples",
        "readOnly",
        "required",
        "title",
        "type",
        "writeOnly",
    )
)
_FENCE: Final = re.compile(r"```([^\n`]*)\n")
_OPENING: Final = re.compile(r"[{\[]")
_NOWHERE: Final = object()
_json: Final = json.JSONDecoder()


class _Form(Struct, frozen=True):
    """`places` as in `MOST_PLACES`; `returns` counts the references by which the schema leads back into itself."""

    validator: jsonschema_rs.Draft202012Validator
    places: int
    returns: int


class _Unfit(Exception):
    """Why a schema is not taken: completes `the schema …`."""


def refuse(output: Output) -> None:
    """Raises `errors.InvalidValue` for a schema that is none, or that would take too long to check."""
    many = len(output.schemas) > 1
    for place, schema in enumerate(output.schemas):
        try:
            _form(bytes(schema.schema))
        except _Unfit as unfit:
            error = errors.InvalidValue(f"json_schema[{place}].schema" if many else "json_schema.schema", str(unfit))
            # Dialects have other names for the parameter, so the sentence says the name of the schema.
            error.details = f"the schema {schema.name!r} {unfit}"
            raise error from None


def common(output: Output) -> bool:
    """Whether the schemas have only rules that are kept by every provider that keeps a model to any.

    Bounds, patterns, formats and conditions are each left out by one or another of them.
    """
    return all(_common(msgspec.json.decode(schema.schema)) for schema in output.schemas)


def faults(output: Output, text: str) -> tuple[str, ...]:
    """What keeps the text from the form that is asked for, a few short sentences; empty when nothing does.

    Of several schemas, one must fit. No sentence repeats a value of the text.
    """
    try:
        value = _read(text)
    except msgspec.DecodeError as error:
        return (f"it is not JSON ({error})" if text.strip() else "it is empty",)
    except (RecursionError, ValueError):
        return ("it is not JSON that can be read",)
    if not _shallow(value, DEEPEST_ANSWER):
        return (f"it is nested deeper than {DEEPEST_ANSWER} levels",)
    match output.mode:
        case "json":
            return () if isinstance(value, dict) else ("it is JSON, but not an object",)
        case "json_schema":
            return _misfits(output.schemas, value, values=_values(text))
        case _:
            return ()


def unfit_arguments(schema: Raw, arguments: str) -> tuple[str, ...]:
    """What keeps the arguments of a call from their schema, as with `faults`."""
    return faults(Output("json_schema", (Schema("arguments", schema),)), arguments)


def inside(output: Output, text: str) -> tuple[int, int] | None:
    """Where in the text the one JSON value stands that has the form: in a fenced block, or between words.

    None where there is none, or more than one.
    """
    found = [place for place in tuple(_fenced(text)) or _in_words(text) if not faults(output, text[slice(*place)])]
    return found[0] if len(found) == 1 else None


def _common(schema: object) -> bool:
    if not isinstance(schema, dict):
        return isinstance(schema, bool)
    for name, value in schema.items():
        match name:
            case "properties" | "$defs" | "definitions" if isinstance(value, dict):
                kept = all(map(_common, value.values()))
            case "anyOf" if isinstance(value, list):
                kept = all(map(_common, value))
            case "items" | "additionalProperties":
                kept = _common(value)
            case _:
                kept = name in _COMMON
        if not kept:
            return False
    return True


def _read(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        # A number that no float can hold is JSON nevertheless.
        return json.loads(text, parse_float=_float, parse_constant=_no_constant)


def _float(digits: str) -> float:
    return max(-sys.float_info.max, min(float(digits), sys.float_info.max))


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _misfits(schemas: tuple[Schema, ...], value: object, *, values: int) -> tuple[str, ...]:
    forms = []
    for schema in schemas:
        try:
            form = _form(bytes(schema.schema))
        except _Unfit as unfit:
            return (f"the schema {schema.name!r} {unfit}",)
        if form.places * values > _MOST_WORK:
            return ("it is too long to be checked",)
        try:
            if form.validator.is_valid(value):
                return ()
        except (ValueError, UnicodeError):
            return ("it holds a value that cannot be checked",)
        forms.append((schema.name, form))
    if len(forms) == 1:
        return _told(forms[0][1], value, values=values)
    return tuple(f"for {name!r}: {_told(form, value, values=values)[0]}" for name, form in forms[:_MOST_TOLD])


def _told(form: _Form, value: object, *, values: int) -> tuple[str, ...]:
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


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
    return _cut(f"at ${place}: {error.message}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TOLD else text[: _LONGEST_TOLD - 1] + "…"


def _values(text: str) -> int:
    """At least as many as the JSON text has."""
    return 1 + text.count(",") + text.count("[") + text.count("{")


def _shallow(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_shallow(one, levels - 1) for one in inner)


def _depth(value: object) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)


def _fenced(text: str) -> Iterator[tuple[int, int]]:
    """What stands in the fenced blocks that say `json`, or nothing. Fences are paired by hand: no text takes long."""
    at = 0
    while (fence := _FENCE.search(text, at)) is not None:
        end = text.find("```", fence.end())
        if end < 0:
            return
        if fence[1].strip().lower() in ("", "json"):
            yield fence.end(), fence.end() + len(text[fence.end() : end].rstrip())
        at = end + len("```")


def _in_words(text: str) -> Iterator[tuple[int, int]]:
    """Where JSON objects and lists begin and end in a text, but for those inside others."""
    at = 0
    for _ in range(_OPENINGS):
        opening = _OPENING.search(text, at)
        if opening is None:
            return
        try:
            _, end = _json.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            at = opening.end()
            continue
        yield opening.start(), end
        at = end


@lru_cache(maxsize=64)
def _form(schema: bytes) -> _Form:
    """Raises `_Unfit`."""
    if len(schema) > LONGEST_SCHEMA:
        raise _Unfit(f"must have at most {LONGEST_SCHEMA} bytes")
    try:
        told = msgspec.json.decode(schema)
    except (msgspec.DecodeError, RecursionError):
        raise _Unfit("must be JSON that can be read") from None
    sizes = _Sizes(told)
    try:
        places = sizes.weigh(told)
        validator = jsonschema_rs.Draft202012Validator(
            told, offline=True, validate_formats=True, pattern_options=_PATTERNS, mask="the value"
        )
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"/{step}" for step in error.instance_path)
        raise _Unfit(_cut(f"must be a JSON Schema of Draft 2020-12 (at #{place}: {error.message})")) from None
    except (jsonschema_rs.ReferencingError, ValueError, UnicodeError):
        raise _Unfit("must be a JSON Schema of Draft 2020-12 that refers only to its own parts") from None
    return _Form(validator, places, sizes.returns)


class _Sizes:
    """How much work a schema makes. Raises `_Unfit` when that is too much, or when it cannot be told."""

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
            raise _Unfit(f"must have at most {DEEPEST_SCHEMA} levels, references followed")
        self._open.add(id(schema))
        places = 1 + sum(len(schema[name]) // 8 for name in ("enum", "required") if isinstance(schema.get(name), list))
        for inner in self._inner(schema):
            places += self.weigh(inner, depth + 1)
            if places > MOST_PLACES:
                raise _Unfit(f"must have at most {MOST_PLACES} parts, references followed")
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
            raise _Unfit(f"must refer only to its own parts, as in '#/$defs/name' (not to {_cut(reference)!r})")
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
            raise _Unfit(f"must refer only to its own parts (there is no {_cut(reference)!r})")
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
                raise _Unfit("must not have an $id but at its top")
            if isinstance(pattern := one.get("pattern"), str):
                patterns.add(pattern)
            if isinstance(named := one.get("patternProperties"), dict):
                patterns.update(named)
            for name in ("$anchor", "$dynamicAnchor"):
                if isinstance(anchor := one.get(name), str):
                    self._anchors[anchor] = one
            waiting += (value for name, value in one.items() if name not in _DATA)
        if len(patterns) > MOST_PATTERNS:
            raise _Unfit(f"must have at most {MOST_PATTERNS} different patterns")
        if any(len(pattern) > LONGEST_PATTERN for pattern in patterns):
            raise _Unfit(f"must have patterns of at most {LONGEST_PATTERN} characters")
