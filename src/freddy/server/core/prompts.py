"""Owns the prompt template: its text, its variables, and what a request makes of them. Pure.

`{{name}}` in the text, or in the default of a string variable, stands for a value; `\\{{` is `{{` itself. What a value
says is never looked at for variables.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core import errors, ids, items
from freddy.server.core.items import MaybeRaw
from freddy.server.core.request import PromptRef, Request

Type: TypeAlias = Literal["string", "number", "boolean", "array", "object", "image", "file"]
Value: TypeAlias = tuple[items.Part, ...]
"""What is written in the place of a variable: texts, images and files."""

LONGEST_CONTENT: Final = 100_000
LONGEST_FILLED: Final = 1_000_000
"""Characters of a template, and of what it may become."""
MOST_VARIABLES: Final = 100
MOST_MEDIA: Final = 100
_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
_VARIABLE: Final = re.compile(rf"\\\{{\{{|\{{\{{\s*({_NAME})\s*\}}\}}|\{{\{{")
_WHOLE_NAME: Final = re.compile(_NAME)
_WANT: Final[Mapping[Type, str]] = {
    "string": "must be a string",
    "number": "must be a number",
    "boolean": "must be true or false",
    "array": "must be an array",
    "object": "must be an object",
    "image": "must be an image: {'type': 'input_image', 'image_url': …} or {'file_id': …}",
    "file": "must be a file: {'type': 'input_file', 'file_id': …} or {'file_url': …}",
}
_TEXTS: Final = ("input_text", "text")
_IMAGES: Final = ("input_image", "image", "image_url")
_FILES: Final = ("input_file", "file")
_SCHEMES: Final = ("https://", "http://", "data:")


class Variable(Struct, frozen=True, omit_defaults=True):
    """`default` and the values of `enum` are JSON. Nothing is written where none is given and there is no default."""

    type: Type = "string"
    description: str | None = None
    required: bool = False
    default: MaybeRaw = None
    enum: tuple[msgspec.Raw, ...] = ()


class Prompt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a template says. A variable that the text uses and nobody declared is required, and may be of any type.

    `model` answers where the request names none. `is_public` is kept and told, and has no effect.
    """

    content: str
    description: str | None = None
    variables: dict[str, Variable] = {}
    tags: tuple[str, ...] = ()
    is_public: bool = False
    metadata: dict[str, str] = {}
    model: str | None = None


class Slot(Struct, frozen=True):
    """The place of a variable in a text."""

    name: str


def is_name(text: str) -> bool:
    """Whether a variable may be called so."""
    return _WHOLE_NAME.fullmatch(text) is not None


def parse(text: str, param: str) -> tuple[str | Slot, ...]:
    """The words of a template and its places for variables. Raises `errors.InvalidValue`."""
    pieces: list[str | Slot] = []
    told = 0
    for found in _VARIABLE.finditer(text):
        pieces.append(text[told : found.start()])
        told = found.end()
        if found[1] is not None:
            pieces.append(Slot(found[1]))
        elif found[0].startswith("\\"):
            pieces.append("{{")
        else:
            raise errors.InvalidValue(
                param,
                f"has {{{{ at character {found.start()} that begins no variable: write {{{{name}}}} with 1 to 64 "
                "letters, digits, _, - or ., or \\{{ for the braces themselves",
            )
    pieces.append(text[told:])
    return tuple(piece for piece in pieces if piece != "")


def check(prompt: Prompt) -> Prompt:
    """The same. Raises `errors.InvalidValue` for a template that could never be filled."""
    parse(prompt.content, "content")
    for name, variable in prompt.variables.items():
        _check_variable(name, variable)
    used = {name: _used_by_default(prompt, name) for name in prompt.variables}
    for name in used:
        _check_circle(used, (name,))
    return prompt


def required(prompt: Prompt) -> tuple[str, ...]:
    """The variables that every request must give: first those declared so, then those that nobody declared."""
    declared = [name for name, variable in prompt.variables.items() if variable.required and variable.default is None]
    return tuple(dict.fromkeys((*declared, *(name for name in _used(prompt) if name not in prompt.variables))))


def filled(prompt: Prompt, values: Mapping[str, object]) -> Value:
    """The template with its values. Raises `errors.InvalidValue` naming `prompt.variables.…`."""
    known = dict.fromkeys((*prompt.variables, *_used(prompt)))
    for name in values:
        if name not in known:
            has = f"the template has {', '.join(known)}" if known else "it has none"
            raise errors.InvalidValue(_param(name), f"is no variable of the template: {has}")
    _check_given(prompt, values)
    return _Filling(prompt, values).text(prompt.content, "content")


