"""Owns what is put down of a run, so that any process can perform it: what was looked up, as it was then."""

import msgspec
from msgspec import Struct

from freddy.server.core import items
from freddy.server.core.accounts import Caller


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`before` is what the model reads before the input. `tools` are sealed where they hold something in confidence.

    The other names are those of `core.run.Run`.
    """

    caller: Caller
    before: tuple[items.Item, ...] = ()
    instructions: str | None = None
    model: str
    cache_key: str | None = None
    parallel: bool = False
    answers: tuple[items.ApprovalAnswer, ...] = ()
    providers: tuple[str, ...] = ()
    tools: bytes | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Plan)


def bound_to(organization_id: str, response_id: str) -> tuple[str, ...]:
    """What the sealed tools of a plan belong to: for another response they do not open."""
    return ("plan", organization_id, response_id)


def write(plan: Plan) -> bytes:
    return _encoder.encode(plan)


def read(written: bytes) -> Plan:
    return _decoder.decode(written)
