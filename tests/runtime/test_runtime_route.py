"""Who is asked for a model, and who next."""

import asyncio
from collections import Counter

import pytest
from runtime_stage import means

from freddy.server.core import deltas, errors, items
from freddy.server.core.attempt import Attempt
from freddy.server.core.pricing import Price
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.runtime import retrying
from freddy.server.runtime.route import Candidate, Route
from freddy_fakes import PATIENCE, FixedClock, ScriptedModel

TURN = Turn(model="best", items=(items.Message("msg_1", "user", (items.Text("Hi"),)),), cache_key="thrd_1")
YES = (deltas.Answering("exact"), deltas.Text("Yes"), deltas.Stop("stop"))
AWAY = errors.ProviderUnreachable("a could not be reached")
DOWN = errors.ProviderUnavailable("a is unavailable")
BROKEN = errors.ProviderFailed("a failed with status 500")
BUSY = errors.RateLimited("a limits the rate of requests")


def model(name, *lines, price=None):
    return ScriptedModel(*lines, profile=Profile(name=name, provider=name, price=price))


class Moody(ScriptedModel):
    """Takes the next of its moods in each turn: an exception, or lines."""

    def __init__(self, name, *moods):
        super().__init__(profile=Profile(name=name, provider=name))
        self._moods = list(moods)

    async def stream(self, turn):
        self._lines = self._moods.pop(0)
        async for batch in super().stream(turn):
            yield batch


def route(*candidates, clock=None, keys=None, **policy):
    told = {"first": 0.001, **policy}
    given = [one if isinstance(one, Candidate) else Candidate(one, "m", place) for place, one in enumerate(candidates)]
    found = means(clock or FixedClock(), **told)
    return Route(given, type(found)(found.policy, found.health, found.clock, found.chance, keys))


async def ask(found, turn=TURN):
    async with asyncio.timeout(PATIENCE):
        return [delta async for batch in found.stream(turn) for delta in batch]


def tries(said):
    return [(one.attempt.provider, one.attempt.code) for one in said if isinstance(one, deltas.Tried)]


def text(said):
    return "".join(one.text for one in said if isinstance(one, deltas.Text))


async def test_one_candidate_is_asked_under_its_own_name_for_the_model():
    only = model("a", YES, price=Price(1, 2))
    only.minds = ("seed has no effect",)
    said = await ask(route(Candidate(only, "a-model")))
    assert said == [
        deltas.Chosen("a", Price(1, 2), ("seed has no effect",), "a-model"),
        *YES[:2],
        deltas.Tried(Attempt("a", "a-model")),
        YES[2],
    ]
    assert [turn.model for turn in only.turns] == ["a-model"]


@pytest.mark.parametrize(
    "failure",
    [
        AWAY,
        DOWN,
        BROKEN,
        BUSY,
        errors.ProviderTimeout("a did not answer in time"),
        errors.ProviderFailed("a refused its credentials", code="provider_authentication"),
        errors.RateLimited("a has no quota left", code="insufficient_quota"),
        errors.ModelNotFound("a has no such model", param="model"),
        errors.InvalidRequest("no images", code="unsupported_input"),
        errors.ProviderFailed("not JSON", code="invalid_output"),
    ],
)
async def test_what_one_cannot_do_the_next_is_asked_for(failure):
    said = await ask(route(model("a", failure), model("b", YES), retries=0))
    assert text(said) == "Yes"
    assert tries(said) == [("a", failure.code), ("b", "")]
    assert [one.provider for one in said if isinstance(one, deltas.Chosen)] == ["a", "b"]


async def test_what_an_answer_of_no_use_took_is_counted_too():
    useless = errors.InvalidOutput("not JSON", usage=Usage(input_tokens=5, output_tokens=7))
    stop = deltas.Stop("stop", Usage(input_tokens=1, output_tokens=2))
    dear, cheap = Price(10, 20), Price(1, 2)
    said = await ask(route(model("a", useless, price=dear), model("b", deltas.Text("{}"), stop, price=cheap)))
    assert said[1] == deltas.Tried(
        Attempt("a", "m", code="invalid_output", status=502), Usage(input_tokens=5, output_tokens=7), dear
    )
    assert said[-1] == stop


