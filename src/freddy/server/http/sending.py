"""Sends a file as it is read, whole or in part. https://www.rfc-editor.org/rfc/rfc9110#name-range-requests"""

import re
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.types import Scope, Send

from freddy.server.core import media_types
from freddy.server.core.files import File
from freddy.server.knowledge.files import Files

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
_PLAIN = re.compile(r"[^A-Za-z0-9!#$&+.^_`|~() -]", re.ASCII)


async def send_file(files: Files, file: File, scope: Scope, send: Send) -> None:
    """Raises `errors.NotFound` where the content is gone, before anything is sent."""
    asked = Headers(scope=scope)
    start, end = _asked(asked, file)
    part = (start, end) != (0, file.size)
    head = scope["method"] == "HEAD"
    pieces = files.read(file, start, end)
    # Read first, so that what goes wrong can still be told.
    piece = b"" if head else await anext(pieces, b"")
    headers = [
        (b"content-type", _content_type(file.media_type)),
        (b"content-length", b"%d" % (end - start)),
        (b"content-disposition", disposition(file).encode()),
        (b"accept-ranges", b"bytes"),
        (b"etag", f'"{file.sha256}"'.encode()),
        (b"cache-control", b"private, no-cache"),
        # A page that somebody uploaded must not act in this server's name.
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
    ]
    if part:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, file.size)))
    await send({"type": "http.response.start", "status": 206 if part else 200, "headers": headers})
    while piece:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        piece = await anext(pieces, b"")
    await send({"type": "http.response.body", "body": b""})


def disposition(file: File) -> str:
    """With the name in plain letters and in its own: https://www.rfc-editor.org/rfc/rfc6266"""
    kind = "inline" if media_types.is_shown(file.media_type) else "attachment"
    plain = _PLAIN.sub("_", file.filename)
    told = f'{kind}; filename="{plain}"'
    return told if plain == file.filename else f"{told}; filename*=UTF-8''{quote(file.filename, safe='')}"


def _asked(headers: Headers, file: File) -> tuple[int, int]:
    """From where to before where. What cannot be met is answered with the whole, as the RFC allows."""
    whole = (0, file.size)
    found = _RANGE.fullmatch(headers.get("range", ""))
    if found is None or headers.get("if-range", f'"{file.sha256}"') != f'"{file.sha256}"':
        return whole
    first, last = found.groups()
    if not first:
        return (max(0, file.size - int(last)), file.size) if last and int(last) else whole
    start, end = int(first), min(int(last) + 1, file.size) if last else file.size
    return (start, end) if start < end else whole


def _content_type(media_type: str) -> bytes:
    return f"{media_type}; charset=utf-8".encode() if media_type.startswith("text/") else media_type.encode()
