"""Goes through all that is kept sealed, but the keys for upstreams, and says of each kind what to do where it fails."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from freddy.server.ports.records import Kind
from freddy.server.ports.sealer import SealedRows, Sealer
from freddy.server.ports.world import Clock
from freddy.server.resources import resealing
from freddy.server.resources.resealing import Form, Resealed, SealedRecords
from freddy.server.runtime.resealing import of_answers, of_plans
from freddy.server.stores.sql import sealed
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.records import SqlRecords


class Words(Struct, frozen=True):
    """`key` is for JSON, `several` what they are called; `lost` begins the sentence of one that cannot be opened.

    `cure` ends it, where the secret key is gone.
    """

    key: str
    several: str
    lost: str
    cure: str


_MCP: Final = Words(
    "mcp_configurations", "MCP configurations", "the credentials of the MCP configuration", "send them again"
)
_FUNCTIONS: Final = Words(
    "functions",
    "functions",
    "a secret of the function",
    "send its headers again with PATCH, and make another secret with POST /v1/functions/{id}/rotate-secret",
)
_WEBHOOKS: Final = Words(
    "webhooks", "webhooks", "a secret of the webhook", "make another with POST /v1/webhooks/{id}/rotate"
)
_RUNS: Final = Words(
    "runs",
    "responses that are being made",
    "what the tools of the response are told in confidence,",
    "cancel it, and ask again",
)
_ANSWERS: Final = Words(
    "answers",
    "answers to requests with an idempotency key",
    "the kept answer to the idempotency key",
    "wait: it is forgotten within a day",
)


async def resealed(database: Database, *, sealer: Sealer, clock: Clock) -> list[tuple[Words, Resealed]]:
    """Seals all of it with the first secret key."""
    accounts = SqlAccounts(database)
    organizations = (*await accounts.list_organizations(), *await accounts.list_deleted_organizations())
    kinds = _kinds(database, [organization.id for organization in organizations], now=clock.now())
    return [(words, await resealing.reseal(rows, form, sealer)) for words, rows, form in kinds]


def _kinds(database: Database, organization_ids: list[str], *, now: float) -> Iterator[tuple[Words, SealedRows, Form]]:
    records = SqlRecords(database)

    def kept(kind: Kind) -> SealedRecords:
        return SealedRecords(records, kind, organization_ids=organization_ids)

    yield _MCP, kept("mcp_configuration"), resealing.of_mcp_configurations()
    yield _FUNCTIONS, kept("function"), resealing.of_functions(now)
    yield _WEBHOOKS, kept("webhook"), resealing.of_webhooks(now)
    yield _RUNS, sealed.plans(database), of_plans()
    yield _ANSWERS, sealed.answers(database), of_answers()
