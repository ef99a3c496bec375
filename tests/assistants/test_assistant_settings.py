"""What settings fill into a request, and who may use an assistant."""

import pytest
from msgspec import Raw
from msgspec.structs import fields, replace

from freddy.server.core import errors
from freddy.server.core.assistants import Assistant, Settings, access, applied, check_provider, offered
from freddy.server.core.request import Output, Reasoning, Request, Sampling, Schema

ASKED = Request(model="", input=())
SCHEMA = Schema("s", Raw(b"{}"))
FULL = Settings(
    model="m",
    instructions="Be kind.",
    system_message=("You are a fox.",),
    temperature=0.1,
    top_p=0.2,
    presence_penalty=0.3,
    frequency_penalty=0.4,
    top_logprobs=2,
    seed=7,
    stop=("END",),
    verbosity="low",
    max_output_tokens=50,
    output=Output("json_schema", (SCHEMA,)),
    reasoning=Reasoning("high", "auto"),
    max_tool_calls=3,
    parallel_tool_calls=True,
    context_mode="smart",
    truncation="auto",
    store=False,
)
FILLED = Request(
    model="m",
    input=(),
    instructions="You are a fox.\n\nBe kind.",
    sampling=Sampling(0.1, 0.2, 0.3, 0.4, True, 2, 7, ("END",), "low"),
    output=Output("json_schema", (SCHEMA,)),
    reasoning=Reasoning("high", "auto"),
    max_output_tokens=50,
    max_tool_calls=3,
    parallel_tool_calls=True,
    context_mode="smart",
    truncation="auto",
    store=False,
    given=("parallel_tool_calls",),
)
SAID = Request(
    model="own",
    input=(),
    instructions="Be brief.",
    sampling=Sampling(1.0, 0.9, 0.8, 0.7, True, 5, 1, ("STOP",), "high"),
    output=Output("json"),
    reasoning=Reasoning("minimal"),
    max_output_tokens=9,
    max_tool_calls=20,
    context_mode="full",
    given=("context_mode", "max_tool_calls", "output", "parallel_tool_calls", "store", "truncation"),
)


def test_settings_fill_in_all_that_a_request_leaves_out():
    assert applied(ASKED, FULL) == FILLED


def test_every_setting_is_tried_here():
    assert all(getattr(FULL, field.name) != field.default for field in fields(Settings))


def test_settings_that_say_nothing_leave_the_request_as_it_is():
    assert applied(SAID, Settings()) is SAID
    assert applied(ASKED, Settings()) is ASKED


def test_what_the_request_says_stands():
    assert applied(SAID, FULL) == replace(SAID, instructions="You are a fox.\n\nBe brief.")
    assert applied(SAID, replace(FULL, system_message=())) == SAID


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("context_mode", "context_mode"),
        ("max_tool_calls", "max_tool_calls"),
        ("output", "output"),
        ("parallel_tool_calls", "parallel_tool_calls"),
        ("store", "store"),
        ("truncation", "truncation"),
    ],
)
def test_a_default_that_was_said_is_no_default(given, field):
    asked = replace(ASKED, max_tool_calls=20, given=(given,))
    assert getattr(applied(asked, FULL), field) == getattr(asked, field)


def test_empty_instructions_and_stops_are_said_too():
    asked = replace(ASKED, instructions="", given=("stop",))
    filled = applied(asked, replace(FULL, system_message=()))
    assert (filled.instructions, filled.sampling.stop) == ("", ())


def test_log_probabilities_that_were_declined_are_not_told():
    assert not applied(replace(ASKED, given=("logprobs",)), FULL).sampling.logprobs
    asked = replace(ASKED, sampling=Sampling(logprobs=True, top_logprobs=1))
    assert applied(asked, FULL).sampling.top_logprobs == 1
    assert applied(ASKED, Settings(top_logprobs=0)).sampling == Sampling(logprobs=True)


def test_work_in_the_background_is_stored_whatever_the_settings_say():
    assert applied(replace(ASKED, background=True), FULL).store


def test_a_system_message_alone_is_what_the_model_is_told():
    assert applied(ASKED, Settings(system_message=("A", "B"))).instructions == "A\n\nB"
    assert applied(replace(ASKED, instructions=""), Settings(system_message=("A",))).instructions == "A"


