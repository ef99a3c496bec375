"""What of a turn Anthropic does not do as it is asked is told, and nothing else is."""

import json

import pytest
from msgspec.structs import replace
from test_anthropic_request import ABLE, NOW, PLAIN

from freddy.server.core import request, toolspec
from freddy.server.core.turn import Turn
from freddy.server.providers.anthropic.request import body
from freddy.server.providers.anthropic.unmet import unmet
from freddy_fakes import raw

S = request.Sampling
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
NO_MATTER = ("summary",)
"""Promised to be no error and no concern: the thinking itself is shown."""


@pytest.mark.parametrize("effort", [None, "high"])
@pytest.mark.parametrize(
    "model", ["claude-3-5-sonnet-20241022", "claude-sonnet-4-5", "claude-opus-4-7", "claude-opus-5-5", "m"]
)
@pytest.mark.parametrize("kind", OTHERWISE)
def test_every_parameter_reaches_anthropic_or_is_warned_about(model, effort, kind):
    assert OTHERWISE[kind].keys() == set(kind.__struct_fields__)
    thinking = request.Reasoning(effort)
    for field, value in OTHERWISE[kind].items():
        beside = BESIDE.get(field, {})
        plain = replace(Turn(model=model, items=(), reasoning=thinking), **{PLACES[kind]: kind(**beside)})
        asked = replace(plain, **{PLACES[kind]: kind(**{**beside, field: value})})
        reaches = json.loads(body(asked, ABLE)) != json.loads(body(plain, ABLE))
        assert reaches or list(unmet(asked, ABLE)) or field in NO_MATTER, field


WARNED = {
    "what-there-is-not": (
        {"sampling": S(seed=0, presence_penalty=1.0, frequency_penalty=-1.0, logprobs=True, verbosity="high")},
        [
            "presence_penalty was left out: anthropic does not have it",
            "frequency_penalty was left out: anthropic does not have it",
            "logprobs was left out: anthropic does not have it",
            "seed was left out: anthropic does not have it",
            "verbosity was left out: anthropic does not have it",
        ],
    ),
    "white-space": (
        {"sampling": S(stop=("x", " "))},
        ["stop was left out where it is white space: anthropic does not take it"],
    ),
    "a-high-temperature": (
        {"sampling": S(temperature=1.7)},
        ["temperature was lowered to 1, the highest of m"],
    ),
    "two-samplers": (
        {"sampling": S(temperature=0.5, top_p=0.9)},
        ["top_p was left out: m does not take it beside temperature"],
    ),
    "sampling-while-it-thinks": (
        {"sampling": S(temperature=0.5, top_p=0.9), "reasoning": request.Reasoning("low")},
        [
            "temperature was left out: m does not take it as it thinks",
            "top_p was left out: m does not take it as it thinks",
        ],
    ),
    "most-of-top_p-while-it-thinks": ({"sampling": S(top_p=0.97), "reasoning": request.Reasoning("low")}, []),
    "sampling-of-a-model-without": (
        {"model": "claude-opus-4-7", "sampling": S(temperature=0.5, top_p=0.9)},
        [
            "temperature was left out: claude-opus-4-7 does not take it",
            "top_p was left out: claude-opus-4-7 does not take it",
        ],
    ),
    "what-is-so-anyway": (
        {
            "model": "claude-opus-5-5",
            "sampling": S(temperature=1.0, top_p=1.0, presence_penalty=0.0, verbosity="medium"),
        },
        [],
    ),
    "a-model-that-cannot-stop-thinking": (
        {"model": "claude-opus-5-5", "reasoning": request.Reasoning("off")},
        ["reasoning cannot be off: claude-opus-5-5 thinks with the least effort"],
    ),
    "models-that-can": ({"model": "claude-sonnet-5-5", "reasoning": request.Reasoning("off")}, []),
    "a-limit-that-leaves-no-room": (
        {"max_output_tokens": 1000, "reasoning": request.Reasoning("high")},
        ["the effort of reasoning was left out: 1000 tokens of output leave no room for it"],
    ),
    "a-call-that-cannot-be-forced": (
        {"tools": (NOW,), "tool_choice": toolspec.Named("now"), "reasoning": request.Reasoning("low")},
        ["the model may answer without a call: m cannot be made to call a function as it thinks"],
    ),
    "a-call-that-can": ({"tools": (NOW,), "tool_choice": "required"}, []),
    "a-summary": ({"reasoning": request.Reasoning("low", "detailed")}, []),
    "nothing": ({}, []),
}


@pytest.mark.parametrize("name", WARNED)
def test_what_is_not_done_as_asked_is_told_in_a_sentence(name):
    asked, told = WARNED[name]
    assert list(unmet(Turn(**{"model": "m", "items": ()} | asked), ABLE)) == told


def test_an_effort_of_a_model_that_does_not_think_is_warned_about():
    asked = Turn(model="m", items=(), reasoning=request.Reasoning("high", "auto"))
    assert list(unmet(asked, PLAIN)) == ["the effort of reasoning was left out: m does not think"]


def test_a_schema_that_the_vendor_cannot_hold_is_no_matter_of_warnings():
    loose = request.Output("json_schema", (request.Schema("a", raw({"type": "array"})),))
    assert list(unmet(Turn(model="m", items=(), output=loose), PLAIN)) == []
