"""Which model answers to which name."""

import pytest

from freddy.server.core import errors
from freddy.server.runtime.routing import Candidate, Routing
from freddy_fakes import ScriptedModel

EMBEDDED, VENDOR, OTHER = ScriptedModel(), ScriptedModel(), ScriptedModel()
ROUTING = Routing(
    {"ftg-3.0": Candidate(EMBEDDED), "gpt-4o": Candidate(VENDOR, "gpt-4o")},
    aliases={"best": "gpt-4o", "small": "ftg-3.0", "mine": "gpt-5-mini", "gone": "nowhere"},
    patterns=[("gpt-*", VENDOR), ("*-large", OTHER)],
)


@pytest.mark.parametrize(
    ("name", "model", "called"),
    [
        ("ftg-3.0", EMBEDDED, EMBEDDED.profile.name),
        (EMBEDDED.profile.name, EMBEDDED, EMBEDDED.profile.name),
        ("small", EMBEDDED, EMBEDDED.profile.name),
        ("gpt-4o", VENDOR, "gpt-4o"),
        ("best", VENDOR, "gpt-4o"),
        ("gpt-5", VENDOR, "gpt-5"),
        ("mine", VENDOR, "gpt-5-mini"),
        ("mistral-large", OTHER, "mistral-large"),
    ],
)
def test_a_name_leads_to_the_model_that_answers_to_it(name, model, called):
    found = ROUTING.find(name)
    assert (found.model, found.name) == (model, called)


@pytest.mark.parametrize("name", ["", "nowhere", "gone", "GPT-4o"])
def test_a_name_that_nobody_answers_to_is_not_found(name):
    with pytest.raises(errors.ModelNotFound) as raised:
        ROUTING.find(name)
    assert raised.value.param == "model"


def test_every_name_that_can_be_told_beforehand_is_listed():
    names = [name for name, _ in ROUTING.known()]
    assert names == sorted([EMBEDDED.profile.name, "best", "ftg-3.0", "gpt-4o", "mine", "small"])
