"""A turn as the body of a chat completion. Pure.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Iterable
from typing import TypeAlias, assert_never

import msgspec

from freddy.server.core import errors, items, toolspec, transcript
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn

Json: TypeAlias = dict[str, object]

_EFFORTS = {"off": "none", "maximum": "high", "xhigh": "high"}
_NO_ARGUMENTS = msgspec.Raw(b'{"type":"object","properties":{}}')
_CUSTOM_PARAMETERS = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)


def body(turn: Turn, profile: Profile) -> bytes:
    """Raises `errors.InvalidRequest` where the model cannot read a part of the input."""
    sampling = turn.sampling
    told: Json = {"model": turn.model, "messages": messages(turn, profile), "stream": turn.live}
    if turn.live:
        told["stream_options"] = {"include_usage": True}
    options: Json = {
        "temperature": None if sampling.temperature is None else min(sampling.temperature, profile.max_temperature),
        "top_p": sampling.top_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "seed": sampling.seed,
        "max_tokens": turn.max_output_tokens,
        "stop": list(sampling.stop) or None,
    }
    told |= {name: value for name, value in options.items() if value is not None}
    if sampling.logprobs:
        told |= {"logprobs": True, "top_logprobs": sampling.top_logprobs}
    if turn.reasoning.effort is not None and profile.reasoning:
        told["reasoning_effort"] = _EFFORTS.get(turn.reasoning.effort, turn.reasoning.effort)
    if turn.tools and turn.tool_choice != "none":
        told |= _tools(turn)
    if turn.output.mode == "json":
        told["response_format"] = {"type": "json_object"}
    elif turn.output.mode == "json_schema":
        told["response_format"] = _schema(turn)
    return msgspec.json.encode(told)


def messages(turn: Turn, profile: Profile) -> list[Json]:
    told: list[Json] = []
    if turn.instructions:
        told.append({"role": "system", "content": turn.instructions})
    for item in turn.items:
        match item:
            case items.Message():
                told.append(_message(item, profile))
            case items.FunctionCall():
                # The calls of one answer belong to one message, with the text that came before them.
                if not (told and told[-1]["role"] == "assistant"):
                    told.append({"role": "assistant", "content": None})
                calls = told[-1].setdefault("tool_calls", [])
                assert isinstance(calls, list)
                calls.append(_call(item))
            case items.FunctionOutput():
                told.append({"role": "tool", "tool_call_id": item.call_id, "content": _output(item, profile)})
            case items.Reasoning() | items.Other():
                pass  # The chat wire has no place for them.
            case _:
                assert_never(item)
    return told


def _message(message: items.Message, profile: Profile) -> Json:
    role = "system" if message.role == "developer" else message.role
    if len(message.parts) == 1 and isinstance(message.parts[0], items.Text):
        return {"role": role, "content": message.parts[0].text}
    if role == "user":
        return {"role": role, "content": _parts(message.parts, profile)}
    refusals = [part.refusal for part in message.parts if isinstance(part, items.Refusal)]
    told: Json = {"role": role, "content": message.text or (None if refusals else "")}
    if refusals:
        told["refusal"] = "".join(refusals)
    return told


def _output(output: items.FunctionOutput, profile: Profile) -> object:
    if all(isinstance(part, items.Text) for part in output.parts):
        return output.text
    return _parts(output.parts, profile)


def _parts(parts: Iterable[items.Part], profile: Profile) -> list[Json]:
    return [_part(part, profile) for part in parts]


def _part(part: items.Part, profile: Profile) -> Json:
    match part:
        case items.Text(text):
            return {"type": "text", "text": text}
        case items.Refusal(refusal):
            return {"type": "text", "text": refusal}
        case items.Image(url, file_id, detail):
            _must(profile.images, profile, "images")
            if url is None:
                raise _unknown_file(file_id)
            return {"type": "image_url", "image_url": {"url": url, "detail": detail}}
        case items.Audio(file_id, data, form):
            _must(profile.audio, profile, "audio")
            if data is None:
                raise _unknown_file(file_id)
            return {"type": "input_audio", "input_audio": {"data": data, "format": form or "wav"}}
        case items.File(file_id, _, data, filename):
            _must(profile.files, profile, "files")
            if data is None:
                raise _unknown_file(file_id)
            return {"type": "file", "file": {"file_data": data, "filename": filename or "file"}}
        case _:
            assert_never(part)


def _must(able: bool, profile: Profile, what: str) -> None:  # noqa: FBT001
    if not able:
        raise errors.InvalidRequest(
            f"The model {profile.name!r} does not read {what}",
            param="input",
            code="unsupported_input",
            details=f"choose a model whose capabilities include {what}, see GET /v1/models",
        )


def _unknown_file(file_id: str | None) -> errors.FreddyError:
    return errors.NotFound(f"There is no file {file_id!r}", param="file_id", code="file_not_found")


def _call(call: items.FunctionCall) -> Json:
    arguments = transcript.custom_arguments(call.arguments) if call.form == "custom" else call.arguments
    return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _tools(turn: Turn) -> Json:
    tools, choice = turn.tools, turn.tool_choice
    if isinstance(choice, toolspec.Allowed):
        tools = tuple(tool for tool in tools if tool.name in choice.names)
        choice = choice.mode
    told: Json = {"tools": [_tool(tool) for tool in tools]}
    if isinstance(choice, toolspec.Named):
        told["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice != "auto":
        told["tool_choice"] = choice
    if not turn.parallel_tool_calls:
        told["parallel_tool_calls"] = False
    return told


def _tool(tool: toolspec.Function) -> Json:
    parameters = _CUSTOM_PARAMETERS if tool.form == "custom" else tool.parameters or _NO_ARGUMENTS
    function: Json = {"name": tool.name, "parameters": parameters}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _schema(turn: Turn) -> Json:
    schemas = turn.output.schemas
    if len(schemas) == 1:
        schema = schemas[0]
        told: Json = {"name": schema.name, "schema": schema.schema, "strict": schema.strict}
        if schema.description:
            told["description"] = schema.description
        return {"type": "json_schema", "json_schema": told}
    either = {"anyOf": [schema.schema for schema in schemas]}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": either, "strict": True}}
