"""Owns what a function's result is for a model: a text, of a bounded length."""

from typing import Final

import msgspec

from freddy.server.core import items
from freddy.server.ports.tools import Answer

LARGEST: Final = 1024 * 1024
"""Bytes of a result."""
_encode = msgspec.json.Encoder().encode


def of(result: object, *, source: str) -> Answer:
    """A text as it is, anything else as JSON; what is neither, or too long, is an error."""
    if isinstance(result, str):
        told = result
    else:
        try:
            told = _encode(result).decode()
        except (TypeError, ValueError, OverflowError, RecursionError):
            return failed("the function's result is neither a text nor anything that JSON can say", source=source)
    if len(told) > LARGEST or len(told.encode("utf-8", "replace")) > LARGEST:
        return failed(f"the function's result is larger than {LARGEST:,} bytes", source=source)
    return Answer(parts=(items.Text(_storable(told)),), source=source)


def failed(reason: str, *, source: str) -> Answer:
    return Answer(error=_storable(reason), source=source)


def _storable(text: str) -> str:
    """Without what not every database keeps."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
