"""The dialect of `POST /v1/responses`: OpenAI's shapes and nothing else."""

from collections.abc import Iterable
from typing import Final

from freddy.server.core.errors import Failure
from freddy.server.core.ids import NewId
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.dialects import base
from freddy.server.dialects.openai import errors, events, request, response
from freddy.server.dialects.openai.compaction import decode as decode_compacted
from freddy.server.dialects.openai.compaction import encode as encode_compacted
from freddy.server.dialects.openai.events import EventEncoder
from freddy.server.dialects.openai.items import (
    encode_deleted,
    encode_input_items,
    encode_input_tokens,
    encode_item,
)

__all__ = [
    "OPENAI",
    "EventEncoder",
    "decode_compacted",
    "decode_counted",
    "decode_warming",
    "encode_compacted",
    "encode_deleted",
    "encode_input_items",
    "encode_input_tokens",
    "encode_item",
]


class _OpenAI:
    name = "openai"
    end_of_stream = events.END_OF_STREAM

    def decode_request(self, body: bytes, new_id: NewId) -> Request:
        return request.decode(body, new_id)

    def decode_include(self, names: Iterable[str]) -> tuple[str, ...]:
        return request.decode_include(names)

    def encode_response(self, response_: Response) -> bytes:
        return response.encode(response_)

    def event_encoder(self, response_: Response) -> base.EncodeEvent:
        return EventEncoder(response_)

    def encode_error(self, failure: Failure) -> tuple[int, bytes]:
        return errors.encode(failure)


def decode_counted(body: bytes, new_id: NewId, *, model: str) -> Request:
    """The body of `POST /v1/responses/input_tokens`: a request that need not name a model."""
    return request.decode(body, new_id, model=model)


def decode_warming(body: bytes, new_id: NewId) -> Request:
    """The body of a request that only says what is to come: it need not have an input."""
    return request.decode(body, new_id, empty=True)


OPENAI: Final[base.Dialect] = _OpenAI()
