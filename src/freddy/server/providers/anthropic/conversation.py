"""Items as the messages of Anthropic's API: roles in turn, every call answered in the message after it. Pure."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from typing import Literal, TypeAlias, assert_never

import msgspec

from freddy.server.core import errors, items, transcript
from freddy.server.core.profile import Profile
from freddy.server.providers.anthropic import marks

Json: TypeAlias = dict[str, object]

_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_DATA_URL = re.compile(r"data:(?P<kind>[^;,]*)(?:;(?!base64)[^;,]*)*(?P<base64>;base64)?,", re.IGNORECASE)
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_GO_ON = "Continue."
"""Said for the user where the vendor wants a user's message and there is none: first and last."""


class Message(msgspec.Struct):
    role: Literal["user", "assistant"]
    content: list[Json]


def system(instructions: str | None, asked: Iterable[items.Readable]) -> str:
    """The vendor has one place for what stands above the conversation."""
    above = [instructions or ""]
    above += [item.text for item in asked if isinstance(item, items.Message) and item.role in ("system", "developer")]
    return "\n\n".join(text for text in above if text.strip())


def messages(asked: tuple[items.Readable, ...], profile: Profile, *, thinks: bool) -> list[Message]:
    """Raises `errors.InvalidRequest` where the model cannot read a part of the input."""
    writer = _Writer(profile, _outputs(asked))
    for place, item in enumerate(asked):
        match item:
            case items.Message(role="assistant"):
                for part in item.parts:
                    match part:
                        case items.Text(text) | items.Refusal(text):
                            writer.add("assistant", *_text(text))
            case items.Message(role="user"):
                writer.add("user", *parts(item.parts, profile))
            case items.FunctionCall():
                writer.call(place, item)
            case items.FunctionOutput():
                writer.output(item)
            case items.Reasoning():
                thought = marks.block(profile.provider, item.encrypted) if thinks else None
                if thought is not None:
                    writer.add("assistant", thought)
            case items.Message() | items.Compaction() | items.Other():
                pass  # `system` has the former, the wire has no place for the others.
            case _:
                assert_never(item)
    return writer.close()


def thinks_on(told: list[Message]) -> bool:
    """Whether thinking may be on: the vendor refuses it amid calls that were made without."""
    first: Message | None = None
    for message in reversed(told):
        if message.role == "user" and message.content[0]["type"] != "tool_result":
            break
        if message.role == "assistant":
            first = message
    return first is None or first.content[0]["type"] in ("thinking", "redacted_thinking")


def called(told: list[Message]) -> list[str]:
    """The names of the functions that were called, each once."""
    names = (block["name"] for message in told for block in message.content if block["type"] == "tool_use")
    return list(dict.fromkeys(str(name) for name in names))


class _Writer:
    def __init__(self, profile: Profile, outputs: dict[int, items.FunctionOutput]) -> None:
        self._profile = profile
        self._outputs = outputs
        self._paired = {id(output) for output in outputs.values()}
        self._told: list[Message] = []
        self._open: list[tuple[str, items.FunctionOutput | None]] = []
        self._ids: set[str] = set()

    def add(self, role: Literal["user", "assistant"], *blocks: Json) -> None:
        if not blocks:
            return
        if role == "user":
            self._answer()
        self._put(role, blocks)

    def call(self, place: int, call: items.FunctionCall) -> None:
        call_id = _call_id(call.call_id)
        if call_id in self._ids:
            # Some models count their calls anew in every answer; the vendor wants each id once.
            call_id = _hashed(f"{call.call_id} {place}")
        self._ids.add(call_id)
        self.add("assistant", {"type": "tool_use", "id": call_id, "name": call.name, "input": _input(call)})
        self._open.append((call_id, self._outputs.get(place)))

    def output(self, output: items.FunctionOutput) -> None:
        self._answer()
        if id(output) not in self._paired:
            self.add("user", *parts(output.parts, self._profile))

    def close(self) -> list[Message]:
        self._answer()
        told = self._told
        for message in told:
            while message.role == "assistant" and message.content and _thinks(message.content[-1]):
                message.content.pop()
        told = _in_turn(message for message in told if message.content)
        if not told or told[0].role == "assistant":
            told.insert(0, Message("user", _text(_GO_ON)))
        if told[-1].role == "assistant":
            told.append(Message("user", _text(_GO_ON)))
        return told

    def _answer(self) -> None:
        """The outputs of all calls of a message come first in the next, wherever they stand among the items."""
        answered, self._open = self._open, []
        self._put("user", [_result(call_id, output, self._profile) for call_id, output in answered])

    def _put(self, role: Literal["user", "assistant"], blocks: Iterable[Json]) -> None:
        blocks = list(blocks)
        if not blocks:
            return
        if not self._told or self._told[-1].role != role:
            self._told.append(Message(role, []))
        self._told[-1].content += blocks


