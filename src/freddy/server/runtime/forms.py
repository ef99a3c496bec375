"""Owns whether an answer has the form that was asked for: JSON, or JSON that fits a schema."""

import json
import re
import sys
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw

from freddy.server.core import errors, schemas
from freddy.server.core.request import Output, Schema

_MOST_TOLD: Final = 5
_OPENINGS: Final = 16
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
_json: Final = json.JSONDecoder()


def refuse(output: Output) -> None:
    """Raises `errors.InvalidValue` for a schema that is none, or that would take too long to check."""
    many = len(output.schemas) > 1
    for place, schema in enumerate(output.schemas):
        try:
            schemas.form_of(bytes(schema.schema))
        except schemas.Unfit as unfit:
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
    if not schemas.shallow(value, schemas.DEEPEST_VALUE):
        return (f"it is nested deeper than {schemas.DEEPEST_VALUE} levels",)
    match output.mode:
        case "json":
            return () if isinstance(value, dict) else ("it is JSON, but not an object",)
        case "json_schema":
            return _misfits(output.schemas, value, values=schemas.values_in(text))
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


def _misfits(several: tuple[Schema, ...], value: object, *, values: int) -> tuple[str, ...]:
    told: list[tuple[str, tuple[str, ...]]] = []
    for schema in several:
        try:
            form = schemas.form_of(bytes(schema.schema))
        except schemas.Unfit as unfit:
            return (f"the schema {schema.name!r} {unfit}",)
        found = schemas.misfits(form, value, values=values)
        if not found:
            return ()
        told.append((schema.name, found))
    if len(told) == 1:
        return told[0][1]
    return tuple(f"for {name!r}: {found[0]}" for name, found in told[:_MOST_TOLD])


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
