"""`View`: one JSON object of the server, read by attribute; a newer server never breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

Reader = Callable[[Any], Any]
V = TypeVar("V", bound="View")
T = TypeVar("T")

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class View:
    """An object of the API, read-only.

    A field that the server sent is an attribute, known here or not; a documented field that it
    did not send is None (an empty list for lists); any other name is an AttributeError. Names are
    found in snake_case and in camelCase. `raw` is the JSON as it came.
    """

    _readers: ClassVar[Mapping[str, Reader]] = {}
    _documented: ClassVar[frozenset[str]] = frozenset()
    _raw: Mapping[str, Any]

    def __init_subclass__(cls) -> None:
        names = {name for name in cls.__annotations__ if not name.startswith("_")}
        cls._documented = cls._documented | names

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.__dict__["_raw"] = raw

    @property
    def raw(self) -> Mapping[str, Any]:
        """The JSON object itself."""
        return self._raw

    def to_dict(self) -> dict[str, Any]:
        return dict(self._raw)

    def _absent(self, name: str) -> Any:  # noqa: ANN401 fields are of any type
        """The value of a documented field that the server did not send."""
        reader = self._readers.get(name)
        return reader(None) if reader else None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 fields are of any type
        if name.startswith("_"):
            raise AttributeError(name)
        for key in (name, _snake(name), _camel(name)):
            if key in self._raw:
                value = self._readers.get(_snake(key), wrap)(self._raw[key])
                break
        else:
            if name not in self._documented:
                has = ", ".join(sorted(self._documented | self._raw.keys()))
                raise AttributeError(f"{type(self).__name__} has no {name!r}; it has {has}")
            value = self._absent(name)
        self.__dict__[name] = value  # the next look-up does not come here
        return value

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only; {name!r} was not set")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._raw == self._raw

    __hash__ = None  # type: ignore[assignment]

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *self._documented, *self._raw})

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._raw.items())
        return f"{type(self).__name__}({fields})"


def wrap(value: Any) -> Any:  # noqa: ANN401 JSON is of any type
    """JSON for which there is no class: objects become plain views, inside lists, too."""
    if isinstance(value, Mapping):
        return View(value)
    if isinstance(value, list):
        return [wrap(each) for each in value]
    return value


def plain(value: Any) -> Any:  # noqa: ANN401 JSON is of any type
    """For maps whose keys are the caller's own, such as metadata: they stay dictionaries."""
    return value


def one(kind: Callable[[Mapping[str, Any]], T]) -> Callable[[Any], T | None]:
    """A reader for one object; anything else, such as null, is left as it is."""

    def read(value: Any) -> Any:  # noqa: ANN401 JSON is of any type
        return kind(value) if isinstance(value, Mapping) else value

    return read


def many(kind: Callable[[Mapping[str, Any]], T]) -> Callable[[Any], list[T]]:
    """A reader for a list of objects; none or null is an empty list."""

    def read(value: Any) -> Any:  # noqa: ANN401 JSON is of any type
        if value is None:
            return []
        if not isinstance(value, list):
            return wrap(value)
        return [kind(each) if isinstance(each, Mapping) else each for each in value]

    return read


def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower()


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
