"""The types that vendors publish for requests, made strict: a key they do not name is an error, at any depth."""

import types
from collections.abc import Iterable
from os import PathLike
from typing import IO, Annotated, Any, NotRequired, Required, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError
from typing_extensions import TypedDict, is_typeddict

_made: dict[Any, Any] = {}


class Published:
    """One kind of body."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._adapter: TypeAdapter[Any] | None = None

    def wrong(self, body: bytes) -> str | None:
        """What does not fit, if anything."""
        if self._adapter is None:  # Made when it is needed: that takes a second.
            self._adapter = TypeAdapter(_strict(self._kind))
        try:
            self._adapter.validate_json(body, strict=True)
        except ValidationError as error:
            return _nearest(error)
        return None


def _nearest(error: ValidationError) -> str:
    """What is wrong by the member of each union that fits best."""
    told: dict[str, list[str]] = {}
    for one in error.errors(include_url=False):
        place = [str(step) for step in one["loc"] if "[" not in str(step)]
        told.setdefault(".".join(place[:-1]), []).append(f"{place[-1]}: {one['msg']}")
    where = min(told, key=lambda place: len(told[place]))
    return f"{where or 'body'}: {'; '.join(told[where])}"


def _strict(kind: Any) -> Any:
    """The same type without lazy iterables, and without what cannot stand in JSON."""
    if is_typeddict(kind):
        return _fields(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _strict(inner[0])
    if origin in (Required, NotRequired):
        return origin[_strict(inner[0])]
    if origin in (Union, types.UnionType):
        return Union[tuple(_strict(one) for one in inner if _writable(one))]  # noqa: UP007 known at run time only
    if origin is not None and isinstance(origin, type) and issubclass(origin, dict):
        return dict[inner[0], _strict(inner[1])]  # type: ignore[misc]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Iterable):
        return list[_strict(inner[0])]  # type: ignore[misc]
    return kind


def _writable(kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _writable(inner[0])
    if origin in (Union, types.UnionType):
        return any(_writable(one) for one in inner)
    bare = origin or kind
    return not (isinstance(bare, type) and issubclass(bare, BaseModel | IO | PathLike))


def _fields(kind: Any) -> Any:
    if kind in _made:
        return _made[kind]
    _made[kind] = Any  # A type inside itself is not looked at again.
    told = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        # Where annotations are strings, only the hint knows what is required.
        marked = get_origin(hint) in (Required, NotRequired)
        wrapper = get_origin(hint) if marked else Required if name in kind.__required_keys__ else NotRequired
        told[name] = wrapper[_strict(get_args(hint)[0] if marked else hint)]
    made: Any = TypedDict(kind.__name__, told)  # type: ignore[operator]
    made.__pydantic_config__ = {"extra": "forbid", **getattr(kind, "__pydantic_config__", {})}
    _made[kind] = made
    return made
