"""Owns the tools a model may be given, and how it must choose among them."""

from typing import Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import items
from freddy.server.core.filtering import Filter
from freddy.server.core.items import MaybeRaw
from freddy.server.core.vector_stores import Ranker


class Function(Struct, frozen=True, tag_field="kind", tag="function", omit_defaults=True):
    """A function of the caller. `parameters` is a JSON Schema (2020-12); None takes no arguments.

    `form="custom"` takes one free text; what the caller declared it with is in `format`. `hosted`: where this server
    has a function of that name, it answers the calls; `require_approval`: after somebody said yes; `once`: a call that
    may have been made is not made again without asking.
    """

    name: str
    description: str | None = None
    parameters: MaybeRaw = None
    strict: bool | None = None
    require_approval: bool = False
    hosted: bool = False
    form: items.CallForm = "function"
    format: MaybeRaw = None
    namespace: str | None = None
    once: bool = False

    @property
    def constrained(self) -> bool:
        """Whether its free text must follow a grammar."""
        if self.form != "custom" or self.format is None:
            return False
        return msgspec.json.decode(self.format, type=_Format).type != "text"


class _Format(Struct):
    type: str = "text"


class Which(Struct, frozen=True, omit_defaults=True):
    """Some of a server's tools: those with one of these names (where `*` stands for anything), if there are names;
    and of these those that only read, or those that do more, if it says so.
    """

    names: tuple[str, ...] = ()
    read_only: bool | None = None


class Approval(Struct, frozen=True, omit_defaults=True):
    """Which calls need a yes: what `always` names, then not what `never` names, else `otherwise`."""

    otherwise: Literal["always", "never"] = "always"
    always: tuple[Which, ...] = ()
    never: tuple[Which, ...] = ()


class Mcp(Struct, frozen=True, tag_field="kind", tag="mcp", omit_defaults=True):
    """The tools of an MCP server: one that the organization has saved (`configuration_id`), or the one at `server_url`.

    `allowed` are the tools that may be seen, all where it is None; `excluded` are not seen all the same.
    `authorization` (an OAuth token or a key) and `headers` go to the server alone: they are never kept nor repeated.
    `data` is the tool as the caller wrote it, without them.
    """

    server_label: str
    data: Raw
    server_url: str | None = None
    configuration_id: str | None = None
    connector_id: str | None = None
    description: str | None = None
    allowed: Which | None = None
    excluded: Which | None = None
    approval: Approval | None = None
    """None leaves it to the configuration; where that says nothing it is `Approval()`."""
    authorization: str | None = None
    headers: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Mcp(server_label={self.server_label!r})"

    @property
    def told(self) -> "Mcp":
        """Without what is told in confidence."""
        return msgspec.structs.replace(self, authorization=None, headers={})


class FileSearch(Struct, frozen=True, tag_field="kind", tag="file_search", omit_defaults=True):
    """A search in these vector stores. `most` counts results, 1 to 50; `least_score` goes from 0 to 1.

    `semantic_weight` and `lexical_weight` are for the hybrid ranker. `data` is the tool as the caller wrote it.
    """

    vector_store_ids: tuple[str, ...]
    data: Raw
    filter_: Filter | None = None
    most: int | None = None
    ranker: Ranker | None = None
    least_score: float = 0.0
    semantic_weight: float = 1.0
    lexical_weight: float = 1.0


class Other(Struct, frozen=True, tag_field="kind", tag="other"):
    """A tool this server knows of but does not run: kept for the echo, never shown to a model."""

    type: str
    data: Raw


ToolSpec: TypeAlias = Function | Mcp | FileSearch | Other


class Named(Struct, frozen=True, tag="named"):
    """The model must call this function."""

    name: str


class Hosted(Struct, frozen=True, tag="hosted", omit_defaults=True):
    """Tools that this server runs: those of a kind, of one MCP server, or one tool of it."""

    tool: Literal["mcp", "file_search"]
    server_label: str | None = None
    name: str | None = None


class Allowed(Struct, frozen=True, tag="allowed", omit_defaults=True):
    """The model may (`auto`) or must (`required`) call one of these functions or hosted tools, and no other."""

    names: tuple[str, ...]
    mode: Literal["auto", "required"] = "auto"
    hosted: tuple[Hosted, ...] = ()


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | Named | Hosted | Allowed
"""`Named` and `Hosted` must be called."""
