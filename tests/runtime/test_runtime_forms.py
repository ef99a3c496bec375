"""The form of an answer: which schemas are taken, what fits them, and that none makes the server wait."""

import json
import time

import msgspec
import pytest

from freddy.server.core import errors
from freddy.server.core.request import Output, Schema
from freddy.server.runtime import forms
from freddy_fakes import raw

JSON = Output("json")
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
SOON = 2.0
"""Seconds that the worst of schemas may take on a machine that has other work, too."""


def output(*schemas: object) -> Output:
    return Output("json_schema", tuple(Schema(f"s{place}", raw(schema)) for place, schema in enumerate(schemas)))


def refused(*schemas: object) -> errors.InvalidValue:
    with pytest.raises(errors.InvalidValue) as caught:
        forms.refuse(output(*schemas))
    return caught.value


@pytest.mark.parametrize(
    "text",
    ['{"name":"Ana","age":3}', ' {"age": 3.0, "name": "é", "tags": []}\n', '{"name":"\\u00e9","age":0,"tags":["x"]}'],
)
def test_what_fits_has_no_faults(text):
    assert forms.faults(output(PERSON), text) == ()


def test_faults_say_where_and_why_and_repeat_no_value():
    text = json.dumps({"name": "", "age": "secret", "tags": ["a", 77]})
    assert forms.faults(output(PERSON), text) == (
        "at $.name: the value is shorter than 1 character",
        'at $.age: the value is not of type "integer"',
        'at $.tags[1]: the value is not of type "string"',
    )


def test_faults_are_few_and_short():
    text = json.dumps({"name": "x", "age": 1, "tags": [1] * 50, "y" * 900: 1})
    faults = forms.faults(output(PERSON), text)
    assert len(faults) == 5
    assert max(map(len, faults)) <= 200


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it is empty"),
        ("  \n", "it is empty"),
        ("Hello", "it is not JSON (JSON is malformed: invalid character (byte 0))"),
        ('{"a":', "it is not JSON (Input data was truncated)"),
        ('{"a":1} {"b":2}', "it is not JSON (JSON is malformed: trailing characters (byte 9))"),
        ('{"a":NaN}', "it is not JSON (JSON is malformed: invalid character (byte 5))"),
        ("[1]", "it is JSON, but not an object"),
        ('"{}"', "it is JSON, but not an object"),
        ("[" * 300 + "]" * 300, "it is nested deeper than 200 levels"),
        ("[" * 9000 + "]" * 9000, "it is not JSON that can be read"),
        ('{"a":' + "1" * 5000 + "}", "it is not JSON that can be read"),
    ],
)
def test_json_mode_wants_an_object(text, fault):
    assert forms.faults(JSON, text) == (fault,)


def test_any_object_will_do_in_json_mode():
    assert forms.faults(JSON, '{"a":[1e999,null]}') == ()
    assert forms.faults(Output("text"), "1") == ()


def test_of_several_schemas_one_must_fit():
    two = output(PERSON, {"type": "array"})
    assert forms.faults(two, "[1]") == ()
    assert forms.faults(two, '{"name":"Ana","age":3}') == ()
    assert forms.faults(two, "1") == (
        "for 's0': at $: the value is not of type \"object\"",
        "for 's1': at $: the value is not of type \"array\"",
    )


def test_an_answer_may_fit_several_schemas_at_once():
    one, other = {"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}
    assert forms.faults(output(one, other), '{"a":1,"b":2}') == ()


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2026-01-31", "2026-02-31"),
        ("date-time", "2026-01-31T10:00:00Z", "2026-01-31"),
        ("time", "10:00:00Z", "25:00:00Z"),
        ("duration", "P3D", "3 days"),
        ("email", "a@example.com", "a at b"),
        ("hostname", "example.com", "-x-"),
        ("ipv4", "127.0.0.1", "1.2.3"),
        ("ipv6", "::1", "1.2.3.4"),
        ("uri", "https://example.com/a", "not a uri"),
        ("uuid", "6f1c4f5a-6a4b-4c56-9c5a-0d0f3c0a8f11", "6f1c"),
    ],
)
def test_formats_count(name, good, bad):
    asked = output({"type": "string", "format": name})
    assert forms.faults(asked, json.dumps(good)) == ()
    assert forms.faults(asked, json.dumps(bad)) != ()


