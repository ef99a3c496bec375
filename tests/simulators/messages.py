"""Simulates Anthropic's Messages API. https://platform.claude.com/docs/en/api/messages"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from anthropic.types import Message, ModelInfo, RawMessageStreamEvent
from anthropic.types import message_count_tokens_params as counting
from anthropic.types import message_create_params as params
from anthropic.types.message_tokens_count import MessageTokensCount
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
    Line,
    Next,
    Refused,
    Thought,
    Usage,
    Words,
)
from simulators.server import Json, Simulator

_STREAMED = Published(params.MessageCreateParamsStreaming)
_WHOLE = Published(params.MessageCreateParamsNonStreaming)
_COUNTED = Published(counting.MessageCountTokensParams)
_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_LEAST_BUDGET = 1024
_VERSIONS = ("2023-06-01", "2026-10-21")
_SAMPLING = ("temperature", "top_p", "top_k")
"""What the types, which are those of the later version, do not name; by the first one, models up to 4.6 take it."""
_NEWER = re.compile(r"claude-(?:opus|sonnet|haiku)-(?:4-[789](?!\d)|[5-9](?!\d))")
_BLOCKS = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use"},
}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_TROUBLES = {
    "overloaded": (529, "overloaded_error"),
    "rate_limit": (429, "rate_limit_error"),
    "server": (500, "api_error"),
}
_FINISH = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}


class Messages(Simulator):
    kind = "anthropic"
    ask = "/v1/messages"
    others = ("/v1/messages/count_tokens", "/v1/models")

    def teller(self, call: Call, answer: Answer) -> "_Teller":
        return _Teller(call.body, answer, answer.model or self.model)

    def given_key(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ") or None

    def wrong(self, call: Call, raw: bytes) -> Iterator[str]:
        version = call.headers.get("anthropic-version")
        if version not in _VERSIONS:
            yield f"anthropic-version: {version!r} is not a valid version"
        counts = call.path.endswith("/count_tokens")
        published = _COUNTED if counts else _STREAMED if call.body.get("stream") is True else _WHOLE
        if version == _VERSIONS[0] and any(name in call.body for name in _SAMPLING):
            raw = json.dumps({name: value for name, value in call.body.items() if name not in _SAMPLING}).encode()
        if misfit := published.wrong(raw):
            yield misfit
            return
        yield from rules(call.body, counts=counts)

    def fault(self, fault: Fault) -> Json:
        message = fault.message
        if fault.code == "context_length_exceeded":
            message = "prompt is too long: 250000 tokens > 200000 maximum"
        error = {"type": _TYPES.get(fault.status, "api_error"), "message": message}
        return {"type": "error", "error": error, "request_id": "req_0simulated"}

    def look(self, call: Call) -> Json:
        if call.path.endswith("/count_tokens"):
            told = {"input_tokens": len(json.dumps(call.body)) // 4}
            MessageTokensCount.model_validate(told)
            return told
        listed = [
            {
                "type": "model",
                "id": name,
                "display_name": name.title(),
                "created_at": "2026-01-01T00:00:00Z",
                "lifecycle": "active",
            }
            for name in self._models
        ]
        for one in listed:
            ModelInfo.model_validate(one)
        return {"data": listed, "has_more": False, "first_id": self._models[0], "last_id": self._models[-1]}


def rules(body: Json, *, counts: bool = False) -> Iterator[str]:
    """What the types cannot say."""
    thinking, choice = body.get("thinking", {}), body.get("tool_choice", {})
    most = body.get("max_tokens", 1)
    if _NEWER.match(body["model"]):
        yield from (f"`{name}` is not supported by this model" for name in _SAMPLING if name in body)
        if thinking.get("type") == "enabled":
            yield "`thinking.type: enabled` is not supported by this model. Use `adaptive`."
    if most < 1:
        yield "max_tokens: must be greater than 0"
    if not 0 <= body.get("temperature", 1) <= 1:
        yield "temperature: range: 0..1"
    if thinking.get("type") == "enabled":
        if thinking["budget_tokens"] < _LEAST_BUDGET:
            yield "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        if not counts and thinking["budget_tokens"] >= most:
            yield "`max_tokens` must be greater than `thinking.budget_tokens`"
    if thinking.get("type") in ("enabled", "adaptive"):
        if body.get("temperature", 1) != 1:
            yield "`temperature` may only be set to 1 when thinking is enabled"
        if body.get("top_p", 1) < 0.95:
            yield "`top_p` must be greater than or equal to 0.95 when thinking is enabled"
        if "top_k" in body:
            yield "`top_k` must be unset when thinking is enabled"
        if choice.get("type") in ("any", "tool"):
            yield "Thinking may not be enabled when tool_choice forces tool use."
        if body["messages"][-1]["role"] == "assistant":
            yield "an answer cannot be begun for the model when thinking is enabled"
    names = [tool["name"] for tool in body.get("tools", ())]
    if len(names) != len(set(names)) or not all(_NAME.fullmatch(name) for name in names):
        yield "tools: Tool names must be unique and match '^[a-zA-Z0-9_-]{1,128}$'"
    if any(tool["input_schema"].get("type") != "object" for tool in body.get("tools", ())):
        yield "tools.0.custom.input_schema.type: Input should be 'object'"
    if choice and not names:
        yield "tool_choice: may only be specified while providing tools"
    if choice.get("type") == "tool" and choice["name"] not in names:
        yield "tool_choice: Tool not found in provided tools"
    if any(not text.strip() for text in body.get("stop_sequences", ())):
        yield "stop_sequences: each stop sequence must contain non-whitespace"
    yield from _conversation(body["messages"], tools=bool(names))


def _conversation(messages: list[Json], *, tools: bool) -> Iterator[str]:
    if not messages:
        yield "messages: at least one message is required"
        return
    if messages[0]["role"] != "user":
        yield "messages: first message must use the user role"
    waiting: list[str] = []
    used: set[str] = set()
    for at, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if at and role == messages[at - 1]["role"]:
            yield "messages: roles must alternate between user and assistant"
        if not content:
            yield f"messages.{at}: all messages must have non-empty content"
        if any(block["type"] not in _BLOCKS[role] for block in content):
            yield f"messages.{at}: {role} messages hold {sorted(_BLOCKS[role])}"
        if any(block["type"] == "text" and not block["text"].strip() for block in content):
            yield f"messages.{at}: text content blocks must contain non-whitespace text"
        if role == "assistant":
            yield from _said(content, at, tools=tools)
            waiting = [block["id"] for block in content if block["type"] == "tool_use"]
            if used & set(waiting) or len(set(waiting)) != len(waiting):
                yield f"messages.{at}: `tool_use` ids must be unique"
            used |= set(waiting)
            continue
        answered = [block.get("tool_use_id") for block in content[: len(waiting)]]
        if set(answered) != set(waiting):
            yield f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after"
        if any(block["type"] == "tool_result" for block in content[len(waiting) :]):
            yield f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks"
        waiting = []
    if waiting:
        yield "messages: `tool_use` ids were found without `tool_result` blocks immediately after"


def _said(content: list[Json], at: int, *, tools: bool) -> Iterator[str]:
    if content and content[-1]["type"] in ("thinking", "redacted_thinking"):
        yield f"messages.{at}: the final block in an assistant message cannot be `thinking`"
    for block in content:
        if block["type"] == "tool_use" and not _ID.fullmatch(block["id"]):
            yield f"messages.{at}: tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
        if block["type"] == "tool_use" and not tools:
            yield "tools: Field required where messages hold `tool_use` blocks"
        if block["type"] == "thinking" and block["signature"] != _signature(block["thinking"]):
            yield f"messages.{at}: Invalid `signature` in `thinking` block"


def _signature(thinking: str) -> str:
    """The simulator's own seal on what it thought."""
    return f"sig-{len(thinking)}"


