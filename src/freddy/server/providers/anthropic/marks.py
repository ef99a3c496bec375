"""Marks what Anthropic must see again of a thought, so that only that is sent back, and only there. Pure.

The mark holds the thought itself, too: callers who keep the conversation themselves may hand back nothing else.
"""

import base64
import binascii
import zlib
from typing import Final

_WIRE: Final = "anthropic"
_LONGEST: Final = 4 * 1024 * 1024
"""Bytes of a thought; what claims to be longer was not made here."""


def signed(provider: str, thinking: str, signature: str) -> str:
    packed = base64.b64encode(zlib.compress(thinking.encode(), 1)).decode()
    return f"{_mark(provider)}thinking:{packed}:{signature}"


def redacted(provider: str, data: str) -> str:
    return f"{_mark(provider)}redacted::{data}"


def block(provider: str, encrypted: str | None) -> dict[str, object] | None:
    """The block that the vendor once sent, as it was; None for what is not from `provider`.

    A changed block would be refused: https://platform.claude.com/docs/en/build-with-claude/extended-thinking
    """
    mark = _mark(provider)
    if encrypted is None or not encrypted.startswith(mark):
        return None
    kind, _, rest = encrypted[len(mark) :].partition(":")
    packed, _, proof = rest.partition(":")
    if not proof:
        return None
    if kind == "redacted":
        return {"type": "redacted_thinking", "data": proof}
    thinking = _unpacked(packed) if kind == "thinking" else None
    return None if thinking is None else {"type": "thinking", "thinking": thinking, "signature": proof}


def _mark(provider: str) -> str:
    return f"{_WIRE}:{provider}:"


def _unpacked(packed: str) -> str | None:
    """The mark went through the hands of a caller."""
    try:
        unpacking = zlib.decompressobj()
        thinking = unpacking.decompress(base64.b64decode(packed, validate=True), _LONGEST)
        return thinking.decode() if unpacking.eof else None
    except (binascii.Error, zlib.error, UnicodeDecodeError):
        return None
