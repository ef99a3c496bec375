# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`client.models`: which models the server offers."""

from __future__ import annotations

from freddy._sync.transport import Transport, Call
from freddy._settings import path
from freddy.types.models import Model, ModelList


class Models:
    """Models. A model's name goes into `responses.create(model=...)`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        ui_models_only: bool = False,
        include_pricing: bool = False,
        include_details: bool = False,
        include_capabilities: bool = True,
        include_deprecated: bool = False,
    ) -> ModelList:
        """All models. `data` always has every name; the keywords say which `models` there are, and what of them."""
        asked = {
            "ui_models_only": ui_models_only,
            "include_pricing": include_pricing,
            "include_details": include_details,
            "include_deprecated": include_deprecated,
        }
        query = {name: True for name, wanted in asked.items() if wanted}
        if not include_capabilities:
            query["include_capabilities"] = False
        return ModelList((self._transport.send(Call(method="GET", path=path("models"), query=query))).body)

    def get(self, model_id: str) -> Model:
        """One model, with all that is known of it."""
        call = Call(method="GET", path=path("models", model_id))
        return Model((self._transport.send(call)).body)
