"""The functions that every server has: large cities, and what temperature they usually have."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Final, TypeAlias, get_args

import msgspec
from msgspec import Raw, Struct

from freddy.server.core.toolspec import Function
from freddy.server.ports.tools import Answer, Asker, ServerFunction
from freddy.server.ports.world import Clock
from freddy.server.tools.functions import answers, climate

SOURCE: Final = "built-in"
REGIONS: Final[tuple[str, ...]] = get_args(climate.Region)
_MONTHS: Final = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_encode = msgspec.json.Encoder().encode

Work: TypeAlias = Callable[[str], Answer]


class Temperature(Struct, kw_only=True):
    """What a model is told of a city."""

    city: str
    country: str
    month: str
    value: float
    unit: str = "°C"
    kind: str
    note: str
    station: str
    source: str


class Cities(Struct):
    region: str
    cities: tuple[str, ...]


class _Region(Struct):
    region: str


class _City(Struct):
    city: str


class BuiltIn:
    """`work` makes an answer of the arguments."""

    source = origin = SOURCE

    def __init__(self, spec: Function, work: Work) -> None:
        self.spec = spec
        self._work = work

    async def call(self, arguments: str, asker: Asker) -> Answer:  # noqa: ARG002
        try:
            return self._work(arguments)
        except msgspec.MsgspecError as error:
            return answers.failed(f"the arguments do not fit: {error}", source=SOURCE)


def built_in(clock: Clock) -> Sequence[ServerFunction]:
    """All of them. What they tell of temperatures depends on the month."""
    return (
        BuiltIn(
            Function(
                "get_cities",
                "Gives five large cities of a region. get_temperature knows all of them.",
                Raw(
                    _encode(
                        {
                            "type": "object",
                            "properties": {
                                "region": {"type": "string", "enum": REGIONS, "description": "Where the cities are"}
                            },
                            "required": ["region"],
                            "additionalProperties": False,
                        }
                    )
                ),
            ),
            _cities,
        ),
        BuiltIn(
            Function(
                "get_temperature",
                "Gives the usual temperature of a large city in the current month: the mean of many years, in °C. "
                "It is not measured today, and no forecast: say so where you tell it.",
                Raw(
                    _encode(
                        {
                            "type": "object",
                            "properties": {"city": {"type": "string", "description": "Its name, such as Paris"}},
                            "required": ["city"],
                            "additionalProperties": False,
                        }
                    )
                ),
            ),
            lambda arguments: _temperature(arguments, datetime.fromtimestamp(clock.now(), UTC).month),
        ),
    )


def _cities(arguments: str) -> Answer:
    asked = msgspec.json.decode(arguments, type=_Region).region
    for region, cities in climate.REGIONS.items():
        if region == asked.strip().casefold():
            return answers.of(Cities(region, tuple(cities)), source=SOURCE)
    return answers.failed(f"there is no region {asked[:64]!r}: it is one of {', '.join(REGIONS)}", source=SOURCE)


def _temperature(arguments: str, month: int) -> Answer:
    asked = msgspec.json.decode(arguments, type=_City).city
    city = climate.find(asked)
    if city is None:
        return answers.failed(_unknown(asked), source=SOURCE)
    return answers.of(
        Temperature(
            city=city.name,
            country=city.country,
            month=_MONTHS[month - 1],
            value=city.means[month - 1],
            kind="long-term mean",
            note=f"The mean of {_MONTHS[month - 1]} in {climate.PERIOD}: no measurement of today, and no forecast.",
            station=city.station,
            source=climate.SOURCE,
        ),
        source=SOURCE,
    )


def _unknown(asked: str) -> str:
    close = get_close_matches(asked[:64].title(), climate.names(), n=1, cutoff=0.8)
    meant = f" Did you mean {close[0]}?" if close else ""
    return (
        f"nothing is known of {asked[:64]!r}.{meant} get_cities names cities that are known; these are all: "
        f"{', '.join(climate.names())}"
    )
