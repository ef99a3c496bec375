"""How long a text is, in tokens, without a tokenizer."""

import math
import random
import re

import pytest

from freddy.server.core import deltas, events, items, resuming
from freddy.server.core.attempt import Attempt
from freddy.server.core.folding import fold
from freddy.server.core.pricing import Price
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.core.run import Run
from freddy.server.core.transcript import Transcript
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage
from freddy.server.runtime import estimate


@pytest.mark.parametrize(
    "text", ["", "a", "1", "1 2 3 4 5", "Light leaves.", "漢字かな", "éüß", "☃" * 50, "7 " * 20_000]
)
def test_no_estimate_is_above_its_bound(text: str) -> None:
    said = (items.Message("msg_1", "user", (items.Text(text), items.Image(url="https://a.test/b.png"))),)
    turn = Turn("", said, instructions=text[:17] or None)
    assert estimate.input_tokens(turn) <= estimate.at_most(turn)


_PIECES = (
    (re.compile("[A-Z]?[a-z]{1,7}|[A-Z]{1,3}"), 1.0),
    (re.compile("[0-9]{1,3}"), 1.4),
    (re.compile(r"[!-/:-@\[-`{-~]{1,3}"), 0.85),
    (re.compile("[\u00a1-\u024f\u1e00-\u1eff]"), 0.3),
    (re.compile("[\u0e00-\u0eff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"), 0.75),
    (re.compile("[\u0250-\u0dff\u0f00-\u1dff\ua4d0-\uabff]"), 0.4),
    (re.compile("[\u2010-\u2bff\U00010000-\U0001ffff]"), 1.4),
)
"""What is counted, in the words of patterns."""


@pytest.mark.parametrize(
    "letters",
    ["aA", "aaaaaaaaaAAA", "aA0. ", "09.!~`[{ \n", "aéĀ漢Ωж☃\n", "\0\x7f\xa0 a", "\U0001f600\U00020000\ud800aA1."],
)
def test_bytes_are_counted_as_patterns_would_count_the_text(letters: str) -> None:
    chance = random.Random(1)
    for _ in range(500):
        text = "".join(chance.choices(letters, k=chance.randrange(40)))
        wanted = sum(weight * len(piece.findall(text)) for piece, weight in _PIECES)
        assert estimate.tokens([text]) == math.ceil(wanted), text


@pytest.mark.parametrize("text", ["", "a", "7 " * 20_000, "☃" * 50, "Light leaves.\n"])
@pytest.mark.parametrize("several", [1, 3, 50])
def test_items_are_no_longer_together_than_their_bound(text: str, several: int) -> None:
    said = [
        items.Message(
            "msg_1", "user", (items.Text(text), items.Refusal(text), items.Image(url="https://a.test/b.png"))
        ),
        items.Message("msg_2", "assistant", (items.Text("1"),)),
        items.FunctionCall("fc_1", "call_1", "look", '{"at": 1}'),
        items.Reasoning("rs_1", (text, "!?")),
    ] * several
    assert sum(estimate.sizes(said)) <= estimate.sizes_at_most(said)
    apart = sum(size for one in said for size in estimate.sizes([one]))
    assert apart <= sum(estimate.sizes_at_most([one]) for one in said)
    assert apart <= estimate.sizes_at_most(said)


VAIN = [
    (None, 0, Usage()),
    (Usage(input_tokens=11, output_tokens=3), 46_000, Usage(input_tokens=11, output_tokens=3)),
]


@pytest.mark.parametrize(("told", "cost", "used"), VAIN, ids=["refused", "counted"])
def test_a_crash_between_two_tries_takes_what_the_last_one_took(told: Usage | None, cost: int, used: Usage) -> None:
    asked = Request(model="m", input=(items.Message("msg_1", "user", (items.Text("hello " * 2000),)),))
    response = Response(id="resp_1", organization_id="o", created_at=1, status="queued", model="m", request=asked)
    price = Price(2.0, 8.0)
    turning = Transcript(index=0, new_id=lambda kind: f"{kind}_1")
    turning.feed([deltas.Chosen("a", price, (), "m")])
    happened = [events.Created(response), events.Asked(turning.choice)]
    refused = Attempt(provider="a", model="m", seconds=0.1, code="rate_limited", status=429)
    turning.feed([deltas.Tried(refused, told, price)])
    happened.append(events.Asked(turning.choice))
    run, first = resuming.resumed(Run(response=response, context=asked.input, model="m"), happened)
    lost = estimate.lost(fold(run, first), resuming.heard(happened))
    assert lost is not None
    [call] = fold(run, [lost]).calls
    assert (call.status, call.usage, call.cost) == ("failed", used, cost)
