"""JSON Schemas as grammars: what they let through fits, first by chance, then with the real engine."""

import json
import random
from pathlib import Path

import msgspec
import pytest
from llguidance import LLMatcher, LLTokenizer
from test_adapter import answer, running, said, turn

from freddy.server.core import deltas, request, toolspec
from freddy.server.providers.embedded.grammar import closest
from freddy.server.runtime import forms
from promises import promise


def _formatted(name: str) -> dict[str, str]:
    return {"type": "string", "format": name}


NODE = {
    "type": "object",
    "properties": {"v": {"type": "integer"}, "k": {"type": "array", "items": {"$ref": "#/$defs/n"}, "maxItems": 1}},
    "required": ["v"],
    "additionalProperties": False,
}
EXACT = {
    "nested": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 8},
            "place": {
                "type": "object",
                "properties": {
                    "x": {"type": "number", "minimum": -1, "exclusiveMaximum": 1},
                    "kind": {"enum": ["a", 1]},
                },
                "required": ["x", "kind"],
                "additionalProperties": False,
            },
        },
        "required": ["name", "place"],
        "additionalProperties": False,
    },
    "bounds": {"type": "integer", "minimum": 13, "maximum": 27},
    "steps": {"type": "integer", "multipleOf": 7, "minimum": 0, "maximum": 500},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3}$"},
    "formats": {"type": "array", "prefixItems": [_formatted("date"), _formatted("uuid"), _formatted("ipv4")]}
    | {"items": False, "minItems": 3},
    "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    "names": {"type": "object", "patternProperties": {"^x-": {"type": "null"}}, "additionalProperties": False}
    | {"minProperties": 1, "maxProperties": 2},
    "references": {
        "$defs": {"s": {"enum": ["é", "日本"]}},
        "type": "array",
        "items": {"$ref": "#/$defs/s"},
        "maxItems": 3,
    },
    "recursion": {"$defs": {"n": NODE}, "$ref": "#/$defs/n"},
    "number": {"type": "number"},
    "union": {
        "anyOf": [
            {"type": "object", "properties": {"k": {"const": "dog"}}, "required": ["k"]}
            | {"additionalProperties": False},
            {"type": "array", "items": {"type": ["integer", "null"]}, "maxItems": 2},
        ]
    },
    "all": {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 9}]},
}
LOOSE = {
    "unique": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "maxItems": 3},
    "not": {"type": "string", "not": {"const": "x"}, "maxLength": 5},
    "if": {"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}},
    "contains": {"type": "array", "contains": {"const": 1}, "items": {"type": "integer"}, "maxItems": 2},
    "look-ahead": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?=a)[a-z]+$"}}},
    "email": {"type": "string", "format": "email"},
    "white space": {"type": "string", "pattern": "^a\\sb$"},
    "unknown format": {"type": "string", "format": "phone"},
    "one of": {"oneOf": [{"type": "number"}, {"type": "integer"}]},
    "nothing": {"type": "string", "minLength": 5, "maxLength": 3},
}


def output(*schemas: object) -> request.Output:
    named = enumerate(msgspec.Raw(json.dumps(schema).encode()) for schema in schemas)
    return request.Output("json_schema", tuple(request.Schema(f"s{place}", schema) for place, schema in named))


def held(schema: object):
    return closest(json.dumps(schema).encode())


def written_by_chance(text: str, seed: int, longest: int = 300) -> str | None:
    """What a model without a mind writes under the grammar; None where it does not come to an end."""
    matcher, chance = LLMatcher(LLTokenizer("byte"), text, log_level=0), random.Random(seed)
    told = bytearray()
    while len(told) < longest and not matcher.is_stopped():
        allowed = [byte for byte, bias in enumerate(matcher.compute_logit_bias()[:256]) if bias]
        if matcher.is_accepting() and (not allowed or chance.random() < 0.5):
            break
        ends = [byte for byte in allowed if chr(byte) in '"}],0123456789'] if chance.random() < 0.4 else []
        plain = [byte for byte in allowed if 32 < byte < 127] if chance.random() < 0.95 else []
        byte = chance.choice(ends or plain or allowed)
        assert matcher.consume_token(byte)
        told.append(byte)
    return told.decode() if len(told) < longest else None


