"""Keeps what a server was told in confidence out of what it says: some repeat the headers that they do not like."""

import binascii
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from freddy.server.core import items
from freddy.server.ports.tools import Answer

HIDDEN: Final = "***REDACTED***"
_SHORTEST: Final = 8
"""Shorter secrets are words that an answer may hold by chance."""
_SHORTEST_IN_NAMES: Final = 16
"""The same of the name of a tool, which would be left out."""


class Confidence:
    """What stands in `headers`, also without the word before it, such as Bearer, and the password of Basic."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        told = {part for value in headers.values() for part in (value, value.partition(" ")[2].strip())}
        told |= {_password(value) for value in headers.values()}
        self._secrets = sorted((one for one in told if len(one) >= _SHORTEST), key=len, reverse=True)

    def text(self, text: str) -> str:
        for one in self._secrets:
            text = text.replace(one, HIDDEN)
        return text

    def answer(self, answer: Answer) -> Answer:
        if not self._secrets:
            return answer
        parts = tuple(map(self._part, answer.parts))
        return replace(answer, parts=parts, error=None if answer.error is None else self.text(answer.error))

    def tools(self, tools: Iterable[items.McpTool]) -> tuple[items.McpTool, ...]:
        if not self._secrets:
            return tuple(tools)
        return tuple(
            replace(
                tool,
                description=None if tool.description is None else self.text(tool.description),
                input_schema=self._raw(tool.input_schema),
                annotations=self._raw(tool.annotations),
            )
            for tool in tools
            # Under another name it could not be called.
            if not any(one in tool.name for one in self._secrets if len(one) >= _SHORTEST_IN_NAMES)
        )

    def _part(self, part: items.Part) -> items.Part:
        match part:
            case items.Text(text):
                return items.Text(self.text(text))
            case items.File(filename=str(filename)):
                return replace(part, filename=self.text(filename))
            case _:
                return part

    def _raw(self, raw: Raw | None) -> Raw | None:
        if raw is None:
            return None
        data = bytes(raw)
        for one in self._secrets:
            data = data.replace(msgspec.json.encode(one)[1:-1], HIDDEN.encode())
        return Raw(data)


def _password(value: str) -> str:
    """Of `Basic` and user:password in base64: https://www.rfc-editor.org/rfc/rfc7617"""
    scheme, _, told = value.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return binascii.a2b_base64(told.strip()).decode(errors="replace").partition(":")[2]
    except ValueError:
        return ""
