"""Gives a model the files of its input as it can take them: as data, or as text."""

import asyncio
import base64
import binascii
import hashlib
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias, TypeVar, assert_never
from urllib.parse import unquote_to_bytes

from msgspec.structs import replace

from freddy.server.core import errors, items, media_types
from freddy.server.core.files import File, display_name
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.knowledge.extract import Extractor, unreadable
from freddy.server.knowledge.files import Files

T = TypeVar("T")

Way: TypeAlias = Literal["image", "audio", "document", "text"]
"""As what a model is given a file."""

_PICTURES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""What models that see can see."""
_HEAD: Final = media_types.HEAD * 4 // 3 // 4 * 4
"""Characters of base64 that hold the beginning of a file."""
_SMALL: Final = 64 * 1024
"""Bytes up to which coding is done sooner than handed to a thread."""
_UPLOAD: Final = "send it as data, or upload it with POST /v1/files and send its file_id"


class Media:
    """`turn_bytes` is the most that the files of one turn may add to it, `cache_bytes` what is remembered of them."""

    def __init__(self, files: Files, extractor: Extractor, *, turn_bytes: int, cache_bytes: int) -> None:
        self._files = files
        self._extractor = extractor
        self._turn_bytes = turn_bytes
        self._cache = _Cache(cache_bytes)

    async def check(self, organization_id: str, said: Iterable[items.Item]) -> None:
        """Raises `errors.NotFound` for a file that the organization does not have."""
        if wanted := _file_ids(said):
            await self._files.find(organization_id, wanted)

    async def furnish(self, turn: Turn, profile: Profile) -> Turn:
        """The turn with its files in it.

        One that is not there any more is told as such: the conversation that named it goes on. Raises
        `errors.InvalidRequest` for one that the model does not take, and `errors.TooLarge`.
        """
        if not any(_is_media(part) for item in turn.items for part in _parts(item)):
            return turn
        wanted = _file_ids(turn.items)
        found = await self._files.there(turn.organization_id, wanted) if wanted else {}
        room = _Room(self._turn_bytes)
        furnished = [await self._item(item, found, profile=profile, room=room) for item in turn.items]
        return replace(turn, items=tuple(furnished))

    async def _item(
        self, item: items.Item, found: Mapping[str, File], *, profile: Profile, room: "_Room"
    ) -> items.Item:
        if not any(_is_media(part) for part in _parts(item)):
            return item
        answered_here = isinstance(item, items.FunctionOutput) and item.source is not None
        furnish = self._given_back if answered_here else self._part
        parts = [await furnish(part, found, profile=profile, room=room) for part in _parts(item)]
        return replace(item, parts=tuple(parts))

    async def _given_back(
        self, part: items.Part, found: Mapping[str, File], *, profile: Profile, room: "_Room"
    ) -> items.Part:
        """What a tool of this server gave back ends no run: the caller did not send it, and cannot take it away."""
        try:
            if isinstance(part, items.Image) and part.url is not None and part.url.startswith("data:"):
                media_type = part.url[len("data:") :].partition(";")[0].lower()
                if media_type not in _PICTURES:
                    raise _no_picture("image", media_type)
            return await self._part(part, found, profile=profile, room=room)
        except errors.InvalidRequest as error:
            return items.Text(f"[A part of the output is left out here. {error.message}.]")

    async def _part(
        self, part: items.Part, found: Mapping[str, File], *, profile: Profile, room: "_Room"
    ) -> items.Part:
        match part:
            case items.Text() | items.Refusal():
                return part
            case items.Image(file_id=str(gone)) | items.Audio(file_id=str(gone)) | items.File(file_id=str(gone)) if (
                gone not in found
            ):
                return items.Text("[A file that was here has been deleted.]")
            case items.Image(url=url, file_id=file_id, detail=detail):
                _must(profile.images, profile, "images")
                if file_id is None:
                    _must_reach(url or "", profile.image_urls, profile, "images")
                    return part
                file = found[file_id]
                if file.media_type not in _PICTURES:
                    raise _no_picture(file.filename, file.media_type)
                return items.Image(url=await self._data_url(file, room), detail=detail)
            case items.Audio(file_id=file_id):
                _must(profile.audio, profile, "audio")
                if file_id is None:
                    return part
                file = found[file_id]
                return items.Audio(data=await self._base64(file, room), format=_sound(file.filename, file.media_type))
            case items.File(file_id=file_id, url=url, data=data):
                if file_id is not None:
                    return await self._kept(found[file_id], part, profile=profile, room=room)
                if data is None and url is not None and not url.startswith("data:"):
                    _must(profile.files, profile, "files")
                    _must_reach(url, profile.file_urls, profile, "files")
                    return part
                return await self._sent(data or url or "", part, profile=profile, room=room)
            case _:
                assert_never(part)

    async def _kept(self, file: File, part: items.File, *, profile: Profile, room: "_Room") -> items.Part:
        """A file that was uploaded."""
        match way(file.media_type, file.filename, profile):
            case "image":
                return items.Image(url=await self._data_url(file, room))
            case "audio":
                return items.Audio(data=await self._base64(file, room), format=_sound(file.filename, file.media_type))
            case "document":
                return items.File(data=await self._data_url(file, room), filename=part.filename or file.filename)
            case "text":
                return _told(file.filename, room.take(await self._text(file)))

    async def _sent(self, data: str, part: items.File, *, profile: Profile, room: "_Room") -> items.Part:
        """A file that came with the request."""
        name = display_name(part.filename or "file")
        declared, encoded = await _coded(data, name)
        media_type = media_types.told(declared, name, _decoded(encoded[:_HEAD], name))
        match way(media_type, name, profile):
            case "image":
                return items.Image(url=f"data:{media_type};base64,{encoded}")
            case "audio":
                return items.Audio(data=encoded, format=_sound(name, media_type))
            case "document":
                return items.File(data=f"data:{media_type};base64,{encoded}", filename=part.filename)
            case "text":
                key = await _aside(len(encoded), lambda: hashlib.sha256(f"{media_type};{encoded}".encode()).hexdigest())
                text = self._cache.get(key)
                if text is None:
                    whole = await _aside(len(encoded), lambda: _decoded(encoded, name))
                    text = await self._extractor.text(_one(whole), media_type=media_type, filename=name)
                    self._cache.put(key, text)
                return _told(name, room.take(text))

    async def _data_url(self, file: File, room: "_Room") -> str:
        return f"data:{file.media_type};base64,{await self._base64(file, room)}"

    async def _base64(self, file: File, room: "_Room") -> str:
        # Before it is read: the size is known.
        room.give(file.size)
        key = f"{file.id};base64"
        encoded = self._cache.get(key)
        if encoded is None:
            content = b"".join([piece async for piece in self._files.read(file)])
            encoded = await _aside(len(content), lambda: base64.b64encode(content).decode())
            self._cache.put(key, encoded)
        return encoded

    async def _text(self, file: File) -> str:
        key = f"{file.id};text"
        text = self._cache.get(key)
        if text is None:
            # What is text already is read as fast as a copy of it would be.
            kept = not media_types.is_text(file.media_type) or media_types.format_of(file.media_type) == "html"
            text = await self._files.kept_text(file) if kept else None
            if text is None:
                content = self._files.read(file)
                text = await self._extractor.text(content, media_type=file.media_type, filename=file.filename)
                if kept:
                    await self._files.keep_text(file, text)
            self._cache.put(key, text)
        return text


class _Room:
    """How much more the files of a turn may add to it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size

    def give(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise errors.TooLarge(
                f"The files of the input come to more than {self._size:,} bytes",
                param="input",
                code="input_too_large",
                details="send fewer or smaller files, or raise `files.max_turn_bytes`",
            )

    def take(self, text: str) -> str:
        self.give(len(text))
        return text


class _Cache:
    """What was used last, up to so many bytes."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._largest = size // 2
        self._kept: OrderedDict[str, str] = OrderedDict()

    def get(self, key: str) -> str | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: str, value: str) -> None:
        if sys.getsizeof(value) > self._largest or key in self._kept:
            return
        self._kept[key] = value
        self._left -= sys.getsizeof(value)
        while self._left < 0:
            _, oldest = self._kept.popitem(last=False)
            self._left += sys.getsizeof(oldest)


def way(media_type: str, filename: str, profile: Profile) -> Way:
    """As what the model is given a file. Raises `errors.InvalidRequest` where it does not take it as anything."""
    if media_type in _PICTURES:
        _must(profile.images, profile, "images")
        return "image"
    if media_types.audio_format(media_type):
        _must(profile.audio, profile, "audio")
        return "audio"
    if profile.files and media_type in profile.file_types:
        return "document"
    if media_types.format_of(media_type):
        return "text"
    if media_type.startswith("image/"):
        raise _no_picture(filename, media_type)
    raise errors.InvalidRequest(
        f"The file {filename!r} is {media_type}, which the model {profile.name!r} does not read",
        param="input",
        code="unsupported_input",
        details="send it as PDF, Word (.docx), Excel (.xlsx), PowerPoint (.pptx), HTML or text",
    )


def _parts(item: items.Item) -> Sequence[items.Part]:
    return item.parts if isinstance(item, (items.Message, items.FunctionOutput)) else ()


def _is_media(part: items.Part) -> bool:
    return isinstance(part, (items.Image, items.Audio, items.File))


def _file_ids(said: Iterable[items.Item]) -> list[str]:
    found = (
        part.file_id
        for item in said
        for part in _parts(item)
        if isinstance(part, (items.Image, items.Audio, items.File))
    )
    return [file_id for file_id in dict.fromkeys(found) if file_id is not None]


def _told(filename: str, text: str) -> items.Text:
    return items.Text(f"[File: {filename}]\n{text}")


async def _coded(data: str, filename: str) -> tuple[str | None, str]:
    """The type that a data URL says, and its content in base64. Bare base64 says no type."""
    if not data.startswith("data:"):
        return None, data.strip()
    head, comma, content = data.partition(",")
    if not comma:
        raise _no_data(filename)
    declared, *words = head.removeprefix("data:").split(";")
    if "base64" in (word.strip().lower() for word in words):
        return declared, content.strip()
    # https://www.rfc-editor.org/rfc/rfc2397: without that word it is percent-encoded.
    plain = await _aside(len(content), lambda: base64.b64encode(unquote_to_bytes(content)).decode())
    return declared or "text/plain", plain


def _decoded(encoded: str, filename: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _no_data(filename) from None


async def _aside(size: int, work: Callable[[], T]) -> T:
    """In a thread, where it would hold up the loop."""
    return work() if size <= _SMALL else await asyncio.to_thread(work)


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _sound(filename: str, media_type: str) -> str:
    found = media_types.audio_format(media_type)
    if found is None:
        raise errors.InvalidRequest(
            f"The file {filename!r} is {media_type}, not audio",
            param="input",
            code="unsupported_input",
            details="send WAV, MP3, FLAC, OGG, AAC or M4A; documents are sent as files",
        )
    return found


def _must(able: bool, profile: Profile, what: str) -> None:  # noqa: FBT001
    if not able:
        raise errors.InvalidRequest(
            f"The model {profile.name!r} does not read {what}",
            param="input",
            code="unsupported_input",
            details=f"choose a model whose capabilities include {what}, see GET /v1/models",
        )


def _must_reach(url: str, able: bool, profile: Profile, what: str) -> None:  # noqa: FBT001
    if url.startswith("data:"):
        return
    if not url.lower().startswith(("http://", "https://")):
        raise errors.InvalidRequest(
            "An address of the input begins with none of http://, https:// and data:",
            param="input",
            code="unsupported_input",
            details=_UPLOAD,
        )
    if not able:
        raise errors.InvalidRequest(
            f"The model {profile.name!r} does not fetch {what} from an address",
            param="input",
            code="unsupported_input",
            details=_UPLOAD,
        )


def _no_picture(filename: str, media_type: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(
        f"The file {filename!r} is {media_type}, not an image that models read",
        param="input",
        code="unsupported_input",
        details="send PNG, JPEG, GIF or WebP; documents are sent as files",
    )


def _no_data(filename: str) -> errors.InvalidRequest:
    return unreadable(filename, "is not valid data", "send `data:<type>;base64,` and its content in base64")
