"""Deliveries, over either database and a real socket, with a clock that is told to go on."""

import asyncio
import logging

import pytest
from msgspec.structs import replace
from webhooks_stage import OK, THEIRS, Receiver, WebhookStage, answer, response, signature_parts, unwrapped

from callers import caller
from freddy.server.core import errors
from freddy.server.core.networks import Opening
from freddy.server.core.webhooks import Change, Outcome
from freddy.server.listeners.webhook_posts import HttpPost
from freddy.server.outward import CheckedOutward
from freddy.server.ports.stores import Page
from freddy.server.ports.webhooks import Endpoint
from freddy.server.sealing import AesSealer
from freddy.server.stores.sql.connection import Connection
from freddy.server.stores.sql.statements import Statement
from freddy.server.stores.sql.webhooks import due
from freddy.server.world import SystemClock
from upstream import PATIENCE

DAY = 24 * 3600


class _Counting:
    """A connection that counts what it is asked."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.asked = 0

    async def all(self, statement: Statement, **values):
        self.asked += 1
        return await self._inner.all(statement, **values)

    async def run(self, statement: Statement, **values):
        self.asked += 1
        return await self._inner.run(statement, **values)


async def test_an_end_is_told_at_once_and_the_official_client_verifies_it(database, tmp_path, receiver: Receiver):
    stage = WebhookStage(database, tmp_path)
    stage.clock.advance(SystemClock().now() - stage.clock.now())
    made = await stage.made(receiver.url)
    async with stage.working() as deliveries:
        over = await stage.ended()
        deliveries.run_finished(over, seconds=1, first_delta_seconds=None)
        [heard] = await receiver.wait_heard(1)
        done = await stage.until(made, lambda one: one.status == "delivered")
    assert heard.told == {
        "id": "evt_1",
        "object": "event",
        "created_at": 1_700_000_000,
        "type": "response.completed",
        "data": {"id": "resp_1"},
    }
    event = unwrapped(made.secret, heard)
    assert type(event).__name__ == "ResponseCompletedWebhookEvent"
    assert (event.id, event.data.id) == ("evt_1", "resp_1")
    assert heard.headers["webhook-id"] == "evt_1"
    assert heard.headers["content-type"] == "application/json"
    assert (done.attempts, done.status_code, done.failure) == (1, 204, None)
    assert stage.counts == ["delivered"]


async def test_each_webhook_hears_what_it_wants_and_nobody_hears_of_others(stage: WebhookStage):
    everything = await stage.made("http://127.0.0.1:9/a")
    failures = await stage.made("http://127.0.0.1:9/b", event_types=("response.failed",))
    off = await stage.made("http://127.0.0.1:9/c", enabled=False)
    theirs = await stage.made("http://127.0.0.1:9/d", by=caller(THEIRS))
    await stage.ended(1)
    await stage.ended(2, status="failed")
    await stage.ended(3, background=False)
    await stage.ended(4, status="requires_action", organization=THEIRS)
    assert sorted(await stage.all(everything)) == ["evt_1", "evt_2"]
    assert sorted(await stage.all(failures)) == ["evt_2"]
    assert await stage.all(off) == {}
    [(name, told)] = (await stage.all(theirs)).items()
    assert (name, told.event_type) == ("evt_4", "response.requires_action")


async def test_an_end_that_is_kept_again_is_the_same_event(stage: WebhookStage):
    made = await stage.made("http://127.0.0.1:9/a")
    over = await stage.ended()
    await stage.responses.finish(over)
    await stage.database.write(lambda connection: due(connection, over))
    assert list(await stage.all(made)) == ["evt_1"]


async def test_who_has_no_webhook_costs_one_look_and_others_nothing(stage: WebhookStage):
    async def cost(over):
        async def work(connection):
            counting = _Counting(connection)
            await due(counting, over)
            return counting.asked

        return await stage.database.write(work)

    assert await cost(response()) == 1
    assert await cost(response(background=False)) == 0
    await stage.made("http://127.0.0.1:9/a", event_types=("response.failed",))
    assert await cost(response()) == 1


async def test_an_end_that_is_not_kept_is_not_told(stage: WebhookStage):
    made = await stage.made("http://127.0.0.1:9/a")

    async def work(connection):
        await due(connection, response())
        raise errors.Conflict("no")

    with pytest.raises(errors.Conflict):
        await stage.database.write(work)
    assert await stage.all(made) == {}


async def test_what_fails_is_tried_again_when_its_time_has_come_with_the_same_id(
    stage: WebhookStage, receiver: Receiver
):
    receiver.answers = [answer(500), answer(429), OK]
    made = await stage.made(receiver.url)
    await stage.ended()
    async with stage.working() as deliveries:
        first = await stage.failed_after(made, 1)
        assert (first.status, first.status_code, first.failure) == ("pending", 500, "status")
        assert first.next_at == stage.clock.now() + 15
        deliveries.wake()  # it is not time yet
        stage.clock.advance(15)
        deliveries.wake()
        second = await stage.failed_after(made, 2)
        assert second.next_at == stage.clock.now() + 60
        stage.clock.advance(60)
        deliveries.wake()
        await stage.until(made, lambda one: one.status == "delivered")
    assert len(receiver.heard) == 3
    assert {heard.headers["webhook-id"] for heard in receiver.heard} == {"evt_1"}
    assert {heard.body for heard in receiver.heard} == {receiver.heard[0].body}
    times = [int(heard.headers["webhook-timestamp"]) for heard in receiver.heard]
    assert [time - times[0] for time in times] == [0, 15, 75]
    assert stage.counts == ["retried", "retried", "delivered"]


async def test_the_other_side_may_ask_for_more_time(stage: WebhookStage, receiver: Receiver):
    receiver.answers = [answer(503, "retry-after: 900")]
    made = await stage.made(receiver.url)
    await stage.ended()
    async with stage.working():
        assert (await stage.failed_after(made, 1)).next_at == stage.clock.now() + 900


async def test_a_delivery_is_given_up_after_its_last_attempt_and_can_be_made_again(
    database, tmp_path, receiver: Receiver
):
    stage = WebhookStage(database, tmp_path, attempts=2)
    receiver.answers = [answer(500)]
    made = await stage.made(receiver.url)
    await stage.ended()
    async with stage.working() as deliveries:
        await stage.failed_after(made, 1)
        stage.clock.advance(15)
        deliveries.wake()
        over = await stage.until(made, lambda one: one.status == "failed")
        assert (over.attempts, over.ended_at) == (2, stage.clock.now())
        receiver.answers = [OK]
        again = await stage.webhooks.redeliver(caller(), made.kept.id, "evt_1")
        assert (again.status, again.attempts) == ("pending", 0)
        done = await stage.until(made, lambda one: one.status == "delivered")
    assert (done.attempts, done.failure) == (1, None)
    assert {heard.headers["webhook-id"] for heard in receiver.heard} == {"evt_1"}
    assert stage.counts == ["retried", "failed", "delivered"]


async def test_410_disables_a_webhook_and_what_waits_for_it_fails(stage: WebhookStage, receiver: Receiver, caplog):
    receiver.answers = [answer(410)]
    made = await stage.made(receiver.url)
    await stage.ended(1)
    async with stage.working() as deliveries:
        gone = await stage.until(made, lambda one: one.status == "failed")
        assert gone.failure == "gone"
        async with asyncio.timeout(PATIENCE):
            while (kept := await stage.webhooks.get(caller(), made.kept.id)).value.enabled:
                pass
        assert kept.value.disabled_because == "gone"
        assert any(record.message == "webhook_disabled" for record in caplog.records)
        await stage.ended(2)
        assert await stage.delivery(made, 2) is None
        with pytest.raises(errors.Conflict):
            await stage.webhooks.redeliver(caller(), made.kept.id, "evt_1")
        receiver.answers = [OK]
        await stage.webhooks.change(caller(), made.kept.id, Change(enabled=True))
        await stage.webhooks.redeliver(caller(), made.kept.id, "evt_1")
        await stage.until(made, lambda one: one.status == "delivered")
        await stage.webhooks.change(caller(), made.kept.id, Change(enabled=False))
        await stage.line.again(made.kept.id, "evt_1", int(stage.clock.now()))
        deliveries.wake()
        assert (await stage.until(made, lambda one: one.status == "failed")).failure == "disabled"


async def test_a_webhook_to_which_nothing_comes_for_days_is_disabled(database, tmp_path, receiver: Receiver):
    stage = WebhookStage(database, tmp_path, attempts=1)
    receiver.answers = [answer(500)]
    made = await stage.made(receiver.url)
    async with stage.working() as deliveries:

        async def give_up(number):
            await stage.ended(number, completed_at=int(stage.clock.now()))
            deliveries.wake()
            await stage.until(made, lambda one: one.status == "failed", number)

        await give_up(1)
        stage.clock.advance(2 * DAY)
        receiver.answers = [OK]
        await stage.ended(2, completed_at=int(stage.clock.now()))
        deliveries.wake()
        await stage.until(made, lambda one: one.status == "delivered", 2)
        receiver.answers = [answer(500)]
        stage.clock.advance(2 * DAY)
        await give_up(3)  # four days after the first failure, but something was delivered since
        stage.clock.advance(2 * DAY)
        await give_up(4)
        assert (await stage.webhooks.get(caller(), made.kept.id)).value.enabled
        stage.clock.advance(DAY)
        await give_up(5)
        async with asyncio.timeout(PATIENCE):
            while (kept := await stage.webhooks.get(caller(), made.kept.id)).value.enabled:
                pass
        assert kept.value.disabled_because == "failing"
        # Enabled again it has as many days as before.
        stage.clock.advance(1)
        await stage.webhooks.change(caller(), made.kept.id, Change(enabled=True))
        await give_up(6)
        assert (await stage.webhooks.get(caller(), made.kept.id)).value.enabled


@pytest.mark.parametrize(
    ("said", "failure", "status_code"),
    [
        (answer(302, "location: http://127.0.0.1:9/elsewhere"), "redirect", 302),
        (answer(307, "location: /a-path-that-is-secret"), "redirect", 307),
        (b"no HTTP at all\r\n\r\n", "broken", None),
        (b"", "broken", None),
    ],
)
async def test_what_is_no_success_is_told_by_a_word(stage: WebhookStage, receiver, said, failure, status_code):
    receiver.answers = [said]
    made = await stage.made(receiver.url)
    await stage.ended()
    async with stage.working():
        one = await stage.failed_after(made, 1)
    assert (one.failure, one.status_code, one.status) == (failure, status_code, "pending")
    assert len(receiver.heard) == 1


async def test_of_an_answer_only_the_status_counts_however_long_it_is(stage: WebhookStage, receiver: Receiver):
    receiver.answers = [b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n" + b"x" * 200_000]
    made = await stage.made(receiver.url)
    await stage.ended()
    async with stage.working():
        assert (await stage.until(made, lambda one: one.status == "delivered")).status_code == 200


async def test_an_address_where_nobody_listens_is_tried_again(stage: WebhookStage):
    async with Receiver() as receiver:
        url = receiver.url
    made = await stage.made(url)
    await stage.ended()
    async with stage.working():
        assert (await stage.failed_after(made, 1)).failure == "unreachable"


async def test_private_addresses_are_neither_kept_nor_called(stage: WebhookStage, receiver: Receiver):
    for url in ("http://10.0.0.1/a", "http://169.254.169.254/latest", "http://[fd00::1]/", "ftp://example.com/"):
        with pytest.raises(errors.InvalidValue) as refused:
            await stage.made(url)
        assert refused.value.param == "url"

    async def inside(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    stage.outward = CheckedOutward(Opening.of([], loopback=True), resolve=inside)
    stage.deliveries = stage.process(outward=stage.outward)
    made = await stage.made("http://hooks.example.com/a")
    await stage.ended()
    async with stage.working():
        one = await stage.failed_after(made, 1)
    assert (one.failure, one.status) == ("refused", "pending")
    assert receiver.heard == []


async def test_one_that_hangs_holds_up_nobody_and_has_two_at_once_at_most(database, tmp_path, receiver: Receiver):
    stage = WebhookStage(database, tmp_path, at_once=12, seconds=600.0)
    async with Receiver() as slow:
        slow.answers = [None]
        hanging = await stage.made(slow.url)
        good = await stage.made(receiver.url)
        for number in range(8):
            await stage.ended(number)
        async with stage.working():
            await slow.wait_heard(2)
            await receiver.wait_heard(8)
            for number in range(8):
                await stage.until(good, lambda one: one.status == "delivered", number)
            assert len(slow.heard) == slow.most == 2
            assert {one.status for one in (await stage.all(hanging)).values()} == {"pending"}
            assert receiver.most <= 2


async def test_an_attempt_ends_with_its_time(database, tmp_path, receiver: Receiver):
    stage = WebhookStage(database, tmp_path, seconds=0.05)
    receiver.answers = [None]
    made = await stage.made(receiver.url)
    await stage.ended()
    async with stage.working():
        assert (await stage.failed_after(made, 1)).failure == "timeout"


async def test_one_that_says_its_status_in_time_may_take_longer_for_the_rest(stage: WebhookStage, receiver: Receiver):
    receiver.answers, receiver.stays = [b"HTTP/1.1 200 Fine\r\ncontent-length: 10\r\n\r\nmore"], True
    post = HttpPost(stage.outward, stage.clock, seconds=0.9)
    endpoint = Endpoint(id="wh_1", url=receiver.url, secrets=(), since=0)
    async with asyncio.timeout(PATIENCE):
        # On a slow machine the status may be late, too.
        while (outcome := await post.post(endpoint, event_id="evt_1", body=b"{}")).failure == "timeout":
            pass
    assert outcome == Outcome(status_code=200)


async def test_what_is_under_way_at_the_end_is_given_back_for_the_next_process(database, tmp_path, receiver: Receiver):
    stage = WebhookStage(database, tmp_path, seconds=600.0)
    receiver.answers = [None, OK]
    made = await stage.made(receiver.url)
    await stage.ended()
    async with stage.working():
        await receiver.wait_heard(1)
    back = await stage.delivery(made)
    assert (back.status, back.attempts, back.next_at) == ("pending", 0, stage.clock.now())
    stage.deliveries = stage.process()
    async with stage.working():
        done = await stage.until(made, lambda one: one.status == "delivered")
    assert done.attempts == 1
    assert [heard.headers["webhook-id"] for heard in receiver.heard] == ["evt_1", "evt_1"]


async def test_what_a_dead_process_had_is_delivered_when_its_lease_is_over(stage: WebhookStage, receiver: Receiver):
    made = await stage.made(receiver.url)
    await stage.ended()
    now = int(stage.clock.now())
    [held] = await stage.line.claim({made.kept.id: 5}, now, lease=40)
    assert (held.attempts, held.next_at) == (1, now + 40)
    assert await stage.line.waiting(now + 39) == []
    stage.clock.advance(40)
    async with stage.working():
        done = await stage.until(made, lambda one: one.status == "delivered")
    assert done.attempts == 2
    # The dead one, that was not dead after all, has nothing to say any more.
    assert not await stage.line.report(held, replace(held, status="failed", ended_at=now))


async def test_two_processes_share_the_line_and_no_delivery_is_made_twice(database, tmp_path, receiver: Receiver):
    stage = WebhookStage(database, tmp_path)
    other = stage.process()
    made = await stage.made(receiver.url)
    for number in range(30):
        await stage.ended(number)
    async with stage.working(), other.working():
        await receiver.wait_heard(30)
        for number in range(30):
            await stage.until(made, lambda one: one.status == "delivered", number)
    assert len(receiver.heard) == len({heard.headers["webhook-id"] for heard in receiver.heard}) == 30


async def test_the_secret_before_signs_for_a_day_too(stage: WebhookStage, receiver: Receiver):
    made = await stage.made(receiver.url)
    stage.clock.advance(SystemClock().now() - stage.clock.now())
    rotated = await stage.webhooks.rotate(caller(), made.kept.id, overlap_seconds=DAY)
    await stage.ended(1)
    async with stage.working() as deliveries:
        [heard] = await receiver.wait_heard(1)
        assert len(signature_parts(heard.headers)) == 2
        for secret in (made.secret, rotated.secret):
            assert unwrapped(secret, heard).id == "evt_1"
        stage.clock.advance(DAY)
        await stage.ended(2)
        deliveries.wake()
        _, later = await receiver.wait_heard(2)
    assert len(signature_parts(later.headers)) == 1


async def test_a_secret_that_cannot_be_opened_is_said_and_tried_again(stage: WebhookStage, receiver, tmp_path, caplog):
    made = await stage.made(receiver.url)
    await stage.ended()
    stage.endpoints._sealer = AesSealer(("another-secret-key-of-thirty-two-characters",), file=tmp_path / "other")
    async with stage.working():
        assert (await stage.failed_after(made, 1)).failure == "unsigned"
    assert receiver.heard == []
    assert any(record.message == "webhook_not_signed" for record in caplog.records)


async def test_deliveries_go_with_their_webhook_and_with_their_time(stage: WebhookStage, receiver: Receiver):
    made, other = await stage.made(receiver.url), await stage.made(receiver.url)
    await stage.ended()
    async with stage.working():
        await stage.until(made, lambda one: one.status == "delivered")
        await stage.until(other, lambda one: one.status == "delivered")
    now = int(stage.clock.now())
    await stage.webhooks.delete(caller(), other.kept.id)
    assert await stage.all(other) == {}
    await stage.ended(2)
    assert await stage.line.expire(now) == 0
    assert await stage.line.expire(now + 1) == 1
    assert list(await stage.all(made)) == ["evt_2"]  # it is still to be delivered


async def test_deliveries_are_listed_page_by_page_and_by_status(stage: WebhookStage):
    made = await stage.made("http://127.0.0.1:9/a")
    for number in range(3):
        await stage.ended(number, completed_at=1_700_000_000 + number)

    async def names(page, **more):
        found, follows = await stage.webhooks.deliveries(caller(), made.kept.id, page, **more)
        return [one.event_id for one in found], follows

    assert await names(Page(limit=2)) == (["evt_2", "evt_1"], True)
    assert await names(Page(limit=2, after="evt_1")) == (["evt_0"], False)
    [held] = await stage.line.claim({made.kept.id: 1}, int(stage.clock.now()), lease=10)
    assert await stage.line.report(held, replace(held, status="failed", ended_at=1, failure="timeout"))
    assert await names(Page(), status="failed") == ([held.event_id], False)
    with pytest.raises(errors.NotFound):
        await stage.webhooks.deliveries(caller(THEIRS), made.kept.id, Page())


async def test_the_line_starts_behind_the_webhook_that_had_its_turn(stage: WebhookStage):
    ids = sorted([(await stage.made("http://127.0.0.1:9/a")).kept.id for _ in range(3)])
    await stage.ended()
    now = int(stage.clock.now())

    async def order(after):
        return [webhook_id for webhook_id, _ in await stage.line.waiting(now, after=after)]

    assert await order("") == ids
    assert await order(ids[0]) == [ids[1], ids[2], ids[0]]
    assert await order(ids[2]) == ids


async def test_no_log_holds_an_address_a_secret_or_what_was_answered(stage: WebhookStage, receiver: Receiver, caplog):
    caplog.set_level(logging.DEBUG)
    receiver.answers = [answer(500, body=b"the answer of the receiver"), OK]
    made = await stage.made(receiver.url)
    await stage.ended()
    async with stage.working() as deliveries:
        await stage.failed_after(made, 1)
        stage.clock.advance(15)
        deliveries.wake()
        await stage.until(made, lambda one: one.status == "delivered")
    ours = [vars(one) for one in caplog.records if one.name.startswith("freddy")]
    assert {one["msg"] for one in ours} >= {"webhook_attempt_failed", "webhook_delivered"}
    for secret in (made.secret, "a-path-that-is-secret", "the answer of the receiver"):
        assert secret not in repr(ours)
    assert made.secret not in repr((made, made.kept))