def test_settings_stand_over_others_and_both_system_messages_are_read():
    own = Settings(model="own", temperature=0.0, store=False, system_message=("Mine",))
    assert own.over(FULL) == replace(
        FULL, model="own", temperature=0.0, store=False, system_message=("You are a fox.", "Mine")
    )
    assert FULL.over(own) == replace(FULL, system_message=("Mine", "You are a fox."))
    assert FULL.over(Settings()) is FULL
    assert Settings().over(FULL) == FULL


def test_nothing_that_is_false_or_zero_is_taken_for_nothing():
    own = Settings(temperature=0.0, seed=0, max_tool_calls=0, parallel_tool_calls=False, store=False, top_logprobs=0)
    settings = own.over(replace(FULL, store=True))
    assert (settings.temperature, settings.seed, settings.max_tool_calls) == (0.0, 0, 0)
    assert (settings.parallel_tool_calls, settings.store, settings.top_logprobs) == (False, False, 0)


MAKER, FRIEND, STRANGER = "usr_maker", "usr_friend", "usr_stranger"


@pytest.mark.parametrize(
    ("mode", "users", "seen_by"),
    [
        ("private", (FRIEND,), {MAKER}),
        ("restricted", (FRIEND,), {MAKER, FRIEND}),
        ("restricted", ("*",), {MAKER, FRIEND, STRANGER}),
        ("department", (FRIEND,), {MAKER, FRIEND}),
        ("organization", (), {MAKER, FRIEND, STRANGER}),
        ("global", (), {MAKER, FRIEND, STRANGER}),
        ("public", (), {MAKER, FRIEND, STRANGER}),
    ],
)
def test_the_mode_says_which_users_an_assistant_is_for(mode, users, seen_by):
    assistant = Assistant(access=mode, users=users)
    told = {user: access(assistant, user, created_by=MAKER) for user in (MAKER, FRIEND, STRANGER)}
    assert told == {user: ("owner" if user == MAKER else "view") if user in seen_by else None for user in told}


def test_keys_and_those_who_see_all_have_every_assistant():
    assert access(Assistant(access="private"), None, created_by=MAKER) == "owner"


@pytest.mark.parametrize("editors", [(FRIEND,), ("*",)])
def test_editors_may_change_what_they_may_not_otherwise_use(editors):
    private = Assistant(access="private", editors=editors)
    assert access(private, FRIEND, created_by=MAKER) == "edit"


def test_a_private_assistant_of_a_key_is_for_no_user():
    assert access(Assistant(access="private"), FRIEND, created_by="key_1") is None
    assert access(Assistant(access="private"), FRIEND, created_by=None) is None


def test_a_chat_offers_an_assistant_to_those_it_names_or_to_all():
    assert offered(Assistant(), FRIEND)
    assert offered(Assistant(chatters=("*",)), FRIEND)
    assert offered(Assistant(chatters=(FRIEND,)), FRIEND)
    assert not offered(Assistant(chatters=(MAKER,)), FRIEND)
    assert offered(Assistant(chatters=(MAKER,)), None)


def test_models_of_other_providers_are_refused_by_name():
    assistant = Assistant(providers=("anthropic", "embedded"))
    check_provider(assistant, name="Fox", model="claude", provider="anthropic")
    check_provider(Assistant(), name="Fox", model="gpt-4o", provider="openai")
    with pytest.raises(errors.PermissionDenied) as refused:
        check_provider(assistant, name="Fox", model="gpt-4o", provider="openai")
    assert (refused.value.param, refused.value.details) == ("model", "ask for a model of anthropic, embedded")
    assert "'gpt-4o'" in refused.value.message
    assert "'openai'" in refused.value.message


def test_the_outline_of_settings_has_no_text_of_theirs():
    assert Settings().outline == {}
    assert FULL.outline == {
        "model": "m",
        "instructions": 8,
        "system_message": [14],
        "temperature": 0.1,
        "top_p": 0.2,
        "presence_penalty": 0.3,
        "frequency_penalty": 0.4,
        "top_logprobs": 2,
        "seed": 7,
        "stop": [3],
        "verbosity": "low",
        "max_output_tokens": 50,
        "output": ["json_schema", "s"],
        "reasoning": Reasoning("high", "auto"),
        "max_tool_calls": 3,
        "parallel_tool_calls": True,
        "context_mode": "smart",
        "truncation": "auto",
        "store": False,
    }
