"""`client.models`: which models the server offers."""

from __future__ import annotations

from freddy._async.transport import AsyncTransport, Call
from freddy._settings import path
from freddy.types.models import Model, ModelList


class AsyncModels:
    """Models. A model's id goes into `responses.create(model=...)`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(self) -> ModelList:
        return ModelList((await self._transport.send(Call(method="GET", path=path("models")))).body)

    async def get(self, model_id: str) -> Model:
        call = Call(method="GET", path=path("models", model_id))
        return Model((await self._transport.send(call)).body)
