"""A turn with tools → a turn of plain text."""

import json

import msgspec

from freddy.server.core import items, request, toolspec
from freddy.server.core.turn import Turn
from freddy.server.providers._tool_prompt import LONGEST_TOLD, NOW_ANSWER, answered, form, offered, plain

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = toolspec.Function("get_weather", "The weather.", msgspec.Raw(json.dumps(CITY).encode()))
TIME = toolspec.Function("get_time")
NOTE = toolspec.Function("note", form="custom")
HELLO = items.Message("m1", "user", (items.Text("Hello"),))


def turn(*history: items.Item, **told) -> Turn:
    return Turn("m", history or (HELLO,), **told)


def schema(asked: Turn) -> dict:
    return json.loads(bytes(form(asked)))


def test_a_turn_without_tools_stays_as_it_is():
    assert plain(turn(instructions="Be brief.")) == turn(instructions="Be brief.")
    forbidden = plain(turn(tools=(WEATHER,), tool_choice="none"))
    assert forbidden == turn()


def test_tools_are_listed_in_the_instructions():
    asked = plain(turn(instructions="Be brief.", tools=(WEATHER, NOTE), live=False))
    assert asked.instructions.startswith("Be brief.\n\n# Tools")
    listed = [json.loads(line) for line in asked.instructions.splitlines() if line.startswith('{"type"')]
    assert [tool["function"]["name"] for tool in listed] == ["get_weather", "note"]
    assert listed[0]["function"]["parameters"] == CITY
    assert listed[1]["function"]["parameters"]["required"] == ["input"]
    assert asked.tools == ()
    assert asked.output == request.Output()
    assert asked.sampling.stop == ("</tool_call>",)
    assert asked.live


def test_a_call_that_must_be_made_is_the_only_thing_that_can_be_written():
    asked = turn(tools=(WEATHER, TIME), tool_choice="required")
    forms = schema(asked)["anyOf"]
    assert [form["properties"]["name"]["const"] for form in forms] == ["get_weather", "get_time"]
    assert forms[0]["properties"]["arguments"] == CITY
    assert "You must call" in plain(asked).instructions

    named = turn(tools=(WEATHER, TIME), tool_choice=toolspec.Named("get_time"))
    assert schema(named)["properties"]["name"] == {"const": "get_time"}
    assert "get_weather" not in plain(named).instructions

    allowed = toolspec.Allowed(("get_weather",), "required")
    assert schema(turn(tools=(WEATHER, TIME), tool_choice=allowed))["properties"]["name"] == {"const": "get_weather"}
    assert [t.name for t in offered(turn(tools=(WEATHER, TIME), tool_choice=allowed))] == ["get_weather"]


def test_a_call_may_stand_in_place_of_an_answer_of_a_given_form():
    answer = request.Schema("a", msgspec.Raw(b'{"type":"object","properties":{"x":{"type":"number"}}}'))
    call, answered = schema(turn(tools=(TIME,), output=request.Output("json_schema", (answer,))))["anyOf"]
    assert call["properties"]["name"] == {"const": "get_time"}
    assert answered == {"type": "object", "properties": {"x": {"type": "number"}}}


