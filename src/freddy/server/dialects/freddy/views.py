"""Owns how an item of the output is written."""

from typing import Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from freddy.server.core import items, toolspec, transcript
from freddy.server.core.request import Request


class TopLogprob(Struct):
    token: str
    logprob: float
    bytes: tuple[int, ...]


class Logprob(Struct):
    token: str
    logprob: float
    bytes: tuple[int, ...]
    top_logprobs: tuple[TopLogprob, ...]


class Text(Struct):
    type: Literal["output_text"]
    text: str
    annotations: tuple[Raw, ...]
    logprobs: tuple[Logprob, ...] | UnsetType = UNSET


class Refusal(Struct):
    type: Literal["refusal"]
    refusal: str


class Media(Struct, omit_defaults=True):
    """An image, a sound or a file that a tool gave back."""

    type: Literal["image", "audio", "file"]
    file_id: str | None = None
    url: str | None = None
    data: str | None = None
    format: str | None = None
    filename: str | None = None


Part: TypeAlias = Text | Refusal | Media


class PlainText(Struct):
    text: str


class Message(Struct):
    type: Literal["message"]
    id: str
    status: str
    role: str
    content: tuple[Part, ...]
    texts: tuple[PlainText, ...] | UnsetType = UNSET
    phase: str | UnsetType = UNSET


class Function(Struct):
    name: str
    arguments: str


class FunctionCall(Struct):
    type: Literal["function_call"]
    id: str
    status: str
    call_id: str
    name: str
    arguments: str
    function: Function
    require_approval: bool | UnsetType = UNSET


class FunctionOutput(Struct):
    type: Literal["function_call_output"]
    id: str
    status: str
    call_id: str
    name: str | None
    output: str


Item: TypeAlias = Message | FunctionCall | FunctionOutput | Raw


class _Schema(Struct):
    properties: dict[str, Raw] = {}


_ARGUMENTS: Final = msgspec.json.Decoder(dict[str, Raw])
_SCHEMAS: Final = msgspec.json.Decoder(_Schema)


def asks(request: Request, name: str) -> bool:
    """Whether the request includes this piece of information."""
    return name in request.include or "all" in request.include


class Writer:
    """Writes the items of one response: some of it depends on what was asked."""

    def __init__(self, request: Request) -> None:
        self.logprobs = request.sampling.logprobs or asks(request, "message.logprobs")
        self._functions = {tool.name: tool for tool in request.tools if isinstance(tool, toolspec.Function)}

    def item(self, item: items.Item) -> Item | None:
        """None for reasoning, which is told beside the output: clients read `output[0]` as the answer."""
        match item:
            case items.Message():
                content = tuple(self.part(part) for part in item.parts)
                return Message("message", item.id, item.status, item.role, content, phase=item.phase or UNSET)
            case items.FunctionCall():
                return self._call(item)
            case items.FunctionOutput():
                return FunctionOutput("function_call_output", item.id, item.status, item.call_id, item.name, item.text)
            case items.Other():
                return item.data
            case items.Reasoning():
                return None
            case _:
                assert_never(item)

    def part(self, part: items.Part) -> Part:
        match part:
            case items.Text():
                annotations = tuple(annotation.data for annotation in part.annotations)
                logprobs = write_logprobs(part.logprobs) if self.logprobs else UNSET
                return Text("output_text", part.text, annotations, logprobs)
            case items.Refusal():
                return Refusal("refusal", part.refusal)
            case items.Image():
                return Media("image", file_id=part.file_id, url=part.url)
            case items.Audio():
                return Media("audio", file_id=part.file_id, data=part.data, format=part.format)
            case items.File():
                return Media("file", file_id=part.file_id, url=part.url, data=part.data, filename=part.filename)
            case _:
                assert_never(part)

    def arguments(self, name: str, arguments: str, form: items.CallForm) -> str:
        """Always JSON; with the keys of an object in the order of the function's schema.

        Clients spread the values of the arguments over positional parameters.
        """
        if form == "custom":
            return transcript.custom_arguments(arguments)
        function = self._functions.get(name)
        if function is None or function.parameters is None:
            return arguments
        try:
            given = _ARGUMENTS.decode(arguments)
            order = _SCHEMAS.decode(function.parameters).properties
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return arguments
        wanted = [key for key in order if key in given] + [key for key in given if key not in order]
        if wanted == list(given):
            return arguments
        return msgspec.json.encode({key: given[key] for key in wanted}).decode()

    def _call(self, call: items.FunctionCall) -> FunctionCall:
        arguments = self.arguments(call.name, call.arguments, call.form)
        function = self._functions.get(call.name)
        return FunctionCall(
            type="function_call",
            id=call.id,
            status=call.status,
            call_id=call.call_id,
            name=call.name,
            arguments=arguments,
            function=Function(call.name, arguments),
            require_approval=True if function and function.require_approval else UNSET,
        )


def write_logprobs(logprobs: tuple[items.Logprob, ...]) -> tuple[Logprob, ...]:
    return tuple(
        Logprob(
            each.token,
            each.logprob,
            each.bytes,
            tuple(TopLogprob(top.token, top.logprob, top.bytes) for top in each.top),
        )
        for each in logprobs
    )
