"""Owns reading JSON into a shape, and the error that says which parameter did not fit and what would."""

import re
from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from freddy.server.core import errors

T = TypeVar("T")

_EXPECTED = re.compile(r"Expected `([^`]+)`, got")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_PATH = re.compile(r" - at `\$([^`]*)`$")
_BYTE = re.compile(r"\(byte (\d+)\)$")
_WORDS = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


class Shape(Generic[T]):
    """A JSON shape. Shapes are lenient: no unknown key and no absent value is an error here."""

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(kind)

    def read(self, raw: bytes | msgspec.Raw, at: str = "") -> T:
        """`at` is the path of what is read, as the caller of the API would write it: `input[2]`."""
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            complaint = str(error)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _malformed(error, len(bytes(raw)), at) from None
        except RecursionError:
            raise errors.InvalidJson("The request body is nested too deeply.", param=at or None) from None
        # Raised out here so that no cause hangs on: msgspec's own words may quote the caller's content.
        raise _misfit(complaint, at)


def check_utf8(body: bytes) -> None:
    """What is kept as it came is never decoded again, so the whole body is looked at once."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise _malformed(error, len(body), "") from None


def pick(choices: Mapping[str, T], value: str, at: str) -> T:
    """The meaning of a word out of a closed list."""
    if value in choices:
        return choices[value]
    raise errors.InvalidValue(at, f"must be one of {', '.join(map(repr, choices))}")


def missing(at: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(f"Missing required parameter: '{at}'.", param=at, code="missing_required_parameter")


def is_object(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"


def given(raw: msgspec.Raw) -> bool:
    """Neither absent nor null."""
    return bytes(raw) not in (b"", b"null")


def an_object(raw: msgspec.Raw, at: str) -> msgspec.Raw:
    if not is_object(raw):
        raise errors.InvalidValue(at, "must be an object")
    return raw


def _malformed(error: msgspec.DecodeError | UnicodeDecodeError, length: int, at: str) -> errors.InvalidJson:
    fault = "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON"
    if at:
        return errors.InvalidJson(f"The request body is not valid {fault} (in '{at}').", param=at)
    byte = _BYTE.search(str(error))
    position = error.start if isinstance(error, UnicodeDecodeError) else byte[1] if byte else length
    return errors.InvalidJson(f"The request body is not valid {fault} (at byte {position}).")


def _misfit(complaint: str, at: str) -> errors.FreddyError:
    found = _PATH.search(complaint)
    path = (at + found[1] if found else at).removeprefix(".")
    if lost := _MISSING.search(complaint):
        return missing(f"{path}.{lost[1]}" if path else lost[1])
    expected = _EXPECTED.match(complaint)
    if not expected:
        return errors.InvalidValue(path, "is out of range")
    words = [_WORDS.get(word, word) for word in expected[1].split(" | ")]
    if not path:
        return errors.InvalidJson("The request body must be a JSON object.")
    # Null is let pass everywhere, but nobody is told to send it.
    wanted = [word for word in words if word != "null"] or words
    return errors.InvalidValue(path, f"must be {' or '.join(wanted)}")
