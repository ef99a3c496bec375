"""What is asked for beside the conversation, in a vendor's own spelling, and what of it has no effect there. Pure."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence

import msgspec

from freddy.server.core import toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.request import Effort, Reasoning, Sampling
from freddy.server.core.turn import Turn
from freddy.server.providers.compatible import form, schemas
from freddy.server.providers.compatible.row import EFFORTS, SAMPLING, Facts, Json, Parameter

_NO_ARGUMENTS = msgspec.Raw(b'{"type":"object","properties":{}}')
_CUSTOM_PARAMETERS = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)


_COUNT: Json = {"include_usage": True}
_SAMPLING = Sampling()
_REASONING = Reasoning()


class Options(msgspec.Struct, frozen=True):
    """`fields` of the body, `words` for the system message; `lost` says what has no effect, a sentence each."""

    fields: Json
    words: str
    lost: tuple[str, ...]


def asks_nothing(turn: Turn) -> bool:
    """Whether the conversation is all there is, as it mostly is: then nothing can be lost beside it."""
    return (
        not turn.tools
        and turn.max_output_tokens is None
        and turn.output.mode == "text"
        and turn.sampling == _SAMPLING
        and turn.reasoning == _REASONING
    )


def options(turn: Turn, profile: Profile, facts: Facts) -> Options:
    if asks_nothing(turn) and not facts.thinking_streams and "cache_key" not in facts.takes:
        plain: Json = {"stream": turn.live}
        if turn.live and facts.counts:
            plain["stream_options"] = _COUNT
        return Options(plain | facts.always, "", ())
    level = _level(turn, profile, facts)
    thinking = _thinks(level, profile, facts)
    telling = _Telling(turn.model, profile, facts, thinking=thinking)
    telling.fields = merged({}, facts.always)
    _sampling(turn, telling)
    _effort(turn, level, facts, telling)
    if turn.tools and turn.tool_choice != "none":
        _tools(turn, facts, telling)
    shape = form.form(turn, facts, thinking=thinking)
    if shape.asked is not None:
        telling.fields["response_format"] = shape.asked
    live = turn.live and (facts.form_streams or shape.asked is None)
    if thinking and facts.thinking_streams:
        live = True
    stream: Json = {"stream": live}
    if live and facts.counts:
        stream["stream_options"] = _COUNT
    return Options(stream | telling.fields, shape.words, tuple(dict.fromkeys(telling.lost)))


def names(turn: Turn, facts: Facts) -> Mapping[str, str]:
    """The functions whose names the vendor does not take, and what they are called there."""
    return {tool.name: called for tool in turn.tools if (called := _called(tool.name, facts.names)) != tool.name}


def call_id(given: str, facts: Facts) -> str:
    """The same id for the call and its output: the given one, or nine letters and digits that stand for it."""
    if facts.call_ids is None or re.fullmatch(facts.call_ids, given):
        return given
    return _short(given)


def merged(one: Mapping[str, object], other: Mapping[str, object]) -> Json:
    """Both objects, and what is inside of both."""
    told = dict(one)
    for name, value in other.items():
        before = told.get(name)
        told[name] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return told


class _Telling:
    """One body being filled."""

    def __init__(self, model: str, profile: Profile, facts: Facts, *, thinking: bool) -> None:
        self.fields: Json = {}
        self.lost: list[str] = []
        self.thinking = thinking
        self.model = model
        self._profile = profile
        self._facts = facts

    def put(self, parameter: Parameter, value: object, *, name: str = "") -> None:
        """`name` is the caller's word for it, where that is another."""
        if value is None:
            return
        place = self._facts.takes.get(parameter)
        silenced = self.thinking and parameter in self._facts.thinking_excludes
        if place is None or silenced or (parameter in SAMPLING and not self._profile.sampling):
            self.lose(name or parameter)
            return
        *outer, last = place.split(".")
        told: Json = {last: self._within(parameter, value)}
        for step in reversed(outer):
            told = {step: told}
        self.fields = merged(self.fields, told)

    def takes(self, parameter: Parameter) -> bool:
        return parameter in self._facts.takes

    def lose(self, name: str) -> None:
        self.lost.append(f"{name} has no effect with the model {self.model}")

    def _within(self, parameter: Parameter, value: object) -> object:
        least, most = self._facts.within.get(parameter, (-float("inf"), float("inf")))
        if parameter == "temperature":
            most = min(most, self._profile.max_temperature)
        if isinstance(value, list):
            if len(value) > most:
                self.lost.append(f"only the first {most:g} of {parameter} have an effect with the model {self.model}")
            return value[: int(min(most, len(value)))]
        if not isinstance(value, int | float) or isinstance(value, bool):
            return value
        if value > most:
            self.lost.append(f"{parameter} was lowered to {most:g}, the highest of {self.model}")
            return int(most) if isinstance(value, int) and float(most).is_integer() else most
        if value < least:
            self.lost.append(f"{parameter} was raised to {least:g}, the lowest of {self.model}")
            return int(least) if isinstance(value, int) and float(least).is_integer() else least
        return value


