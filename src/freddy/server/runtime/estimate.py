"""Token counts where nobody counted: one token for four bytes of UTF-8. Always marked as estimated."""

from collections.abc import Iterable

from freddy.server.core import items
from freddy.server.core.turn import Turn
from freddy.server.core.usage import Usage

_BYTES_PER_TOKEN = 4
_TOKENS_PER_ITEM = 4
_TOKENS_PER_MEDIUM = 256


def usage(turn: Turn, said: Iterable[items.Item]) -> Usage:
    return Usage(input_tokens=input_tokens(turn), output_tokens=sum(map(_item, said)), estimated=True)


def input_tokens(turn: Turn) -> int:
    tools = sum(
        _text(tool.name) + _text(tool.description or "") + len(bytes(tool.parameters or b"")) // _BYTES_PER_TOKEN
        for tool in turn.tools
    )
    return _text(turn.instructions or "") + tools + sum(_TOKENS_PER_ITEM + _item(item) for item in turn.items)


def _item(item: items.Item) -> int:
    match item:
        case items.Message(parts=parts) | items.FunctionOutput(parts=parts):
            return sum(map(_part, parts))
        case items.FunctionCall():
            return _text(item.name) + _text(item.arguments)
        case items.Reasoning():
            return sum(map(_text, item.texts)) + sum(map(_text, item.summaries))
        case _:
            return 0


def _part(part: items.Part) -> int:
    match part:
        case items.Text(text) | items.Refusal(text):
            return _text(text)
        case _:
            return _TOKENS_PER_MEDIUM


def _text(text: str) -> int:
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)