@pytest.mark.parametrize(
    ("second", "took"),
    [
        (errors.InvalidOutput("not JSON", usage=Usage(input_tokens=1, output_tokens=2)), Usage(1, 2)),
        (errors.ProviderUnavailable("away"), None),
        (errors.InvalidRequest("b refused the request", code="provider_rejected"), None),
    ],
    ids=["of no use either", "away", "refused"],
)
async def test_what_answers_of_no_use_took_is_counted_where_all_fail(second, took):
    useless = errors.InvalidOutput("not JSON", usage=Usage(input_tokens=5, output_tokens=7))
    said = []

    async def listen():
        async for batch in route(model("a", useless), model("b", second)).stream(TURN):
            said.extend(batch)

    with pytest.raises(type(second)) as failed:
        await listen()
    assert [one.usage for one in said if isinstance(one, deltas.Tried)] == [Usage(5, 7), took]
    assert failed.value.usage is None, "it was told already"


@pytest.mark.parametrize(
    "failure",
    [
        errors.InvalidRequest("a refused the request", code="provider_rejected"),
        errors.ContextOverflow("too long", param="input"),
        errors.TooLarge("too large"),
    ],
)
async def test_what_is_wrong_with_the_request_is_asked_of_nobody_else(failure):
    other = model("b", YES)
    with pytest.raises(type(failure)):
        await ask(route(model("a", failure), other))
    assert other.opened == 0


async def test_nobody_is_asked_once_a_word_was_said():
    other = model("b", YES)
    said = []

    async def listen():
        async for batch in route(model("a", deltas.Text("Ye"), BROKEN), other).stream(TURN):
            said.extend(batch)

    with pytest.raises(errors.ProviderFailed):
        await listen()
    assert (text(said), tries(said), other.opened) == ("Ye", [("a", "provider_error")], 0)


@pytest.mark.parametrize("word", [deltas.Thinking(hidden=True), deltas.ToolCall(0, name="f"), deltas.Refusal("No")])
async def test_all_that_a_caller_hears_is_a_word(word):
    other = model("b", YES)
    with pytest.raises(errors.ProviderFailed):
        await ask(route(model("a", word, BROKEN), other))
    assert other.opened == 0


async def test_the_name_of_the_model_is_not_a_word():
    said = await ask(route(model("a", deltas.Answering("x"), BROKEN), model("b", YES)))
    assert text(said) == "Yes"


async def test_who_cannot_be_reached_is_tried_again():
    moody = Moody("a", (AWAY,), (AWAY,), (YES,))
    said = await ask(route(moody))
    assert (text(said), moody.opened) == ("Yes", 3)
    assert tries(said) == [("a", "provider_unavailable"), ("a", "provider_unavailable"), ("a", "")]


async def test_tries_come_to_an_end():
    lost = model("a", AWAY)
    with pytest.raises(errors.ProviderUnreachable):
        await ask(route(lost, retries=2))
    assert lost.opened == 3


@pytest.mark.parametrize("failure", [BROKEN, BUSY, DOWN])
async def test_an_answered_failure_is_not_asked_for_again_unless_the_operator_says_so(failure):
    once, again = model("a", failure), Moody("a", (failure,), (YES,))
    with pytest.raises(type(failure)):
        await ask(route(once))
    assert once.opened == 1
    assert text(await ask(route(again, every=True))) == "Yes"


async def test_who_says_when_to_come_back_is_asked_then():
    soon = errors.RateLimited("a limits the rate of requests", retry_after=0.01)
    moody = Moody("a", (soon,), (YES,))
    assert text(await ask(route(moody))) == "Yes"


async def test_who_asks_for_too_long_a_wait_is_not_waited_for():
    later = errors.RateLimited("a limits the rate of requests", retry_after=60)
    limited = model("a", later)
    with pytest.raises(errors.RateLimited) as raised:
        await ask(route(limited))
    assert (limited.opened, raised.value.retry_after) == (1, 60)