class _Teller:
    """Blocks are told one after the other: pieces of a call wait until it is its turn."""

    def __init__(self, asked: Json, answer: Answer, model: str) -> None:
        self._answer = answer
        self._model = model
        self._blocks: list[Json] = []
        self._open = False
        self._written = ""
        self._calls: dict[int, list[Invoked | Argument]] = {}
        self._refusal = ""
        self._failed: Failed | None = None
        choice = asked.get("tool_choice", {})
        forced = choice.get("type") in ("any", "tool") and not any(isinstance(line, Invoked) for line in answer.lines)
        self._forced: str | None = choice.get("name", asked["tools"][0]["name"]) if forced else None
        """Who must call says what it has to say as the arguments."""

    def begin(self) -> Iterator[bytes]:
        usage = self._answer.usage or Usage(0, 0)
        message = self._message([], None, None, {**_read(usage), "output_tokens": 1})
        yield _event("message_start", message=message)

    def say(self, line: Line) -> Iterator[bytes]:
        if isinstance(line, Invoked | Argument):
            self._calls.setdefault(line.index, []).append(line)
            if line.index == next(iter(self._calls)):
                yield from self._call(line)
            return
        yield from self._end_calls()
        match line:
            case Words(text) if self._forced is not None:
                if not self._open or self._blocks[-1]["type"] != "tool_use":
                    yield from self._start({"type": "tool_use", "id": "toolu_0sim", "name": self._forced, "input": {}})
                yield from self._argue(text)
            case Words(text):
                yield from self._turn_to("text", {"type": "text", "text": "", "citations": None})
                self._blocks[-1]["text"] += text
                yield self._delta({"type": "text_delta", "text": text})
            case Thought(text):
                yield from self._turn_to("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                self._blocks[-1]["thinking"] += text
                yield self._delta({"type": "thinking_delta", "thinking": text})
            case Hidden(sealed):
                yield from self._start({"type": "redacted_thinking", "data": sealed})
                yield from self._stop()
            case Cited(url, title):
                cited = {"type": "web_search_result_location", "url": url, "title": title}
                cited |= {"cited_text": self._blocks[-1]["text"], "encrypted_index": "MQ=="}
                self._blocks[-1]["citations"] = [*(self._blocks[-1]["citations"] or ()), cited]
                yield self._delta({"type": "citations_delta", "citation": cited})
            case Refused(text):
                self._refusal += text
            case Next():
                yield from self._stop()
            case Failed():
                self._failed = line
                yield _sse("error", _error(line))

    def end(self) -> Iterator[bytes]:
        if self._failed is not None:
            return
        yield from self._end_calls()
        yield from self._stop()
        counted = self._answer.usage or Usage(0, 0)
        usage = {**_read(counted), **_wrote(counted)}
        told = {"stop_reason": self._reason, "stop_sequence": None, "stop_details": self._details}
        yield _event("message_delta", delta=told, usage=usage)
        yield _event("message_stop")

    def whole(self) -> tuple[int, Json]:
        if self._failed is not None:
            return _TROUBLES[self._failed.trouble][0], _error(self._failed)
        counted = self._answer.usage or Usage(0, 0)
        usage = {**_read(counted), **_wrote(counted)}
        return 200, self._message(self._blocks, self._reason, self._details, usage)

    @property
    def _reason(self) -> str:
        if self._refusal:
            return "refusal"
        reason = _FINISH.get(self._answer.finish, self._answer.finish)
        return "tool_use" if self._forced is not None and reason == "end_turn" else reason

    @property
    def _details(self) -> Json | None:
        return {"type": "refusal", "category": None, "explanation": self._refusal} if self._refusal else None

    def _message(self, content: list[Json], reason: str | None, details: Json | None, usage: Json) -> Json:
        told = {
            "id": "msg_0simulated",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "stop_details": details,
            "usage": usage,
        }
        Message.model_validate(told)
        return told

    def _turn_to(self, kind: str, block: Json) -> Iterator[bytes]:
        if not self._open or self._blocks[-1]["type"] != kind:
            yield from self._start(block)

    def _start(self, block: Json) -> Iterator[bytes]:
        yield from self._stop()
        self._open = True
        self._blocks.append(block)
        yield _event("content_block_start", index=len(self._blocks) - 1, content_block=dict(block))
        if len(self._blocks) == 1:
            yield _sse("ping", {"type": "ping"})

    def _stop(self) -> Iterator[bytes]:
        if not self._open:
            return
        self._open = False
        block = self._blocks[-1]
        if block["type"] == "thinking":
            block["signature"] = _signature(block["thinking"])
            yield self._delta({"type": "signature_delta", "signature": block["signature"]})
        if block["type"] == "tool_use":
            try:
                block["input"] = json.loads(self._written or "{}")
            except ValueError:
                block["input"] = {}  # It was cut: in one piece the vendor tells no half of an object.
            self._written = ""
        yield _event("content_block_stop", index=len(self._blocks) - 1)

    def _call(self, line: Invoked | Argument) -> Iterator[bytes]:
        if isinstance(line, Invoked):
            yield from self._start({"type": "tool_use", "id": line.call_id, "name": line.name, "input": {}})
        else:
            yield from self._argue(line.json)

    def _argue(self, piece: str) -> Iterator[bytes]:
        self._written += piece
        yield self._delta({"type": "input_json_delta", "partial_json": piece})

    def _end_calls(self) -> Iterator[bytes]:
        waiting = list(self._calls.values())[1:]
        self._calls = {}
        for lines in waiting:
            for line in lines:
                yield from self._call(line)

    def _delta(self, delta: Json) -> bytes:
        return _event("content_block_delta", index=len(self._blocks) - 1, delta=delta)


def _read(usage: Usage) -> Json:
    """What was read; the vendor counts what it has to do with its cache apart."""
    return {
        "input_tokens": usage.input - usage.cached - usage.written,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
    }


def _wrote(usage: Usage) -> Json:
    return {"output_tokens": usage.output, "output_tokens_details": {"thinking_tokens": usage.thought}}


def _error(failed: Failed) -> Json:
    kind = _TROUBLES[failed.trouble][1]
    return {"type": "error", "error": {"type": kind, "message": failed.message}, "request_id": "req_0simulated"}


def _event(kind: str, **told: object) -> bytes:
    event = {"type": kind, **told}
    _EVENT.validate_python(event)
    return _sse(kind, event)


def _sse(kind: str, event: Json) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode()
