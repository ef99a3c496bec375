"""A turn as the body of a request to OpenAI's Responses API. Pure.

https://platform.openai.com/docs/api-reference/responses/create
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final, TypeAlias, assert_never

import msgspec

from freddy.server.core import errors, items, request, toolspec
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.openai import families, schemas, seal

Json: TypeAlias = dict[str, object]

FEWEST_TOKENS: Final = 16
"""The lowest limit that OpenAI takes."""
_LONGEST_KEY = 64
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MESSAGE_ID = re.compile(r"msg_[A-Za-z0-9_-]{1,60}")
_NO_ARGUMENTS: Json = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
_UNHEARD: Final = items.Text("[The tool gave back a sound here, which cannot be told.]")
_PHASES = ("commentary", "final_answer")

_ASK_FOR_JSON: Json = {
    "type": "message",
    "role": "developer",
    "content": [{"type": "input_text", "text": "Answer with a JSON object."}],
}
"""OpenAI refuses `json_object` where no message of the input has the word in it; the instructions do not count."""

_COUNTED = frozenset(
    ("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning")
)


def body(turn: Turn, profile: Profile) -> bytes:
    """Raises `errors.InvalidRequest` where the model cannot read a part of the input."""
    return msgspec.json.encode(_whole(turn, profile))


def counting(turn: Turn, profile: Profile) -> bytes:
    """The body that asks how many tokens the input takes."""
    return msgspec.json.encode({name: value for name, value in _whole(turn, profile).items() if name in _COUNTED})


def enforced(turn: Turn) -> bool:
    """Whether OpenAI sees to the form of the answer: in JSON mode, and for what its strict mode takes."""
    if turn.output.mode != "json_schema":
        return turn.output.mode == "json"
    return _form(turn.output.schemas)["strict"] is True


def enveloped(turn: Turn) -> bool:
    """Whether the answer comes inside an object made for the choice between several schemas."""
    return turn.output.mode == "json_schema" and len(turn.output.schemas) > 1


def call_id(given: str) -> str:
    """The id itself where OpenAI takes it, else a hash of it: the same for a call and for its output."""
    return given if _CALL_ID.fullmatch(given) else f"call_{_digest(given)}"


def _whole(turn: Turn, profile: Profile) -> Json:
    sampling, family = turn.sampling, families.family(profile, turn.model)
    include: list[str] = []
    options: Json = {
        "instructions": turn.instructions,
        "max_output_tokens": None if turn.max_output_tokens is None else max(FEWEST_TOKENS, turn.max_output_tokens),
        "prompt_cache_key": _cache_key(turn.cache_key),
        "text": _text(turn, family),
    }
    if family.levels:
        include.append("reasoning.encrypted_content")
        options["reasoning"] = _reasoning(turn, family)
    if sampled(turn, family):
        if sampling.temperature is not None:
            options["temperature"] = min(sampling.temperature, profile.max_temperature)
        options["top_p"] = sampling.top_p
        if sampling.logprobs:
            include.append("message.output_text.logprobs")
            options["top_logprobs"] = sampling.top_logprobs
    if turn.tools:
        options |= _tools(turn)
    options["include"] = include or None
    said = _input(turn.items, profile, reasons=bool(family.levels))
    if turn.output.mode == "json" and not _speaks_of_json(turn.items):
        said.insert(0, _ASK_FOR_JSON)
    told: Json = {"model": turn.model, "input": said, "stream": turn.live, "store": False}
    return told | {name: value for name, value in options.items() if value is not None}


def sampled(turn: Turn, family: families.Family) -> bool:
    """Whether temperature and its like, and probabilities, may be asked for."""
    if family.sampled != "unthinking":
        return family.sampled == "always"
    return turn.reasoning.effort is not None and families.level(turn.reasoning.effort, family) == "none"


def _input(said: tuple[items.Readable, ...], profile: Profile, *, reasons: bool) -> list[Json]:
    forms = {item.call_id: item.form for item in said if isinstance(item, items.FunctionCall)}
    told: list[Json] = []
    for place, item in enumerate(said):
        match item:
            case items.Message():
                told.append(_message(item, profile))
            case items.FunctionCall():
                told.append(_call(item))
            case items.FunctionOutput():
                told.append(_output(item, profile, forms.get(item.call_id, item.form)))
            case items.Reasoning():
                thought = seal.reopen(profile.provider, item.encrypted) if reasons else None
                if thought is not None and _leads_on(said[place + 1 :]):
                    told.append(_thought(item, thought))
            case items.Compaction():
                told.append({"type": "compaction", "id": item.id, "encrypted_content": item.sealed})
            case items.Other():
                pass  # Kept for the caller: what OpenAI's own tools left behind is only good where it is stored.
            case _:
                assert_never(item)
    return told


def _speaks_of_json(said: tuple[items.Readable, ...]) -> bool:
    return any("json" in item.text.lower() for item in said if isinstance(item, items.Message))


def _leads_on(rest: tuple[items.Readable, ...]) -> bool:
    """Whether what the model thought for follows: OpenAI refuses a thought without it."""
    for item in rest:
        if not isinstance(item, items.Reasoning):
            return isinstance(item, items.FunctionCall) or (
                isinstance(item, items.Message) and item.role == "assistant"
            )
    return False


def _thought(item: items.Reasoning, thought: seal.Opened) -> Json:
    summary = [{"type": "summary_text", "text": text} for text in item.summaries]
    return {"type": "reasoning", "id": thought.id, "summary": summary, "encrypted_content": thought.encrypted}


def _message(message: items.Message, profile: Profile) -> Json:
    told: Json = {"type": "message", "role": message.role}
    if message.role != "assistant":
        return told | {"content": _parts(message.parts, profile)}
    if message.phase in _PHASES:
        told["phase"] = message.phase
    if not any(isinstance(part, items.Refusal) for part in message.parts):
        return told | {"content": message.text}
    # Only this form takes a refusal, and it must have an id.
    named = message.id if _MESSAGE_ID.fullmatch(message.id) else f"msg_{_digest(message.id)}"
    content = [one for part in message.parts if (one := _spoken(part)) is not None]
    return told | {"id": named, "status": message.status, "content": content}


def _spoken(part: items.Part) -> Json | None:
    match part:
        case items.Text(text):
            return {"type": "output_text", "text": text, "annotations": []}
        case items.Refusal(refusal):
            return {"type": "refusal", "refusal": refusal}
        case items.Image() | items.Audio() | items.File():
            return None
        case _:
            assert_never(part)


def _call(call: items.FunctionCall) -> Json:
    told: Json = {"call_id": call_id(call.call_id), "name": call.name}
    if call.form == "custom":
        return {"type": "custom_tool_call", **told, "input": call.arguments}
    return {"type": "function_call", **told, "arguments": call.arguments or "{}"}


def _output(output: items.FunctionOutput, profile: Profile, form: items.CallForm) -> Json:
    kind = "custom_tool_call_output" if form == "custom" else "function_call_output"
    plain = all(isinstance(part, items.Text) for part in output.parts)
    parts = output.parts
    if any(isinstance(part, items.Audio) for part in parts):
        if output.source is None:
            raise _unread(profile, "audio in the output of a tool")
        # A tool of this server gave it back: the caller could do nothing about it.
        parts = tuple(_UNHEARD if isinstance(part, items.Audio) else part for part in parts)
    told: object = output.text if plain else _parts(parts, profile)
    return {"type": kind, "call_id": call_id(output.call_id), "output": told}


def _parts(parts: Iterable[items.Part], profile: Profile) -> list[Json]:
    return [_part(part, profile) for part in parts]


def _part(part: items.Part, profile: Profile) -> Json:
    """Ids of files are this server's own: OpenAI is never asked for a file by the id a caller gave."""
    match part:
        case items.Text(text):
            return {"type": "input_text", "text": text}
        case items.Refusal(refusal):
            return {"type": "input_text", "text": refusal}
        case items.Image(url, file_id, detail):
            if not profile.images:
                raise _unread(profile, "images")
            if url is None:
                raise _unknown_file(file_id)
            return {"type": "input_image", "image_url": url, "detail": detail}
        case items.Audio(file_id, data, form):
            if not profile.audio:
                raise _unread(profile, "audio")
            if data is None:
                raise _unknown_file(file_id)
            return {"type": "input_audio", "input_audio": {"data": data, "format": form or "wav"}}
        case items.File(file_id, url, data, filename):
            if not profile.files:
                raise _unread(profile, "files")
            if url is not None:
                return {"type": "input_file", "file_url": url}
            if data is None:
                raise _unknown_file(file_id)
            return {"type": "input_file", "file_data": data, "filename": filename or _filename(data)}
        case _:
            assert_never(part)


