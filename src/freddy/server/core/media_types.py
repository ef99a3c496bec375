"""Owns what kind of content a file has: by its first bytes, its name and what its sender says."""

import re
from typing import Final, Literal, TypeAlias

Format: TypeAlias = Literal["pdf", "docx", "xlsx", "pptx", "html", "text"]
"""How the text of a document is read."""

UNKNOWN: Final = "application/octet-stream"
HEAD: Final = 512
"""Bytes of a file that `told` wants to see."""

_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_FORMATS: Final[dict[str, Format]] = {
    "application/pdf": "pdf",
    _OFFICE + "wordprocessingml.document": "docx",
    _OFFICE + "spreadsheetml.sheet": "xlsx",
    _OFFICE + "presentationml.presentation": "pptx",
    "text/html": "html",
    "application/xhtml+xml": "html",
}
_EXTENSIONS: Final = {
    "pdf": "application/pdf",
    "docx": _OFFICE + "wordprocessingml.document",
    "xlsx": _OFFICE + "spreadsheetml.sheet",
    "pptx": _OFFICE + "presentationml.presentation",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "odt": "application/vnd.oasis.opendocument.text",
    "rtf": "application/rtf",
    "epub": "application/epub+zip",
    "zip": "application/zip",
    "gz": "application/gzip",
    "tar": "application/x-tar",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "heic": "image/heic",
    "avif": "image/avif",
    "svg": "image/svg+xml",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/opus",
    "weba": "audio/webm",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "txt": "text/plain",
    "text": "text/plain",
    "log": "text/plain",
    "md": "text/markdown",
    "markdown": "text/markdown",
    "html": "text/html",
    "htm": "text/html",
    "xhtml": "application/xhtml+xml",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "ndjson": "application/x-ndjson",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "toml": "application/toml",
    "js": "text/javascript",
    "mjs": "text/javascript",
    "css": "text/css",
    "py": "text/x-python",
    "ics": "text/calendar",
}
_CODE: Final = frozenset(
    (
        "asm", "bash", "bat", "bib", "c", "cc", "cfg", "cjs", "clj", "conf", "cpp", "cs", "csx", "cxx", "dart",
        "diff", "dockerfile", "edn", "el", "elm", "env", "erl", "ex", "exs", "f90", "fs", "go", "gradle",
        "graphql", "groovy", "h", "hh", "hpp", "hs", "hxx", "ini", "ipynb", "java", "jl", "jsx", "kt", "kts",
        "less", "lisp", "lua", "m", "makefile", "mk", "ml", "mli", "nim", "nix", "org", "pas", "patch", "php",
        "pl", "pm", "properties", "proto", "ps1", "r", "rb", "rs", "rst", "sass", "scala", "scm", "scss", "sh",
        "sol", "sql", "srt", "svelte", "swift", "tcl", "tex", "tf", "ts", "tsx", "v", "vb", "vim", "vtt", "vue",
        "wat", "zig", "zsh",
    )
)  # fmt: skip
_TEXTS: Final = frozenset(
    (
        "application/json",
        "application/jsonl",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/javascript",
        "application/typescript",
        "application/x-sh",
        "application/sql",
        "application/graphql",
        "image/svg+xml",
    )
)
_VAGUE: Final = frozenset(
    (
        UNKNOWN,
        "binary/octet-stream",
        "application/x-www-form-urlencoded",
        "application/zip",
        "application/x-zip-compressed",
        "text/plain",
    )
)
"""What senders say of anything: the name of the file tells more."""
_AUDIO: Final = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/webm": "webm",
}
_SHOWN: Final = frozenset(
    (
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
        "application/pdf",
        "text/plain",
        "video/mp4",
        "video/webm",
        *_AUDIO,
    )
)
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,127}", re.ASCII)


def told(declared: str | None, filename: str, head: bytes) -> str:
    """The type of a file whose first bytes are `head`."""
    if seen := _seen(head):
        return seen
    by_name = _by_name(filename)
    said = (declared or "").partition(";")[0].strip().lower()
    if by_name and is_text(by_name) and b"\0" not in head:
        # Some say `video/mp2t` of TypeScript.
        return by_name
    if said not in _VAGUE and _TYPE.fullmatch(said):
        return said
    if by_name:
        return by_name
    if said == "text/plain" or _reads_as_text(head):
        return "text/plain"
    return said if _TYPE.fullmatch(said) and said != "application/x-www-form-urlencoded" else UNKNOWN


def is_text(media_type: str) -> bool:
    """Whether the content is text as it stands."""
    return media_type.startswith("text/") or media_type in _TEXTS or media_type.endswith(("+json", "+xml"))


def format_of(media_type: str) -> Format | None:
    """How its text is read; None where it has none, or nobody here can read it."""
    found = _FORMATS.get(media_type)
    return found or ("text" if is_text(media_type) else None)


def audio_format(media_type: str) -> str | None:
    """The word by which models know an audio format; None for what is no sound."""
    return _AUDIO.get(media_type)


def is_shown(media_type: str) -> bool:
    """Whether a browser may show it: it cannot run anything in the name of this server."""
    return media_type in _SHOWN


def _by_name(filename: str) -> str | None:
    name = filename.lower()
    extension = name.rpartition(".")[2]
    return _EXTENSIONS.get(extension) or ("text/plain" if extension in _CODE else None)


def _seen(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"ID3"):
        return "audio/mpeg"
    return None


def _reads_as_text(head: bytes) -> bool:
    if not head or b"\0" in head:
        return False
    try:
        # The last character may be cut in two.
        head[:-3].decode()
    except UnicodeDecodeError:
        return False
    return True
