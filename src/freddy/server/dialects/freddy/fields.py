"""Owns the reading of a caller's JSON: by canonical names, with errors that name the place and the cure."""

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final, TypeVar

import msgspec

from freddy.server.core import errors, ids
from freddy.server.dialects.freddy.aliases import Names

T = TypeVar("T")

LARGEST: Final = 2**31 - 1
"""The largest count a caller may name."""

_BOM: Final = "\ufeff"
_PAIRS: Final = 16
_KEY: Final = 64
_VALUE: Final = 512
_THREAD_ID: Final = re.compile(rf"[A-Za-z0-9_.:-]{{1,{ids.LONGEST}}}", re.ASCII)
_decode = msgspec.json.Decoder().decode


def read(body: bytes) -> dict[str, object]:
    """The object that a body holds; an empty body is an empty object."""
    try:
        text = body.decode().removeprefix(_BOM)
    except UnicodeDecodeError as error:
        raise errors.InvalidJson("The body is not valid JSON", details=f"not UTF-8 (byte {error.start})") from None
    if not text or text.isspace():
        return {}
    try:
        value = _decode(text)
    except msgspec.DecodeError as error:
        reason = str(error)
        place = "" if "byte" in reason else f" (of {len(body)} bytes)"
        raise errors.InvalidJson("The body is not valid JSON", details=reason + place) from None
    except RecursionError:
        raise too_deep() from None
    if type(value) is not dict:
        raise errors.InvalidInput("The body must be a JSON object")
    return value


def too_deep() -> errors.InvalidJson:
    return errors.InvalidJson("The body is not valid JSON", details="it is nested too deeply")


def raw(value: object) -> msgspec.Raw:
    """A JSON value as compact text, its keys in the caller's order."""
    return msgspec.Raw(text(value).encode())


def text(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except OverflowError:  # msgspec writes integers of up to 64 bits only
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def check_thread_id(place: str, value: str) -> str:
    """Callers choose ids of threads; they must fit into a URL's path."""
    if not _THREAD_ID.fullmatch(value):
        raise errors.InvalidValue(place, f"must be 1 to {ids.LONGEST} letters, digits, _, -, . or :")
    return value


class Fields:
    """An object's fields by canonical name. A null field reads as an absent one.

    `open_` objects may have keys that no table knows; they are left alone.
    """

    __slots__ = ("_nulls", "_spelled", "_values", "path")

    def __init__(self, value: object, names: Names, path: str = "", *, open_: bool = False) -> None:
        if type(value) is not dict:
            raise errors.InvalidValue(path, "must be an object")
        self.path = path
        self._spelled: dict[str, str] = {}
        values: dict[str, object] = {}
        self._values = values
        self._nulls: set[str] = set()
        for key, each in value.items():
            name = names.get(key)
            if name is None:
                if open_:
                    continue
                raise self._unknown(key, names)
            if each is None:
                self._nulls.add(name)
                continue
            if name in values and values[name] != each:
                other = self._spelled.get(name, name)
                raise errors.InvalidValue(self._join(key), f"and {other} say different things: send one")
            values[name] = each
            if key != name:
                self._spelled[name] = key

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def lacks(self, names: frozenset[str]) -> bool:
        """Whether none of these has a value: one step for many fields, since most requests are small."""
        return names.isdisjoint(self._values)

    def given(self, name: str) -> bool:
        """Whether the field is there, be it null."""
        return name in self._values or name in self._nulls

    def get(self, name: str) -> object | None:
        return self._values.get(name)

    def place(self, name: str) -> str:
        """The path of a field as the caller spelled it."""
        return self._join(self._spelled.get(name, name))

    def wrong(self, name: str, want: str) -> errors.InvalidValue:
        return errors.InvalidValue(self.place(name), want)

    def string(self, name: str, *, least: int = 0, most: int | None = None) -> str | None:
        value = self._values.get(name)
        if value is None:
            return None
        if type(value) is not str:
            raise self.wrong(name, "must be a string")
        if len(value) < least:
            raise self.wrong(name, "must not be empty")
        if most is not None and len(value) > most:
            raise self.wrong(name, f"must be at most {most} characters long")
        return value

    def identifier(self, name: str) -> str | None:
        return self.string(name, least=1, most=ids.LONGEST)

    def boolean(self, name: str) -> bool | None:
        value = self._values.get(name)
        if value is not None and type(value) is not bool:
            raise self.wrong(name, "must be true or false")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.boolean(name)
        return default if value is None else value

    def number(self, name: str, low: int, high: int) -> float | None:
        value = self._values.get(name)
        if value is None:
            return None
        if type(value) is not float and type(value) is not int:
            raise self.wrong(name, f"must be a number between {low} and {high}")
        if not low <= value <= high:
            raise self.wrong(name, f"must be between {low} and {high}")
        return float(value)

    def integer(self, name: str, low: int, high: int = LARGEST) -> int | None:
        value = self._values.get(name)
        if value is None:
            return None
        if type(value) is not int:
            raise self.wrong(name, "must be an integer")
        if value < low and high == LARGEST:
            raise self.wrong(name, f"must be at least {low}")
        if not low <= value <= high:
            raise self.wrong(name, f"must be between {low} and {high}")
        return value

    def choice(self, name: str, options: Mapping[str, T]) -> T | None:
        value = self._values.get(name)
        if value is None:
            return None
        if type(value) is not str or value not in options:
            raise self.wrong(name, f"must be one of {', '.join(options)}")
        return options[value]

    def mapping(self, name: str) -> dict[str, object] | None:
        value = self._values.get(name)
        if value is None:
            return None
        if type(value) is not dict:
            raise self.wrong(name, "must be an object")
        return value

    def array(self, name: str) -> Sequence[tuple[str, object]]:
        """The entries of an array, each with its path."""
        value = self._values.get(name)
        if value is None:
            return ()
        if type(value) is not list:
            raise self.wrong(name, "must be an array")
        place = self.place(name)
        return [(f"{place}[{index}]", each) for index, each in enumerate(value)]

    def strings(self, name: str) -> tuple[str, ...]:
        return tuple(_string(place, each) for place, each in self.array(name))

    def metadata(self) -> dict[str, str] | None:
        """Up to 16 pairs of texts: keys of at most 64 characters, values of at most 512."""
        value = self.mapping("metadata")
        if value is None:
            return None
        if len(value) > _PAIRS:
            raise self.wrong("metadata", f"must have at most {_PAIRS} pairs")
        pairs: dict[str, str] = {}
        for key, each in value.items():
            if len(key) > _KEY:
                raise self.wrong("metadata", f"must have keys of at most {_KEY} characters")
            if type(each) is not str:
                raise errors.InvalidValue(f"{self.place('metadata')}.{key}", "must be a string")
            if len(each) > _VALUE:
                raise errors.InvalidValue(
                    f"{self.place('metadata')}.{key}", f"must be at most {_VALUE} characters long"
                )
            if "\0" in key or "\0" in each:  # not every database keeps it
                raise self.wrong("metadata", "must not have the character U+0000 in it")
            pairs[key] = each
        return pairs

    def _join(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _unknown(self, key: str, names: Names) -> errors.UnknownParameter:
        param = self._join(key[:_KEY])
        close = get_close_matches(key[:_KEY], names, n=1, cutoff=0.7)
        hint = f"did you mean {self._join(close[0])}?" if close else None
        return errors.UnknownParameter(f"Unknown parameter: {param!r}", param=param, details=hint)


def _string(place: str, value: object) -> str:
    if type(value) is not str:
        raise errors.InvalidValue(place, "must be a string")
    return value
