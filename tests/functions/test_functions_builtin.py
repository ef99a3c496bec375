"""The functions that every server has."""

import json
import re
from datetime import UTC, datetime

import pytest

from freddy.server.ports.tools import Asker
from freddy.server.tools.functions import climate
from freddy.server.tools.functions.builtin import REGIONS, built_in
from freddy_fakes import FixedClock

ASKER = Asker("org_a", call_id="call_1")
FUNCTIONS = {one.spec.name: one for one in built_in(FixedClock())}


async def said(name: str, **arguments: object):
    answer = await FUNCTIONS[name].call(json.dumps(arguments), ASKER)
    assert answer.source == "built-in"
    return answer


async def told(name: str, **arguments: object):
    answer = await said(name, **arguments)
    assert answer.error is None
    [part] = answer.parts
    return json.loads(part.text)


# promise 120
@pytest.mark.parametrize("region", REGIONS)
async def test_every_region_has_five_cities_of_which_the_temperature_is_known(region):
    cities = (await told("get_cities", region=region))["cities"]
    assert len(set(cities)) == 5
    for city in cities:
        assert (await told("get_temperature", city=city))["city"] == city


async def test_the_temperature_is_the_mean_of_the_month_and_says_so():
    clock = FixedClock(datetime(2026, 7, 14, tzinfo=UTC).timestamp())
    [temperature] = [one for one in built_in(clock) if one.spec.name == "get_temperature"]
    answer = await temperature.call('{"city":"Paris"}', ASKER)
    assert json.loads(answer.parts[0].text) == {
        "city": "Paris",
        "country": "France",
        "month": "July",
        "value": 19.4,
        "kind": "long-term mean",
        "note": "The mean of July in 1961-1990: no measurement of today, and no forecast.",
        "station": "Montsouris (WMO 07156)",
        "source": "station normals 1961-1990 (World Meteorological Organization)",
        "unit": "°C",
    }


@pytest.mark.parametrize(
    ("asked", "city"),
    [
        ("paris", "Paris"),
        ("  New   York ", "New York"),
        ("nyc", "New York"),
        ("Sao Paulo", "São Paulo"),
        ("ZÜRICH", "Zurich"),
        ("Paris, France", "Paris"),
        ("Wien", "Vienna"),
    ],
)
async def test_a_city_is_known_however_its_name_is_written(asked, city):
    assert (await told("get_temperature", city=asked))["city"] == city


async def test_of_other_cities_nothing_is_made_up():
    answer = await said("get_temperature", city="Atlantis")
    assert answer.parts == ()
    assert "nothing is known of 'Atlantis'" in answer.error
    assert "get_cities" in answer.error
    assert "Tokyo" in answer.error
    assert "Did you mean Berlin?" in (await said("get_temperature", city="Berlinn")).error


async def test_what_does_not_fit_is_an_answer_that_says_why():
    assert "one of asia, europe, americas, global" in (await said("get_cities", region="moon")).error
    assert "do not fit" in (await said("get_cities")).error
    assert "do not fit" in (await said("get_temperature", city=3)).error
    assert (await FUNCTIONS["get_cities"].call("{", ASKER)).error is not None
    assert (await said("get_cities", region="Asia", more=1)).error is None


def test_the_table_has_twelve_plausible_months_of_every_city():
    assert len(climate.CITIES) >= 40
    assert len({city.name for city in climate.CITIES}) == len(climate.CITIES)
    for city in climate.CITIES:
        assert len(city.means) == 12, city.name
        assert all(-40 < mean < 40 for mean in city.means), city.name
        # From one month to the next the mean never leaps: a slip of the pen would.
        assert all(abs(a - b) < 11.5 for a, b in zip(city.means, (*city.means[1:], city.means[0]), strict=True)), city
        assert re.search(r"\(WMO \d{5}\)$", city.station) or city.name == "New York"


def test_models_are_told_what_they_are_for():
    for one in FUNCTIONS.values():
        assert one.spec.description
        assert json.loads(bytes(one.spec.parameters))["additionalProperties"] is False
