"""Owns the noun file: what somebody uploaded, and the name it is shown under."""

import unicodedata
from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct

Purpose: TypeAlias = Literal["assistants", "batch", "evals", "fine-tune", "user_data", "vision"]
"""What a file is for, in OpenAI's words: https://platform.openai.com/docs/api-reference/files/create"""
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

MOST: Final = 10
"""Files that one upload may bring."""
_LONGEST: Final = 255
"""Bytes of a name in UTF-8: what file systems allow."""
_NAMELESS: Final = "file"


class File(Struct, frozen=True, kw_only=True):
    """`size` in bytes, `sha256` in hexadecimal digits, times in Unix seconds; `key_id` is the key that uploaded it."""

    id: str
    organization_id: str
    filename: str
    media_type: str
    size: int
    sha256: str
    purpose: Purpose
    created_at: int
    expires_at: int | None = None
    key_id: str | None = None

    @property
    def blob(self) -> str:
        """Where its content is kept."""
        return blob_of(self.id)

    @property
    def text_blob(self) -> str:
        """Where its text is kept, once somebody wanted it."""
        return text_blob_of(self.blob)


class Draft(Struct, frozen=True):
    """What an uploader says of a file; `expires_after` counts seconds from its creation."""

    purpose: Purpose
    expires_after: int | None = None


def blob_of(file_id: str) -> str:
    # The last characters of an id are random: they spread the files over folders.
    return f"{file_id[-2:]}/{file_id}"


def text_blob_of(blob: str) -> str:
    return blob + ".txt"


def known_id(file_id: str) -> str:
    """The id as it is kept: OpenAI's own ids begin with `file-`."""
    return "file_" + file_id[5:] if file_id.startswith("file-") else file_id


def display_name(given: str) -> str:
    """A file's name without folders, without characters that are not seen, and not too long."""
    name = unicodedata.normalize("NFC", given).replace("\\", "/").rpartition("/")[2]
    # Unseen characters could turn `gpj.exe` around, or break out of a header.
    name = "".join(character for character in name if unicodedata.category(character)[0] != "C")
    name = " ".join(name.split()).strip(". ") if name.strip(". ") else ""
    if not name:
        return _NAMELESS
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > 16:
        stem, dot, extension = name, "", ""
    room = _LONGEST - len((dot + extension).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + extension