def test_references_inside_a_tool_still_lead_to_their_place():
    tree = {"$defs": {"n": {"type": "object"}}, "type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}
    tool = toolspec.Function("grow", parameters=msgspec.Raw(json.dumps(tree).encode()))
    asked = schema(turn(tools=(tool, TIME), tool_choice="required"))
    assert asked["anyOf"][0]["properties"]["arguments"] == {"$ref": "#/$defs/arguments_0"}
    place = asked["$defs"]["arguments_0"]
    assert place["properties"]["n"] == {"$ref": "#/$defs/arguments_0/$defs/n"}
    assert place["$defs"] == {"n": {"type": "object"}}


def test_a_turn_that_may_be_answered_in_any_words_has_no_form():
    assert form(turn()) is None
    assert form(turn(tools=(WEATHER,))) is None
    assert form(turn(tools=(WEATHER,), tool_choice="none")) is None


def test_the_form_of_an_answer_is_told_in_words_too():
    told = plain(turn(instructions="Be brief.", output=request.Output("json")))
    assert told.instructions == "Be brief.\n\nAnswer with one JSON object and nothing else."
    assert told.output == request.Output()
    assert schema(turn(output=request.Output("json"))) == {"type": "object"}

    raw = msgspec.Raw(b'{"type":"integer"}')
    one = request.Output("json_schema", (request.Schema("age", raw, "How old."),))
    assert plain(turn(output=one)).instructions.endswith('nothing else:\nage: How old.\n{"type":"integer"}')
    assert schema(turn(output=one)) == {"type": "integer"}

    long = msgspec.Raw(json.dumps({"enum": ["x" * LONGEST_TOLD]}).encode())
    two = request.Output("json_schema", (request.Schema("age", raw), request.Schema("word", long, "A word.")))
    assert plain(turn(output=two)).instructions.endswith('nothing else:\nage\n{"type":"integer"}\nword: A word.')


def test_several_schemas_are_one_whose_parts_still_find_each_other():
    def one(kind: str) -> request.Schema:
        told = {"$id": "http://a/b", "$schema": "x", "$ref": "#/$defs/k", "$defs": {"k": {"type": kind}}}
        return request.Schema(kind, msgspec.Raw(json.dumps(told).encode()))

    output = request.Output("json_schema", (one("null"), one("boolean")))
    assert schema(turn(output=output)) == {
        "anyOf": [{"$ref": "#/$defs/answer_0"}, {"$ref": "#/$defs/answer_1"}],
        "$defs": {
            "answer_0": {"$ref": "#/$defs/answer_0/$defs/k", "$defs": {"k": {"type": "null"}}},
            "answer_1": {"$ref": "#/$defs/answer_1/$defs/k", "$defs": {"k": {"type": "boolean"}}},
        },
    }


def test_calls_and_outputs_of_the_past_become_messages():
    asked = plain(
        turn(
            HELLO,
            items.Reasoning("r1", ("hm",)),
            items.Message("m2", "assistant", (items.Text("I look."),)),
            items.FunctionCall("c1", "1", "get_weather", '{"city":"Rome"}'),
            items.FunctionCall("c2", "2", "note", "free", form="custom"),
            items.FunctionOutput("o1", "1", (items.Text("18 °C"),)),
            items.FunctionOutput("o2", "2", (items.Text("ok"),)),
            items.Message("m3", "user", (items.Text("And?"),)),
        )
    )
    assert [(item.role, item.text) for item in asked.items] == [
        ("user", "Hello"),
        (
            "assistant",
            'I look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city":"Rome"}}\n</tool_call>\n'
            '<tool_call>\n{"name": "note", "arguments": {"input": "free"}}\n</tool_call>',
        ),
        (
            "user",
            "<tool_response>\n18 °C\n</tool_response>\n<tool_response>\nok\n</tool_response>",
        ),
        ("user", "And?"),
    ]


def test_after_an_output_the_model_is_asked_to_answer():
    call = items.FunctionCall("c1", "1", "get_weather", '{"city":"Rome"}')
    output = items.FunctionOutput("o1", "1", (items.Text("18 °C"),))
    asked = plain(turn(HELLO, call, output, tools=(WEATHER,)))
    assert asked.items[-1].text == f"<tool_response>\n18 °C\n</tool_response>\n{NOW_ANSWER}"
    forced = plain(turn(HELLO, call, output, tools=(WEATHER,), tool_choice="required"))
    assert forced.items[-1].text == "<tool_response>\n18 °C\n</tool_response>"


def test_the_calls_that_have_their_output_are_those_since_the_user_last_spoke():
    call = items.FunctionCall("c1", "1", "get_weather", '{"city":"Rome","a":1}')
    output = items.FunctionOutput("o1", "1", (items.Text("18 °C"),))
    made = frozenset({("get_weather", '{"a": 1, "city": "Rome"}')})
    assert answered(turn(HELLO, call, output)) == made
    assert answered(turn(HELLO, call, output, HELLO)) == frozenset()