async def test_who_asks_for_a_wait_rests_for_so_long():
    clock = FixedClock()
    first = Moody("a", (errors.RateLimited("slow down", retry_after=60),), (YES,))
    second = model("b", YES)
    found = route(first, second, clock=clock)
    await ask(found)
    await ask(found)
    assert (first.opened, second.opened) == (1, 2)
    clock.advance(61)
    await ask(found)
    assert (first.opened, second.opened) == (2, 2)


async def test_who_fails_in_a_row_rests_and_one_failure_after_the_rest_is_enough():
    clock = FixedClock()
    first, second = model("a", BROKEN), model("b", YES)
    found = route(first, second, clock=clock, failures=3, cooldown=30)
    for _ in range(5):
        await ask(found)
    assert first.opened == 3
    clock.advance(31)
    for _ in range(5):
        await ask(found)
    assert first.opened == 4


async def test_an_answer_forgives_the_failures_before_it():
    moods = [(BROKEN,), (BROKEN,), (YES,), (BROKEN,), (BROKEN,), (YES,)]
    moody = Moody("a", *moods)
    found = route(moody, model("b", YES), failures=3)
    for _ in moods:
        await ask(found)
    assert moody.opened == len(moods)


async def test_one_that_rests_is_better_than_nobody():
    lost = model("a", BROKEN)
    found = route(lost, failures=1)
    for _ in range(3):
        with pytest.raises(errors.ProviderFailed):
            await ask(found)
    assert lost.opened == 3
    assert found.availability == "unavailable"


async def test_when_all_fail_the_caller_hears_what_may_pass():
    found = route(model("a", BUSY), model("b", errors.ModelNotFound("b has no such model", param="model")))
    with pytest.raises(errors.RateLimited):
        await ask(found)


async def test_requests_are_shared_by_weight_and_threads_stay_where_they_were():
    one, two = model("a", YES), model("b", YES)
    found = route(Candidate(one, "m", weight=3), Candidate(two, "m", weight=1))

    async def asked(key):
        said = await ask(found, Turn(model="best", items=TURN.items, cache_key=key))
        return tries(said)[0][0]

    shares = Counter([await asked(f"thrd_{number}") for number in range(400)])
    assert 250 < shares["a"] < 350
    assert {await asked("thrd_7") for _ in range(5)} == {await asked("thrd_7")}


async def test_a_candidate_without_weight_only_stands_in():
    one, two = model("a", YES), model("b", YES)
    found = route(Candidate(two, "m", weight=0), Candidate(one, "m"))
    for number in range(20):
        await ask(found, Turn(model="best", items=TURN.items, cache_key=f"thrd_{number}"))
    assert (one.opened, two.opened) == (20, 0)


async def test_a_model_that_keeps_silent_is_given_up_for_another():
    silent = model("a", asyncio.Event())
    said = await ask(route(silent, model("b", YES), word=0.05))
    assert tries(said) == [("a", "provider_timeout"), ("b", "")]
    assert silent.closed == 1


async def test_nobody_is_asked_beside_a_silent_one_by_default():
    silent, other = model("a", asyncio.Event()), model("b", YES)
    asking = asyncio.ensure_future(ask(route(silent, other)))
    await silent.waits.wait()
    assert other.opened == 0
    asking.cancel()
    await asyncio.wait((asking,))
    assert silent.closed == 1


async def test_beside_a_silent_one_the_next_is_asked_where_the_operator_wants_it():
    silent, other, third = model("a", asyncio.Event()), model("b", YES), model("c", YES)
    said = await ask(route(silent, other, third, hedge=0.01))
    assert (text(said), tries(said)) == ("Yes", [("b", "")])
    assert (silent.opened, silent.closed, other.opened, third.opened) == (1, 1, 1, 0)


async def test_the_first_to_speak_goes_on_although_another_was_asked():
    gate = asyncio.Event()
    first, second = model("a", gate, *YES), model("b", asyncio.Event())
    asking = asyncio.ensure_future(ask(route(first, second, hedge=0.01)))
    await second.waits.wait()
    gate.set()
    assert text(await asking) == "Yes"
    assert (first.closed, second.closed) == (1, 1)