def _in_turn(told: Iterable[Message]) -> list[Message]:
    joined: list[Message] = []
    for message in told:
        if joined and joined[-1].role == message.role:
            joined[-1] = Message(message.role, joined[-1].content + message.content)
        else:
            joined.append(message)
    return joined


def _thinks(block: Json) -> bool:
    return block["type"] in ("thinking", "redacted_thinking")


def _outputs(asked: tuple[items.Readable, ...]) -> dict[int, items.FunctionOutput]:
    """For the place of each call that was answered, its output."""
    waiting: dict[str, list[int]] = {}
    outputs: dict[int, items.FunctionOutput] = {}
    for place, item in enumerate(asked):
        if isinstance(item, items.FunctionCall):
            waiting.setdefault(item.call_id, []).append(place)
        elif isinstance(item, items.FunctionOutput) and waiting.get(item.call_id):
            outputs[waiting[item.call_id].pop(0)] = item
    return outputs


def _call_id(call_id: str) -> str:
    return call_id if _CALL_ID.fullmatch(call_id) else _hashed(call_id)


def _hashed(call_id: str) -> str:
    return f"call_{hashlib.blake2s(call_id.encode(), digest_size=16).hexdigest()}"


def _input(call: items.FunctionCall) -> object:
    arguments = transcript.custom_arguments(call.arguments) if call.form == "custom" else call.arguments
    if not arguments.strip():
        return {}
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        # The vendor takes nothing but an object: what a model once wrote wrong is shown to it as a text.
        return {"arguments": call.arguments}
    return msgspec.Raw(arguments.encode())


def _result(call_id: str, output: items.FunctionOutput | None, profile: Profile) -> Json:
    told: Json = {"type": "tool_result", "tool_use_id": call_id}
    if output is None:
        return told | {"content": "The call was not answered.", "is_error": True}
    content = parts(output.parts, profile)
    return told | ({"content": content} if content else {})


def parts(said: Iterable[items.Part], profile: Profile) -> list[Json]:
    return [block for part in said for block in _part(part, profile)]


def _text(text: str) -> list[Json]:
    """The vendor refuses blocks without a word."""
    return [{"type": "text", "text": text}] if text.strip() else []


def _part(part: items.Part, profile: Profile) -> list[Json]:
    match part:
        case items.Text(text) | items.Refusal(text):
            return _text(text)
        case items.Image(url, file_id):
            _must(profile.images, profile, "images")
            if url is None:
                raise _unknown_file(file_id)
            return [{"type": "image", "source": _image(url)}]
        case items.Audio():
            raise _unable(profile, "audio")
        case items.File(file_id, url, data, filename):
            _must(profile.files, profile, "files")
            if url is None and data is None:
                raise _unknown_file(file_id)
            told: Json = {
                "type": "document",
                "source": {"type": "url", "url": url} if data is None else _document(data),
            }
            return [told | {"title": filename} if filename else told]
        case _:
            assert_never(part)


def _image(url: str) -> Json:
    if url[:5].lower() != "data:":
        return {"type": "url", "url": url}
    kind, data = _data(url)
    kind = "image/jpeg" if kind == "image/jpg" else kind
    if kind not in _IMAGES or data is None:
        raise _unreadable("images", f"a base64 data URL of {', '.join(_IMAGES)}")
    return {"type": "base64", "media_type": kind, "data": data}


def _document(url: str) -> Json:
    kind, data = _data(url)
    if data is not None and kind in ("application/pdf", ""):
        return {"type": "base64", "media_type": "application/pdf", "data": data}
    if data is not None and (kind.startswith("text/") or kind == "application/json"):
        try:
            text = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _unreadable("files", "base64 of UTF-8 text") from error
        return {"type": "text", "media_type": "text/plain", "data": text}
    raise _unreadable("files", "a base64 data URL of application/pdf or of a text")


def _data(url: str) -> tuple[str, str | None]:
    """Kind and base64 of a data URL; what is no URL is base64 itself."""
    if url[:5].lower() != "data:":
        return "", url
    told = _DATA_URL.match(url)
    if told is None or told["base64"] is None:
        return "", None
    return told["kind"].lower(), url[told.end() :]


def _must(able: bool, profile: Profile, what: str) -> None:  # noqa: FBT001
    if not able:
        raise _unable(profile, what)


def _unable(profile: Profile, what: str) -> errors.FreddyError:
    return errors.InvalidRequest(
        f"The model {profile.name!r} does not read {what}",
        param="input",
        code="unsupported_input",
        details=f"choose a model whose capabilities include {what}, see GET /v1/models",
    )


def _unreadable(what: str, want: str) -> errors.FreddyError:
    return errors.InvalidRequest(
        f"The model cannot read one of the {what}", param="input", code="unsupported_input", details=f"send {want}"
    )


def _unknown_file(file_id: str | None) -> errors.FreddyError:
    return errors.NotFound(f"There is no file {file_id!r}", param="file_id", code="file_not_found")
