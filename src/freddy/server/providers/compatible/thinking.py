"""Takes thinking out of a text that begins with it, in `<think>` tags, however the text is cut. Pure."""

from typing import Literal, TypeAlias

_OPEN, _CLOSE = "<think>", "</think>"

Piece: TypeAlias = tuple[Literal["thought", "text"], str]


class Splitter:
    """`opened`: the text begins with thinking even where the opening tag is missing.

    The tag counts only at the very beginning of the text; blanks around tags and thinking are left out.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._state: Literal["before", "thinking", "after", "text"] = "before"
        self._opened = opened
        self._thought = False
        self._held = ""

    @property
    def passing(self) -> bool:
        """Whether the rest passes as it is."""
        return self._state == "text"

    def feed(self, text: str) -> list[Piece]:
        if self._state == "text":
            return [("text", text)] if text else []
        self._held += text
        told: list[Piece] = []
        while self._step(told):
            pass
        return told

    def close(self) -> list[Piece]:
        """What was held back, as it may have become a tag."""
        held, self._held = self._held, ""
        match self._state:
            case "thinking":
                return [("thought", thought)] if (thought := held.rstrip()) else []
            case "after":
                return []
            case "before" if self._opened and held.strip():
                return [("thought", held.strip())]
            case _:
                return [("text", held)] if held else []

    def _step(self, told: list[Piece]) -> bool:
        """Whether the state changed, so that what is left must be looked at again."""
        match self._state:
            case "before":
                return self._begin(told)
            case "thinking":
                return self._think(told)
            case "after":
                self._held = self._held.lstrip()
                if self._held:
                    self._pass(told)
                return False
            case "text":
                return False

    def _begin(self, told: list[Piece]) -> bool:
        seen = self._held.lstrip()
        if seen.startswith(_OPEN):
            self._held, self._state = seen.removeprefix(_OPEN), "thinking"
            return True
        if _OPEN.startswith(seen):
            return False  # It may still become the tag, and so may nothing at all.
        if self._opened:
            self._state = "thinking"
            return True
        self._pass(told)
        return False

    def _think(self, told: list[Piece]) -> bool:
        if not self._thought:
            self._held = self._held.lstrip()
        thought, closed, rest = self._held.partition(_CLOSE)
        if closed:
            if thought := thought.rstrip():
                told.append(("thought", thought))
            self._held, self._state = rest, "after"
            return True
        # Blanks are held until a thought follows them, and so is what may become the closing tag.
        sure = len(thought) - _overlap(thought, _CLOSE)
        sure = len(thought[:sure].rstrip())
        if sure:
            self._thought = True
            told.append(("thought", thought[:sure]))
            self._held = thought[sure:]
        return False

    def _pass(self, told: list[Piece]) -> None:
        self._state = "text"
        told.append(("text", self._held))
        self._held = ""


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of the text begin the tag."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)
