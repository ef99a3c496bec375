"""Simulates servers that speak OpenAI's chat completions. https://platform.openai.com/docs/api-reference/chat/create"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat import completion_create_params as params

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
    Usage,
    Words,
)
from simulators.server import Json, Simulator

Thinks: TypeAlias = Literal["reasoning_content", "reasoning", "tags"]
"""Where a server puts thinking: in a field of this name beside the content, or in `<think>` at its start."""

_STREAMED = Published(params.CompletionCreateParamsStreaming)
_WHOLE = Published(params.CompletionCreateParamsNonStreaming)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}
_TROUBLES = {
    "overloaded": ("server_error", None),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "server": ("server_error", None),
}


class Chat(Simulator):
    """`thinks` is where thinking is said; `takes` are fields of the server's own, in the body and in its messages."""

    kind = "compatible"
    ask = "/v1/chat/completions"
    others = ("/v1/models",)

    def __init__(self, *, thinks: Thinks = "reasoning_content", takes: Iterable[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self._thinks: Thinks = thinks
        self._takes = frozenset(takes)

    def teller(self, call: Call, answer: Answer) -> "_Teller":
        counted = (call.body.get("stream_options") or {}).get("include_usage") or not call.body.get("stream")
        return _Teller(answer, answer.model or self.model, self._thinks, counted=bool(counted))

    def given_key(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("authorization", "").removeprefix("Bearer ") or None

    def wrong(self, call: Call, raw: bytes) -> Iterator[str]:
        body = call.body
        if self._takes:
            known = {name: value for name, value in body.items() if name not in self._takes}
            known["messages"] = [
                {name: value for name, value in one.items() if name not in self._takes} for one in body["messages"]
            ]
            raw = json.dumps(known).encode()
        published = _STREAMED if body.get("stream") is True else _WHOLE
        if misfit := published.wrong(raw):
            yield misfit
            return
        yield from rules(body)

    def fault(self, fault: Fault) -> Json:
        kind = _TYPES.get(fault.status, "server_error")
        return {"error": {"message": fault.message, "type": kind, "param": None, "code": fault.code}}

    def look(self, call: Call) -> Json:
        listed = [
            {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "stage"} for name in self._models
        ]
        for one in listed:
            Model.model_validate(one)
        return {"object": "list", "data": listed}


def rules(body: Json) -> Iterator[str]:
    """What the types cannot say."""
    if not body["messages"]:
        yield "messages: must not be empty"
    if "stream_options" in body and body.get("stream") is not True:
        yield "stream_options: only allowed when stream is enabled"
    if "tools" not in body:
        yield from (
            f"{name}: only allowed when tools are" for name in ("tool_choice", "parallel_tool_calls") if name in body
        )
    names = [tool["function"]["name"] for tool in body.get("tools", ()) if tool["type"] == "function"]
    if "tools" in body and not names:
        yield "tools: must not be empty"
    if len(names) != len(set(names)) or not all(_NAME.fullmatch(name) for name in names):
        yield "tools: names must be unique, of letters, digits, _ and -, and at most 64 long"
    if "top_logprobs" in body and not body.get("logprobs"):
        yield "top_logprobs: only allowed with logprobs"
    waiting: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
            else:
                waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            yield f"tool_call_ids did not have response messages: {waiting}"
        waiting = [one["id"] for one in message.get("tool_calls", ())]
        if "tool_calls" in message and not waiting:
            yield "tool_calls: must not be empty"
        if message["role"] == "assistant" and not (
            message.get("content") is not None or waiting or message.get("refusal")
        ):
            yield "an assistant's message has content, calls or a refusal"
    if waiting:
        yield f"tool_call_ids did not have response messages: {waiting}"


class _Teller:
    def __init__(self, answer: Answer, model: str, thinks: Thinks, *, counted: bool) -> None:
        self._answer = answer
        self._model = model
        self._thinks = thinks
        self._counted = counted
        self._message: Json = {"role": "assistant", "content": None, "refusal": None}
        self._calls: dict[int, Json] = {}
        self._logprobs: list[Json] = []
        self._thinking = False
        self._failed: Failed | None = None

    def begin(self) -> Iterator[bytes]:
        yield self._chunk({"role": "assistant", "content": ""})

    def say(self, line: Line) -> Iterator[bytes]:
        if self._thinking and not isinstance(line, Thought):
            self._thinking = False
            yield from self._add("content", "\n</think>\n\n")
        match line:
            case Words(text, likely):
                told = [_probable(one) for one in likely]
                self._logprobs += told
                yield from self._add("content", text, logprobs=told)
            case Refused(text):
                yield from self._add("refusal", text)
            case Thought(text) if self._thinks == "tags":
                if not self._thinking:
                    self._thinking = True
                    yield from self._add("content", "<think>\n")
                yield from self._add("content", text)
            case Thought(text):
                yield from self._add(self._thinks, text)
            case Invoked(index, name, call_id):
                self._calls[index] = {"id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
                yield self._chunk({"tool_calls": [{"index": index, **self._calls[index]}]})
            case Argument(index, _, piece):
                function = self._calls[index]["function"]
                self._calls[index]["function"] = {**function, "arguments": function["arguments"] + piece}
                yield self._chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
            case Cited(url, title, start, end):
                cited = {"url": url, "title": title, "start_index": start, "end_index": end}
                remark = {"type": "url_citation", "url_citation": cited}
                self._message.setdefault("annotations", []).append(remark)
                yield self._chunk({"annotations": [remark]})
            case Failed():
                self._failed = line
                yield b"data: " + json.dumps({"error": _error(line)}).encode() + b"\n\n"
            case Hidden() | Next():
                pass  # The wire has no words for them.

    def end(self) -> Iterator[bytes]:
        if self._failed is not None:
            return
        if self._thinking:
            yield from self._add("content", "\n</think>\n\n")
        yield self._chunk({}, finish=self._answer.finish)
        if self._answer.usage is not None and self._counted:
            chunk = {**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(self._answer.usage)}
            yield _event(chunk)
        yield b"data: [DONE]\n\n"

    def whole(self) -> tuple[int, Json]:
        if self._failed is not None:
            return (429 if self._failed.trouble == "rate_limit" else 503), {"error": _error(self._failed)}
        message = self._message
        if self._calls:
            message = {**message, "tool_calls": list(self._calls.values())}
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": self._answer.finish,
            "logprobs": {"content": self._logprobs, "refusal": None} if self._logprobs else None,
        }
        told = {**self._head("chat.completion"), "choices": [choice]}
        if self._answer.usage is not None:
            told["usage"] = _usage(self._answer.usage)
        ChatCompletion.model_validate(told)
        return 200, told

    def _add(self, name: str, text: str, *, logprobs: list[Json] | None = None) -> Iterator[bytes]:
        self._message[name] = (self._message.get(name) or "") + text
        yield self._chunk({name: text}, logprobs=logprobs)

    def _chunk(self, delta: Json, *, finish: str | None = None, logprobs: list[Json] | None = None) -> bytes:
        likely = {"content": logprobs, "refusal": None} if logprobs else None
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": likely}
        return _event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _head(self, kind: str) -> Json:
        return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": self._model}


def _event(chunk: Json) -> bytes:
    ChatCompletionChunk.model_validate(chunk)
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _error(failed: Failed) -> Json:
    kind, code = _TROUBLES[failed.trouble]
    return {"message": failed.message, "type": kind, "param": None, "code": code}


def _probable(one: Likely) -> Json:
    told: Json = {"token": one.token, "logprob": one.logprob, "bytes": list(one.token.encode())}
    rivals = [{"token": name, "logprob": much, "bytes": list(name.encode())} for name, much in one.rivals.items()]
    return {**told, "top_logprobs": rivals}


def _usage(usage: Usage) -> Json:
    told: Json = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    if usage.cached:
        told["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    if usage.thought:
        told["completion_tokens_details"] = {"reasoning_tokens": usage.thought}
    return told