async def test_when_both_of_a_hedge_fail_the_third_is_asked():
    gates = asyncio.Event(), asyncio.Event()
    first, second, third = model("a", gates[0], BROKEN), model("b", gates[1], BROKEN), model("c", YES)
    asking = asyncio.ensure_future(ask(route(first, second, third, hedge=0.01)))
    await second.waits.wait()
    for gate in gates:
        gate.set()
    said = await asking
    assert sorted(tries(said)) == [("a", "provider_error"), ("b", "provider_error"), ("c", "")]


async def test_a_hedge_that_fails_is_followed_by_the_next_while_the_first_is_silent_still():
    silent, third = model("a", asyncio.Event()), model("c", YES)
    said = await ask(route(silent, model("b", BROKEN), third, hedge=0.01))
    assert (text(said), tries(said)) == ("Yes", [("b", "provider_error"), ("c", "")])
    assert silent.closed == 1


async def test_a_failure_before_the_hedge_is_not_waited_out():
    other = model("b", YES)
    said = await ask(route(model("a", BROKEN), other, hedge=60))
    assert tries(said) == [("a", "provider_error"), ("b", "")]


async def test_an_organization_asks_with_its_own_key_and_its_limits_are_its_own():
    class Keys:
        async def key(self, organization_id, provider):
            return "sk-own" if organization_id == "org_own" else None

    clock = FixedClock()
    asked = Moody("a", (errors.RateLimited("slow down", retry_after=60),), (YES,))
    spare = model("b", YES)
    found = route(asked, spare, clock=clock, keys=Keys())
    await ask(found, Turn(model="best", items=TURN.items, organization_id="org_own"))
    await ask(found, Turn(model="best", items=TURN.items, organization_id="org_other"))
    assert (asked.opened, spare.opened) == (2, 1)
    assert "sk-own" in asked.keys


def conversation(count, text="word " * 20):
    def said(number):
        return (
            items.Message(f"msg_q{number}", "user", (items.Text(text),)),
            items.Message(f"msg_a{number}", "assistant", (items.Text(text),)),
        )

    asked = items.Message("msg_last", "user", (items.Text("And now?"),))
    return (*(item for number in range(count) for item in said(number)), asked)


async def test_a_conversation_that_is_too_long_loses_its_oldest_where_the_caller_lets_it():
    small = ScriptedModel(*YES, profile=Profile(name="a", provider="a", context_tokens=200))
    said = conversation(20)
    await ask(route(small), Turn(model="best", items=said, truncation="auto"))
    (heard,) = small.turns
    assert 1 < len(heard.items) < 20
    assert heard.items == said[-len(heard.items) :]
    assert heard.items[0].role == "user"
    await ask(route(small), Turn(model="best", items=said))
    assert small.turns[-1].items == said


async def test_what_the_vendor_finds_too_long_is_halved_until_it_is_not():
    overflow = errors.ContextOverflow("too long", param="input")
    moody = Moody("a", (overflow,), (overflow,), (YES,))
    said = await ask(route(moody), Turn(model="best", items=conversation(8), truncation="auto"))
    assert [len(turn.items) for turn in moody.turns] == [17, 9, 5]
    assert tries(said) == [("a", "context_length_exceeded")] * 2 + [("a", "")]


@pytest.mark.parametrize("truncation", ["auto", "disabled"])
async def test_what_cannot_be_shortened_is_too_long(truncation):
    found = model("a", errors.ContextOverflow("too long", param="input"))
    with pytest.raises(errors.ContextOverflow):
        await ask(route(found), Turn(model="best", items=TURN.items, truncation=truncation))
    assert found.opened == 1


async def test_leaving_stops_whoever_answers():
    waiting = model("a", deltas.Text("Y"), asyncio.Event())
    saying = route(waiting).stream(TURN)
    assert isinstance((await anext(saying))[0], deltas.Chosen)
    await anext(saying)
    await saying.aclose()
    assert waiting.closed == 1


@pytest.mark.parametrize(("tried", "seconds"), [(1, 0.25), (2, 0.5), (3, 1.0), (4, None)])
def test_waits_grow(tried, seconds):
    policy = retrying.Policy(retries=3)
    assert retrying.pause(AWAY, tried, policy, 1.0) == seconds
    if seconds:
        assert retrying.pause(AWAY, tried, policy, 0.0) == seconds / 2
