"""Takes a streamed JSON value out of the object that it was asked for in. Pure."""

import re

from freddy.server.providers.openai.schemas import ENVELOPE

_OPENING = re.compile(rf'\s*\{{\s*"{ENVELOPE}"\s*:\s*')
_DECIDED = re.compile(r"[^:]*:\s*\S")
_LONGEST_OPENING = 64


class Unwrapping:
    """Feed it the text as it comes. A text that is not in the envelope passes as it is."""

    def __init__(self) -> None:
        self._head: str | None = ""
        self._inside = False
        self._held = ""

    def feed(self, text: str) -> str:
        if self._head is not None:
            self._head += text
            if len(self._head) < _LONGEST_OPENING and not _DECIDED.match(self._head):
                return ""
            opening = _OPENING.match(self._head)
            self._inside = opening is not None
            text, self._head = self._head[opening.end() :] if opening else self._head, None
        if not self._inside:
            return text
        text = self._held + text
        # The last brace closes the envelope, and any brace may be the last.
        sure = text.rstrip("} \t\r\n")
        self._held = text[len(sure) :]
        return sure

    def close(self) -> str:
        """What was held back, but for the end of the envelope."""
        held, self._held = self._held, ""
        if self._head is not None:
            held, self._head = self._head, None
        if not self._inside:
            return held
        return held[: held.rfind("}")].rstrip() if "}" in held else held
