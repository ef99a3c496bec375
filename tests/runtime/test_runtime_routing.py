"""Which model answers to which name."""

import pytest
from runtime_stage import means

from freddy.server.core import errors
from freddy.server.core.profile import Profile
from freddy.server.runtime.route import Candidate
from freddy.server.runtime.routing import Routing
from freddy_fakes import FixedClock, ScriptedModel

EMBEDDED, VENDOR, OTHER = (ScriptedModel(profile=Profile(name=name, provider=name)) for name in ("own", "a", "b"))
ROUTING = Routing(
    {"ftg-3.0": [Candidate(EMBEDDED)], "gpt-4o": [Candidate(VENDOR, "gpt-4o")]},
    means(FixedClock()),
    aliases={"best": "gpt-4o", "small": "ftg-3.0", "mine": "gpt-5-mini", "gone": "nowhere"},
    patterns=[("gpt-*", Candidate(VENDOR, renamed={"gpt-4.1-vision": "gpt-4.1"})), ("*-large", Candidate(OTHER))],
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
        ("gpt-4.1-vision", VENDOR, "gpt-4.1"),
        ("mine", VENDOR, "gpt-5-mini"),
        ("mistral-large", OTHER, "mistral-large"),
    ],
)
def test_a_name_leads_to_the_model_that_answers_to_it(name, model, called):
    found = ROUTING.find(name)
    assert ([one.provider for one in found.candidates], found.name) == ([model], called)


@pytest.mark.parametrize("name", ["", "nowhere", "gone", "GPT-4o"])
def test_a_name_that_nobody_answers_to_is_not_found(name):
    with pytest.raises(errors.ModelNotFound) as raised:
        ROUTING.find(name)
    assert raised.value.param == "model"


def test_every_name_that_can_be_told_beforehand_is_listed():
    names = [name for name, _ in ROUTING.known()]
    assert names == sorted([EMBEDDED.profile.name, "best", "ftg-3.0", "gpt-4o", "mine", "small"])


async def test_providers_behind_patterns_tell_what_they_have():
    one, two = (ScriptedModel(profile=Profile(name=name, provider=name)) for name in ("one", "two"))
    one.lists, two.lists = ("gpt-4o", "o3"), ("gpt-4o", "tiny-large", "bad\nname-large")
    found = Routing(
        {"ftg-3.0": [Candidate(EMBEDDED)]},
        means(FixedClock()),
        aliases={},
        patterns=[("gpt-*", Candidate(one)), ("*", Candidate(two))],
    )
    listed = {name: route.candidates[0].provider.name for name, route in await found.listed()}
    assert listed == {"ftg-3.0": "own", "own": "own", "gpt-4o": "one", "tiny-large": "two"}


async def test_a_provider_that_cannot_list_its_models_does_not_keep_the_others_from_it():
    class Away(ScriptedModel):
        async def models(self):
            self.opened += 1
            raise errors.ProviderUnreachable("away")

    clock, away, other = FixedClock(), Away(), ScriptedModel(profile=Profile(name="b", provider="b"))
    other.lists = ("b-1",)
    patterns = [("a-*", Candidate(away)), ("b-*", Candidate(other))]
    found = Routing({}, means(clock), aliases={}, patterns=patterns)
    for _ in range(3):
        assert [name for name, _ in await found.listed()] == ["b-1"]
    assert away.opened == 1
    clock.advance(31)
    await found.listed()
    assert away.opened == 2
