"""What is counted where no vendor counts: marked as estimated, bounded, and near to what tokenizers say."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from freddy.server.core import deltas, errors, events, items, toolspec
from freddy.server.core.pricing import Price
from freddy.server.core.profile import Profile
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.core.run import Run
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.runtime import estimate
from freddy.server.runtime.runner import Runner
from freddy_fakes import PATIENCE, CountingIds, FixedClock, ScriptedModel

HELLO = items.Message("msg_in", "user", (items.Text("Say hello to everybody."),))
PROFILE = Profile("scripted", "stage", price=Price(1, 2))
CHOSEN = deltas.Chosen("stage", Price(1_000_000, 2_000_000))
"""A dollar for a token of input, two for one of output."""


def run() -> Run:
    request = Request(model="scripted", input=(HELLO,))
    response = Response(
        id="resp_1", organization_id="org_1", created_at=1, status="in_progress", model="scripted", request=request
    )
    return Run(response=response, context=(HELLO,), model="scripted")


def driven(*lines: object) -> tuple[AsyncIterator[list[events.Event]], ScriptedModel]:
    model = ScriptedModel(*lines, profile=PROFILE)
    return Runner(clock=FixedClock(), ids=CountingIds()).drive(run(), model), model


async def ended(*lines: object) -> Response:
    happening, _ = driven(*lines)
    async with asyncio.timeout(PATIENCE):
        batches = [batch async for batch in happening]
    last = batches[-1][-1]
    assert isinstance(last, events.Finished)
    return last.response


# When it is estimated


async def test_what_a_vendor_counts_is_taken_as_it_is():
    response = await ended(CHOSEN, deltas.Text("Hello."), deltas.Stop("stop", Usage(10, 5)))
    assert (response.usage, response.cost) == (Usage(10, 5), 20)


@pytest.mark.parametrize(
    "end",
    [deltas.Stop("stop"), deltas.Stop("length"), errors.ProviderFailed("It broke off"), RuntimeError("A fault")],
)
async def test_a_turn_that_nobody_counted_is_estimated_however_it_ends(end):
    response = await ended(CHOSEN, deltas.Reasoning("Let me think."), deltas.Text("Hello, everybody."), end)
    assert response.usage == estimate.usage(Turn("scripted", (HELLO,)), response.output)
    assert response.usage is not None
    assert response.usage.estimated
    assert 0 < response.usage.reasoning_tokens < response.usage.output_tokens
    assert response.cost == response.usage.input_tokens + 2 * response.usage.output_tokens


async def test_a_cancelled_turn_is_estimated():
    happening, model = driven(CHOSEN, deltas.Text("Hello, every"), asyncio.Event())
    heard: list[events.Event] = []

    async def listen() -> None:
        async for batch in happening:
            heard.extend(batch)

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen())
        await model.waits.wait()
        listening.cancel()
    assert isinstance(heard[-1], events.Finished)
    response = heard[-1].response
    assert response.status == "cancelled"
    assert response.usage == estimate.usage(Turn("scripted", (HELLO,)), response.output)
    assert response.cost


async def test_a_turn_that_failed_without_a_word_used_nothing():
    response = await ended(CHOSEN, errors.ProviderFailed("It broke off"))
    assert (response.usage, response.cost) == (None, None)


async def test_without_a_price_there_is_no_cost():
    response = await ended(deltas.Chosen("stage"), deltas.Text("Hello."), deltas.Stop("stop", Usage(10, 5)))
    assert response.cost is None


# How it is estimated

ENGLISH = """The gateway listens on one port and speaks two dialects. A response that was made through one of them
can be read through the other, and every conversation is kept until somebody deletes it."""
CODE = """def window(items, budget):
    if not items:
        return ()
    total = sum(len(item.text) for item in items)
    return items[-budget:] if total > budget else tuple(items)"""
NUMBERS = "1047576, 32768, 128000, 16384, 200000, 64000, 8192, 1744588800"
CHINESE = "人人生而自由,在尊严和权利上一律平等。请帮我写一个函数,读取文件并统计每个单词出现的次数。"


@pytest.mark.parametrize(
    ("text", "counted", "off"),
    [(ENGLISH, 39, 0.15), (CODE, 41, 0.2), (NUMBERS, 33, 0.25), (CHINESE, 35, 0.25), ("Hi", 1, 0), ("", 0, 0)],
)
def test_an_estimate_is_near_to_what_a_tokenizer_counts(text, counted, off):
    """`counted` is the number of tokens in OpenAI's o200k_base."""
    assert estimate.tokens([text]) == pytest.approx(counted, rel=off)


def test_everything_that_a_model_reads_is_in_the_estimate():
    tool = toolspec.Function("now", description="Tells the time in a place.")
    call = items.FunctionCall("fc_1", "call_1", "now", '{"place": "Bern"}')
    output = items.FunctionOutput("fco_1", "call_1", (items.Text("It is noon in Bern."),))
    image = items.Message("msg_2", "user", (items.Image(url="https://example.com/a.png"),))
    plain = estimate.input_tokens(Turn("scripted", (HELLO,)))
    more = [
        Turn("scripted", (HELLO,), instructions="Be brief."),
        Turn("scripted", (HELLO,), tools=(tool,)),
        Turn("scripted", (HELLO, call)),
        Turn("scripted", (HELLO, output)),
        Turn("scripted", (HELLO, image)),
    ]
    assert all(estimate.input_tokens(turn) > plain for turn in more)


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_a_long_text_is_estimated_from_samples(text):
    few, many = estimate.tokens([text] * 20), estimate.tokens([text] * 20_000)
    assert many == pytest.approx(few * 1000, rel=0.1)


def test_the_time_of_an_estimate_does_not_grow_with_the_text():
    texts = ["word " * 200] * 10_000
    began = time.process_time()
    assert estimate.tokens(texts) > 1_000_000
    assert time.process_time() - began < 1
