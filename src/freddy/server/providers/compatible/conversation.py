"""Items as the messages of a chat completion, in the order and the forms that a vendor takes. Pure."""

from collections.abc import Iterable, Mapping
from typing import assert_never

import msgspec

from freddy.server.core import errors, items, transcript
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers.compatible import options
from freddy.server.providers.compatible.row import Facts, Json

_BRIDGE = "Understood."


class _Line:
    """A message in the making."""

    def __init__(self, role: str, content: object = None) -> None:
        self.role = role
        self.content = content
        self.refusal = ""
        self.calls: list[Json] = []
        self.thoughts: list[items.Reasoning] = []
        self.call_id: str | None = None

    @property
    def empty(self) -> bool:
        return self.role == "assistant" and not (self.content or self.refusal or self.calls)


def messages(turn: Turn, profile: Profile, facts: Facts, *, words: str = "") -> list[Json]:
    """`words` stand with the instructions.

    Raises `errors.InvalidRequest` where the model cannot read a part of the input.
    """
    speaking = _Speaking(profile, facts, options.names(turn, facts))
    first = "\n\n".join(text for text in (turn.instructions, words) if text)
    if first:
        speaking.lines.append(_Line("system", first))
    for item in turn.items:
        match item:
            case items.Message():
                speaking.message(item)
            case items.FunctionCall():
                speaking.call(item)
            case items.FunctionOutput():
                speaking.output(item)
            case items.Reasoning():
                speaking.think(item)
            case items.Compaction() | items.Other():
                pass  # The chat wire has no place for it.
            case _:
                assert_never(item)
    speaking.show()
    lines = [line for line in speaking.lines if not line.empty]
    if facts.system == "first":
        lines = _one_system_message(lines)
    if facts.alternating:
        lines = _alternating(lines)
    if facts.bridged:
        lines = _bridged(lines)
    kept = _thoughtful(lines, facts)
    return [_written(line, facts, thoughtful=line in kept) for line in lines]


class _Speaking:
    def __init__(self, profile: Profile, facts: Facts, names: Mapping[str, str]) -> None:
        self.lines: list[_Line] = []
        self._profile = profile
        self._facts = facts
        self._names = names
        self._thoughts: list[items.Reasoning] = []
        self._shown: list[Json] = []

    def message(self, message: items.Message) -> None:
        self.show()
        role: str = message.role
        if role == "developer" and not self._facts.developer:
            role = "system"
        line = _Line(role, self._content(message))
        if role == "assistant":
            line.refusal = "".join(part.refusal for part in message.parts if isinstance(part, items.Refusal))
            if line.refusal and not self._facts.refusals:
                line.content, line.refusal = f"{line.content or ''}{line.refusal}", ""
            line.thoughts, self._thoughts = self._thoughts, []
        else:
            self._thoughts = []
        self.lines.append(line)

    def call(self, call: items.FunctionCall) -> None:
        self.show()
        # The calls of one answer belong to one message, with the text that came before them.
        if not (self.lines and self.lines[-1].role == "assistant"):
            self.lines.append(_Line("assistant"))
        line = self.lines[-1]
        arguments = transcript.custom_arguments(call.arguments) if call.form == "custom" else call.arguments
        told: Json = {
            "id": options.call_id(call.call_id, self._facts),
            "type": "function",
            "function": {"name": self._names.get(call.name, call.name), "arguments": arguments or "{}"},
        }
        if self._signed and (sealed := next((one.encrypted for one in self._thoughts if one.encrypted), None)):
            told["extra_content"] = {"google": {"thought_signature": sealed}}
        line.calls.append(told)
        line.thoughts += self._thoughts
        self._thoughts = []

    def output(self, output: items.FunctionOutput) -> None:
        line = _Line("tool", output.text)
        line.call_id = options.call_id(output.call_id, self._facts)
        if not all(isinstance(part, items.Text) for part in output.parts):
            parts = [_part(part, self._profile, self._facts) for part in output.parts]
            if self._facts.output_parts:
                line.content = parts
            else:
                shown = [part for part in parts if part["type"] != "text"]
                line.content = output.text or "The user shows what came out."
                self._shown += [{"type": "text", "text": f"This came out of the call {line.call_id}:"}, *shown]
        self.lines.append(line)

    def think(self, thought: items.Reasoning) -> None:
        """Only who thought it can make use of it."""
        if thought.provider == self._profile.provider:
            self._thoughts.append(thought)

    def show(self) -> None:
        """What tools showed comes after all of their outputs, from the user: tools may only speak."""
        if self._shown:
            self.lines.append(_Line("user", self._shown))
            self._shown = []

    @property
    def _signed(self) -> bool:
        return self._facts.given_back is not None and self._facts.given_back.form == "signatures"

    def _content(self, message: items.Message) -> object:
        if len(message.parts) == 1 and isinstance(message.parts[0], items.Text):
            return message.parts[0].text
        if message.role == "user":
            return [_part(part, self._profile, self._facts) for part in message.parts]
        return message.text


def _one_system_message(lines: Iterable[_Line]) -> list[_Line]:
    """What the system says later joins what it says first, so that it keeps its weight."""
    first: list[str] = []
    others: list[_Line] = []
    for line in lines:
        if line.role in ("system", "developer"):
            first.append(str(line.content))
        else:
            others.append(line)
    return [_Line("system", "\n\n".join(first)), *others] if first else others


def _alternating(lines: Iterable[_Line]) -> list[_Line]:
    told: list[_Line] = []
    for line in lines:
        before = told[-1] if told else None
        if before is None or before.role != line.role or line.role not in ("user", "assistant"):
            told.append(line)
            continue
        before.content = _joined(before.content, line.content)
        before.refusal += line.refusal
        before.calls += line.calls
        before.thoughts += line.thoughts
    return told


