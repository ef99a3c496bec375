"""What of a turn OpenAI does not do as it is asked is told, and nothing else is."""

import json

import pytest
from msgspec.structs import replace
from test_openai_stream import Recording

from freddy.server.core import request
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.openai.adapter import OpenAI
from freddy.server.providers.openai.request import body
from freddy_fakes import raw

PROFILE = Profile(name="m", provider="vendor", reasoning=True)
SCHEMA = request.Schema("place", raw({"type": "object"}))

OTHERWISE = {
    request.Sampling: {
        "temperature": 0.5,
        "top_p": 0.5,
        "presence_penalty": 1.0,
        "frequency_penalty": 1.0,
        "logprobs": True,
        "top_logprobs": 3,
        "seed": 7,
        "stop": ("END",),
        "verbosity": "low",
    },
    request.Output: {"mode": "json", "schemas": (SCHEMA,)},
    request.Reasoning: {"effort": "high", "summary": "concise"},
}
BESIDE = {"top_logprobs": {"logprobs": True}, "schemas": {"mode": "json_schema"}}
PLACES = {request.Sampling: "sampling", request.Output: "output", request.Reasoning: "reasoning"}


def warned(model="m", profile=PROFILE, **asked) -> list[str]:
    return list(OpenAI(Recording(), profile).warnings(Turn(model=model, items=(), **asked)))


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5", "gpt-5.4", "o3", "gpt-6-astra", "a-deployment"])
@pytest.mark.parametrize("kind", OTHERWISE)
def test_every_parameter_reaches_openai_or_is_warned_about(model, kind):
    assert OTHERWISE[kind].keys() == set(kind.__struct_fields__)
    for field, value in OTHERWISE[kind].items():
        beside = BESIDE.get(field, {})
        plain = Turn(model=model, items=(), **{PLACES[kind]: kind(**beside)})
        asked = replace(plain, **{PLACES[kind]: kind(**{**beside, field: value})})
        reaches = json.loads(body(asked, PROFILE)) != json.loads(body(plain, PROFILE))
        assert reaches or OpenAI(Recording(), PROFILE).warnings(asked), field


WARNED = {
    "what-there-is-not": (
        {"sampling": request.Sampling(seed=0, stop=("x",), presence_penalty=1.0, frequency_penalty=-1.0)},
        [
            "presence_penalty was left out: vendor does not have it",
            "frequency_penalty was left out: vendor does not have it",
            "seed was left out: vendor does not have it",
            "stop was left out: vendor does not have it",
        ],
    ),
    "sampling-of-a-model-that-reasons": (
        {"model": "o3", "sampling": request.Sampling(temperature=0.5, top_p=0.5, logprobs=True)},
        [
            "temperature was left out: o3 does not take it as it reasons",
            "top_p was left out: o3 does not take it as it reasons",
            "logprobs was left out: o3 does not take it as it reasons",
        ],
    ),
    "sampling-of-a-model-that-may-not-reason": (
        {"model": "gpt-5.4", "sampling": request.Sampling(temperature=0.5)},
        ["temperature was left out: gpt-5.4 does not take it unless reasoning is off"],
    ),
    "what-is-so-anyway": (
        {
            "model": "o3",
            "sampling": request.Sampling(temperature=1.0, top_p=1.0, presence_penalty=0.0, verbosity="medium"),
        },
        [],
    ),
    "sampling-of-a-model-that-does-not-reason-now": (
        {
            "model": "gpt-5.4",
            "sampling": request.Sampling(temperature=0.5, top_p=0.5),
            "reasoning": request.Reasoning("off"),
        },
        [],
    ),
    "words-of-a-model-that-cannot-count-them": (
        {"model": "gpt-4o", "sampling": request.Sampling(verbosity="low")},
        ["verbosity was left out: gpt-4o does not take it"],
    ),
    "reasoning-of-a-model-that-has-none": (
        {"model": "gpt-4o", "reasoning": request.Reasoning("high", "auto")},
        [
            "the effort of reasoning was left out: gpt-4o does not reason",
            "the summary of reasoning was left out: gpt-4o does not reason",
        ],
    ),
    "no-reasoning-of-a-model-that-has-none": ({"model": "gpt-4o", "reasoning": request.Reasoning("off")}, []),
    "no-reasoning-of-a-model-that-cannot-stop": (
        {"model": "gpt-6-astra", "reasoning": request.Reasoning("off")},
        ["reasoning cannot be off: gpt-6-astra reasons with the effort low at least"],
    ),
    "an-effort-that-a-model-does-not-have": (
        {"model": "gpt-5", "reasoning": request.Reasoning("xhigh", "concise")},
        [
            "the effort of reasoning is high: gpt-5 does not have xhigh",
            "the summary of reasoning may be long: gpt-5 does not make concise ones",
        ],
    ),
    "the-least-effort": ({"model": "gpt-5.4", "reasoning": request.Reasoning("minimal")}, []),
    "the-most-effort": ({"model": "gpt-5.4", "reasoning": request.Reasoning("maximum", "detailed")}, []),
    "a-low-limit": ({"max_output_tokens": 3}, ["the limit of output was raised to 16, the least that vendor takes"]),
    "nothing": ({}, []),
}


@pytest.mark.parametrize("name", WARNED)
def test_what_is_not_done_as_asked_is_told_in_a_sentence(name):
    asked, told = WARNED[name]
    assert warned(**asked) == told


def test_a_temperature_above_the_highest_is_lowered_and_said_to_be():
    cool = replace(PROFILE, max_temperature=1.0)
    assert warned(profile=cool, sampling=request.Sampling(temperature=1.5)) == [
        "temperature was lowered to 1, the highest of m"
    ]
