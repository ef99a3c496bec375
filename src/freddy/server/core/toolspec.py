"""Owns the tools a model may be given, and how it must choose among them."""

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import items

if TYPE_CHECKING:
    MaybeRaw: TypeAlias = Raw | None
else:
    # msgspec cannot decode a union of `Raw` and None. None is the default here, and a default is never written.
    MaybeRaw = Raw


class Function(Struct, frozen=True, tag_field="kind", tag="function", omit_defaults=True):
    """A function of the caller. `parameters` is a JSON Schema (2020-12); None takes no arguments.

    `form="custom"` takes one free text; what the caller declared it with is in `format`.
    """

    name: str
    description: str | None = None
    parameters: MaybeRaw = None
    strict: bool | None = None
    require_approval: bool = False
    form: items.CallForm = "function"
    format: MaybeRaw = None
    namespace: str | None = None

    @property
    def constrained(self) -> bool:
        """Whether its free text must follow a grammar."""
        if self.form != "custom" or self.format is None:
            return False
        return msgspec.json.decode(self.format, type=_Format).type != "text"


class _Format(Struct):
    type: str = "text"


class Other(Struct, frozen=True, tag_field="kind", tag="other"):
    """A tool this server knows of but does not run: kept for the echo, never shown to a model."""

    type: str
    data: Raw


ToolSpec: TypeAlias = Function | Other


class Named(Struct, frozen=True, tag="named"):
    """The model must call this function."""

    name: str


class Allowed(Struct, frozen=True, tag="allowed"):
    """The model may (`auto`) or must (`required`) call one of these functions, and no other."""

    names: tuple[str, ...]
    mode: Literal["auto", "required"] = "auto"


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | Named | Allowed
