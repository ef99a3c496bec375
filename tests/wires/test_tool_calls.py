"""What a small model writes → text and calls, whatever the pieces it comes in."""

import itertools
import json

import pytest

from freddy.server.core import deltas, items
from freddy.server.core.usage import Usage
from freddy.server.providers._tool_calls import Reader

NAMES = ("get_weather", "get_time", "run")
CALL = '{"name": "get_weather", "arguments": {"city": "Paris", "days": [1, {"a": "}"}]}}'
ARGUMENTS = {"city": "Paris", "days": [1, {"a": "}"}]}
USAGE = Usage(input_tokens=3, output_tokens=4)


def read(text: str, size: int, *, parallel: bool = False, reason: deltas.FinishReason = "stop"):
    """The text said, the calls as (name, arguments) and the reason for the end."""
    reader = Reader(NAMES, parallel=parallel)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    told = list(itertools.chain.from_iterable(reader.feed([deltas.Text(piece)]) for piece in pieces))
    told += reader.close(deltas.Stop(reason, USAGE))
    said = "".join(delta.text for delta in told if isinstance(delta, deltas.Text))
    calls = [(delta.name, delta.arguments) for delta in told if isinstance(delta, deltas.ToolCall)]
    places = [delta.index for delta in told if isinstance(delta, deltas.ToolCall)]
    assert places == list(range(len(calls)))
    assert isinstance(told[-1], deltas.Stop)
    assert told[-1].usage == USAGE
    return said, calls, told[-1].reason


SIZES = (1, 2, 3, 7, 1000)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"<tool_call>\n{CALL}\n</tool_call>", ""),
        (f"<tool_call>{CALL}", ""),
        (f"<tool_call>\n{CALL[:-1]}\n</tool_call>", ""),
        (f"\n<tool_call>\n{CALL}\n</tool_call>\nIt is sunny in Paris.", ""),
        (f"I will look.\n<tool_call>\n{CALL}\n</tool_call>", "I will look.\n"),
        (f"I will look. <tool_call>{CALL}</tool_call>", "I will look. "),
        (f"```json\n{CALL}\n```", ""),
        (f"Sure:\n\n```json\n{CALL}\n```\nDone!", "Sure:\n\n"),
        (f"```\n{CALL}\n```", ""),
        (f"```xml\n<tool_call>\n{CALL}\n</tool_call>\n```", ""),
        (f"```json\n{CALL[:-1]}\n```", ""),
        (CALL, ""),
        (f"  {CALL}  ", ""),
        (CALL[:-2], ""),
        (f"[{CALL}]", ""),
        (f"Calling it now:\n{CALL}", "Calling it now:\n"),
        (f'{{"type": "function", "function": {CALL}}}', ""),
        (f'{{"name": "get_weather", "parameters": {json.dumps(ARGUMENTS)}}}', ""),
        (f'{{"arguments": {json.dumps(ARGUMENTS)}, "name": "get_weather"}}', ""),
        (json.dumps({"name": "get_weather", "arguments": json.dumps(ARGUMENTS)}), ""),
        (json.dumps({"name": "get_weather", "arguments": ARGUMENTS}, indent=2), ""),
    ],
)
def test_a_call_is_found_in_every_form_that_small_models_write(text: str, said: str, size: int):
    told, calls, reason = read(text, size)
    assert told == said
    assert [(name, json.loads(arguments)) for name, arguments in calls] == [("get_weather", ARGUMENTS)]
    assert reason == "tool_calls"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "text",
    [
        "The capital of France is Paris.",
        "Compare a < b and c <d> and <tool_box> and <tool",
        "```python\ndef run():\n    return {}\n```\nDone.",
        '```json\n{"temperature": 20, "name": "get_weather"}\n```',
        '```json\n{"name": "Bob", "age": 4}\n```',
        '{"name": "Bob"}',
        '{"name": "get_weather_now", "arguments": {}}',
        '{"answer": 42}',
        "[1, 2, 3]",
        "[link](https://example.org)\n[other]: x",
        "{not json at all}",
        '<tool_call>\n{"name": "unknown", "arguments": {}}\n</tool_call>',
        "<tool_call>\nnothing\n</tool_call>",
        '{"name": "get_time", "arguments": 7}',
        'Say "name": get_weather',
        "a\n  - b\n  - c\n",
        "`code` and ``more`` and ```",
        "```js",
    ],
)
def test_other_text_goes_through_as_it_is(text: str, size: int):
    assert read(text, size) == (text, [], "stop")