def _sampling(turn: Turn, telling: _Telling) -> None:
    sampling = turn.sampling
    telling.put("max_output_tokens", turn.max_output_tokens)
    telling.put("temperature", sampling.temperature)
    telling.put("top_p", sampling.top_p)
    telling.put("presence_penalty", sampling.presence_penalty)
    telling.put("frequency_penalty", sampling.frequency_penalty)
    telling.put("seed", sampling.seed)
    telling.put("stop", list(sampling.stop) or None)
    telling.put("verbosity", sampling.verbosity)
    if telling.takes("cache_key"):
        # A hint of the server's own, which nobody misses.
        telling.put("cache_key", turn.cache_key)
    if not sampling.logprobs:
        return
    if telling.takes("logprobs") or not telling.takes("top_logprobs"):
        telling.put("logprobs", value=True)
        telling.put("top_logprobs", sampling.top_logprobs or None)
    else:
        telling.put("top_logprobs", sampling.top_logprobs or 1)


def _level(turn: Turn, profile: Profile, facts: Facts) -> Effort | None:
    """The level that the vendor has next to the one that is asked for; of two as near, the higher."""
    # The most that a vendor has stands in its row as `maximum`, which is its own `max` where it has one.
    asked: Effort | None = "maximum" if turn.reasoning.effort == "max" else turn.reasoning.effort
    if asked is None or not profile.reasoning or not facts.efforts:
        return None
    if asked in facts.efforts:
        return asked
    if asked == "off" and facts.thinks == "when asked":
        return None
    thinking = [level for level in EFFORTS if level in facts.efforts and level != "off"]
    if not thinking:
        return None
    place = EFFORTS.index(asked)
    return min(thinking, key=lambda level: (abs(EFFORTS.index(level) - place), -EFFORTS.index(level)))


def _thinks(level: Effort | None, profile: Profile, facts: Facts) -> bool:
    if not profile.reasoning or facts.thinks == "always":
        return profile.reasoning
    return facts.thinks == "unless off" if level is None else level != "off"


def _effort(turn: Turn, level: Effort | None, facts: Facts, telling: _Telling) -> None:
    asked = turn.reasoning
    if level is not None:
        telling.fields = merged(telling.fields, facts.efforts[level])
    if asked.effort == "off" and telling.thinking:
        telling.lost.append(f"reasoning cannot be turned off with the model {telling.model}")
    elif asked.effort not in (None, "off") and level is None:
        telling.lose("reasoning.effort")
    if asked.summary is not None:
        telling.put("summary", asked.summary, name="reasoning.summary")


def _tools(turn: Turn, facts: Facts, telling: _Telling) -> None:
    tools, choice = turn.tools, turn.tool_choice
    if isinstance(choice, toolspec.Allowed):
        tools = tuple(tool for tool in tools if tool.name in choice.names)
        choice = choice.mode
    told: object = None
    free = not (telling.thinking and "tool_choice" in facts.thinking_excludes)
    if isinstance(choice, toolspec.Named):
        name = choice.name
        if facts.named and free:
            told = {"type": "function", "function": {"name": _called(name, facts.names)}}
        else:
            # Among one tool, the choice of any is the choice of that one.
            tools, choice = tuple(tool for tool in tools if tool.name == name), "required"
    if not tools:
        return
    if choice == "required":
        told = facts.must_call if free else None
        if told is None:
            telling.lose("tool_choice")
    telling.fields["tools"] = [_tool(tool, facts) for tool in tools]
    if told is not None:
        telling.fields["tool_choice"] = told
    if telling.takes("parallel_tool_calls") or not turn.parallel_tool_calls:
        telling.put("parallel_tool_calls", turn.parallel_tool_calls)
    _lost_of_tools(tools, facts, telling)


def _lost_of_tools(tools: Sequence[toolspec.Function], facts: Facts, telling: _Telling) -> None:
    # Of a server that nobody knows calls are checked here, told to be strict or not.
    if not facts.closed_functions and any(tool.strict and not _strict(tool, facts) for tool in tools):
        telling.lose("strict of functions")
    for tool in tools:
        if tool.constrained:
            telling.lose(f"the format of the tool {tool.name}")


def _tool(tool: toolspec.Function, facts: Facts) -> Json:
    parameters = _CUSTOM_PARAMETERS if tool.form == "custom" else tool.parameters or _NO_ARGUMENTS
    function: Json = {"name": _called(tool.name, facts.names), "parameters": parameters}
    if tool.description:
        function["description"] = tool.description
    if facts.strict and tool.strict is not None:
        function["strict"] = _strict(tool, facts)
    return {"type": "function", "function": function}


def _strict(tool: toolspec.Function, facts: Facts) -> bool:
    """Whether the vendor can be told to be strict: it would refuse the whole request with a schema beyond its rules."""
    if not facts.strict or not tool.strict:
        return False
    any_schema = not (facts.closed_schemas or facts.closed_functions)
    return any_schema or tool.parameters is None or schemas.is_strict(tool.parameters)


def _called(name: str, pattern: str) -> str:
    """The name itself, or one that the vendor takes, with what tells it from others that look alike."""
    if re.fullmatch(pattern, name):
        return name
    return f"f_{re.sub(r'[^A-Za-z0-9_]', '_', name)[:50]}_{_short(name)}"


def _short(text: str) -> str:
    told = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()
    return told[:9].lower()
