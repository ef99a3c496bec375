"""Owns what is known of the climate of some large cities: the means of the twelve months, and nothing of today.

The numbers are normals of stations of the World Meteorological Organization: means of the years 1961 to 1990, in °C.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct

Region: TypeAlias = Literal["asia", "europe", "americas", "global"]

PERIOD: Final = "1961-1990"
SOURCE: Final = "station normals 1961-1990 (World Meteorological Organization)"


class City(Struct, frozen=True):
    """`station` is where was measured, with its number at the WMO; `means` are of January to December."""

    name: str
    country: str
    station: str
    means: tuple[float, ...]
    aliases: tuple[str, ...] = ()


REGIONS: Final[Mapping[Region, Sequence[str]]] = {
    "asia": ("Tokyo", "Beijing", "Delhi", "Singapore", "Seoul"),
    "europe": ("Paris", "London", "Berlin", "Rome", "Madrid"),
    "americas": ("New York", "Mexico City", "São Paulo", "Buenos Aires", "Lima"),
    "global": ("Tokyo", "London", "New York", "Nairobi", "Sydney"),
}


def find(text: str) -> City | None:
    """The city that is meant: capital letters, accents and what follows a comma make no difference."""
    return _BY_NAME.get(_plain(text)) or _BY_NAME.get(_plain(text.partition(",")[0]))


def names() -> Sequence[str]:
    return [city.name for city in CITIES]


def _plain(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text)
    return " ".join("".join(one for one in apart if not unicodedata.combining(one)).casefold().split())


# fmt: off
CITIES: Final = (
    City("Addis Ababa", "Ethiopia", "Addis Ababa (WMO 63450)",
         (15.9, 16.9, 18.0, 17.9, 18.1, 16.9, 15.5, 15.6, 16.0, 16.1, 15.5, 15.4)),
    City("Athens", "Greece", "Hellinikon (WMO 16716)",
         (10.2, 10.5, 12.1, 15.9, 20.5, 25.1, 28.0, 27.8, 24.6, 19.6, 15.7, 12.4)),
    City("Baghdad", "Iraq", "Baghdad (WMO 40650)",
         (10.0, 12.4, 16.4, 22.5, 28.1, 33.0, 35.1, 34.3, 31.0, 24.7, 16.4, 11.1)),
    City("Bangkok", "Thailand", "Bangkok Metropolis (WMO 48455)",
         (26.3, 27.9, 29.2, 30.2, 29.7, 29.1, 28.8, 28.5, 28.2, 27.9, 27.2, 25.8)),
    City("Barcelona", "Spain", "Barcelona (WMO 08180)",
         (9.9, 10.6, 12.0, 13.9, 17.1, 20.9, 24.1, 23.7, 21.5, 17.9, 13.4, 10.5)),
    City("Beijing", "China", "Beijing (WMO 54511)",
         (-4.3, -1.9, 5.1, 13.8, 20.0, 24.2, 25.9, 24.6, 19.6, 12.7, 4.3, -2.2), ("Peking",)),
    City("Berlin", "Germany", "Berlin (WMO 10384)",
         (-0.2, 0.8, 4.2, 8.6, 13.9, 17.4, 18.8, 18.4, 14.6, 10.0, 4.9, 1.4)),
    City("Brussels", "Belgium", "Uccle (WMO 06447)",
         (2.6, 3.3, 5.9, 8.8, 13.0, 15.8, 17.5, 17.4, 14.9, 11.3, 6.3, 3.6), ("Bruxelles", "Brussel")),
    City("Budapest", "Hungary", "Budapest (WMO 12840)",
         (-0.4, 2.1, 6.6, 11.9, 16.8, 19.8, 21.5, 21.0, 17.1, 11.6, 5.7, 1.5)),
    City("Buenos Aires", "Argentina", "Observatorio Central (WMO 87585)",
         (24.5, 23.4, 21.2, 17.6, 14.4, 11.2, 11.0, 12.3, 14.3, 17.2, 20.4, 22.8)),
    City("Chennai", "India", "Minambakkam (WMO 43279)",
         (24.6, 26.1, 28.4, 30.8, 32.8, 32.2, 30.6, 29.9, 29.6, 28.1, 26.1, 24.9), ("Madras",)),
    City("Copenhagen", "Denmark", "Copenhagen (WMO 06186)",
         (0.6, 0.5, 2.7, 6.7, 12.1, 16.0, 17.2, 17.0, 13.6, 9.8, 5.4, 2.3), ("København",)),
    City("Delhi", "India", "Safdarjung (WMO 42182)",
         (14.2, 16.9, 22.4, 28.7, 32.4, 33.5, 30.9, 29.7, 29.2, 26.2, 20.6, 15.5), ("New Delhi",)),
    City("Dhaka", "Bangladesh", "Dhaka (WMO 41923)",
         (18.9, 21.7, 26.2, 28.6, 28.7, 28.8, 28.7, 28.8, 28.8, 27.4, 24.0, 20.0)),
    City("Dublin", "Ireland", "Dublin Airport (WMO 03969)",
         (5.1, 5.0, 6.3, 7.9, 10.6, 13.4, 15.1, 14.8, 13.1, 10.8, 7.2, 6.0)),
    City("Geneva", "Switzerland", "Cointrin (WMO 06700)",
         (1.0, 2.5, 5.3, 9.0, 13.2, 16.7, 19.3, 18.4, 15.1, 10.3, 5.2, 2.0), ("Genève", "Genf")),
    City("Helsinki", "Finland", "Kaisaniemi (WMO 02978)",
         (-5.7, -5.8, -2.2, 3.0, 9.7, 15.0, 16.9, 15.6, 11.0, 6.4, 1.4, -2.9)),
    City("Ho Chi Minh City", "Vietnam", "Ho Chi Minh (WMO 48900)",
         (25.8, 26.7, 27.9, 29.1, 28.7, 27.7, 27.4, 27.3, 27.1, 26.9, 26.5, 26.0), ("Saigon", "Ho Chi Minh")),
    City("Hong Kong", "China", "Royal Observatory (WMO 45005)",
         (15.8, 16.0, 18.6, 22.1, 25.9, 27.8, 28.8, 28.5, 27.6, 25.2, 21.5, 17.6)),
    City("Honolulu", "United States", "Honolulu (WMO 91182)",
         (22.7, 22.8, 23.6, 24.3, 25.3, 26.4, 27.0, 27.5, 27.3, 26.5, 25.1, 23.4)),
    City("Istanbul", "Turkey", "Göztepe (WMO 17062)",
         (5.6, 5.9, 7.5, 12.0, 16.5, 21.1, 23.2, 23.0, 19.7, 15.3, 11.6, 8.1)),
    City("Karachi", "Pakistan", "Karachi Airport (WMO 41780)",
         (18.0, 20.3, 24.4, 28.4, 30.6, 31.3, 30.3, 28.9, 29.0, 27.9, 23.9, 19.6)),
    City("Kinshasa", "Congo (Democratic Republic)", "Binza (WMO 64220)",
         (25.2, 25.7, 26.0, 26.0, 25.5, 23.4, 21.9, 23.0, 24.7, 25.4, 25.2, 25.1)),
    City("Kolkata", "India", "Alipore (WMO 42807)",
         (20.1, 23.2, 27.8, 30.4, 30.8, 30.2, 29.2, 29.1, 29.1, 28.0, 24.6, 20.6), ("Calcutta",)),
    City("Kuala Lumpur", "Malaysia", "Subang (WMO 48647)",
         (26.1, 26.6, 26.8, 27.0, 27.2, 27.0, 26.6, 26.6, 26.4, 26.3, 26.1, 26.0)),
    City("Lagos", "Nigeria", "Ikeja (WMO 65201)",
         (27.3, 28.5, 28.5, 28.0, 27.1, 25.6, 25.3, 25.1, 25.5, 26.4, 27.2, 27.2)),
    City("Lima", "Peru", "Callao Airport (WMO 84628)",
         (22.0, 22.6, 22.1, 20.5, 18.7, 17.3, 16.6, 16.1, 16.5, 17.3, 18.7, 20.7)),
    City("Lisbon", "Portugal", "Lisbon (WMO 08535)",
         (11.2, 12.2, 13.5, 14.9, 17.5, 20.0, 22.5, 22.7, 21.5, 18.5, 14.1, 11.6), ("Lisboa",)),
    City("London", "United Kingdom", "Gatwick (WMO 03776)",
         (3.8, 3.9, 5.8, 8.0, 11.3, 14.4, 16.5, 16.2, 13.8, 10.8, 6.6, 4.7)),
    City("Madrid", "Spain", "Retiro (WMO 08222)",
         (6.0, 7.5, 10.0, 12.2, 16.1, 20.7, 24.4, 23.8, 20.5, 14.8, 9.4, 6.4)),
    City("Melbourne", "Australia", "Regional Office (WMO 94868)",
         (20.5, 20.8, 19.1, 16.2, 13.3, 10.8, 10.1, 11.2, 12.9, 15.0, 16.9, 18.9)),
    City("Mexico City", "Mexico", "Mexico Central (WMO 76680)",
         (13.4, 14.6, 17.0, 18.2, 18.6, 17.4, 16.2, 16.3, 16.3, 15.5, 14.5, 13.6), ("Ciudad de México", "CDMX")),
    City("Milan", "Italy", "Linate (WMO 16080)",
         (1.0, 3.5, 7.8, 12.0, 16.4, 20.6, 23.1, 21.9, 18.4, 12.7, 6.7, 1.9), ("Milano",)),
    City("Mumbai", "India", "Colaba (WMO 43057)",
         (24.5, 24.9, 26.8, 28.6, 30.1, 29.1, 27.6, 27.3, 27.7, 28.7, 28.1, 26.3), ("Bombay",)),
    City("Nairobi", "Kenya", "Dagoretti (WMO 63741)",
         (18.0, 18.7, 19.5, 19.1, 17.8, 16.2, 15.5, 15.7, 17.2, 18.6, 18.0, 18.1)),
    City("New York", "United States", "Central Park",
         (-0.3, 0.9, 5.8, 11.4, 17.1, 22.0, 24.9, 24.2, 20.1, 14.2, 8.7, 2.6), ("New York City", "NYC")),
    City("Osaka", "Japan", "Osaka (WMO 47772)",
         (5.2, 5.5, 8.5, 14.6, 19.2, 22.9, 27.0, 28.3, 24.2, 18.1, 12.8, 7.8)),
    City("Oslo", "Norway", "Blindern (WMO 01492)",
         (-4.3, -4.0, -0.2, 4.5, 10.8, 15.2, 16.4, 15.2, 10.8, 6.3, 0.7, -3.1)),
    City("Paris", "France", "Montsouris (WMO 07156)",
         (3.9, 4.7, 7.4, 10.5, 14.0, 17.4, 19.4, 18.8, 16.3, 12.5, 7.5, 4.6)),
    City("Perth", "Australia", "Perth Airport (WMO 94610)",
         (24.3, 24.8, 22.8, 19.1, 16.0, 14.0, 12.9, 13.2, 14.5, 16.3, 19.1, 21.9)),
    City("Prague", "Czechia", "Ruzyně (WMO 11518)",
         (-2.4, -0.9, 3.0, 7.7, 12.7, 15.9, 17.5, 17.0, 13.3, 8.3, 2.9, -0.7), ("Praha",)),
    City("Reykjavik", "Iceland", "Reykjavik (WMO 04030)",
         (-0.6, 0.3, 0.4, 2.9, 6.3, 9.0, 10.5, 10.2, 7.3, 4.4, 1.1, -0.2)),
    City("Rio de Janeiro", "Brazil", "Rio de Janeiro (WMO 83743)",
         (26.3, 26.6, 26.0, 24.5, 22.9, 21.7, 21.2, 21.8, 22.0, 22.8, 24.0, 25.2)),
    City("Rome", "Italy", "Fiumicino (WMO 16242)",
         (8.1, 8.9, 10.7, 13.4, 17.2, 21.0, 23.8, 23.8, 21.0, 16.9, 12.5, 9.2), ("Roma",)),
    City("Santiago", "Chile", "Pudahuel (WMO 85574)",
         (20.6, 19.5, 17.1, 13.8, 10.6, 7.9, 7.8, 9.1, 10.9, 14.0, 16.9, 19.5), ("Santiago de Chile",)),
    City("São Paulo", "Brazil", "São Paulo (WMO 83781)",
         (22.1, 22.4, 21.7, 19.7, 17.6, 16.4, 15.8, 17.2, 17.9, 18.9, 20.1, 21.2)),
    City("Seoul", "South Korea", "Seoul (WMO 47108)",
         (-3.6, -1.2, 4.2, 11.7, 17.2, 21.3, 24.4, 25.2, 20.4, 14.0, 6.4, -0.7)),
    City("Shanghai", "China", "Shanghai (WMO 58367)",
         (3.6, 4.6, 8.5, 14.2, 19.2, 23.4, 27.8, 27.7, 23.5, 18.1, 12.3, 6.0)),
    City("Singapore", "Singapore", "Singapore (WMO 48694)",
         (25.7, 26.3, 26.8, 27.1, 27.5, 27.4, 27.1, 26.9, 26.8, 26.8, 26.2, 25.7)),
    City("Stockholm", "Sweden", "Stockholm (WMO 02485)",
         (-3.6, -3.8, -0.8, 3.7, 9.4, 14.5, 16.2, 15.5, 11.5, 7.3, 2.1, -1.6)),
    City("Sydney", "Australia", "Sydney Airport (WMO 94767)",
         (22.6, 22.8, 21.6, 19.2, 16.2, 13.6, 12.8, 13.8, 15.9, 18.1, 19.8, 21.8)),
    City("Taipei", "Taiwan", "Taipei (WMO 46692)",
         (15.3, 15.7, 17.7, 21.6, 24.8, 27.0, 29.0, 28.8, 27.1, 24.1, 20.7, 17.2)),
    City("Tehran", "Iran", "Mehrabad (WMO 40754)",
         (3.0, 5.3, 10.3, 16.4, 22.1, 27.5, 30.4, 29.2, 25.3, 18.5, 11.6, 5.6)),
    City("Tokyo", "Japan", "Tokyo (WMO 47662)",
         (5.3, 5.7, 8.6, 14.2, 18.7, 21.7, 25.2, 27.1, 23.2, 17.7, 12.8, 8.1)),
    City("Vienna", "Austria", "Hohe Warte (WMO 11035)",
         (-1.0, 1.0, 5.0, 9.9, 14.6, 17.9, 19.7, 18.9, 15.1, 9.9, 4.6, 0.9), ("Wien",)),
    City("Warsaw", "Poland", "Okęcie (WMO 12375)",
         (-2.9, -1.7, 2.3, 8.2, 13.9, 17.1, 18.4, 17.6, 13.6, 8.6, 3.5, -0.7), ("Warszawa",)),
    City("Zurich", "Switzerland", "Zürich (WMO 06660)",
         (-0.5, 0.9, 4.2, 7.8, 12.1, 15.2, 17.6, 16.7, 13.8, 9.3, 3.9, 0.6), ("Zürich",)),
)
# fmt: on
_BY_NAME: Final = {_plain(name): city for city in CITIES for name in (city.name, *city.aliases)}
