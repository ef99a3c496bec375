"""The wire of vectors, `POST /embeddings`, as OpenAI made it and many speak it: bodies and answers. Pure.

https://platform.openai.com/docs/api-reference/embeddings/create
"""

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from freddy.server.core import errors
from freddy.server.core.usage import Usage

PATH: Final = "/embeddings"


class _Asked(Struct, omit_defaults=True):
    model: str
    input: Sequence[str] | Sequence[Sequence[int]]
    dimensions: int | None = None
    encoding_format: str | None = None


class _One(Struct):
    embedding: list[float] | str
    index: int | None = None


class _Answer(Struct):
    data: list[_One]


class _Counts(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Counted(Struct):
    usage: _Counts | None = None


def body(
    model: str,
    inputs: Sequence[str] | Sequence[Sequence[int]],
    *,
    dimensions: int | None = None,
    encoding: str | None = None,
) -> bytes:
    """`inputs`: texts, or texts as a model's tokens."""
    return msgspec.json.encode(_Asked(model, inputs, dimensions, encoding))


def vectors(name: str, said: bytes, *, count: int, dimensions: int | None = None) -> list[bytes]:
    """The vectors of an answer in the order of what was sent, of unit length, as little-endian 32-bit floats.

    Raises `errors.ProviderFailed` where they are not `count`, or not all of as many numbers (of `dimensions`, if told).
    """
    try:
        told = msgspec.json.decode(said, type=_Answer).data
        numbers = [_numbers(one.embedding) for one in told]
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise errors.ProviderFailed(f"{name} answered something else than vectors") from error
    if len(told) != count:
        raise errors.ProviderFailed(f"{name} answered {len(told)} vectors for {count} texts")
    places = [place if one.index is None else one.index for place, one in enumerate(told)]
    if sorted(places) != list(range(count)):
        raise errors.ProviderFailed(f"{name} did not say which vector is whose")
    want = dimensions or (len(numbers[0]) if numbers else 0)
    wrong = next((len(one) for one in numbers if len(one) != want), None)
    if wrong is not None or want == 0:
        raise errors.ProviderFailed(
            f"{name} answered a vector of {wrong or 0} numbers where {want} were expected",
            details="vectors of one model must all be of one length: check embeddings.dimensions in the settings",
        )
    ordered = [numbers[at] for at in sorted(range(count), key=places.__getitem__)]
    return [_unit(name, one) for one in ordered]


def usage(said: bytes) -> Usage | None:
    """What the vendor counted. None where it did not, or not in numbers that could be."""
    try:
        told = msgspec.json.decode(said, type=_Counted).usage
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    tokens = told and (told.prompt_tokens or told.total_tokens)
    return Usage(input_tokens=tokens) if tokens and tokens > 0 else None


def readable(text: str) -> str:
    """The text as it can be sent: half characters and NULs are replaced."""
    if "\0" in text:
        text = text.replace("\0", " ")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _numbers(told: list[float] | str) -> "array[float]":
    """Raises ValueError for what is no row of numbers."""
    if isinstance(told, list):
        return array("f", told)
    numbers = array("f", base64.b64decode(told, validate=True))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _unit(name: str, numbers: "array[float]") -> bytes:
    length = math.hypot(*numbers)
    if not (math.isfinite(length) and length > 0):
        raise errors.ProviderFailed(f"{name} answered a vector that points nowhere")
    unit = array("f", (number / length for number in numbers))
    if sys.byteorder == "big":
        unit.byteswap()
    return unit.tobytes()
