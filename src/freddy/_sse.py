"""Bytes to server-sent events, as the WHATWG specification reads them. No I/O."""

import codecs
import re
from dataclasses import dataclass

# Not str.splitlines: it also splits at characters that are plain text in an event stream.
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: its name, its data lines joined by newlines, the last id seen so far."""

    event: str
    data: str
    id: str = ""


class Decoder:
    """Takes the bytes of one stream in any chunks; gives each event when its blank line arrives.

    An event without its blank line is dropped, as the specification wants it: it may be cut short.
    """

    def __init__(self) -> None:
        # "utf-8-sig" drops the one byte order mark that a stream may begin with.
        self._text = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._after_cr = False
        self._unfinished: list[str] = []
        self._name = ""
        self._data: list[str] = []
        self._id = ""
        self.retry: int | None = None
        """How many milliseconds the server asks to wait before reconnecting."""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events which this chunk completes."""
        text = self._text.decode(chunk)
        if self._after_cr and text:
            text = text.removeprefix("\n")  # the second half of a CRLF
            self._after_cr = False
        if not text:
            return []
        self._after_cr = text.endswith("\r")
        first, *others = _LINE_END.split(text)
        # A list, since a long line in many small chunks would be copied again for each chunk.
        self._unfinished.append(first)
        if not others:
            return []
        lines = ["".join(self._unfinished), *others]
        self._unfinished = [lines.pop()]
        return [event for line in lines if (event := self._read(line)) is not None]

    def _read(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value)
            case _:  # a comment (an empty field name), or a field that means nothing
                pass
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        name, data = self._name, self._data
        self._name, self._data = "", []
        if not data:
            return None
        return ServerSentEvent(event=name or "message", data="\n".join(data), id=self._id)