def applied(request: Request, prompt: Prompt, said: Value, new_id: ids.NewId) -> Request:
    """The request with what the filled template says.

    Text stands before the request's own instructions; with images or files in it, or where there is nothing else to
    answer, it is a message of the user before the input.
    """
    request = replace(request, model=request.model or prompt.model or "")
    text = "".join(part.text for part in said if isinstance(part, items.Text))
    goes_on = bool(request.input or request.previous_response_id or (request.thread and request.thread.id))
    if goes_on and all(isinstance(part, items.Text) for part in said):
        words = [one for one in (text, request.instructions) if one]
        return replace(request, instructions="\n\n".join(words) or None)
    message = items.Message(new_id(ids.MESSAGE), "user", said or (items.Text(""),))
    return replace(request, input=(message, *request.input))


def pinned(reference: PromptRef, version: int) -> PromptRef:
    """The reference with the version that was used."""
    return replace(reference, version=str(version))


class _Filling:
    """Writes the variables of one request, each of them once."""

    def __init__(self, prompt: Prompt, values: Mapping[str, object]) -> None:
        self._prompt = prompt
        self._values = values
        self._written: dict[str, Value] = {}

    def text(self, template: str, param: str) -> Value:
        parts: list[items.Part] = []
        words: list[str] = []
        characters = media = 0
        for piece in parse(template, param):
            for part in (items.Text(piece),) if isinstance(piece, str) else self._variable(piece.name):
                if isinstance(part, items.Text):
                    words.append(part.text)
                    characters += len(part.text)
                else:
                    parts += _joined(words)
                    words = []
                    parts.append(part)
                    media += 1
                # Defaults that hold each other several times grow beyond all bounds.
                if characters > LONGEST_FILLED or media > MOST_MEDIA:
                    raise errors.InvalidValue(
                        "prompt.variables",
                        f"make the prompt longer than {LONGEST_FILLED} characters or {MOST_MEDIA} images and files",
                    )
        return (*parts, *_joined(words))

    def _variable(self, name: str) -> Value:
        if name not in self._written:
            self._written[name] = self._value(name)
        return self._written[name]

    def _value(self, name: str) -> Value:
        declared = self._prompt.variables.get(name)
        given = self._values.get(name)
        if given is not None:
            if declared is None:
                return _any(given, _param(name))
            return _written(declared.type, given, _param(name))
        if declared is None:
            raise errors.InvalidValue(_param(name), "is missing: the template needs it")
        if declared.default is None:
            return ()
        default = _json(declared.default)
        if declared.type == "string" and isinstance(default, str):
            return self.text(default, f"variables.{name}.default")
        return _written(declared.type, default, _param(name))


def _check_variable(name: str, variable: Variable) -> None:
    param = f"variables.{name}"
    if variable.enum and variable.type not in ("string", "number", "boolean"):
        raise errors.InvalidValue(f"{param}.enum", "is for variables of type string, number or boolean")
    for place, choice in enumerate(variable.enum):
        _written(variable.type, _json(choice), f"{param}.enum[{place}]")
    if variable.default is None:
        return
    default = _json(variable.default)
    _written(variable.type, default, f"{param}.default")
    _check_choice(variable, default, f"{param}.default")
    if isinstance(default, str) and variable.type == "string":
        parse(default, f"{param}.default")


def _check_given(prompt: Prompt, values: Mapping[str, object]) -> None:
    """Raises `errors.InvalidValue` for values that do not fit, also of variables that the text does not use."""
    for name, variable in prompt.variables.items():
        given = values.get(name)
        if given is not None:
            _check_choice(variable, given, _param(name))
            _written(variable.type, given, _param(name))
        elif variable.required and variable.default is None:
            raise errors.InvalidValue(_param(name), "is missing: the template needs it")


def _check_choice(variable: Variable, value: object, param: str) -> None:
    choices = [_json(choice) for choice in variable.enum]
    if choices and not any(_same(value, choice) for choice in choices):
        raise errors.InvalidValue(param, f"must be one of {', '.join(_text(choice) for choice in choices)}")


def _check_circle(used: Mapping[str, Sequence[str]], way: tuple[str, ...]) -> None:
    """Raises `errors.InvalidValue` where the defaults, which use these variables, lead back to the first of the way."""
    seen = set()
    waiting = [way]
    while waiting:
        way = waiting.pop()
        for name in used.get(way[-1], ()):
            if name == way[0]:
                raise errors.InvalidValue(
                    f"variables.{name}.default", f"leads back to itself: {' → '.join((*way, name))}"
                )
            if name not in seen:
                seen.add(name)
                waiting.append((*way, name))


def _used(prompt: Prompt) -> Iterator[str]:
    """Every variable in the text and in the defaults, in order, some more than once."""
    yield from (piece.name for piece in parse(prompt.content, "content") if isinstance(piece, Slot))
    for name in prompt.variables:
        yield from _used_by_default(prompt, name)


