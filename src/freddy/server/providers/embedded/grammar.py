"""A JSON Schema as a grammar that the engine enforces while it writes. Pure.

The engine understands llguidance's grammars. It writes whatever it likes where a grammar is faulty, so each is tried
here first. https://github.com/guidance-ai/llguidance/blob/main/docs/json_schema.md
"""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Struct

_OPTIONS: Final = {"lenient": True, "whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""Small models write white space without end where they may. `lenient` leaves out what the engine does not know."""
_LOOSE_FORMATS: Final = frozenset(("date-time", "email", "time"))
"""Enforced, but not to the last detail: leap seconds at any time, names of mail boxes that are too long."""
_LOOSE_PATTERN: Final = re.compile(r"\\[sSpP]")
"""White space and classes of Unicode are not the same everywhere."""
_DATA: Final = frozenset(("const", "enum", "default", "examples"))


class Grammar(Struct, frozen=True):
    """`exact`: whatever it lets through fits the schema, unless it is cut off."""

    text: str
    exact: bool


@lru_cache(maxsize=64)
def closest(schema: bytes) -> Grammar:
    """The closest grammar that the engine takes. This may take a while: up to a second for the worst of schemas."""
    told = msgspec.json.decode(schema)
    if not isinstance(told, dict):
        return Grammar(_written({}), exact=told is True)
    for closer in (told, _without_strings(told)):
        text = _written(closer)
        faulty, warnings = _tried(text)
        if not faulty:
            return Grammar(text, exact=closer is told and not warnings and not _loose(told))
    return Grammar(_written({}), exact=False)


def _tried(text: str) -> tuple[bool, Sequence[str]]:
    """Whether the grammar is faulty, and what of it is not enforced."""
    try:
        from llguidance import LLMatcher  # noqa: PLC0415 (it comes with the engine, and some platforms have none)
    except ImportError:
        return True, ()
    return LLMatcher.validate_grammar_with_warnings(LLMatcher.grammar_from_lark(text))


def _written(schema: dict[str, object]) -> str:
    # The version of the specification is known here, and one that is not would be a fault.
    plain = {name: value for name, value in schema.items() if name not in ("$schema", "$id")}
    return "%llguidance {}\nstart: %json " + json.dumps(plain | {"x-guidance": _OPTIONS})


def _loose(schema: object) -> bool:
    """Whether a rule in it is enforced only nearly."""
    match schema:
        case dict():
            named = schema.get("patternProperties")
            patterns = [schema.get("pattern"), *(named if isinstance(named, dict) else ())]
            return (
                schema.get("format") in _LOOSE_FORMATS
                or any(isinstance(pattern, str) and _LOOSE_PATTERN.search(pattern) for pattern in patterns)
                or any(_loose(value) for name, value in schema.items() if name not in _DATA)
            )
        case list():
            return any(map(_loose, schema))
        case _:
            return False


def _without_strings(schema: object) -> dict[str, object]:
    """The schema without what it says of strings: their regular expressions are what the engine most often refuses."""
    told = _stripped(schema)
    assert isinstance(told, dict)
    return told


def _stripped(schema: object) -> object:
    match schema:
        case dict():
            return {
                name: value if name in _DATA else _stripped(value)
                for name, value in schema.items()
                if not (name in ("pattern", "format", "minLength", "maxLength") and isinstance(value, str | int))
            }
        case list():
            return [_stripped(one) for one in schema]
        case _:
            return schema
