"""Owns everything a caller may ask for: one spelling, defaults filled in."""

from typing import Final, Literal, TypeAlias

from msgspec import Raw, Struct

from freddy.server.core import items, toolspec
from freddy.server.core.threads import Spot

DEFAULT_MODEL: Final = "ftg-3.0"
"""Who answers where nobody names a model."""

Effort: TypeAlias = Literal["off", "minimal", "low", "medium", "high", "xhigh", "max", "maximum"]
"""OpenAI's levels, but for `off` (its `none`) and `maximum` (the Freddy dialect's own): see docs/reasoning.md."""
ContextMode: TypeAlias = Literal["recent", "smart", "full"]


class Sampling(Struct, frozen=True, omit_defaults=True):
    """None leaves the choice to the model. Ranges: temperature 0..2, top_p 0..1, penalties -2..2."""

    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool = False
    top_logprobs: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    verbosity: Literal["low", "medium", "high"] | None = None


class Schema(Struct, frozen=True, omit_defaults=True):
    """A JSON Schema (2020-12) that the answer must fit."""

    name: str
    schema: Raw
    description: str | None = None
    strict: bool = True


class Output(Struct, frozen=True, omit_defaults=True):
    """The form of the answer. `schemas` holds one or several with `json_schema`, none otherwise."""

    mode: Literal["text", "json", "json_schema"] = "text"
    schemas: tuple[Schema, ...] = ()


class Reasoning(Struct, frozen=True, omit_defaults=True):
    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class ThreadRef(Struct, frozen=True, omit_defaults=True):
    """A thread to use, created when it does not exist unless it `must_exist`; `id` None asks for a new one."""

    id: str | None = None
    metadata: dict[str, str] = {}
    must_exist: bool = False
    seen: int | None = None
    """The thread's places when the request began; None where nobody looked, or where it was not there."""
    spot: Spot | None = None
    """Where the request leaves the thread: what stands there and after it, up to the place `seen`, gives way to it."""


class Compaction(Struct, frozen=True, omit_defaults=True):
    """The conversation is shortened before it is longer than `threshold` tokens; None leaves that to the server.

    `at_once`: nothing is answered, it is shortened now.
    """

    threshold: int | None = None
    at_once: bool = False


class PromptRef(Struct, frozen=True, omit_defaults=True):
    """A template, by default in its latest version. `variables` is a JSON object."""

    id: str
    variables: items.MaybeRaw = None
    version: str | None = None


Given: TypeAlias = Literal[
    "context_mode", "logprobs", "max_tool_calls", "output", "parallel_tool_calls", "stop", "store", "truncation"
]


class Request(Struct, frozen=True, omit_defaults=True):
    """`input` are the caller's items in order, all with ids. Lengths are tokens (a synapse is one).

    `model` is empty where the caller names none.
    """

    model: str
    input: tuple[items.Item, ...]
    instructions: str | None = None
    sampling: Sampling = Sampling()
    output: Output = Output()
    reasoning: Reasoning = Reasoning()
    max_output_tokens: int | None = None
    tools: tuple[toolspec.ToolSpec, ...] = ()
    tool_choice: toolspec.ToolChoice = "auto"
    parallel_tool_calls: bool = False
    max_tool_calls: int | None = None
    thread: ThreadRef | None = None
    previous_response_id: str | None = None
    context_mode: ContextMode = "recent"
    truncation: Literal["auto", "disabled"] = "disabled"
    compaction: Compaction | None = None
    store: bool = True
    stream: bool = False
    background: bool = False
    include: tuple[str, ...] = ()
    """Names of the Freddy dialect: the other dialects have other names for the same things."""
    metadata: dict[str, str] = {}
    organization_id: str | None = None
    assistant_id: str | None = None
    rules: tuple[str, ...] = ()
    disable_rules: bool = False
    rule_context: items.MaybeRaw = None
    prompt: PromptRef | None = None
    edit_message_id: str | None = None
    """The message of the thread that the input takes the place of, with all that follow it."""
    previous_message_id: str | None = None
    """The message of the thread that the input follows, instead of those after it."""
    cache_key: str | None = None
    """What requests have in common that begin alike, in the caller's word: who has read one is asked the next."""
    given: tuple[Given, ...] = ()
    """What the caller did say of that which has a default, for who fills in the rest: an assistant, an organization."""
    echo: dict[str, Raw] = {}
    """Fields of the caller's dialect that have no effect here and are handed back as they came."""