def _used_by_default(prompt: Prompt, name: str) -> Sequence[str]:
    variable = prompt.variables.get(name)
    if variable is None or variable.type != "string" or variable.default is None:
        return ()
    default = _json(variable.default)
    if not isinstance(default, str):
        return ()
    return [piece.name for piece in parse(default, f"variables.{name}.default") if isinstance(piece, Slot)]


def _written(kind: Type, value: object, param: str) -> Value:
    """A value of a declared type. Raises `errors.InvalidValue`."""
    fits = True
    match kind:
        case "string":
            if (text := _said(value)) is not None:
                return (items.Text(text),)
            fits = False
        case "number":
            fits = type(value) in (int, float)
        case "boolean":
            fits = type(value) is bool
        case "array":
            fits = type(value) is list
        case "object":
            fits = type(value) is dict
        case "image":
            return (_image(value, param),)
        case "file":
            return (_file(value, param),)
    if not fits:
        raise errors.InvalidValue(param, _WANT[kind])
    return (items.Text(_text(value)),)


def _any(value: object, param: str) -> Value:
    """A value of a type that nobody declared: what it looks like."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind in _IMAGES:
        return (_image(value, param),)
    if kind in _FILES:
        return (_file(value, param),)
    text = _said(value)
    return (items.Text(_text(value) if text is None else text),)


def _said(value: object) -> str | None:
    if isinstance(value, dict) and value.get("type") in _TEXTS:
        value = value.get("text")
    return value if isinstance(value, str) else None


def _image(value: object, param: str) -> items.Image:
    """By address or by the id of a file, alone or as a part of an input, in either dialect's spelling."""
    if isinstance(value, str):
        url = value if value.lower().startswith(_SCHEMES) else None
        return items.Image(url=url, file_id=_identifier(value if url is None else None, param, "image"))
    if not isinstance(value, dict) or value.get("type", _IMAGES[0]) not in _IMAGES:
        raise errors.InvalidValue(param, _WANT["image"])
    address = _first(value, "image_url", "imageUrl", "url")
    detail = value.get("detail")
    if isinstance(address, dict):
        detail = detail or address.get("detail")
        address = address.get("url")
    file_id = _first(value, "file_id", "fileId")
    if (address is None) == (file_id is None) or detail not in (None, "auto", "low", "high", "original"):
        raise errors.InvalidValue(param, _WANT["image"])
    return items.Image(
        url=_url(address, param, "image"),
        file_id=_identifier(file_id, param, "image"),
        detail=detail or "auto",
    )


def _file(value: object, param: str) -> items.File:
    """Like `_image`. Data comes with its name."""
    if isinstance(value, str):
        url = value if value.lower().startswith(_SCHEMES[:2]) else None
        return items.File(url=url, file_id=_identifier(value if url is None else None, param, "file"))
    if isinstance(value, dict) and isinstance(value.get("file"), dict):
        value = value["file"]
    if not isinstance(value, dict) or value.get("type", _FILES[0]) not in _FILES:
        raise errors.InvalidValue(param, _WANT["file"])
    address, file_id = _first(value, "file_url", "fileUrl", "url"), _first(value, "file_id", "fileId")
    data, filename = _first(value, "file_data", "fileData", "data"), value.get("filename")
    if [address, file_id, data].count(None) != 2 or not isinstance(data, str | None):
        raise errors.InvalidValue(param, _WANT["file"])
    if not isinstance(filename, str | None):
        raise errors.InvalidValue(param, "must have a filename that is a string")
    return items.File(
        file_id=_identifier(file_id, param, "file"), url=_url(address, param, "file"), data=data, filename=filename
    )


def _url(value: object, param: str, kind: Type) -> str | None:
    if value is None or (isinstance(value, str) and value.lower().startswith(_SCHEMES)):
        return value
    raise errors.InvalidValue(param, f"{_WANT[kind]}, with an http, https or data URL")


def _identifier(value: object, param: str, kind: Type) -> str | None:
    if value is None or (isinstance(value, str) and 0 < len(value) <= ids.LONGEST):
        return value
    raise errors.InvalidValue(param, _WANT[kind])


def _first(value: Mapping[str, object], *names: str) -> object:
    return next((value[name] for name in names if value.get(name) is not None), None)


def _joined(words: Sequence[str]) -> tuple[items.Text, ...]:
    text = "".join(words)
    return (items.Text(text),) if text else ()


def _same(one: object, other: object) -> bool:
    """As JSON tells values apart: true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _json(raw: msgspec.Raw) -> object:
    return msgspec.json.decode(raw)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _param(name: str) -> str:
    return f"prompt.variables.{name[:64]}"