def test_text_is_not_held_back_once_it_cannot_be_a_call():
    for text in ("Paris", "a < b", '{"answer', "```python\n", "<tools", '{"name": "B', "x `", "line\n- a"):
        reader = Reader(NAMES, parallel=False)
        told = reader.feed([deltas.Text(text)])
        assert "".join(delta.text for delta in told if isinstance(delta, deltas.Text)) == text


@pytest.mark.parametrize("size", SIZES)
def test_several_calls_are_taken_only_where_that_is_allowed(size: int):
    text = f'<tool_call>\n{CALL}\n</tool_call>\n<tool_call>\n{{"name": "get_time", "arguments": {{}}}}\n</tool_call>'
    _, calls, _ = read(text, size, parallel=True)
    assert [name for name, _ in calls] == ["get_weather", "get_time"]
    _, calls, _ = read(text, size)
    assert [name for name, _ in calls] == ["get_weather"]
    _, calls, _ = read(f'[{CALL}, {{"name": "get_time"}}]', size, parallel=True)
    assert [name for name, _ in calls] == ["get_weather", "get_time"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opening", ["", "<tool_call>\n", "```json\n"])
def test_a_call_that_the_limit_cuts_off_is_told_as_far_as_it_goes(opening: str, size: int):
    said, calls, reason = read(f'{opening}{{"name": "run", "arguments": {{"code": "pri', size, reason="length")
    assert (said, calls, reason) == ("", [("run", '{"code": "pri')], "length")


def test_what_is_no_text_goes_through_in_its_place():
    reader = Reader(NAMES, parallel=False)
    thought = deltas.Reasoning("hm")
    assert reader.feed([deltas.Answering("m"), thought, deltas.Text("Hi")]) == [
        deltas.Answering("m"),
        thought,
        deltas.Text("Hi"),
    ]


def test_probabilities_stay_with_their_text():
    reader = Reader(NAMES, parallel=False)
    probable = [items.Logprob(token, -0.5) for token in ("a", "\n", "[", "x")]
    told = [
        delta for one in probable for delta in reader.feed([deltas.Text(one.token, logprobs=(one,))])
    ] + reader.close(deltas.Stop("stop"))
    assert [one for delta in told if isinstance(delta, deltas.Text) for one in delta.logprobs] == probable


def test_nobody_waits_for_a_model_that_babbles_on_after_its_call():
    reader = Reader(NAMES, parallel=False)
    reader.feed([deltas.Text(CALL)])
    assert not reader.spent
    for _ in range(100):
        assert reader.feed([deltas.Text("blah")]) == []
    assert reader.spent


@pytest.mark.parametrize("text", [CALL, f"Again.\n<tool_call>\n{CALL}\n</tool_call>", CALL[:-1]])
def test_a_call_that_has_its_output_already_is_not_made_again(text: str):
    answered = {("get_weather", json.dumps(ARGUMENTS, sort_keys=True))}
    reader = Reader(NAMES, parallel=False, answered=answered)
    told = [*reader.feed([deltas.Text(text)]), *reader.close(deltas.Stop("stop"))]
    assert reader.repeats
    assert not any(isinstance(delta, deltas.ToolCall) for delta in told)
    other = Reader(NAMES, parallel=False, answered=answered)
    told = other.feed([deltas.Text(text.replace("Paris", "Rome") + "}")])
    assert not other.repeats
    assert isinstance(told[-1], deltas.ToolCall)
