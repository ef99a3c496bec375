"""The contract of `ApprovalStore`."""

import asyncio

import pytest
from contract_examples import ACME, OTHERS

from freddy.server.ports.approvals import ApprovalStore, Claim
from freddy.server.stores.sql.approvals import SqlApprovals
from freddy.server.stores.sql.connection import Database

FIRST = Claim("resp_1", approve=True, at=1_000)
SECOND = Claim("resp_2", approve=False, at=1_001)


@pytest.fixture
def store(database: Database) -> ApprovalStore:
    return SqlApprovals(database)


async def test_the_first_claim_stands(store: ApprovalStore) -> None:
    assert await store.claim(ACME, "mcpr_1", FIRST) == FIRST
    assert await store.claim(ACME, "mcpr_1", SECOND) == FIRST
    assert await store.claim(ACME, "mcpr_1", FIRST) == FIRST


async def test_each_request_is_answered_by_itself(store: ApprovalStore) -> None:
    assert await store.claim(ACME, "mcpr_1", FIRST) == FIRST
    assert await store.claim(ACME, "mcpr_2", SECOND) == SECOND


async def test_organizations_do_not_answer_for_each_other(store: ApprovalStore) -> None:
    assert await store.claim(ACME, "mcpr_1", FIRST) == FIRST
    assert await store.claim(OTHERS, "mcpr_1", SECOND) == SECOND
    await store.release(OTHERS, "mcpr_1", "resp_1")
    assert await store.claim(ACME, "mcpr_1", SECOND) == FIRST


async def test_what_is_released_may_be_claimed_again(store: ApprovalStore) -> None:
    await store.claim(ACME, "mcpr_1", FIRST)
    await store.release(ACME, "mcpr_1", "resp_1")
    assert await store.claim(ACME, "mcpr_1", SECOND) == SECOND


async def test_nobody_releases_the_claim_of_another(store: ApprovalStore) -> None:
    await store.claim(ACME, "mcpr_1", FIRST)
    await store.release(ACME, "mcpr_1", "resp_2")
    await store.release(ACME, "mcpr_2", "resp_1")
    assert await store.claim(ACME, "mcpr_1", SECOND) == FIRST


async def test_of_many_at_once_one_has_the_claim_and_all_are_told(store: ApprovalStore) -> None:
    claims = [Claim(f"resp_{number}", approve=bool(number % 2), at=number) for number in range(20)]
    told = await asyncio.gather(*(store.claim(ACME, "mcpr_1", claim) for claim in claims))
    assert len({claim.response_id for claim in told}) == 1
    assert told[0] in claims
