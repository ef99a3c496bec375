"""How often a webhook may be tried, and events be delivered again."""

import asyncio

import pytest
from gateway import Gateway
from webhooks_stage import THEIRS, Receiver, WebhookStage

from callers import caller
from freddy.server.core import errors
from freddy.server.resources.pacing import Pacing
from freddy.server.resources.webhooks import REDELIVERIES_A_MINUTE, TESTS_A_MINUTE
from freddy_fakes import FixedClock


def wait(pacing: Pacing, name: str = "a") -> float | None:
    """Seconds to wait; None where it was let through."""
    try:
        pacing.take(name, refusal="Too often")
    except errors.RateLimited as refusal:
        return refusal.retry_after
    return None


def test_all_of_a_minute_may_come_at_once_and_each_other_name_has_its_own():
    pacing = Pacing(FixedClock(), a_minute=4)
    assert [wait(pacing) for _ in range(6)] == [None] * 4 + [15, 15]
    assert wait(pacing, "b") is None
    with pytest.raises(errors.RateLimited) as refused:
        pacing.take("a", refusal="Too often")
    assert (refused.value.message, refused.value.details) == ("Too often", "try again in 15 seconds")


def test_who_comes_as_often_as_that_never_waits():
    clock = FixedClock()
    pacing = Pacing(clock, a_minute=4)
    for _ in range(40):
        assert wait(pacing) is None
        clock.advance(15)


def test_each_waits_until_its_time_and_a_minute_of_rest_gives_all_of_them_back():
    clock = FixedClock()
    pacing = Pacing(clock, a_minute=4)
    assert [wait(pacing) for _ in range(4)] == [None] * 4
    clock.advance(14)
    assert wait(pacing) == 1
    clock.advance(1)
    assert [wait(pacing), wait(pacing)] == [None, 15]
    clock.advance(600)
    assert [wait(pacing) for _ in range(5)] == [None] * 4 + [15]


async def test_a_webhook_is_tested_so_often_in_a_minute_and_others_are_not_held_up(
    stage: WebhookStage, receiver: Receiver
):
    made, other = await stage.made(receiver.url), await stage.made(receiver.url)
    for _ in range(TESTS_A_MINUTE):
        assert (await stage.webhooks.test(caller(), made.kept.id)).outcome.failure is None
    with pytest.raises(errors.RateLimited) as refused:
        await stage.webhooks.test(caller(), made.kept.id)
    assert f"tested {TESTS_A_MINUTE} times within a minute" in refused.value.message
    assert refused.value.retry_after == 60 / TESTS_A_MINUTE
    assert len(receiver.heard) == TESTS_A_MINUTE
    assert (await stage.webhooks.test(caller(), other.kept.id)).outcome.failure is None
    # Those of others learn nothing by it, and take nothing away.
    with pytest.raises(errors.NotFound):
        await stage.webhooks.test(caller(THEIRS), made.kept.id)
    stage.clock.advance(60 / TESTS_A_MINUTE)
    assert (await stage.webhooks.test(caller(), made.kept.id)).outcome.failure is None


async def test_events_are_delivered_again_so_often_in_a_minute(stage: WebhookStage, receiver: Receiver):
    made = await stage.made(receiver.url)
    await stage.ended()
    for _ in range(REDELIVERIES_A_MINUTE):
        assert (await stage.webhooks.redeliver(caller(), made.kept.id, "evt_1")).status == "pending"
    with pytest.raises(errors.RateLimited) as refused:
        await stage.webhooks.redeliver(caller(), made.kept.id, "evt_1")
    assert f"{REDELIVERIES_A_MINUTE} events" in refused.value.message
    # A test is no delivery.
    assert (await stage.webhooks.test(caller(), made.kept.id)).outcome.failure is None


@pytest.mark.parametrize("path", ["/v1/webhooks", "/v1/webhook_endpoints"])
async def test_who_tests_too_often_is_told_when_to_come_again(gateway: Gateway, receiver: Receiver, path: str):
    webhook = (await gateway.post("/v1/webhooks", {"url": receiver.url})).json()
    tests = (gateway.post(f"{path}/{webhook['id']}/test", {}) for _ in range(TESTS_A_MINUTE * 2))
    replies = await asyncio.gather(*tests)
    refused = next(reply for reply in replies if reply.status_code != 200)
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert len(receiver.heard) == sum(reply.status_code == 200 for reply in replies)
