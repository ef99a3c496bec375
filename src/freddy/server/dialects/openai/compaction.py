"""Owns `POST /v1/responses/compact`: how it is asked, and how a compacted conversation is written.

https://developers.openai.com/api/docs/guides/compaction
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import compaction, ids, items
from freddy.server.core.request import Compaction, Output, Request
from freddy.server.core.response import Response
from freddy.server.dialects.openai import items as writing
from freddy.server.dialects.openai import request
from freddy.server.dialects.openai.response import UsageView, spell_usage

_PLAIN: Final = Output()


class Compacted(Struct):
    """The user's messages that are kept, then one compaction."""

    id: str
    created_at: int
    output: list[writing.Item]
    usage: UsageView | None
    object: str = "response.compaction"


def decode(body: bytes, new_id: ids.NewId) -> Request:
    """A request that answers nothing. What is said of answers, callers say out of habit: it has no effect.

    Raises as `request.decode`.
    """
    asked = request.decode(body, new_id)
    return replace(
        asked,
        compaction=Compaction(at_once=True),
        tools=(),
        tool_choice="auto",
        output=_PLAIN,
        max_output_tokens=None,
        stream=False,
        background=False,
    )


def encode(response: Response, messages: Sequence[items.Message]) -> bytes:
    show = writing.Show()
    made: list[items.Item] = [item for item in response.output if compaction.is_own(item)]
    return msgspec.json.encode(
        Compacted(
            id=response.id,
            created_at=response.created_at,
            output=[writing.spell(item, show) for item in [*messages, *made]],
            usage=spell_usage(response),
        )
    )