def test_a_format_that_nobody_knows_does_not():
    assert forms.faults(output({"type": "string", "format": "phone"}), '"x"') == ()


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"prefixItems": [{"type": "integer"}], "items": False}, "[1]", "[1,2]"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, '{"a":1,"b":2}', '{"a":1}'),
        ({"type": "array", "uniqueItems": True}, "[1,2]", "[1,1]"),
        ({"dependentRequired": {"a": ["b"]}}, "{}", '{"a":1}'),
        ({"properties": {"a": True}, "unevaluatedProperties": False}, '{"a":1}', '{"b":1}'),
        ({"$defs": {"p": PERSON}, "$ref": "#/$defs/p"}, '{"name":"x","age":1}', "{}"),
        ({"definitions": {"a/b": {"type": "null"}}, "$ref": "#/definitions/a~1b"}, "null", "1"),
        ({"$defs": {"n": {"$anchor": "n", "type": "null"}}, "$ref": "#n"}, "null", "1"),
        ({"$id": "http://a/b", "$defs": {"n": {"type": "null"}}, "$ref": "http://a/b#/$defs/n"}, "null", "1"),
        ({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["v"]}, '{"v":1}', '{"v":1,"next":{}}'),
        ({"pattern": "^(?=a)[a-z]+$"}, '"ab"', '"ba"'),
        (True, "1", None),
    ],
)
def test_the_whole_of_draft_2020_12_is_understood(schema, good, bad):
    forms.refuse(output(schema))
    assert forms.faults(output(schema), good) == ()
    assert bad is None or forms.faults(output(schema), bad) != ()


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "objekt"}, "must be a JSON Schema of Draft 2020-12 (at #/type: "),
        ({"properties": {"a": {"minLength": -1}}}, "(at #/properties/a/minLength: "),
        ({"items": [{"type": "null"}]}, "(at #/items: "),
        ({"pattern": "["}, '(at #/pattern: the value is not a "regex")'),
        (1, "must be a JSON Schema"),
        ({"$ref": "http://169.254.169.254/latest"}, "must refer only to its own parts"),
        ({"$ref": "file:///etc/passwd"}, "must refer only to its own parts"),
        ({"$ref": "other.json"}, "must refer only to its own parts"),
        ({"$ref": "#/$defs/none"}, "there is no '#/$defs/none'"),
        ({"$ref": "#none"}, "there is no '#none'"),
        ({"$ref": "#/anyOf/7", "anyOf": [True]}, "there is no '#/anyOf/7'"),
        ({"items": {"$id": "http://a/b"}}, "must not have an $id but at its top"),
    ],
)
def test_a_schema_that_is_none_is_refused(schema, why):
    error = refused(schema)
    assert (error.status, error.code, error.param) == (422, "invalid_value", "json_schema.schema")
    assert error.details.startswith("the schema 's0' must ")
    assert why in error.details


def test_of_several_the_one_that_is_meant_is_named():
    error = refused(PERSON, {"type": 1})
    assert error.param == "json_schema[1].schema"
    assert error.details.startswith("the schema 's1' must be a JSON Schema")


def doubling(levels: int) -> object:
    """Each level is looked at twice as often as the one above it."""
    twice = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(levels)}
    return {"$defs": {**twice, f"d{levels}": {"type": "object"}}, "$ref": "#/$defs/d0"}


def nested(levels: int) -> object:
    schema: object = True
    for _ in range(levels):
        schema = {"allOf": [schema]}
    return schema


