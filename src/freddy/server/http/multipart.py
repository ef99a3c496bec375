"""Reads multipart forms as they come: a file is never whole in memory. https://www.rfc-editor.org/rfc/rfc7578"""

from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Receive, Scope

from freddy.server.core import errors
from freddy.server.http.body import ClientGone

_PARTS: Final = 64
_FIELD: Final = 64 * 1024
"""Bytes that a field may have which is no file."""
_AROUND: Final = 256 * 1024
"""Bytes of a form besides its files: fields, heads and boundaries."""


class Part(Struct, frozen=True):
    """The head of a part. A part with a `filename` is a file; `media_type` is what its sender says it is."""

    name: str
    filename: str | None
    media_type: str | None


class _Begin(Struct, frozen=True):
    pass


class _Head(Struct, frozen=True):
    part: Part


class _Data(Struct, frozen=True):
    data: bytes


class _End(Struct, frozen=True):
    pass


class _Last(Struct, frozen=True):
    pass


class Form:
    """A form that is being received: its parts in their order, each of which must be read before the next.

    Raises `errors.UnsupportedMediaType` where the request is no form, `errors.InvalidRequest` where the form is broken,
    `errors.TooLarge` where it announces more than `limit` bytes, and `ClientGone`.
    """

    def __init__(self, scope: Scope, receive: Receive, *, limit: int, too_large: errors.TooLarge) -> None:
        headers = {name: value for name, value in scope["headers"] if name in (b"content-type", b"content-length")}
        kind, options = parse_options_header(headers.get(b"content-type", b"").decode("latin-1"))
        if kind != b"multipart/form-data":
            raise errors.UnsupportedMediaType(
                f"The request is {kind.decode('latin-1')[:100]!r}" if kind else "The request says no content type",
                details="send it as multipart/form-data, with the file in a field `file`",
            )
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > limit + _AROUND:
            raise too_large
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise _broken("its Content-Type names no boundary")
        self._receive = receive
        self._told: deque[_Begin | _Head | _Data | _End | _Last] = deque()
        self._heads: dict[str, bytes] = {}
        self._header = [b"", b""]
        self._over = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": lambda: self._told.append(_Begin()),
                    "on_header_begin": self._begin_header,
                    "on_header_field": lambda data, start, end: self._add(0, data[start:end]),
                    "on_header_value": lambda data, start, end: self._add(1, data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": lambda data, start, end: self._told.append(_Data(bytes(data[start:end]))),
                    "on_part_end": lambda: self._told.append(_End()),
                    "on_end": lambda: self._told.append(_Last()),
                },
            )
        except FormParserError as error:
            raise _broken("its boundary is too long") from error

    async def parts(self) -> AsyncIterator[Part]:
        """What is not read of a part is skipped."""
        for _ in range(_PARTS):
            told = await self._next()
            while not isinstance(told, (_Head, _Last)):
                told = await self._next()
            if isinstance(told, _Last):
                return
            yield told.part
        raise _broken(f"it has more than {_PARTS} parts")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The content of the part at hand."""
        while not isinstance(told := await self._next(), _End):
            assert isinstance(told, _Data)
            yield told.data

    async def text(self, part: Part) -> str:
        """The content of a field. Raises `errors.InvalidRequest` where it is no text, or too long."""
        pieces, length = [], 0
        async for piece in self.chunks():
            length += len(piece)
            if length > _FIELD:
                raise _broken(f"its field {part.name[:100]!r} is longer than {_FIELD:,} bytes")
            pieces.append(piece)
        try:
            return b"".join(pieces).decode()
        except UnicodeDecodeError:
            raise _broken(f"its field {part.name[:100]!r} is not text in UTF-8") from None

    async def _next(self) -> _Begin | _Head | _Data | _End | _Last:
        while not self._told:
            if self._over:
                raise _broken("it ends before its last boundary")
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self._over = not message.get("more_body", False)
            try:
                self._parser.write(message.get("body", b""))
            except FormParserError as error:
                raise _broken("it does not follow its boundary") from error
        return self._told.popleft()

    def _begin_header(self) -> None:
        self._header = [b"", b""]

    def _add(self, place: int, piece: bytes) -> None:
        self._header[place] += piece

    def _end_header(self) -> None:
        name, value = self._header
        self._heads[name.decode("latin-1").lower()] = value

    def _end_headers(self) -> None:
        heads, self._heads = self._heads, {}
        kind, options = parse_options_header(heads.get("content-disposition", b"").decode("latin-1"))
        if kind != b"form-data" or b"name" not in options:
            raise _broken("a part of it has no name")
        filename = options.get(b"filename")
        self._told.append(
            _Head(
                Part(
                    options[b"name"].decode(errors="replace"),
                    None if filename is None else _unescaped(filename.decode(errors="replace")),
                    heads["content-type"].decode("latin-1") if "content-type" in heads else None,
                )
            )
        )


def _unescaped(filename: str) -> str:
    """Senders escape these three: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#escape-a-multipart-form-data-name"""
    return filename.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _broken(why: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        "The form cannot be read",
        code="invalid_multipart",
        details=f"{why}: let your HTTP client write it, as with `curl -F file=@name`",
    )
