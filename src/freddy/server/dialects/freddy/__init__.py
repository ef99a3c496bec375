"""Owns the dialect of /v1/model/response: `FREDDY`."""

from collections.abc import Iterable
from typing import Final

from freddy.server.core.errors import Failure
from freddy.server.core.ids import NewId
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.dialects.base import EncodeEvent
from freddy.server.dialects.freddy import errors, events, request, response


class Freddy:
    name: str = "freddy"
    end_of_stream: bytes = b""
    """Nothing: clients parse every data line as JSON, and the terminal event says that it is over."""

    def __init__(self, units: response.Units = response.ONE_TO_ONE) -> None:
        self._units = units

    def decode_request(self, body: bytes, new_id: NewId) -> Request:
        return request.decode_request(body, new_id)

    def decode_include(self, names: Iterable[str]) -> tuple[str, ...]:
        return request.decode_include((f"include[{place}]", name) for place, name in enumerate(names))

    def encode_response(self, response_: Response) -> bytes:
        return response.encode_response(response_, units=self._units)

    def event_encoder(self, response_: Response) -> EncodeEvent:
        return events.Teller(response_, self._units)

    def encode_error(self, failure: Failure) -> tuple[int, bytes]:
        return errors.encode_error(failure)


FREDDY: Final = Freddy()
"""With one token to a neuron and to a synapse."""
