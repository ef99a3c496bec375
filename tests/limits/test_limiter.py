"""Who is admitted, what a refusal says, and what goes on while nothing can be counted."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
from limits_stage import DOLLAR, Spending

from freddy.server.accounts.limits import Admission, Full, Limiter
from freddy.server.core import errors, limits, money
from freddy.server.core.accounts import Caller
from freddy.server.core.limits import Limits
from freddy.server.dialects.freddy import FREDDY
from freddy.server.dialects.openai import OPENAI
from freddy.server.http.errors import encode
from freddy.server.stores.counters.memory import MemoryCounters
from freddy_fakes import FixedClock
from promises import promise


class Failing(MemoryCounters):
    """Counters that are away while `away` is true."""

    away = False

    async def take(self, *arguments, **more):
        self._require()
        return await super().take(*arguments, **more)

    async def learn(self, *arguments, **more):
        self._require()
        await super().learn(*arguments, **more)

    def _require(self):
        if self.away:
            raise errors.LimitsUnavailable("Limits cannot be counted", retry_after=1)


class Forgetful(MemoryCounters):
    async def learn(self, *_, **__):
        return None


def caller(own=None, key_id="key_1", organization_id="org_acme"):
    return Caller(organization_id, (organization_id,), frozenset(), key_id, limits=own)


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
def spending():
    return Spending()


@pytest.fixture
def limiter(clock, spending):
    def open_(own=None, *, counters=None, **more):
        async def organization_limits(organization_id):
            return own

        return Limiter(
            counters or MemoryCounters(clock),
            organization_limits=organization_limits,
            spending=spending,
            clock=clock,
            **more,
        )

    return open_


async def refusal(limiter, who, *, tokens=0, cost=0.0):
    with pytest.raises(errors.RateLimited) as caught:
        await limiter.admit(who, tokens=tokens, cost=cost)
    return caught.value


def told(error):
    return dict(error.headers)


async def test_who_has_no_limits_is_admitted_without_being_counted(limiter, spending):
    counters = Failing(FixedClock())
    counters.away = True
    admission = await limiter(counters=counters).admit(caller(), tokens=10**12, cost=10.0**6)
    assert admission.headers() == ()
    await admission.settle(tokens=1, cost=None)
    await admission.release()
    assert spending.looks == 0


async def test_the_key_and_its_organization_both_hold(limiter):
    open_to = limiter(Limits(requests_per_minute=3))
    for _ in range(2):
        await open_to.admit(caller(Limits(requests_per_minute=2)), tokens=0, cost=0)
    error = await refusal(open_to, caller(Limits(requests_per_minute=2)))
    assert error.message == "This API key has reached its limit of requests per minute: 2"
    await open_to.admit(caller(key_id="key_2"), tokens=0, cost=0)
    error = await refusal(open_to, caller(key_id="key_3"))
    assert error.message == "This organization has reached its limit of requests per minute: 3"


async def test_the_defaults_hold_where_a_limit_is_not_set(limiter):
    defaults = {
        "organization_default": Limits(requests_per_minute=5, tokens_per_minute=50),
        "key_default": Limits(requests_per_minute=2, concurrent_runs=9),
    }
    open_to = limiter(Limits(tokens_per_minute=1000), **defaults)
    own = caller(Limits(requests_per_minute=4))
    for _ in range(4):
        await open_to.admit(own, tokens=100, cost=0)
    assert "API key has reached its limit of requests per minute: 4" in (await refusal(open_to, own)).message
    await open_to.admit(caller(key_id="key_2"), tokens=0, cost=0)
    assert (
        "organization has reached its limit of requests per minute: 5"
        in (await refusal(open_to, caller(key_id="key_3"))).message
    )


async def test_users_are_held_to_the_limits_of_their_organization_alone(limiter):
    open_to = limiter(Limits(requests_per_minute=2), key_default=Limits(requests_per_minute=1))
    user = caller(key_id=None)
    for _ in range(2):
        await open_to.admit(user, tokens=0, cost=0)
    await refusal(open_to, user)


@promise(261)
async def test_the_headers_tell_of_the_tightest(limiter, clock):
    open_to = limiter(Limits(requests_per_minute=10, tokens_per_minute=1_000))
    own = caller(Limits(requests_per_minute=100, tokens_per_minute=500))
    admission = await open_to.admit(own, tokens=100, cost=0)
    assert dict(admission.headers()) == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "9",
        "x-ratelimit-reset-requests": "1m0s",
        "x-ratelimit-limit-tokens": "500",
        "x-ratelimit-remaining-tokens": "400",
        "x-ratelimit-reset-tokens": "1m0s",
    }
    clock.advance(45.5)
    error = await refusal(open_to, own, tokens=401)
    assert told(error) == {
        **dict(admission.headers()),
        "x-ratelimit-reset-requests": "14.5s",
        "x-ratelimit-reset-tokens": "14.5s",
    }
    assert error.retry_after == 14.5
    status, head, _ = encode(error, FREDDY)
    assert (status, head["retry-after"], head["x-ratelimit-remaining-tokens"]) == (429, "15", "400")


async def test_a_request_larger_than_the_limit_is_told_not_to_come_back(limiter):
    error = await refusal(limiter(), caller(Limits(tokens_per_minute=100)), tokens=101)
    assert error.message == "This request may take 101 tokens, and this API key has 100 per minute"
    assert error.retry_after is None
    assert told(error)["x-should-retry"] == "false"
    assert "retry-after" not in encode(error, OPENAI)[1]


async def test_tokens_and_runs_say_what_is_used(limiter):
    open_to = limiter()
    own = caller(Limits(tokens_per_minute=100, concurrent_runs=1))
    await open_to.admit(own, tokens=70, cost=0)
    error = await refusal(open_to, own, tokens=31)
    assert error.message == (
        "This API key has reached its limit of tokens per minute: 100, of which 70 are used, "
        "and this request may take 31"
    )
    assert (error.code, error.retry_after) == ("rate_limit_exceeded", 60)
    error = await refusal(open_to, own, tokens=1)
    assert error.message == "This API key has reached its limit of runs at the same time: 1"
    assert error.retry_after == 1


async def test_settling_puts_what_was_used_in_the_place_of_what_was_reserved_once(limiter):
    open_to = limiter()
    own = caller(Limits(tokens_per_minute=100, concurrent_runs=1, monthly_budget=1.0))
    admission = await open_to.admit(own, tokens=100, cost=1.0)
    await admission.settle(tokens=40, cost=0.25)
    await admission.settle(tokens=100, cost=1.0)
    await admission.release()
    second = await open_to.admit(own, tokens=60, cost=0.75)
    await second.release()
    await open_to.admit(own, tokens=60, cost=0.75)


async def test_a_price_that_nobody_knows_settles_as_nothing(limiter):
    open_to = limiter()
    own = caller(Limits(monthly_budget=0.5))
    admission = await open_to.admit(own, tokens=0, cost=None)
    await admission.settle(tokens=9, cost=None)
    await open_to.admit(own, tokens=0, cost=0.5)


async def test_a_spent_budget_is_refused_until_the_next_month(limiter, clock, spending):
    spending.spent["org_acme", None] = 5 * DOLLAR
    open_to = limiter(Limits(monthly_budget=5))
    error = await refusal(open_to, caller(), cost=None)
    assert error.message == "This organization has spent its budget of 5 US dollars for 2023-11"
    assert error.details == "it begins anew on 2023-12-01 (UTC); until then, have it raised"
    until = datetime(2023, 12, 1, tzinfo=UTC).timestamp()
    assert (error.code, error.retry_after) == ("budget_exceeded", until - clock.now())
    assert told(error) == {"x-should-retry": "false"}
    clock.advance(error.retry_after - 1)
    await refusal(open_to, caller(), cost=0.01)
    clock.advance(1)
    spending.spent.clear()
    await open_to.admit(caller(), tokens=0, cost=5.0)


async def test_a_request_that_costs_more_than_is_left_is_told_how_much_that_is(limiter, spending):
    spending.spent["org_acme", "key_1"] = 4 * DOLLAR
    error = await refusal(limiter(), caller(Limits(monthly_budget=4.5)), cost=0.75)
    assert error.message == (
        "This request may cost 0.75 US dollars, and 0.5 are left of this API key's budget of 4.5 for 2023-11"
    )


async def test_what_runs_hold_of_a_budget_may_come_back_at_any_moment(limiter):
    open_to = limiter()
    own = caller(Limits(monthly_budget=1))
    running = await open_to.admit(own, tokens=0, cost=1.0)
    error = await refusal(open_to, own, cost=0.5)
    assert error.message.endswith("as runs under way hold a part of it")
    assert (error.code, error.retry_after) == ("budget_exceeded", 1)
    await running.settle(tokens=0, cost=0.5)
    await open_to.admit(own, tokens=0, cost=0.5)


async def test_a_budget_of_nothing_admits_only_what_costs_nothing(limiter):
    own = caller(Limits(monthly_budget=0))
    open_to = limiter()
    await refusal(open_to, own, cost=None)
    await refusal(open_to, own, cost=1e-9)
    await open_to.admit(own, tokens=9, cost=0.0)


async def test_what_was_spent_before_is_read_once_a_month(limiter, clock, spending):
    spending.spent["org_acme", "key_1"] = DOLLAR
    open_to = limiter()
    own = caller(Limits(monthly_budget=2))
    await asyncio.gather(*(open_to.admit(own, tokens=0, cost=0.01) for _ in range(50)))
    looks = spending.looks
    assert looks == 2
    await open_to.admit(own, tokens=0, cost=0.01)
    assert spending.looks == looks
    clock.advance(31 * 24 * 3600)
    await open_to.admit(own, tokens=0, cost=0.01)
    assert spending.looks == 2 * looks


async def test_spending_of_a_time_when_nothing_could_be_counted_is_caught_up_with(limiter, clock, spending):
    counters = Failing(clock)
    open_to = limiter(counters=counters, meanwhile=lambda: MemoryCounters(clock))
    own = caller(Limits(monthly_budget=10, requests_per_minute=3))
    for _ in range(3):
        await (await open_to.admit(own, tokens=0, cost=1.0)).settle(tokens=0, cost=0.0)
    counters.away = True
    spending.spent["org_acme", "key_1"] = 2 * DOLLAR
    running = await open_to.admit(own, tokens=0, cost=8.0)
    await refusal(open_to, own, cost=0.5)
    spending.spent["org_acme", "key_1"] = 10 * DOLLAR
    await running.settle(tokens=0, cost=8.0)
    counters.away = False
    clock.advance(61)
    assert "has spent its budget" in (await refusal(open_to, own, cost=0.5)).message


async def test_every_outage_begins_with_what_is_known_then(limiter, clock, spending):
    counters = Failing(clock)
    open_to = limiter(counters=counters, meanwhile=lambda: MemoryCounters(clock))
    own = caller(Limits(monthly_budget=10))
    for spent in (1, 9):
        spending.spent["org_acme", "key_1"] = spent * DOLLAR
        counters.away = True
        await open_to.admit(own, tokens=0, cost=1.0)
        counters.away = False
        await (await open_to.admit(own, tokens=0, cost=0.5)).release()
    counters.away = True
    await refusal(open_to, own, cost=1.5)


async def test_without_counters_for_the_meantime_nobody_with_limits_is_admitted(limiter, clock):
    counters = Failing(clock)
    counters.away = True
    open_to = limiter(counters=counters)
    with pytest.raises(errors.LimitsUnavailable) as caught:
        await open_to.admit(caller(Limits(requests_per_minute=1)), tokens=0, cost=0)
    status, head, _ = encode(caught.value, OPENAI)
    assert (status, head["retry-after"]) == (503, "1")


async def test_counters_that_forget_at_once_are_not_asked_for_ever(limiter, clock):
    open_to = limiter(counters=Forgetful(clock))
    with pytest.raises(errors.LimitsUnavailable):
        await open_to.admit(caller(Limits(monthly_budget=1)), tokens=0, cost=0.1)


async def test_openai_has_its_own_words_for_a_spent_budget(limiter):
    error = await refusal(limiter(), caller(Limits(monthly_budget=0)), cost=1.0)
    status, body = OPENAI.encode_error(error.as_failure())
    said = msgspec.json.decode(body)["error"]
    assert (status, said["type"], said["code"]) == (429, "insufficient_quota", "insufficient_quota")
    assert "try again in" not in said["message"]
    status, body = FREDDY.encode_error(error.as_failure())
    said = msgspec.json.decode(body)["error"]
    assert (status, said["type"], said["code"]) == (429, "rate_limit_error", "budget_exceeded")


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("requests_per_minute", 0),
        ("requests_per_minute", True),
        ("tokens_per_minute", -1),
        ("tokens_per_minute", limits.LARGEST + 1),
        ("concurrent_runs", 1.5),
        ("monthly_budget", -0.01),
        ("monthly_budget", float("nan")),
        ("monthly_budget", float("inf")),
        ("monthly_budget", limits.LARGEST_BUDGET + 1),
        ("monthly_budget", "5"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_its_name(field, number):
    with pytest.raises(errors.InvalidValue) as caught:
        Limits(**{field: number})
    assert caught.value.param == field
    assert caught.value.details.startswith(f"{field} must be ")


def test_limits_are_read_back_as_they_were_written():
    some = Limits(requests_per_minute=1, monthly_budget=0.0)
    assert msgspec.json.decode(msgspec.json.encode(some), type=Limits) == some
    with pytest.raises(errors.InvalidValue):
        msgspec.json.decode(b'{"tokens_per_minute":0}', type=Limits)


@pytest.mark.parametrize(
    ("moment", "name", "since", "until"),
    [
        ("2024-02-29T23:59:59", "2024-02", "2024-02-01", "2024-03-01"),
        ("2026-12-31T23:59:59", "2026-12", "2026-12-01", "2027-01-01"),
        ("2027-01-01T00:00:00", "2027-01", "2027-01-01", "2027-02-01"),
    ],
)
def test_months_are_those_of_the_calendar_in_utc(moment, name, since, until):
    def seconds(text):
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())

    assert limits.month(seconds(moment)) == limits.Month(name, seconds(since), seconds(until))


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (12, "12ms"),
        (1_000, "1s"),
        (8_640, "8.64s"),
        (60_000, "1m0s"),
        (61_500, "1m1.5s"),
        (360_000, "6m0s"),
        (3_600_000, "1h0m0s"),
        (3_723_004, "1h2m3.004s"),
    ],
)
def test_durations_are_written_as_openai_writes_them(milliseconds, text):
    assert limits.duration(milliseconds) == text


@pytest.mark.parametrize(
    ("dollars", "nanos"),
    [(0.1, 100_000_000), (1e-9, 1), (1.5e-9, 2), (0.0, 0), (0.1 + 0.2, 300_000_000), (7, 7 * DOLLAR)],
)
def test_money_is_counted_in_whole_nanos_and_never_as_less(dollars, nanos):
    assert money.nanos(dollars) == nanos


def test_money_is_written_without_needless_zeros():
    assert [money.written(nanos) for nanos in (0, 1, 12_500_000_000, 100 * DOLLAR)] == [
        "0",
        "0.000000001",
        "12.5",
        "100",
    ]


async def test_who_can_wait_is_told_who_has_no_room_and_for_how_long(limiter, clock):
    open_to = limiter(Limits(concurrent_runs=2))
    own = caller(Limits(requests_per_minute=1))
    first = await open_to.seek(own, tokens=0, cost=0)
    assert isinstance(first, Admission)
    clock.advance(20)
    assert await open_to.seek(own, tokens=0, cost=0) == Full("org_acme", "key_1", 40)
    second = await open_to.seek(caller(key_id="key_2"), tokens=0, cost=0)
    assert await open_to.seek(caller(key_id="key_2"), tokens=0, cost=0) == Full("org_acme", None, 1)
    assert isinstance(second, Admission)
    await second.release()
    assert isinstance(await open_to.seek(caller(key_id="key_2"), tokens=0, cost=0), Admission)


async def test_who_would_wait_for_ever_is_refused(limiter):
    with pytest.raises(errors.RateLimited):
        await limiter().seek(caller(Limits(tokens_per_minute=5)), tokens=6, cost=0)
    with pytest.raises(errors.RateLimited) as caught:
        await limiter().seek(caller(Limits(monthly_budget=1)), tokens=0, cost=2)
    assert caught.value.code == "budget_exceeded"