def _filename(data: str) -> str:
    return "file.pdf" if data.startswith("data:application/pdf") else "file"


def _unread(profile: Profile, what: str) -> errors.FreddyError:
    return errors.InvalidRequest(
        f"The model {profile.name!r} does not read {what}",
        param="input",
        code="unsupported_input",
        details=f"choose a model whose capabilities include {what}, see GET /v1/models",
    )


def _unknown_file(file_id: str | None) -> errors.FreddyError:
    return errors.NotFound(f"There is no file {file_id!r}", param="file_id", code="file_not_found")


def _reasoning(turn: Turn, family: families.Family) -> Json | None:
    told: Json = {}
    asked = turn.reasoning
    if asked.effort is not None:
        told["effort"] = families.level(asked.effort, family)
    if asked.summary is not None:
        told["summary"] = "auto" if asked.summary == "concise" and not family.brief else asked.summary
    return told or None


def _text(turn: Turn, family: families.Family) -> Json | None:
    told: Json = {}
    if turn.output.mode == "json":
        told["format"] = {"type": "json_object"}
    elif turn.output.mode == "json_schema":
        told["format"] = _form(turn.output.schemas)
    if turn.sampling.verbosity is not None and family.verbose:
        told["verbosity"] = turn.sampling.verbosity
    return told or None


