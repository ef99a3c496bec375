"""Keeps what a server was told in confidence out of what it says: some repeat the headers that they do not like."""

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


class Confidence:
    """What stands in `headers`, also without the word before it, such as Bearer."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        told = {part for value in headers.values() for part in (value, value.partition(" ")[2].strip())}
        self._secrets = sorted((one for one in told if len(one) >= _SHORTEST), key=len, reverse=True)

    def text(self, text: str) -> str:
        for one in self._secrets:
            text = text.replace(one, HIDDEN)
        return text

    def answer(self, answer: Answer) -> Answer:
        if not self._secrets:
            return answer
        parts = tuple(items.Text(self.text(part.text)) if type(part) is items.Text else part for part in answer.parts)
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
        )

    def _raw(self, raw: Raw | None) -> Raw | None:
        if raw is None:
            return None
        data = bytes(raw)
        for one in self._secrets:
            data = data.replace(msgspec.json.encode(one)[1:-1], HIDDEN.encode())
        return Raw(data)
