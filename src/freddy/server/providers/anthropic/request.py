"""A turn as the body of a message to Anthropic. Pure.

https://platform.claude.com/docs/en/api/messages/create
"""

from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from freddy.server.core import errors, request, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.anthropic import conversation, families, schema

Json: TypeAlias = dict[str, object]

_LEAST_BUDGET = 1_024
_OUTPUT_TOKENS = 8_192
"""What an answer may take where nobody says, and what a budget for thinking leaves to it."""
_LONGEST_WHOLE = 21_333
"""Longer answers are streamed even where nobody listens: in one piece they outlast the vendor's ten minutes."""
LEAST_TOP_P: Final = 0.95
"""What top_p may be at least while the model thinks."""

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


class Plan(msgspec.Struct, frozen=True):
    """`limit` is the most tokens of the answer, `budget` how many of them are for thinking that was asked for.

    `unthinking`: the model must be told not to think.
    """

    family: families.Family
    limit: int
    budget: int
    unthinking: bool

    @property
    def thinks(self) -> bool:
        return bool(self.budget) or (self.family.always and not (self.unthinking and self.family.quiet == "disabled"))


def plan(turn: Turn, profile: Profile) -> Plan:
    """How the model is to think, as far as the conversation lets it."""
    family, effort = families.family(profile, turn.model), turn.reasoning.effort
    forced = _answers_by_call(turn, profile) or bool(turn.tools and forces(turn.tool_choice))
    unthinking = family.quiet in ("disabled", "between_tools") and (
        effort == "off" or (effort is None and forced and family.quiet == "disabled")
    )
    # Where nothing is said of it, some think all the same.
    unasked = families.BUDGETS["high"] if family.always and not unthinking else 0
    budget = families.BUDGETS.get(effort, 0) if effort is not None and family.thinks else 0
    limits = [most for most in (turn.max_output_tokens, profile.output_tokens) if most]
    if not limits:
        return Plan(family, _OUTPUT_TOKENS + (budget or unasked), budget, unthinking)
    limit = min(limits)
    budget = min(budget, limit - min(limit // 4, _OUTPUT_TOKENS))
    return Plan(family, limit, budget if budget >= _LEAST_BUDGET else 0, unthinking)


def _told(turn: Turn, profile: Profile) -> Json:
    planned = plan(turn, profile)
    messages = conversation.messages(turn.items, profile, thinks=planned.family.thinks)
    if planned.budget and not planned.family.adaptive and not conversation.thinks_on(messages):
        planned = replace(planned, budget=0)
    told: Json = {
        "model": turn.model,
        "max_tokens": planned.limit,
        "messages": messages,
        "stream": turn.live or planned.limit > _LONGEST_WHOLE,
    }
    answer_tools = _answer_tools(turn, profile)
    above = conversation.system(turn.instructions, turn.items)
    if answer_tools and planned.thinks:
        # Thinking forbids to force a call.
        names = " or ".join(str(tool["name"]) for tool in answer_tools)
        above = "\n\n".join(filter(None, (above, f"Give your final answer only by calling {names}.")))
    if above:
        told["system"] = above
    told |= _tools(turn, profile, answer_tools, conversation.called(messages), forced=not planned.thinks)
    if thinking := _thinking(turn, planned):
        told["thinking"] = thinking
    if config := _output_config(turn, profile, planned):
        told["output_config"] = config
    told |= sampling(turn.sampling, profile, planned)
    if stop := [text for text in turn.sampling.stop if text.strip()]:
        told["stop_sequences"] = stop
    return told


def _thinking(turn: Turn, planned: Plan) -> Json | None:
    family = planned.family
    if planned.unthinking:
        return {"type": family.quiet}
    if family.adaptive and (planned.budget or (family.always and turn.reasoning.effort is None)):
        return {"type": "adaptive", "display": "summarized"}
    return {"type": "enabled", "budget_tokens": planned.budget} if planned.budget else None


def sampling(asked: request.Sampling, profile: Profile, planned: Plan) -> Json:
    """What of temperature and top_p is sent."""
    temperature, top_p = asked.temperature, asked.top_p
    if not planned.family.sampled:
        return {}
    if planned.thinks:
        return {"top_p": top_p} if top_p is not None and top_p >= LEAST_TOP_P else {}
    told: Json = {}
    if temperature is not None:
        told["temperature"] = min(temperature, profile.max_temperature, 1.0)
    if top_p is not None and (temperature is None or not planned.family.one_sampler):
        told["top_p"] = top_p
    return told


def _output_config(turn: Turn, profile: Profile, planned: Plan) -> Json:
    told: Json = {}
    effort, family = turn.reasoning.effort, planned.family
    stubborn = effort == "off" and family.quiet == "never"
    if effort is not None and ((family.adaptive and planned.budget) or stubborn):
        told["effort"] = families.EFFORTS[effort]
    if _guaranteed(turn, profile):
        schemas = tuple(one.schema for one in turn.output.schemas)
        fit = schema.closed(schemas[0]) if len(schemas) == 1 else schema.either(schemas)
        told["format"] = {"type": "json_schema", "schema": fit}
    return told


def forces(choice: toolspec.ToolChoice) -> bool:
    if isinstance(choice, toolspec.Allowed):
        return choice.mode == "required"
    return choice == "required" or isinstance(choice, toolspec.Named)


def _guaranteed(turn: Turn, profile: Profile) -> bool:
    """Whether the vendor itself sees to the form. It closes every object, which only a strict schema wants."""
    schemas = turn.output.schemas
    return profile.schemas and bool(schemas) and all(one.strict for one in schemas)


def _answers_by_call(turn: Turn, profile: Profile) -> bool:
    if turn.output.mode == "text" or _guaranteed(turn, profile):
        return False
    # Where a function must be called first, the answer is for another turn.
    return not (turn.tools and forces(turn.tool_choice))


def _answer_tools(turn: Turn, profile: Profile) -> list[Json]:
    if not _answers_by_call(turn, profile):
        return []
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
            param="json_schema.schema",
            code="unsupported_schema",
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
