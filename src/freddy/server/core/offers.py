"""Owns what a model is offered: functions, and what a call of each becomes."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import items, toolspec

_LONGEST: Final = 64
_STRANGE: Final = re.compile(r"[^a-zA-Z0-9_-]")


class Offer(Struct, frozen=True, kw_only=True):
    """`function` is what the model sees. `here`: this server answers the calls, where `approve` after a yes; where
    `once`, a call that may have been made before a crash is not made again without one.

    A call of a hosted tool becomes an item of its own kind, as `work` says; `name` is then the tool's own.
    """

    function: toolspec.Function
    here: bool = False
    approve: bool = False
    once: bool = False
    work: items.Work | None = None
    name: str = ""


def of_caller(function: toolspec.Function) -> Offer:
    """A function that the caller answers, even where this server was asked to."""
    return Offer(function=replace(function, hosted=False) if function.hosted else function, name=function.name)


def named(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """The same, with a name for each that models accept and that no other has: functions of callers keep theirs."""
    kept = list(offers)
    taken = {one.function.name for one in kept if one.work is None}
    several: dict[str, int] = {}
    for one in kept:
        if one.work is not None:
            several[one.name] = several.get(one.name, 0) + 1
    told: list[Offer] = []
    for one in kept:
        if one.work is None:
            told.append(one)
            continue
        name = plain_name(one.name)
        if name in taken or several[one.name] > 1:
            label = one.work.server_label if isinstance(one.work, items.Mcp) else "hosted"
            name = plain_name(f"{label}__{one.name}")
        while name in taken:
            name = _shortened(f"{name}_", name)
        taken.add(name)
        told.append(replace(one, function=replace(one.function, name=name)))
    return tuple(told)


def plain_name(name: str) -> str:
    """The name of a function that every vendor accepts: `^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$`. Different names stay so."""
    plain = _STRANGE.sub("_", name)
    if not plain or not (plain[0].isalpha() or plain[0] == "_"):
        plain = f"_{plain}"
    return plain if plain == name and len(plain) <= _LONGEST else _shortened(plain, name)


def _shortened(plain: str, name: str) -> str:
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{plain[: _LONGEST - 9]}_{digest}"


def choice(asked: toolspec.ToolChoice, offers: Sequence[Offer]) -> toolspec.ToolChoice:
    """The choice in names of functions that are offered; a choice of tools that are not there is none."""
    if isinstance(asked, str):
        return asked
    match asked:
        case toolspec.Hosted():
            names = tuple(_names(asked, offers))
            return toolspec.Named(names[0]) if len(names) == 1 else _among(names, "required")
        case toolspec.Allowed(names, mode, hosted) if hosted:
            return _among((*names, *(name for one in hosted for name in _names(one, offers))), mode)
        case _:
            return asked


def of_caller_alone(asked: toolspec.ToolChoice, offers: Sequence[Offer]) -> toolspec.ToolChoice:
    """As much of a choice in names as is left where no more may be called here."""
    names = tuple(one.function.name for one in offers if not one.here)
    match asked:
        case "none":
            return asked
        case toolspec.Named(name):
            return asked if name in names else "none"
        case toolspec.Allowed(allowed, mode):
            return _among(tuple(name for name in names if name in allowed), mode)
        case _:
            return _among(names, "required" if asked == "required" else "auto")


def _among(names: tuple[str, ...], mode: Literal["auto", "required"]) -> toolspec.ToolChoice:
    return toolspec.Allowed(names, mode) if names else "none"


def _names(asked: toolspec.Hosted, offers: Sequence[Offer]) -> Iterable[str]:
    for one in offers:
        match one.work:
            case items.Mcp(label):
                meant = asked.tool == "mcp" and asked.server_label in (None, label) and asked.name in (None, one.name)
            case items.FileSearch():
                meant = asked.tool == "file_search"
            case None:
                meant = False
        if meant:
            yield one.function.name
