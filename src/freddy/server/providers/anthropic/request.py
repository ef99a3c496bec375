"""A turn as the body of a message to Anthropic. Pure.

https://platform.claude.com/docs/en/api/messages/create
"""

import re
from typing import TypeAlias

import msgspec

from freddy.server.core import errors, request, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.anthropic import conversation, schema

Json: TypeAlias = dict[str, object]

_BUDGETS: dict[request.Effort, int] = {
    "minimal": 2_500,
    "low": 2_500,
    "medium": 10_000,
    "high": 25_000,
    "xhigh": 50_000,
    "maximum": 50_000,
}
_EFFORTS = {"minimal": "low", "maximum": "max"}
_LEAST_BUDGET = 1_024
_OUTPUT_TOKENS = 8_192
"""What an answer may take where nobody says, and what a budget for thinking leaves to it."""
_LONGEST_WHOLE = 21_333
"""Longer answers are streamed even where nobody listens: in one piece they outlast the vendor's ten minutes."""
_LEAST_TOP_P = 0.95

_UNTHINKING = re.compile(r"claude-(?:opus|sonnet)-5(?![-.]\d{1,2}(?!\d))")
"""Models that think unless they are told not to. Others of that age cannot be told, and older ones need not be."""
_THINKING = (5, 0)
"""The first version that thinks where nothing is said of it."""
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_ONE_SAMPLER = (4, 1)
"""The first version that takes only one of temperature and top_p."""
_ADAPTIVE = (4, 7)
"""The first version that takes no budget for thinking, but an effort, and nothing for sampling."""

_NO_ARGUMENTS = msgspec.Raw(b'{"type":"object","properties":{}}')
_CUSTOM_PARAMETERS = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)
_COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")


def body(turn: Turn, profile: Profile) -> bytes:
    """Raises `errors.InvalidRequest` where the model cannot read a part of the input."""
    return msgspec.json.encode(_told(turn, profile))


def count_body(turn: Turn, profile: Profile) -> bytes:
    """What `/messages/count_tokens` takes of the same."""
    told = _told(turn, profile)
    return msgspec.json.encode({name: told[name] for name in _COUNTED if name in told})


def answers(turn: Turn, profile: Profile) -> frozenset[str]:
    """The names of the functions whose arguments are the answer: they stand in for JSON the model cannot guarantee."""
    return frozenset(str(tool["name"]) for tool in _answer_tools(turn, profile))


def _told(turn: Turn, profile: Profile) -> Json:
    messages = conversation.messages(turn.items, profile)
    version = _version(turn.model)
    adaptive = version is not None and version >= _ADAPTIVE
    limit, budget = _limits(turn, profile)
    if budget and not adaptive and not conversation.thinks_on(messages):
        budget = 0
    told: Json = {
        "model": turn.model,
        "max_tokens": limit,
        "messages": messages,
        "stream": turn.live or limit > _LONGEST_WHOLE,
    }
    answer_tools = _answer_tools(turn, profile)
    unthinking = _unthinking(turn, forced=bool(answer_tools))
    thinks = bool(budget) or (version is not None and version >= _THINKING and not unthinking)
    above = conversation.system(turn.instructions, turn.items)
    if answer_tools and thinks:
        # Thinking forbids to force a call.
        names = " or ".join(str(tool["name"]) for tool in answer_tools)
        above = "\n\n".join(filter(None, (above, f"Give your final answer only by calling {names}.")))
    if above:
        told["system"] = above
    told |= _tools(turn, profile, answer_tools, conversation.called(messages), forced=not thinks)
    if budget and adaptive:
        told["thinking"] = {"type": "adaptive", "display": "summarized"}
    elif budget:
        told["thinking"] = {"type": "enabled", "budget_tokens": budget}
    elif unthinking:
        told["thinking"] = {"type": "disabled"}
    if config := _output_config(turn, profile, adaptive=adaptive and bool(budget)):
        told["output_config"] = config
    if not adaptive:
        told |= _sampling(turn.sampling, profile, version, thinking=bool(budget))
    if stop := [text for text in turn.sampling.stop if text.strip()]:
        told["stop_sequences"] = stop
    return told


