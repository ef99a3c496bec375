"""Owns how callers spell what goes in: messages, calls and their outputs become items."""

from collections import deque
from collections.abc import Iterator
from typing import Final, Literal

from freddy.server.core import errors, ids, items
from freddy.server.dialects import hosted
from freddy.server.dialects.freddy import aliases, handed_back, thinking
from freddy.server.dialects.freddy.fields import Fields, text

_ROLES: Final[dict[str, items.Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
}
_OUTPUT_ROLES: Final = ("function", "tool")
_ALL_ROLES: Final = dict.fromkeys((*_ROLES, *_OUTPUT_ROLES))
_KINDS: Final = {
    kind: kind for kind in ("message", "function_call", "function_call_output", "reasoning", *handed_back.KINDS)
}
_DETAILS: Final[dict[str, Literal["auto", "low", "high", "original"]]] = {
    "auto": "auto",
    "low": "low",
    "high": "high",
    "original": "original",
}
_SCHEMES: Final = ("https://", "http://", "data:")


def decode(body: Fields, new_id: ids.NewId, name: str = "inputs") -> tuple[items.Item, ...]:
    """The items of `inputs`. Messages without any content are left out; if none remains, that is an error."""
    value = body.get(name)
    reader = _Reader(new_id)
    if type(value) is str:
        reader.say("user", (items.Text(value),) if value else (), None)
    else:
        for place, each in body.array(name):
            reader.read(each, place)
    reader.recall()
    if all(isinstance(item, items.Reasoning) for item in reader.items):
        raise errors.InvalidInput("No valid input messages found", param=body.place(name))
    return hosted.joined(tuple(reader.items)) if reader.asked else tuple(reader.items)


class _Reader:
    """Collects the items, and remembers which calls still wait for their output."""

    def __init__(self, new_id: ids.NewId) -> None:
        self.items: list[items.Item] = []
        self.asked = False
        """Whether there is a request for approval among them."""
        self._new_id = new_id
        self._waiting: dict[str, deque[str]] = {}
        self._ids: set[str] = set()
        self._thoughts: deque[tuple[int, items.Reasoning]] = deque()
        self._passed = 0

    def read(self, value: object, place: str) -> None:
        if type(value) is str:
            self.recall(self._passed)
            self.say("user", (items.Text(value),) if value else (), None)
            self._passed += 1
            return
        named = value.get("type") if type(value) is dict else None
        if named == "reasoning":
            self._remember(Fields(value, aliases.RECALLED, place))
            return
        if type(named) is str and named in handed_back.KINDS:
            self._handed_back(Fields(value, handed_back.KINDS[named], place))
            return
        fields = Fields(value, aliases.INPUT, place)
        kind = fields.choice("type", _KINDS)
        self.recall(self._passed)
        self._passed += 1
        if kind == "function_call":
            self._call(_Call(fields, fields.identifier("call_id")), self._id(fields))
        elif kind == "function_call_output":
            self._output(fields)
        else:
            self._message(fields)

    def _handed_back(self, fields: Fields) -> None:
        self.recall(self._passed)
        item = handed_back.decode(fields, self._id(fields), self._new_id, self._passed)
        self._passed += 1
        self.asked = self.asked or isinstance(item, items.ApprovalRequest)
        self.items.append(item)

    def recall(self, place: int | None = None) -> None:
        """Puts what was thought back among the inputs that follow it: all of it, or what stood up to this place."""
        while self._thoughts and (place is None or self._thoughts[0][0] <= place):
            self.items.append(self._thoughts.popleft()[1])

    def _remember(self, fields: Fields) -> None:
        """The `reasoning` of a response, before its `output`."""
        self.recall()
        self._passed = 0
        if packed := fields.string("encrypted_content"):
            self._thoughts.extend(thinking.unpack(packed, self._new_id))

    def say(
        self, role: items.Role, parts: tuple[items.Part, ...], item_id: str | None, phase: str | None = None
    ) -> None:
        if parts:
            self.items.append(items.Message(item_id or self._new_id(ids.MESSAGE), role, parts, phase=phase))

    def _id(self, fields: Fields) -> str | None:
        item_id = fields.identifier("id")
        if item_id is not None:
            if item_id in self._ids:
                raise fields.wrong("id", "must be unique within inputs")
            self._ids.add(item_id)
        return item_id

    def _message(self, fields: Fields) -> None:
        role = fields.get("role")
        if type(role) is not str or role not in _ALL_ROLES:
            raise fields.wrong("role", f"must be one of {', '.join(_ALL_ROLES)}")
        if role in _OUTPUT_ROLES:
            self._output(fields)
            return
        phase = fields.string("phase") if role == "assistant" else None
        self.say(_ROLES[role], tuple(_parts(fields)), self._id(fields), phase)
        if "function_call" not in fields and "tool_calls" not in fields:
            return
        if role != "assistant":
            called = "function_call" if "function_call" in fields else "tool_calls"
            raise fields.wrong(called, "is for messages of role assistant")
        if (value := fields.get("function_call")) is not None:
            self._call(_Call.of(value, fields.place("function_call")), None)
        for place, each in fields.array("tool_calls"):
            self._call(_Call.of(each, place), None)

    def _call(self, call: "_Call", item_id: str | None) -> None:
        call_id = call.id or self._new_id(ids.CALL)
        self._waiting.setdefault(call.name, deque()).append(call_id)
        self.items.append(
            items.FunctionCall(
                id=item_id or self._new_id(ids.FUNCTION_CALL),
                call_id=call_id,
                name=call.name,
                arguments=call.arguments,
            )
        )

    def _output(self, fields: Fields) -> None:
        name = fields.string("name", least=1)
        call_id = fields.identifier("call_id")
        if call_id is not None:
            for waiting in self._waiting.values():
                if call_id in waiting:
                    waiting.remove(call_id)
        elif name is None:
            raise fields.wrong("call_id", "or name must say which call this answers")
        elif self._waiting.get(name):
            # Without ids, the oldest call of that name is the one that is answered.
            call_id = self._waiting[name].popleft()
        else:
            raise fields.wrong(
                "name",
                "must be that of a function_call in an earlier input, or tool_call_id must name the call",
            )
        self.items.append(
            items.FunctionOutput(
                id=self._id(fields) or self._new_id(ids.FUNCTION_OUTPUT),
                call_id=call_id,
                parts=_output_parts(fields),
                name=name,
            )
        )


class _Call:
    """A call as its caller wrote it; `arguments` that are an object become JSON text."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self, fields: Fields, call_id: str | None) -> None:
        self.id = call_id
        if "name" not in fields and "function" in fields:
            fields = Fields(fields.get("function"), aliases.CALL, fields.place("function"))
        name = fields.string("name", least=1, most=ids.LONGEST)
        if name is None:
            raise fields.wrong("name", "must name the function")
        self.name = name
        arguments = fields.get("arguments")
        if type(arguments) is not str and type(arguments) is not dict and arguments is not None:
            raise fields.wrong("arguments", "must be a JSON string or an object")
        self.arguments = arguments if type(arguments) is str else text(arguments or {})
        self.arguments = self.arguments or "{}"

    @classmethod
    def of(cls, value: object, place: str) -> "_Call":
        fields = Fields(value, aliases.CALL, place)
        return cls(fields, fields.identifier("id"))


def _output_parts(fields: Fields) -> tuple[items.Part, ...]:
    """What a function gave back: a string, parts, or any JSON value, which is written as text."""
    name = "output" if "output" in fields else "content"
    value = fields.get(name)
    if value is None:
        return tuple(_parts(fields)) or (items.Text(""),)
    if type(value) is str:
        return (items.Text(value),)
    if type(value) is list and value and all(type(each) is dict and "type" in each for each in value):
        return tuple(_part(each, place) for place, each in fields.array(name))
    return (items.Text(text(value)),)


def _parts(fields: Fields) -> Iterator[items.Part]:
    """`content`, then texts, images, audio and files, in this order; empty texts are left out."""
    content = fields.get("content")
    if type(content) is str:
        if content:
            yield items.Text(content)
    elif content is not None and type(content) is not list:
        raise fields.wrong("content", "must be a string or an array of parts")
    else:
        for place, each in fields.array("content"):
            part = items.Text(each) if type(each) is str else _part(each, place)
            if part != _EMPTY:
                yield part
    for place, each in fields.array("texts"):
        if (said := _text(Fields(each, aliases.PART, place))) != _EMPTY:
            yield said
    for place, each in fields.array("images"):
        yield _image(Fields(each, aliases.PART, place))
    for place, each in fields.array("audio"):
        yield _audio(Fields(each, aliases.PART, place))
    for place, each in fields.array("files"):
        yield _file(Fields(each, aliases.PART, place))


_EMPTY: Final = items.Text("")


def _part(value: object, place: str) -> items.Part:
    fields = Fields(value, aliases.PART, place)
    kind = fields.choice("type", aliases.PART_TYPES)
    match kind:
        case "text":
            return _text(fields)
        case "refusal":
            return items.Refusal(fields.string("refusal") or "")
        case "image":
            return _image(fields)
        case "audio":
            return _audio(fields)
        case "file":
            return _file(fields)
    if "text" in fields:
        return _text(fields)
    raise fields.wrong("type", f"must be one of {', '.join(aliases.PART_TYPES)}")


def _text(fields: Fields) -> items.Text:
    value = fields.string("text")
    if value is None:
        raise fields.wrong("text", "must be a string")
    return items.Text(value)


def _image(fields: Fields) -> items.Image:
    outer = fields
    if type(fields.get("url")) is dict:
        fields = Fields(fields.get("url"), aliases.PART, fields.place("url"))
    url, file_id = fields.string("url", least=1), outer.identifier("file_id")
    _exactly_one(outer, file_id=file_id, url=url)
    if url is not None:
        _check_url(fields, url)
    detail = fields.choice("detail", _DETAILS) or outer.choice("detail", _DETAILS) or "auto"
    return items.Image(url=url, file_id=file_id, detail=detail)


def _audio(fields: Fields) -> items.Audio:
    if "input_audio" in fields:
        fields = Fields(fields.get("input_audio"), aliases.PART, fields.place("input_audio"))
    file_id, data = fields.identifier("file_id"), fields.string("data", least=1)
    _exactly_one(fields, file_id=file_id, data=data)
    if data is not None and "format" not in fields:
        raise fields.wrong("format", "must say what data is, such as wav or mp3")
    return items.Audio(file_id=file_id, data=data, format=fields.string("format"))


def _file(fields: Fields) -> items.File:
    if "file" in fields:
        fields = Fields(fields.get("file"), aliases.PART, fields.place("file"))
    file_id, url = fields.identifier("file_id"), fields.string("url", least=1)
    data = fields.string("data", least=1)
    _exactly_one(fields, file_id=file_id, url=url, data=data)
    if url is not None:
        _check_url(fields, url)
    return items.File(file_id=file_id, url=url, data=data, filename=fields.string("filename"))


def _exactly_one(fields: Fields, **given: str | None) -> None:
    if sum(value is not None for value in given.values()) != 1:
        raise errors.InvalidValue(fields.path, f"must have exactly one of {', '.join(given)}")


def _check_url(fields: Fields, url: str) -> None:
    if not url.lower().startswith(_SCHEMES):
        raise fields.wrong("url", "must be an http, https or data URL")
