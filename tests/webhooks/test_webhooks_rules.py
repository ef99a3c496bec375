"""What is decided without asking anybody."""

from itertools import pairwise

import pytest
from webhooks_stage import response

from freddy.server.core import errors, webhooks
from freddy.server.core.webhooks import Change, Configuration, Delivery, Outcome

NOW = 1_700_000_000.0


def delivery(**changes: object) -> Delivery:
    fields = {
        "webhook_id": "wh_1",
        "event_id": "evt_1",
        "organization_id": "org_a",
        "event_type": "response.completed",
        "subject_id": "resp_1",
        "created_at": int(NOW),
        "next_at": int(NOW),
        "attempts": 1,
    }
    return Delivery(**fields | changes)


def test_eight_attempts_take_about_a_day():
    pauses = [webhooks.pause(number, 0.5) for number in range(1, 8)]
    assert pauses[:3] == [15, 60, 240]
    assert all(later == 4 * sooner for sooner, later in pairwise(pauses))
    assert 20 * 3600 < sum(pauses) < 26 * 3600


def test_chance_moves_a_pause_by_a_fifth_and_no_pause_is_longer_than_a_day():
    assert (webhooks.pause(2, 0.0), webhooks.pause(2, 1.0)) == pytest.approx((48, 72))
    assert webhooks.pause(30, 0.5) == webhooks.pause(10_000, 0.5) == 24 * 3600


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("9" * 40, None),
        ("", None),
        (None, None),
    ],
)
def test_a_retry_after_is_read_as_seconds(said, seconds):
    assert webhooks.retry_after(said, NOW) == seconds


def test_a_retry_after_makes_a_pause_longer_but_not_than_a_day_and_never_shorter():
    def next_at(seconds):
        outcome = Outcome(status_code=503, failure="status", retry_after=seconds)
        return webhooks.after(delivery(), outcome, now=NOW, most=8, chance=0.5).next_at - NOW

    assert [next_at(seconds) for seconds in (None, 1, 100, 10**8)] == [15, 15, 100, 24 * 3600]


def test_the_last_attempt_ends_a_delivery_and_410_does_at_once():
    refused = Outcome(status_code=500, failure="status")
    assert webhooks.after(delivery(attempts=7), refused, now=NOW, most=8, chance=0).status == "pending"
    over = webhooks.after(delivery(attempts=8), refused, now=NOW, most=8, chance=0)
    assert (over.status, over.ended_at, over.status_code) == ("failed", int(NOW), 500)
    gone = webhooks.after(delivery(), Outcome(status_code=410, failure="status"), now=NOW, most=8, chance=0)
    assert (gone.status, gone.failure) == ("failed", "gone")
    done = webhooks.after(delivery(failure="timeout"), Outcome(status_code=200), now=NOW, most=8, chance=0)
    assert (done.status, done.failure, done.status_code) == ("delivered", None, 200)


def test_only_ends_in_the_background_are_announced():
    for status in ("completed", "failed", "incomplete", "cancelled", "requires_action"):
        assert webhooks.announced(response(status=status)) == f"response.{status}"
    assert webhooks.announced(response(background=False)) is None
    assert webhooks.announced(response(status="in_progress")) is None


def test_an_event_has_one_id_whoever_makes_it():
    assert webhooks.event_id("resp_0123") == "evt_0123"


def test_the_places_are_shared_among_webhooks_and_organizations():
    waiting = [("wh_a", "org_1"), ("wh_b", "org_1"), ("wh_c", "org_2"), ("wh_d", "org_3")]
    assert webhooks.shares(waiting, room=10, each=2, together=3, busy={}) == {
        "wh_a": 2,
        "wh_b": 1,
        "wh_c": 2,
        "wh_d": 2,
    }
    busy = {"wh_c": 2, "org_2": 2, "org_1": 3}
    assert webhooks.shares(waiting, room=1, each=2, together=3, busy=busy) == {"wh_d": 1}
    assert webhooks.shares(waiting, room=0, each=2, together=3, busy={}) == {}


def test_types_of_events_are_checked_and_all_is_all():
    kept = Configuration(url="https://example.com")
    for given, wanted in (
        (("response.failed", "response.failed"), ("response.failed",)),
        (("response.failed", "*"), ("*",)),
    ):
        assert webhooks.changed(kept, Change(event_types=given)).event_types == wanted
    for wrong, param in (((), "event_types"), (("response.failed", "batch.completed"), "event_types[1]")):
        with pytest.raises(errors.InvalidValue) as refused:
            webhooks.changed(kept, Change(event_types=wrong))
        assert refused.value.param == param


def test_who_enables_a_webhook_forgets_why_it_was_disabled():
    off = Configuration(url="https://example.com", enabled=False, disabled_because="gone")
    assert webhooks.changed(off, Change(event_types=("*",))).disabled_because == "gone"
    assert webhooks.changed(off, Change(enabled=True)).disabled_because is None
