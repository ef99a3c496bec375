"""Cuts a vendor's stream of bytes into the data of its server-sent events. No I/O."""


class DataLines:
    """Feed it chunks as they come; a chunk may end anywhere. Names, ids and comments are left out.

    https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that is whole now."""
        text = self._rest + chunk if self._rest else chunk
        if b"\r" in text:
            # A lone CR at the end may be half of a CRLF: it waits for the next chunk.
            held = b"\r" if text.endswith(b"\r") else b""
            text = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        end = text.rfind(b"\n\n")
        if end < 0:
            self._rest = text
            return []
        self._rest = text[end + 2 :]
        return [data for block in text[:end].split(b"\n\n") if (data := _data(block))]

    def close(self) -> list[bytes]:
        """What an event held that was cut off before its blank line: servers that end without one are common."""
        block, self._rest = self._rest.rstrip(b"\r\n"), b""
        data = _data(block)
        return [data] if data else []


def _data(block: bytes) -> bytes:
    if block.startswith(b"data: ") and b"\n" not in block:
        return block[6:]
    lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)
