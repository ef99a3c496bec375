"""The adapter against a simulator of the vendor, over real sockets."""

import asyncio

import pytest
import test_anthropic_request as asks
import test_anthropic_stream as says
from messages_server import Fault, MessagesServer, Refused, Say, check

from freddy.server.core import deltas, errors, items, request, toolspec
from freddy.server.core.offers import of_caller
from freddy.server.core.profile import Profile
from freddy.server.core.transcript import Transcript
from freddy.server.core.turn import Turn
from freddy.server.ports.wire import Limits
from freddy.server.providers._wire import PooledWire
from freddy.server.providers.anthropic.adapter import Anthropic, AnthropicProvider
from freddy_fakes import PATIENCE, CountingIds
from freddy_stream_rules import check_events
from simulators.messages import Messages

PATIENT = Limits(connect=PATIENCE, first=PATIENCE, idle=PATIENCE, total=2 * PATIENCE)
PROFILE = Profile(name="m", provider="anthropic", reasoning=True, schemas=True, max_temperature=1.0)


def told(name: str, **more) -> Say:
    return Say(tuple(says.events(name)), says.whole(name), **more)


async def hear(server: MessagesServer, turn: Turn, *, key="secret"):
    said: list[deltas.Delta] = []
    async with asyncio.timeout(PATIENCE), PooledWire("anthropic", server.url, limits=PATIENT) as wire:
        try:
            async for batch in Anthropic(wire, PROFILE, key=key).stream(turn):
                # How often a vendor's count is told depends on how its bytes come.
                said += [delta for delta in batch if not isinstance(delta, deltas.Counted)]
        except errors.FreddyError as error:
            return said, error
    return said, None


@pytest.mark.parametrize("name", asks.MESSAGES)
def test_the_simulator_takes_every_conversation(name):
    check(asks.told(asks.ask(*asks.MESSAGES[name][0])))


@pytest.mark.parametrize("name", asks.OPTIONS)
def test_the_simulator_takes_every_wish(name):
    check(asks.told(asks.ask(**asks.OPTIONS[name][0])))


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": [asks.says("assistant", "A")]},
        {"messages": [asks.says("user", "")]},
        {"messages": [asks.HI_OUT, asks.says("assistant", asks.use("a", "1")), asks.HI_OUT]},
        {"temperature": 2},
        {"thinking": {"type": "enabled", "budget_tokens": 9000}},
        {"thinking": {"type": "enabled", "budget_tokens": 10}},
        {"tool_choice": {"type": "any"}},
        {"seed": 1},
    ],
)
def test_the_simulator_refuses_what_the_vendor_refuses(wrong):
    with pytest.raises(Refused):
        check(asks.told(asks.ask()) | wrong)


@pytest.mark.parametrize("name", says.SAID)
@pytest.mark.parametrize("live", [True, False], ids=["streamed", "whole"])
async def test_an_answer_is_heard_over_the_wire(name, live):
    async with MessagesServer([told(name)]) as server:
        said, error = await hear(server, asks.ask(live=live))
    assert error is None
    assert says.output_of(said) == says.output_of(says.SAID[name])
    assert said[-1] == says.SAID[name][-1]


@pytest.mark.parametrize("how", ["end", "close", "reset"])
async def test_a_stream_that_ends_early_is_never_an_answer(how):
    for cut in range(len(says.events("calls"))):
        async with MessagesServer([told("calls", cut=cut, how=how)]) as server:
            said, error = await hear(server, asks.ask(live=True))
        assert type(error) is errors.ProviderFailed
        assert said == says.SAID["calls"][: len(said)]


@pytest.mark.parametrize(
    ("fault", "kind", "seconds"),
    [
        (Fault(429, "rate_limit_error", retry_after="3"), errors.RateLimited, 3.0),
        (Fault(529, "overloaded_error", "Overloaded"), errors.ProviderUnavailable, None),
        (Fault(500, "api_error"), errors.ProviderFailed, None),
        (Fault(400, "invalid_request_error", "prompt is too long: 9 > 8"), errors.ContextOverflow, None),
    ],
)
async def test_a_fault_is_told_in_the_words_of_the_core(fault, kind, seconds):
    async with MessagesServer([fault]) as server:
        said, error = await hear(server, asks.ask(live=True))
    assert (said, type(error), error.retry_after) == ([], kind, seconds)


async def test_a_wrong_key_is_the_operators_matter():
    async with MessagesServer() as server:
        _, error = await hear(server, asks.ask(), key="wrong")
    assert error.code == "provider_authentication"


async def test_a_thought_and_its_call_go_back_as_they_came():
    tools = (toolspec.Function("get_weather"), toolspec.Function("get_time"))
    effort = request.Reasoning("low")
    thinking, calling = says.events("thinking"), says.events("calls")
    both = [*thinking[:-5], *(_moved(event, 2) for event in calling[1:])]
    async with MessagesServer([Say(tuple(both)), told("text")]) as server:
        said, error = await hear(server, asks.ask(live=True, tools=tools, reasoning=effort))
        assert error is None
        heard = check_events(Transcript(index=0, new_id=CountingIds().new, offers=map(of_caller, tools)).feed(said))
        outputs = [asks.output(one.call_id, "ok") for one in heard if isinstance(one, items.FunctionCall)]
        history = (asks.HI, *heard, *outputs)
        _, error = await hear(server, asks.ask(items=history, live=True, tools=tools, reasoning=effort))
        assert error is None
        second = server.asked[1]
    assert second["thinking"] == {"type": "enabled", "budget_tokens": 2500}
    assert second["messages"][1:] == [
        asks.says(
            "assistant",
            {"type": "thinking", "thinking": "Two and two.", "signature": "EqQBCgIYAhIM"},
            {"type": "redacted_thinking", "data": "EmwKAhgBEgy3"},
            "Let me look.",
            asks.use("get_weather", "toolu_01A", city="Bern"),
            asks.use("get_time", "toolu_01B"),
        ),
        asks.says("user", asks.result("toolu_01A", "ok"), asks.result("toolu_01B", "ok")),
    ]


def _moved(event: bytes, places: int) -> bytes:
    """The event of a block that stands so many places later."""
    for index in (2, 1, 0):
        event = event.replace(f'"index": {index},'.encode(), f'"index": {index + places},'.encode())
        event = event.replace(f'"index": {index}}}'.encode(), f'"index": {index + places}}}'.encode())
        if f'"index": {index + places}'.encode() in event:
            break
    return event


async def test_tokens_are_counted_over_the_wire():
    async with MessagesServer() as server, PooledWire("anthropic", server.url, limits=PATIENT) as wire:
        turn = asks.ask(reasoning=request.Reasoning("low"), tools=(asks.NOW,), sampling=request.Sampling(stop=("x",)))
        assert await Anthropic(wire, PROFILE, key="secret").count(turn) > 0


async def test_the_models_of_a_vendor_are_listed_over_the_wire():
    async with (
        asyncio.timeout(PATIENCE),
        Messages(key="secret", models=("a", "b")) as vendor,
        PooledWire("anthropic", vendor.url, limits=PATIENT) as wire,
    ):
        provider = AnthropicProvider(wire, "anthropic", profile_of=lambda _: PROFILE, key="secret")
        assert await provider.models() == ("a", "b")
        batches = [batch async for batch in provider.model("a").stream(asks.ask(model="a"))]
    assert batches[-1][-1].reason == "stop"
    assert vendor.complaints == []
