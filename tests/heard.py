"""What a vendor was asked, in words of no vendor, so that requests can be compared whoever got them."""

import base64
import json
from typing import Any

Json = dict[str, Any]


def heard(kind: str, body: Json) -> Json:
    """`system` as one text, `said` as (who, part) in their order, whatever message they stand in."""
    match kind:
        case "openai":
            return _responses(body)
        case "anthropic":
            return _messages(body)
        case _:
            return _chat(body)


def _responses(body: Json) -> Json:
    system, said = [body.get("instructions") or ""], []
    for item in body["input"]:
        match item.get("type", "message"):
            case "message" if item["role"] in ("system", "developer"):
                system.append("".join(part["text"] for part in item["content"]))
            case "message":
                content = item["content"]
                parts = [("text", content)] if isinstance(content, str) else [_input(part) for part in content]
                said += [(item["role"], *part) for part in parts]
            case "function_call":
                said.append(("assistant", "call", item["call_id"], item["name"], json.loads(item["arguments"])))
            case "custom_tool_call":
                said.append(("assistant", "call", item["call_id"], item["name"], {"input": item["input"]}))
            case "function_call_output" | "custom_tool_call_output":
                said.append(("tool", "output", item["call_id"], item["output"]))
            case "reasoning":
                said.append(("assistant", "thinking"))
    choice = body.get("tool_choice", "auto")
    return {
        "system": _joined(system),
        "said": said,
        "tools": [tool["name"] for tool in body.get("tools", ())],
        "choice": choice["name"] if isinstance(choice, dict) else choice,
        "limit": body.get("max_output_tokens"),
    }


def _input(part: Json) -> tuple[Any, ...]:
    match part["type"]:
        case "input_image":
            return ("image", part["image_url"])
        case "input_file":
            return ("file", part["file_data"])
        case _:
            return ("text", part["text"])


def _messages(body: Json) -> Json:
    said = []
    for message in body["messages"]:
        for block in message["content"]:
            match block["type"]:
                case "text":
                    said.append((message["role"], "text", block["text"]))
                case "image":
                    source = block["source"]
                    said.append((message["role"], "image", f"data:{source['media_type']};base64,{source['data']}"))
                case "document":
                    source = block["source"]
                    said.append((message["role"], "file", f"data:{source['media_type']};base64,{source['data']}"))
                case "tool_use":
                    said.append(("assistant", "call", block["id"], block["name"], block["input"]))
                case "tool_result":
                    content = block.get("content", "")
                    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
                    said.append(("tool", "output", block["tool_use_id"], text))
                case "thinking" | "redacted_thinking":
                    said.append(("assistant", "thinking"))
    choice = body.get("tool_choice", {"type": "auto"})
    named = {"any": "required", "tool": choice.get("name")}
    system = body.get("system", "")
    return {
        "system": system if isinstance(system, str) else _joined([block["text"] for block in system]),
        "said": said,
        "tools": [tool["name"] for tool in body.get("tools", ())],
        "choice": named.get(choice["type"], choice["type"]),
        "limit": body.get("max_tokens"),
    }


def _chat(body: Json) -> Json:
    system, said = [], []
    for message in body["messages"]:
        role, content = message["role"], message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        if role in ("system", "developer"):
            system += [part["text"] for part in parts]
            continue
        if role == "tool":
            said.append(("tool", "output", message["tool_call_id"], "".join(part["text"] for part in parts)))
            continue
        for part in parts:
            match part["type"]:
                case "image_url":
                    said.append((role, "image", part["image_url"]["url"]))
                case "file":
                    said.append((role, "file", part["file"]["file_data"]))
                case _:
                    said.append((role, "text", part["text"]))
        for call in message.get("tool_calls", ()):
            function = call["function"]
            said.append((role, "call", call["id"], function["name"], json.loads(function["arguments"])))
    choice = body.get("tool_choice", "auto" if "tools" in body else "none")
    return {
        "system": _joined(system),
        "said": said,
        "tools": [tool["function"]["name"] for tool in body.get("tools", ())],
        "choice": choice["function"]["name"] if isinstance(choice, dict) else choice,
        "limit": body.get("max_completion_tokens", body.get("max_tokens")),
    }


def _joined(texts: list[str]) -> str:
    return "\n\n".join(text for text in texts if text)


PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fcffff3f030005fe02fe"
        "a135c3480000000049454e44ae426082"
    )
).decode()
IMAGE = f"data:image/png;base64,{PIXEL}"
"""A picture of one dot."""