def _joined(one: object, other: object) -> object:
    if not one or not other:
        return one or other
    if isinstance(one, str) and isinstance(other, str):
        return f"{one}\n\n{other}"
    return [*_as_parts(one), *_as_parts(other)]


def _as_parts(content: object) -> list[object]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _bridged(lines: Iterable[_Line]) -> list[_Line]:
    told: list[_Line] = []
    for line in lines:
        if line.role == "user" and told and told[-1].role == "tool":
            told.append(_Line("assistant", _BRIDGE))
        told.append(line)
    return told


def _thoughtful(lines: list[_Line], facts: Facts) -> list[_Line]:
    """The messages that go with what was thought before them."""
    if facts.given_back is None:
        return []
    if facts.given_back.always:
        return [line for line in lines if line.role == "assistant"]
    told: list[_Line] = []
    since: list[_Line] = []
    for line in [*lines, _Line("user")]:
        if line.role == "assistant":
            since.append(line)
        elif line.role == "user":
            told += since if any(one.calls for one in since) else []
            since = []
    return told


def _written(line: _Line, facts: Facts, *, thoughtful: bool) -> Json:
    told: Json = {"role": line.role}
    if line.call_id is not None:
        told["tool_call_id"] = line.call_id
    told["content"] = line.content
    if line.role == "assistant":
        told["content"] = line.content or None
        if line.refusal:
            told["refusal"] = line.refusal
        if line.calls:
            told["tool_calls"] = line.calls
        if thoughtful:
            _give_back(line, told, facts)
    return told


def _give_back(line: _Line, told: Json, facts: Facts) -> None:
    assert facts.given_back is not None
    texts = [text for one in line.thoughts for text in one.texts if text]
    thought = "\n".join(texts)
    match facts.given_back.form:
        case "signatures":
            pass  # They stand at the calls.
        case "chunks":
            if texts:
                chunk = {"type": "thinking", "thinking": [{"type": "text", "text": text} for text in texts]}
                told["content"] = [chunk, *(_as_parts(line.content) if line.content else [])]
        case "tags":
            if thought:
                told["content"] = f"<think>{thought}</think>{line.content or ''}"
        case "details":
            details = [one for thought in line.thoughts for one in _details(thought.encrypted)]
            if details:
                told["reasoning_details"] = details
            elif thought:
                told["reasoning"] = thought
        case "reasoning_content" | "reasoning" as field:
            if thought or (facts.given_back.needed and line.calls):
                told[field] = thought
        case _:
            assert_never(facts.given_back.form)


def _details(sealed: str | None) -> list[object]:
    try:
        told = msgspec.json.decode(sealed or "null")
    except msgspec.DecodeError:
        return []
    return told if isinstance(told, list) else []


def _part(part: items.Part, profile: Profile, facts: Facts) -> Json:
    match part:
        case items.Text(text):
            return {"type": "text", "text": text}
        case items.Refusal(refusal):
            return {"type": "text", "text": refusal}
        case items.Image():
            return _image(part, profile, facts)
        case items.Audio():
            return _audio(part, profile, facts)
        case items.File():
            return _file(part, profile, facts)
        case _:
            assert_never(part)


def _image(image: items.Image, profile: Profile, facts: Facts) -> Json:
    if not profile.images:
        raise _unreadable("images", profile)
    if image.url is None:
        raise _unknown_file(image.file_id)
    if not image.url.startswith("data:") and not (profile.image_urls and facts.image_urls):
        raise _unreadable("images by their address", profile)
    told: Json = {"url": image.url}
    if image.detail in facts.image_details:
        told["detail"] = image.detail
    elif image.detail == "original" and "high" in facts.image_details:
        told["detail"] = "high"
    return {"type": "image_url", "image_url": told}


def _audio(audio: items.Audio, profile: Profile, facts: Facts) -> Json:
    if not profile.audio or facts.audio is None:
        raise _unreadable("audio", profile)
    if audio.data is None:
        raise _unknown_file(audio.file_id)
    form = audio.format or "wav"
    match facts.audio:
        case "object":
            return {"type": "input_audio", "input_audio": {"data": audio.data, "format": form}}
        case "address":
            data = f"data:audio/{form};base64,{audio.data}"
            return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
        case "text":
            return {"type": "input_audio", "input_audio": audio.data}
        case _:
            assert_never(facts.audio)


def _file(file: items.File, profile: Profile, facts: Facts) -> Json:
    if not profile.files or facts.files is None:
        raise _unreadable("files", profile)
    told = file.data or file.url
    if told is None:
        raise _unknown_file(file.file_id)
    if file.data is None and not facts.file_urls:
        raise _unreadable("files by their address", profile)
    match facts.files:
        case "file":
            return {"type": "file", "file": {"file_data": told, "filename": file.filename or "file"}}
        case "document_url":
            named = {"document_name": file.filename} if file.filename else {}
            return {"type": "document_url", "document_url": told, **named}
        case "file_url":
            # Bare base64, without the head of a data URL.
            url = told.partition(",")[2] if file.data is not None else told
            named = {"file_name": file.filename} if file.filename else {}
            return {"type": "file_url", "file_url": {"url": url}, **named}
        case _:
            assert_never(facts.files)


def _unreadable(what: str, profile: Profile) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        f"The model {profile.name!r} does not read {what}",
        param="input",
        code="unsupported_input",
        details=f"choose a model whose capabilities include {what}, see GET /v1/models",
    )


def _unknown_file(file_id: str | None) -> errors.FreddyError:
    return errors.NotFound(f"There is no file {file_id!r}", param="file_id", code="file_not_found")