def _form(wanted: tuple[request.Schema, ...]) -> Json:
    if len(wanted) == 1:
        schema = wanted[0]
        guaranteed = schema.strict and schemas.strict(msgspec.json.decode(schema.schema))
        told: Json = {"name": schema.name, "schema": schema.schema, "strict": guaranteed}
        if schema.description:
            told["description"] = schema.description
    else:
        one = schemas.either([schema.schema for schema in wanted])
        told = {
            "name": schemas.ENVELOPE,
            "schema": one,
            "strict": all(schema.strict for schema in wanted) and schemas.strict(one),
        }
    return {"type": "json_schema", **told}


def _tools(turn: Turn) -> Json:
    told: Json = {
        "tools": [_tool(tool) for tool in turn.tools],
        "parallel_tool_calls": turn.parallel_tool_calls,
    }
    forms = {tool.name: tool.form for tool in turn.tools}
    match turn.tool_choice:
        case toolspec.Named(name):
            told["tool_choice"] = _named(name, forms)
        case toolspec.Allowed(names, mode):
            told["tool_choice"] = {
                "type": "allowed_tools",
                "mode": mode,
                "tools": [_named(name, forms) for name in names],
            }
        case choice:
            told["tool_choice"] = choice
    return told


def _named(name: str, forms: dict[str, items.CallForm]) -> Json:
    return {"type": forms.get(name, "function"), "name": name}


def _tool(tool: toolspec.Function) -> Json:
    described: Json = {"description": tool.description} if tool.description else {}
    if tool.form == "custom":
        if tool.format is not None:
            described["format"] = tool.format
        return {"type": "custom", "name": tool.name, **described}
    parameters = _NO_ARGUMENTS if tool.parameters is None else msgspec.json.decode(tool.parameters)
    return {
        "type": "function",
        "name": tool.name,
        "parameters": parameters,
        "strict": tool.strict is not False and schemas.strict(parameters),
        **described,
    }


def _cache_key(key: str | None) -> str | None:
    return key if key is None or len(key) <= _LONGEST_KEY else _digest(key)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:48]