HOSTILE = {
    "doubling": (doubling(60), "parts"),
    "many": ({"anyOf": [{"const": n} for n in range(6000)]}, "parts"),
    "long": ({"enum": ["x" * 140_000]}, "bytes"),
    "deep": (nested(450), "levels"),
    "deeper than can be read": (nested(2_000), "read"),
    "chained": ({"$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(900)}, "$ref": "#/$defs/d0"}, ""),
    "patterns": ({"anyOf": [{"pattern": f"a{{{n}}}"} for n in range(101)]}, "patterns"),
    "a long pattern": ({"pattern": "a" * 2_001}, "patterns"),
    "a large pattern": ({"pattern": "(((a{1,100}){1,100}){1,100}){1,100}"}, "regex"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_schema_that_would_take_too_long_is_refused_at_once(name):
    schema, why = HOSTILE[name]
    text = json.dumps(schema) if name != "deeper than can be read" else '{"not":' * 2000 + "true" + "}" * 2000
    asked = Output("json_schema", (Schema("s0", msgspec.Raw(text.encode())),))
    began = time.perf_counter()
    with pytest.raises(errors.InvalidValue) as caught:
        forms.refuse(asked)
    assert why in caught.value.details
    assert time.perf_counter() - began < SOON


SLOW = {
    "recursion that branches": (
        {"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}, "required": ["a"]},
        '{"a":' * 150 + "{}" + "}" * 150,
    ),
    "doubling as far as it goes": (doubling(10), "1"),
    "a pattern that goes back": ({"pattern": "^(?=a)(a+)+\\1$"}, json.dumps("a" * 5_000 + "b")),
    "a pattern that goes back without end": ({"pattern": "(x+x+)+y"}, json.dumps("x" * 100_000)),
    "many against many": ({"items": {"anyOf": [{"const": n} for n in range(1500)]}}, json.dumps([7000] * 20_000)),
    "too many against many": ({"items": {"anyOf": [{"const": n} for n in range(1500)]}}, json.dumps([7000] * 90_000)),
    "unique": ({"uniqueItems": True}, json.dumps([[n] for n in range(20_000)] + [[1]])),
}


@pytest.mark.parametrize("name", SLOW)
def test_no_schema_that_is_taken_makes_a_check_take_long(name):
    schema, text = SLOW[name]
    forms.refuse(output(schema))
    began = time.perf_counter()
    assert forms.faults(output(schema), text) != ()
    assert time.perf_counter() - began < SOON


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('```json\n{"name":"A","age":1}\n```', '{"name":"A","age":1}'),
        ('```\n{"name":"A","age":1}\n```\nThat is all.', '{"name":"A","age":1}'),
        ('Here you are:\n```JSON\n{\n "name":"A",\n "age":1}\n```', '{\n "name":"A",\n "age":1}'),
        ('Sure! {"name":"A","age":1} Anything else?', '{"name":"A","age":1}'),
        ('{x} [1] {"name":"A","age":1}', '{"name":"A","age":1}'),
        ('{"name":"A","age":1} or {"name":"B","age":1}', None),
        ('```python\nage = 1\n```\nand so:\n```json\n{"name":"A","age":1}\n```', '{"name":"A","age":1}'),
        ('```json\n{"name":"A"}\n```', None),
        ("no JSON here", None),
        ("[" * 100_000, None),
    ],
)
def test_one_value_among_words_is_found(text, found):
    place = forms.inside(output(PERSON), text)
    assert (None if place is None else text[slice(*place)]) == found


@pytest.mark.parametrize("opening", ["```", "```\n", "```json\n{", "``` json"])
@pytest.mark.parametrize("filling", [" ", "\n", "`", "```\n", "```x"])
def test_no_answer_makes_the_search_for_its_json_take_long(opening, filling):
    began = time.perf_counter()
    forms.inside(output(PERSON), opening + filling * 50_000 + "x")
    assert time.perf_counter() - began < SOON
