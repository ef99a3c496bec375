"""What a prompt template is, and what requests make of it."""

import pytest

from freddy.server.core import errors, items, prompts
from freddy.server.core.prompts import Prompt, Slot, Variable
from freddy.server.core.request import PromptRef, Request, ThreadRef
from freddy_fakes import CountingIds, raw


def variable(kind="string", *, default=None, enum=(), required=False):
    return Variable(
        type=kind,
        required=required,
        default=None if default is None else raw(default),
        enum=tuple(raw(one) for one in enum),
    )


def said(content, values=None, **variables):
    prompt = prompts.check(Prompt(content=content, variables=variables))
    return "".join(part.text for part in prompts.filled(prompt, values or {}))


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hi {{name}}!", ("Hi ", Slot("name"), "!")),
        ("{{ a }}{{\tb.c-d_1 }}", (Slot("a"), Slot("b.c-d_1"))),
        (r"\{{name}} {{x}}", ("{{", "name}} ", Slot("x"))),
        ("{name} }} { { x } }", ("{name} }} { { x } }",)),
        ("", ()),
    ],
)
def test_double_braces_stand_for_variables(text, pieces):
    assert prompts.parse(text, "content") == pieces


@pytest.mark.parametrize("text", ["a {{", "a {{ }}", "a {{#if x}}", "a {{x", "a {{x y}}", "a {{" + "x" * 65 + "}}"])
def test_braces_that_begin_no_variable_are_told_with_their_place(text):
    with pytest.raises(errors.InvalidValue) as wrong:
        prompts.check(Prompt(content=text))
    assert wrong.value.param == "content"
    assert "at character 2" in (wrong.value.details or "")
    assert r"\{{" in (wrong.value.details or "")


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("string", "Rome", "Rome"),
        ("string", "", ""),
        ("string", {"type": "input_text", "text": "Rome"}, "Rome"),
        ("number", 3, "3"),
        ("number", -2.5, "-2.5"),
        ("number", 10**30, str(10**30)),
        ("boolean", True, "true"),
        ("array", [1, "ü", None], '[1, "ü", null]'),
        ("object", {"a": [True]}, '{"a": [true]}'),
    ],
)
def test_a_value_is_written_as_its_type_says(kind, value, text):
    assert said("<{{x}}>", {"x": value}, x=variable(kind)) == f"<{text}>"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", 3),
        ("string", ["a"]),
        ("string", {"type": "input_image", "file_id": "file_1"}),
        ("number", "3"),
        ("number", True),
        ("boolean", 1),
        ("boolean", "true"),
        ("array", {}),
        ("object", []),
        ("image", 3),
        ("image", {}),
        ("image", {"url": "https://example.com/a.png", "file_id": "file_1"}),
        ("image", {"url": "ftp://example.com/a.png"}),
        ("image", {"type": "input_file", "file_id": "file_1"}),
        ("image", {"file_id": "file_1", "detail": "huge"}),
        ("file", True),
        ("file", {"type": "input_image", "file_id": "file_1"}),
        ("file", {"file_data": "data:text/plain;base64,YQ==", "filename": 3}),
        ("file", ""),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_name(kind, value):
    with pytest.raises(errors.InvalidValue) as wrong:
        said("{{x}}", {"x": value}, x=variable(kind))
    assert wrong.value.param == "prompt.variables.x"
    assert (wrong.value.details or "").startswith("prompt.variables.x must ")


URL = "https://example.com/a"


@pytest.mark.parametrize(
    ("kind", "value", "part"),
    [
        ("image", URL, items.Image(url=URL)),
        ("image", "file_1", items.Image(file_id="file_1")),
        ("image", {"type": "input_image", "image_url": URL, "detail": "low"}, items.Image(url=URL, detail="low")),
        ("image", {"type": "input_image", "file_id": "file_1"}, items.Image(file_id="file_1")),
        ("image", {"fileId": "file_1"}, items.Image(file_id="file_1")),
        ("image", {"imageUrl": URL}, items.Image(url=URL)),
        ("image", {"type": "image_url", "image_url": {"url": URL, "detail": "high"}}, items.Image(URL, None, "high")),
        ("file", URL, items.File(url=URL)),
        ("file", "file_1", items.File(file_id="file_1")),
        ("file", {"type": "input_file", "file_url": URL}, items.File(url=URL)),
        ("file", {"fileId": "file_1"}, items.File(file_id="file_1")),
        ("file", {"file": {"file_id": "file_1"}}, items.File(file_id="file_1")),
        (
            "file",
            {"type": "input_file", "file_data": "data:text/plain;base64,YQ==", "filename": "a.txt"},
            items.File(data="data:text/plain;base64,YQ==", filename="a.txt"),
        ),
    ],
)
def test_images_and_files_are_spelled_as_in_inputs(kind, value, part):
    prompt = Prompt(content="See {{x}}!", variables={"x": variable(kind)})
    assert prompts.filled(prompt, {"x": value}) == (items.Text("See "), part, items.Text("!"))
    if isinstance(value, dict) and "type" in value:
        undeclared = Prompt(content="See {{x}}!")
        assert prompts.filled(undeclared, {"x": value})[1] == part


def test_what_nobody_declared_is_required_and_of_any_type():
    assert prompts.required(Prompt(content="{{b}} {{a}} {{b}}", variables={"c": variable(required=True)})) == (
        "c",
        "b",
        "a",
    )
    assert said("{{x}} {{y}} {{z}}", {"x": 1, "y": "two", "z": [3]}) == "1 two [3]"
    with pytest.raises(errors.InvalidValue) as missing:
        said("{{x}} {{y}}", {"x": 1, "y": None})
    assert missing.value.param == "prompt.variables.y"


