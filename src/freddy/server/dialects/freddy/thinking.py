"""Owns how what was thought is packed into one text, which a caller hands back with the output it stood in."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from freddy.server.core import ids, items

_MARK: Final = "freddy:"


class _Thought(Struct, frozen=True, omit_defaults=True):
    """`place` counts the other items of the output that stand before it."""

    encrypted: str
    place: int = 0
    texts: tuple[str, ...] = ()
    summaries: tuple[str, ...] = ()
    hidden: bool = False


_decode = msgspec.json.Decoder(list[_Thought]).decode


def pack(output: Sequence[items.Item]) -> str | None:
    """None where a provider left nothing that it wants to see again."""
    thoughts: list[_Thought] = []
    place = 0
    for item in output:
        if not isinstance(item, items.Reasoning):
            place += 1
        elif item.encrypted:
            thoughts.append(_Thought(item.encrypted, place, item.texts, item.summaries, item.hidden))
    if not thoughts:
        return None
    return _MARK + base64.b64encode(msgspec.json.encode(thoughts)).decode()


def unpack(packed: str, new_id: ids.NewId) -> list[tuple[int, items.Reasoning]]:
    """Each thought with its place; what was not packed here is left to the providers: each knows its own."""
    thoughts = _thoughts(packed.removeprefix(_MARK)) if packed.startswith(_MARK) else None
    if thoughts is None:
        return [(0, items.Reasoning(new_id(ids.REASONING), encrypted=packed))]
    return [
        (
            thought.place,
            items.Reasoning(
                new_id(ids.REASONING),
                texts=thought.texts,
                summaries=thought.summaries,
                encrypted=thought.encrypted,
                hidden=thought.hidden,
            ),
        )
        for thought in thoughts
    ]


def _thoughts(packed: str) -> list[_Thought] | None:
    try:
        return _decode(base64.b64decode(packed, validate=True))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        return None