@pytest.mark.parametrize("name", EXACT)
def test_whatever_an_exact_grammar_lets_through_fits_the_schema(name):
    grammar = held(EXACT[name])
    assert grammar.exact
    written = [text for seed in range(40) if (text := written_by_chance(grammar.text, seed)) is not None]
    assert len(written) > 10
    for text in written:
        assert forms.faults(output(EXACT[name]), text) == (), text


@pytest.mark.parametrize("name", LOOSE)
def test_a_grammar_that_does_not_hold_all_of_a_schema_says_so(name):
    grammar = held(LOOSE[name])
    assert not grammar.exact
    assert json.loads(written_by_chance(grammar.text, 3) or "null") is not ...


def test_a_part_that_cannot_be_held_leaves_the_others_held():
    schema = {"type": "object", "properties": {"a": {"pattern": "(?=a)a"}, "b": {"enum": [1]}}, "required": ["b"]}
    for seed in range(10):
        assert json.loads(written_by_chance(held(schema).text, seed) or '{"b": 1}')["b"] == 1


def test_a_schema_that_is_only_true_lets_any_value_through():
    assert held(True).exact
    assert not held(False).exact


def test_what_a_schema_holds_cannot_become_part_of_the_grammar():
    schema = {"const": '"\nstart: /evil/'}
    assert json.loads(written_by_chance(held(schema).text, 1)) == schema["const"]


def test_no_white_space_is_written_but_between_parts():
    text = written_by_chance(held({"const": {"a": [1, 2], "b": {}}}).text, 1)
    assert text == '{"a": [1, 2], "b": {}}'


WARM = request.Sampling(temperature=1.0, seed=7)
LOOK_AHEAD = LOOSE["look-ahead"]
TOOL = toolspec.Function(
    "pick",
    "Picks a number.",
    msgspec.Raw(b'{"type":"object","properties":{"n":{"type":"integer","minimum":40,"maximum":49}},"required":["n"]}'),
)


@pytest.mark.engine
@pytest.mark.xdist_group("engine")
@promise(215, 221)
async def test_the_engine_writes_what_fits_or_is_cut_off(models: Path):
    async with running(models) as (_, model):

        async def ask(text: str, asked: request.Output, **told) -> tuple[str, str]:
            turned = turn(text, told.pop("tokens", 160), output=asked, sampling=WARM, **told)
            assert await model.enforces(turned)
            *heard, stop = await answer(model, turned)
            assert isinstance(stop, deltas.Stop)
            return said(heard), stop.reason

        ended = 0
        for schema in EXACT.values():
            text, reason = await ask("Describe a small house in Lisbon.", output(schema))
            if reason == "stop":
                ended += 1
                assert forms.faults(output(schema), text) == (), text
        assert ended > len(EXACT) // 2

        several = output(EXACT["bounds"], EXACT["pattern"], EXACT["recursion"])
        text, reason = await ask("Name a code.", several)
        assert (reason, forms.faults(several, text)) == ("stop", ())

        text, reason = await ask("Tell me of Lisbon.", request.Output("json"), tokens=200)
        assert reason == "length" or forms.faults(request.Output("json"), text) == ()

        text, reason = await ask("Tell me of Lisbon.", output({"type": "string", "minLength": 500}), tokens=8)
        assert reason == "length"

        # Beside tools an answer has its form, too; and a tool that must be called is called as it wants to be.
        asked = turn("Pick.", 60, output=output(EXACT["bounds"]), sampling=WARM, tools=(TOOL,))
        heard = await answer(model, asked)
        calls = [delta for delta in heard if isinstance(delta, deltas.ToolCall)]
        assert calls or forms.faults(output(EXACT["bounds"]), said(heard)) == ()
        for choice in ("required", toolspec.Named("pick")):
            heard = await answer(model, turn("Pick.", 60, sampling=WARM, tools=(TOOL,), tool_choice=choice))
            (called,) = [delta for delta in heard if isinstance(delta, deltas.ToolCall)]
            assert 40 <= json.loads(called.arguments)["n"] <= 49

        # What it cannot be held to it is still led to.
        asked = turn("Hello", 60, output=output(LOOK_AHEAD), sampling=WARM)
        assert not await model.enforces(asked)
        *heard, stop = await answer(model, asked)
        assert stop.reason == "length" or isinstance(json.loads(said(heard)), dict)