def test_a_required_variable_is_missed_even_where_the_text_does_not_use_it():
    with pytest.raises(errors.InvalidValue) as missing:
        said("Hi", x=variable(required=True))
    assert missing.value.param == "prompt.variables.x"
    assert said("Hi", x=variable()) == "Hi"


def test_a_default_stands_where_nothing_is_given_and_else_nothing_does():
    assert said("{{x}}|{{y}}", x=variable(default="d", required=True), y=variable()) == "d|"
    assert said("{{x}}", {"x": None}, x=variable(default="d")) == "d"
    assert said("{{x}}", x=variable("array", default=[1])) == "[1]"


def test_a_value_that_no_variable_takes_is_refused_with_those_there_are():
    with pytest.raises(errors.InvalidValue) as unknown:
        said("{{city}}", {"city": "Rome", "citty": "Rome"}, day=variable())
    assert unknown.value.param == "prompt.variables.citty"
    assert "day, city" in (unknown.value.details or "")


def test_a_choice_is_one_of_those_declared():
    tone = variable(enum=("kind", "stern"), default="kind")
    assert said("{{tone}}", tone=tone) == "kind"
    assert said("{{tone}}", {"tone": "stern"}, tone=tone) == "stern"
    with pytest.raises(errors.InvalidValue) as wrong:
        said("{{tone}}", {"tone": "rude"}, tone=tone)
    assert '"kind", "stern"' in (wrong.value.details or "")
    with pytest.raises(errors.InvalidValue):
        said("{{n}}", {"n": True}, n=Variable("number", enum=(raw(1),)))


def test_values_are_never_looked_at_for_variables():
    assert said("{{x}}{{y}}", {"x": "{{y}}", "y": r"\{{x}}"}) == r"{{y}}\{{x}}"


def test_a_default_may_hold_other_variables():
    assert said("{{greeting}}", {"name": "{{greeting}}"}, greeting=variable(default=r"Hi {{name}} \{{a}}")) == (
        "Hi {{greeting}} {{a}}"
    )


@pytest.mark.parametrize(
    ("defaults", "way"),
    [
        ({"a": "{{a}}"}, "a → a"),
        ({"a": "{{b}}", "b": "{{c}} {{d}}", "c": "", "d": "{{a}}"}, "a → b → d → a"),
        ({"x": "{{a}}", "a": "{{b}}", "b": "{{a}}"}, "a → b → a"),
    ],
)
def test_defaults_that_lead_back_to_themselves_are_refused_with_the_circle(defaults, way):
    with pytest.raises(errors.InvalidValue) as wrong:
        prompts.check(Prompt(content="{{a}}", variables={name: variable(default=d) for name, d in defaults.items()}))
    assert wrong.value.param == "variables.a.default"
    assert way in (wrong.value.details or "")


@pytest.mark.parametrize(
    ("declared", "param"),
    [
        (variable("number", default="3"), "variables.x.default"),
        (variable(default="c", enum=("a", "b")), "variables.x.default"),
        (variable("number", enum=("a",)), "variables.x.enum[0]"),
        (variable("image", enum=("a",)), "variables.x.enum"),
        (variable(default="{{"), "variables.x.default"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(declared, param):
    with pytest.raises(errors.InvalidValue) as wrong:
        prompts.check(Prompt(content="{{x}}", variables={"x": declared}))
    assert wrong.value.param == param


def test_defaults_that_grow_beyond_bounds_are_stopped():
    variables = {f"v{n}": variable(default=f"{{{{v{n + 1}}}}}" * 2) for n in range(60)}
    with pytest.raises(errors.InvalidValue, match="Invalid parameter value") as wrong:
        said("{{v0}}", {"v60": "long"}, **variables)
    assert wrong.value.param == "prompt.variables"


ASKED = items.Message("msg_0", "user", (items.Text("Hello"),))


def test_text_stands_before_the_instructions():
    request = Request(model="m", input=(ASKED,), instructions="Be brief")
    prompt = Prompt(content="You are {{who}}", model="other")
    changed = prompts.applied(request, prompt, prompts.filled(prompt, {"who": "Ann"}), CountingIds().new)
    assert (changed.instructions, changed.input, changed.model) == ("You are Ann\n\nBe brief", (ASKED,), "m")


def test_images_and_files_make_a_message_before_the_input():
    request = Request(model="", input=(ASKED,), instructions="Be brief")
    prompt = Prompt(content="See {{x}}", model="other")
    changed = prompts.applied(request, prompt, prompts.filled(prompt, {"x": {"type": "image", "url": URL}}), str)
    assert changed.input[0].parts == (items.Text("See "), items.Image(url=URL))
    assert (changed.input[1:], changed.instructions, changed.model) == ((ASKED,), "Be brief", "other")


def test_where_there_is_nothing_else_to_answer_the_text_is_what_the_user_says():
    prompt = Prompt(content="Tell a joke")
    text = prompts.filled(prompt, {})
    changed = prompts.applied(Request(model="m", input=()), prompt, text, str)
    assert (changed.input[0].text, changed.instructions) == ("Tell a joke", None)
    goes_on = Request(model="m", input=(), thread=ThreadRef("thrd_1"))
    assert prompts.applied(goes_on, prompt, text, str).instructions == "Tell a joke"


def test_the_version_that_was_used_is_told():
    assert prompts.pinned(PromptRef("prompt_1"), 3) == PromptRef("prompt_1", None, "3")