def _limits(turn: Turn, profile: Profile) -> tuple[int, int]:
    """The most tokens of the answer, and how many of them are for thinking."""
    effort = turn.reasoning.effort
    budget = _BUDGETS.get(effort, 0) if effort is not None and profile.reasoning else 0
    limits = [most for most in (turn.max_output_tokens, profile.output_tokens) if most]
    if not limits:
        return _OUTPUT_TOKENS + budget, budget
    limit = min(limits)
    budget = min(budget, limit - min(limit // 4, _OUTPUT_TOKENS))
    return limit, budget if budget >= _LEAST_BUDGET else 0


def _unthinking(turn: Turn, *, forced: bool) -> bool:
    """Whether the model must be told not to think: the caller says so, or forces a call and leaves thinking open."""
    if turn.reasoning.effort not in (None, "off") or not _UNTHINKING.search(turn.model):
        return False
    return turn.reasoning.effort == "off" or forced or bool(turn.tools and _forces(turn.tool_choice))


def _forces(choice: toolspec.ToolChoice) -> bool:
    if isinstance(choice, toolspec.Allowed):
        return choice.mode == "required"
    return choice == "required" or isinstance(choice, toolspec.Named)


def _version(model: str) -> tuple[int, int] | None:
    """The version in a model's name: (4, 7) of `claude-opus-4-7`. None where the name does not tell it."""
    told = _VERSION.search(model)
    return (int(told[1]), int(told[2] or 0)) if told else None


def _sampling(sampling: request.Sampling, profile: Profile, version: tuple[int, int] | None, *, thinking: bool) -> Json:
    temperature, top_p = sampling.temperature, sampling.top_p
    if thinking:
        return {"top_p": top_p} if top_p is not None and top_p >= _LEAST_TOP_P else {}
    told: Json = {}
    if temperature is not None:
        told["temperature"] = min(temperature, profile.max_temperature, 1.0)
    if top_p is not None and (temperature is None or (version is not None and version < _ONE_SAMPLER)):
        told["top_p"] = top_p
    return told


def _output_config(turn: Turn, profile: Profile, *, adaptive: bool) -> Json:
    told: Json = {}
    if adaptive and turn.reasoning.effort is not None:
        told["effort"] = _EFFORTS.get(turn.reasoning.effort, turn.reasoning.effort)
    if _guaranteed(turn, profile):
        schemas = tuple(one.schema for one in turn.output.schemas)
        fit = schema.closed(schemas[0]) if len(schemas) == 1 else schema.either(schemas)
        told["format"] = {"type": "json_schema", "schema": fit}
    return told


def _guaranteed(turn: Turn, profile: Profile) -> bool:
    """Whether the vendor itself sees to the form. It closes every object, which only a strict schema wants."""
    schemas = turn.output.schemas
    return profile.schemas and bool(schemas) and all(one.strict for one in schemas)


def _answer_tools(turn: Turn, profile: Profile) -> list[Json]:
    if turn.output.mode == "text" or _guaranteed(turn, profile):
        return []
    if turn.tools and _forces(turn.tool_choice):
        return []  # A function must be called first: the answer is for another turn.
    taken = {tool.name for tool in turn.tools}
    if turn.output.mode == "json":
        description = "Gives the answer, as a JSON object."
        return [{"name": _free("json", taken), "description": description, "input_schema": {"type": "object"}}]
    return [
        {
            "name": _free(one.name, taken),
            "description": one.description or "Gives the answer.",
            "input_schema": _object(one),
        }
        for one in turn.output.schemas
    ]


def _free(name: str, taken: set[str]) -> str:
    return name if name not in taken else f"{name}_answer"


def _object(told: request.Schema) -> Json:
    fields = msgspec.json.decode(told.schema)
    if not isinstance(fields, dict) or fields.get("type", "object") != "object":
        raise errors.InvalidRequest(
            f"The schema {told.name!r} is not that of an object",
            param="text.format.schema",
            details="use a schema with type object at its root, or a model with structured outputs",
        )
    root: Json = {"type": "object"}
    return root | fields


def _tools(turn: Turn, profile: Profile, answer_tools: list[Json], called: list[str], *, forced: bool) -> Json:
    tools, choice = turn.tools, turn.tool_choice
    if isinstance(choice, toolspec.Allowed):
        tools = tuple(tool for tool in tools if tool.name in choice.names)
        choice = choice.mode
    told = [_tool(tool, profile) for tool in tools]
    if answer_tools:
        told = answer_tools if choice == "none" else [*told, *answer_tools]
        choice = "required"
    elif not told and called:
        # The vendor wants to know functions where there are calls.
        told = [{"name": name, "input_schema": _NO_ARGUMENTS} for name in called]
        choice = "none"
    if not told:
        return {}
    return {"tools": told, "tool_choice": _choice(choice, parallel=turn.parallel_tool_calls, forced=forced)}


def _choice(choice: toolspec.ToolChoice, *, parallel: bool, forced: bool) -> Json:
    if choice == "none":
        return {"type": "none"}
    told: Json = {"type": "auto"}
    if forced and isinstance(choice, toolspec.Named):
        told = {"type": "tool", "name": choice.name}
    elif forced and choice == "required":
        told = {"type": "any"}
    if not parallel:
        told["disable_parallel_tool_use"] = True
    return told


def _tool(tool: toolspec.Function, profile: Profile) -> Json:
    told: Json = {"name": tool.name}
    if tool.description:
        told["description"] = tool.description
    parameters = _CUSTOM_PARAMETERS if tool.form == "custom" else tool.parameters or _NO_ARGUMENTS
    if tool.strict and tool.form == "function" and profile.schemas:
        return told | {"input_schema": schema.closed(parameters), "strict": True}
    return told | {"input_schema": parameters}
