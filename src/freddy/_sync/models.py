# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`client.models`: which models the server offers."""

from __future__ import annotations

from freddy._sync.transport import Transport, Call
from freddy._settings import path
from freddy.types.models import Model, ModelList


class Models:
    """Models. A model's id goes into `responses.create(model=...)`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> ModelList:
        return ModelList((self._transport.send(Call(method="GET", path=path("models")))).body)

    def get(self, model_id: str) -> Model:
        call = Call(method="GET", path=path("models", model_id))
        return Model((self._transport.send(call)).body)
