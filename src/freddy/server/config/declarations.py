"""What a setting says of itself: its variable, its bounds, its help."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_type_hints

from msgspec import NODEFAULT, Struct, structs

ONE_YEAR = 365 * 24 * 3600


class Setting(Struct, frozen=True):
    """What the type of a setting cannot say. `shown` replaces a default that is only known at start."""

    variable: str
    help: str
    low: float | None = None
    high: float | None = None
    secret: bool = False
    shown: str | None = None
    form: Literal["", "url", "keys", "redis", "database", "networks"] = ""


class Declared(Struct, frozen=True):
    """A setting and its place: `engine.slots` is the key `slots` of the table `[engine]` in the file."""

    name: str
    type: Any
    default: object
    setting: Setting

    @property
    def table(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        return self.name.rpartition(".")[2]


def fields(prefix: str, section: type[Struct]) -> Iterator[Declared]:
    """The settings of a table, in their order. `prefix` is its name and a dot, or nothing for the top of the file."""
    hints = get_type_hints(section, include_extras=True)
    for field in structs.fields(section):
        plain, *notes = get_args(hints[field.name]) or (hints[field.name],)
        for note in notes:
            if isinstance(note, Setting):
                default = None if field.default is NODEFAULT else field.default
                yield Declared(prefix + field.name, plain, default, note)
