"""Simulates OpenAI's Responses API. https://platform.openai.com/docs/api-reference/responses"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from openai.types import Model
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses import input_token_count_params as counting
from openai.types.responses import response_create_params as params
from openai.types.responses.input_token_count_response import InputTokenCountResponse
from pydantic import TypeAdapter

from simulators.published import Published
from simulators.script import (
    Answer,
    Argument,
    Call,
    Cited,
    Failed,
    Fault,
    Hidden,
    Invoked,
    Likely,
    Line,
    Next,
    Refused,
    Thought,
    Words,
)
from simulators.server import Json, Simulator

_STREAMED = Published(params.ResponseCreateParamsStreaming)
_WHOLE = Published(params.ResponseCreateParamsNonStreaming)
_COUNTED = Published(counting.InputTokenCountParams)
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_REASONS = re.compile(r"o\d|gpt-5")
_NEVER_REASONS = re.compile(r"gpt-4|gpt-3")
_LONGEST = 64
_CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_TYPES = {400: "invalid_request_error", 401: "invalid_request_error", 404: "invalid_request_error", 429: "tokens"}
_TROUBLES = {"overloaded": "server_is_overloaded", "rate_limit": "rate_limit_exceeded", "server": "server_error"}
_LASTS = ("assistant", "function_call", "custom_tool_call", "reasoning")


class Responses(Simulator):
    """With `rotating`, an item's id is another one in each event: some who speak the protocol do so."""

    kind = "openai"
    ask = "/v1/responses"
    others = ("/v1/responses/input_tokens", "/v1/models")

    def __init__(self, *, rotating: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._rotating = rotating

    def teller(self, call: Call, answer: Answer) -> "_Teller":
        return _Teller(call.body, answer, answer.model or self.model, rotating=self._rotating)

    def given_key(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("authorization", "").removeprefix("Bearer ") or None

    def wrong(self, call: Call, raw: bytes) -> Iterator[str]:
        if call.path.endswith("/input_tokens"):
            if misfit := _COUNTED.wrong(raw):
                yield misfit
            return
        if misfit := (_STREAMED if call.body.get("stream") is True else _WHOLE).wrong(raw):
            yield misfit
            return
        yield from rules(call.body)

    def fault(self, fault: Fault) -> Json:
        kind = _TYPES.get(fault.status, "server_error")
        return {"error": {"message": fault.message, "type": kind, "param": None, "code": fault.code}}

    def look(self, call: Call) -> Json:
        if call.path.endswith("/input_tokens"):
            told = {"object": "response.input_tokens", "input_tokens": len(json.dumps(call.body)) // 4}
            InputTokenCountResponse.model_validate(told)
            return told
        listed = [
            {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "openai"} for name in self._models
        ]
        for one in listed:
            Model.model_validate(one)
        return {"object": "list", "data": listed}


def rules(body: Json) -> Iterator[str]:
    """What the types cannot say."""
    said = body.get("input")
    if not said:
        yield "input: must not be empty"
    items: list[Json] = said if isinstance(said, list) else []
    yield from _conversation(items)
    model = body.get("model", "")
    if _REASONS.match(model):
        yield from (
            f"Unsupported parameter: '{name}' is not supported with this model."
            for name in ("temperature", "top_p", "top_logprobs")
            if name in body
        )
    if _NEVER_REASONS.match(model):
        if "reasoning" in body:
            yield "Unsupported parameter: 'reasoning.effort' is not supported with this model."
        if "reasoning.encrypted_content" in body.get("include", ()):
            yield "Encrypted content is not supported with this model."
    if body.get("max_output_tokens") is not None and body["max_output_tokens"] < 16:
        yield "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16."
    if len(body.get("prompt_cache_key", "")) > _LONGEST:
        yield "Invalid 'prompt_cache_key': string too long."
    yield from _tools(body)
    form = body.get("text", {}).get("format", {})
    if form.get("type") == "json_object" and "json" not in json.dumps(items).lower().replace('"json_object"', ""):
        yield "Response input messages must contain the word 'json' in some form to use 'json_object'."
    if form.get("type") == "json_schema":
        if not _NAME.fullmatch(form["name"]):
            yield "Invalid 'text.format.name'"
        if form["schema"].get("type") != "object":
            yield "Invalid schema for response_format: schema must be a JSON Schema of 'type: \"object\"'"
        elif form.get("strict"):
            yield from strict(form["schema"])


def _conversation(items: list[Json]) -> Iterator[str]:
    made: dict[str, str] = {}
    answered: set[str] = set()
    for at, item in enumerate(items):
        kind = item.get("type", "message")
        if len(item.get("call_id") or "") > _LONGEST:
            yield f"Invalid 'input[{at}].call_id': string too long."
        if kind in _CALLS:
            if item["call_id"] in made:
                yield f"Duplicate call_id {item['call_id']}"
            made[item["call_id"]] = _CALLS[kind]
        elif kind in _CALLS.values():
            if made.get(item["call_id"]) != kind:
                yield f"No tool call found for {kind.replace('_', ' ')} with call_id {item['call_id']}."
            answered.add(item["call_id"])
        elif kind == "reasoning":
            after = items[at + 1] if at + 1 < len(items) else {}
            if after.get("type", "message") not in _LASTS and after.get("role") not in _LASTS:
                yield f"Item '{item['id']}' of type 'reasoning' was provided without its required following item."
            if not item.get("encrypted_content"):
                yield f"Item with id '{item['id']}' not found. Items are not persisted when `store` is set to false."
    for call_id in made.keys() - answered:
        yield f"No tool output found for function call {call_id}."


def _tools(body: Json) -> Iterator[str]:
    tools = body.get("tools", [])
    if not tools and body.get("tool_choice") not in (None, "auto", "none"):
        yield "Tool choice must not be given without tools"
    names = [tool["name"] for tool in tools if "name" in tool]
    if len(names) != len(set(names)) or not all(_NAME.fullmatch(name) for name in names):
        yield "tools: names must be unique, of letters, digits, _ and -, and at most 64 long"
    for tool in tools:
        if tool["type"] == "function" and tool.get("strict"):
            yield from strict(tool["parameters"])


def strict(schema: object) -> Iterator[str]:
    """What a strict schema lacks. https://platform.openai.com/docs/guides/structured-outputs#supported-schemas"""
    if isinstance(schema, list):
        for one in schema:
            yield from strict(one)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            yield "'additionalProperties' is required to be supplied and to be false."
        if set(schema.get("properties", {})) != set(schema.get("required", ())):
            yield "'required' is required to be supplied and to be an array including every key in properties."
    for name, inner in schema.items():
        yield from strict(
            list(inner.values()) if name in ("properties", "$defs") and isinstance(inner, dict) else inner
        )


class _Teller:
    """Items of the answer are told one after the other; calls stay open together."""

    def __init__(self, asked: Json, answer: Answer, model: str, *, rotating: bool) -> None:
        self._asked = asked
        self._answer = answer
        self._model = model
        self._rotating = rotating
        self._sealed = "reasoning.encrypted_content" in asked.get("include", ())
        self._number = -1
        self._output: list[Json] = []
        self._open: list[int] = []
        """Places of items that are not done."""
        self._calls: dict[int, int] = {}
        self._phase: str | None = None
        self._error: Json | None = None

    def begin(self) -> Iterator[bytes]:
        yield self._event("response.created", response=self._response("in_progress"))
        yield self._event("response.in_progress", response=self._response("in_progress"))

    def say(self, line: Line) -> Iterator[bytes]:
        match line:
            case Words(text, likely):
                yield from self._message("output_text")
                part = self._part
                part["text"] += text
                told = [_probable(one) for one in likely]
                part["logprobs"] += told
                yield self._of_part("response.output_text.delta", delta=text, logprobs=told, obfuscation="Xy")
            case Refused(text):
                yield from self._message("refusal")
                self._part["refusal"] += text
                yield self._of_part("response.refusal.delta", delta=text)
            case Cited(url, title, start, end):
                remark = {"type": "url_citation", "url": url, "title": title, "start_index": start, "end_index": end}
                part = self._part
                part["annotations"].append(remark)
                at = len(part["annotations"]) - 1
                yield self._of_part("response.output_text.annotation.added", annotation=remark, annotation_index=at)
            case Thought(text):
                yield from self._reasoning()
                item = self._output[-1]
                if not item["summary"]:
                    item["summary"].append({"type": "summary_text", "text": ""})
                    yield self._of_summary(
                        "response.reasoning_summary_part.added", part={"type": "summary_text", "text": ""}
                    )
                item["summary"][-1]["text"] += text
                yield self._of_summary("response.reasoning_summary_text.delta", delta=text, obfuscation="Z")
            case Hidden(sealed):
                yield from self._close()
                yield from self._add({"type": "reasoning", "id": self._id("rs"), "summary": []})
                yield from self._close(sealed)
            case Next(phase):
                yield from self._close()
                self._phase = phase
            case Invoked(index, name, call_id, custom):
                if not self._calls:
                    yield from self._close()
                self._calls[index] = len(self._output)
                kind, field = ("custom_tool_call", "input") if custom else ("function_call", "arguments")
                call = {"type": kind, "id": self._id("ctc" if custom else "fc"), "call_id": call_id, "name": name}
                yield from self._add({**call, field: "", **({} if custom else {"status": "in_progress"})})
            case Argument(index, text, piece):
                place = self._calls[index]
                item = self._output[place]
                if item["type"] == "custom_tool_call":
                    item["input"] += text
                    if text:
                        yield self._of_item("response.custom_tool_call_input.delta", place, delta=text)
                else:
                    item["arguments"] += piece
                    yield self._of_item("response.function_call_arguments.delta", place, delta=piece, obfuscation="Q")
            case Failed():
                yield from self._fail(line)

    def end(self) -> Iterator[bytes]:
        if self._error is not None:
            return
        cut = self._answer.finish in ("length", "content_filter")
        yield from self._close(status="incomplete" if cut else "completed")
        status = "incomplete" if cut else "completed"
        yield self._event(f"response.{status}", response=self._response(status))

    def whole(self) -> tuple[int, Json]:
        cut = self._answer.finish in ("length", "content_filter")
        return 200, self._response("failed" if self._error else "incomplete" if cut else "completed")

    def _fail(self, failed: Failed) -> Iterator[bytes]:
        code = _TROUBLES[failed.trouble]
        self._error = {"code": code if code in ("rate_limit_exceeded", "server_error") else "server_error"}
        self._error["message"] = failed.message
        if failed.quietly:
            yield self._event("response.failed", response=self._response("failed"))
        else:
            yield self._event("error", code=code, message=failed.message, param=None)

    @property
    def _part(self) -> Json:
        part: Json = self._output[-1]["content"][-1]
        return part

    def _message(self, kind: str) -> Iterator[bytes]:
        if not self._open or self._output[-1]["type"] != "message":
            yield from self._close()
            item = {
                "type": "message",
                "id": self._id("msg"),
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            if self._phase:
                item["phase"] = self._phase
            yield from self._add(item)
        content = self._output[-1]["content"]
        if not content or content[-1]["type"] != kind:
            if content:
                yield from self._end_part()
            text = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            content.append(text if kind == "output_text" else {"type": "refusal", "refusal": ""})
            yield self._of_part("response.content_part.added", part=content[-1])

    def _reasoning(self) -> Iterator[bytes]:
        if not self._open or self._output[-1]["type"] != "reasoning":
            yield from self._close()
            yield from self._add({"type": "reasoning", "id": self._id("rs"), "summary": []})

    def _add(self, item: Json) -> Iterator[bytes]:
        self._output.append(item)
        self._open.append(len(self._output) - 1)
        yield self._event("response.output_item.added", output_index=len(self._output) - 1, item=self._shown(item))

    def _close(self, sealed: str = "c2VhbGVk", status: str = "completed") -> Iterator[bytes]:
        for place in self._open:
            item = self._output[place]
            last = status if place == self._open[-1] else "completed"
            match item["type"]:
                case "message":
                    yield from self._end_part()
                    item["status"] = last
                case "reasoning":
                    if item["summary"]:
                        told = item["summary"][-1]
                        yield self._of_summary("response.reasoning_summary_text.done", text=told["text"])
                        yield self._of_summary("response.reasoning_summary_part.done", part=told)
                    if self._sealed:
                        item["encrypted_content"] = sealed
                case "custom_tool_call":
                    yield self._of_item("response.custom_tool_call_input.done", place, input=item["input"])
                case "function_call":
                    told = item["arguments"]
                    yield self._of_item(
                        "response.function_call_arguments.done", place, name=item["name"], arguments=told
                    )
                    item["status"] = last
            yield self._event("response.output_item.done", output_index=place, item=self._shown(item))
        self._open, self._calls = [], {}

    def _end_part(self) -> Iterator[bytes]:
        part = self._part
        if part["type"] == "output_text":
            yield self._of_part("response.output_text.done", text=part["text"], logprobs=part["logprobs"])
        else:
            yield self._of_part("response.refusal.done", refusal=part["refusal"])
        yield self._of_part("response.content_part.done", part=part)

    def _of_part(self, kind: str, **told: object) -> bytes:
        return self._of_item(kind, len(self._output) - 1, content_index=len(self._output[-1]["content"]) - 1, **told)

    def _of_summary(self, kind: str, **told: object) -> bytes:
        return self._of_item(kind, len(self._output) - 1, summary_index=0, **told)

    def _of_item(self, kind: str, place: int, **told: object) -> bytes:
        item_id = self._shown(self._output[place])["id"]
        return self._event(kind, item_id=item_id, output_index=place, **told)

    def _shown(self, item: Json) -> Json:
        return {**item, "id": f"{item['id']}_{self._number + 1}"} if self._rotating else item

    def _id(self, kind: str) -> str:
        return f"{kind}_0sim{len(self._output):03d}"

    def _event(self, kind: str, **told: object) -> bytes:
        self._number += 1
        event = {"type": kind, "sequence_number": self._number, **told}
        _EVENT.validate_python(event)
        return f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode()

    def _response(self, status: str) -> Json:
        ended = status not in ("in_progress", "failed")
        usage = self._answer.usage if ended else None
        details = None
        if status == "incomplete":
            filtered = self._answer.finish == "content_filter"
            details = {"reason": "content_filter" if filtered else "max_output_tokens"}
        told = {
            "id": "resp_0simulated",
            "object": "response",
            "created_at": 1_700_000_000,
            "status": status,
            "background": False,
            "error": self._error,
            "incomplete_details": details,
            "instructions": self._asked.get("instructions"),
            "max_output_tokens": self._asked.get("max_output_tokens"),
            "model": self._model,
            "output": self._output if status != "in_progress" else [],
            "parallel_tool_calls": self._asked.get("parallel_tool_calls", True),
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "store": False,
            "temperature": self._asked.get("temperature", 1.0),
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": self._asked.get("tool_choice", "auto"),
            "tools": [{"description": None, **tool} for tool in self._asked.get("tools", ())],
            "top_p": self._asked.get("top_p", 1.0),
            "truncation": "disabled",
            "usage": usage
            and {
                "input_tokens": usage.input,
                "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
                "output_tokens": usage.output,
                "output_tokens_details": {"reasoning_tokens": usage.thought},
                "total_tokens": usage.input + usage.output,
            },
            "user": None,
            "metadata": {},
        }
        Response.model_validate(told)
        return told


def _probable(one: Likely) -> Json:
    told: Json = {"token": one.token, "logprob": one.logprob, "bytes": list(one.token.encode())}
    rivals = [{"token": name, "logprob": much, "bytes": list(name.encode())} for name, much in one.rivals.items()]
    return {**told, "top_logprobs": rivals}
