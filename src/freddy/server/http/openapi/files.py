"""The schemas of files, in both shapes, and what is sent of them; the operations on them."""

from freddy.server.core.files import MOST, PURPOSES
from freddy.server.dialects.freddy import files as platform
from freddy.server.dialects.openai import files as openai
from freddy.server.http.openapi.schemas import Schema, Types, many, text, thing, whole, word

_FILE: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}


def components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for kind in (openai.FileView, openai.FileList, openai.FileDeleted):
        Types(found, "OpenAI", words=_WORDS, names={openai.FileView: "OpenAIFile"}).add(kind)
    written = Types(found, "Platform", words=_WORDS)
    for answer in (
        platform.FileBatch,
        platform.FilePageView,
        platform.FileLink,
        platform.UploadLinks,
        platform.FileRemoved,
    ):
        written.add(answer)
    return found | _SENT


_SENT: dict[str, Schema] = {
    "OpenAIFileUpload": thing(
        "A form with one file.",
        {
            "file": {**_FILE, "description": "The file, with its name."},
            "purpose": word("What it is for.", PURPOSES),
            "expires_after[anchor]": {"const": "created_at"},
            "expires_after[seconds]": whole("When it goes by itself.", openai.SHORTEST, openai.LONGEST),
            "organization_id": text("Whose it will be; the key implies one."),
        },
        required=("file", "purpose"),
    ),
    "PlatformFileUpload": thing(
        "A form with files.",
        {
            "files": many("The files, each with its name; `file` is the same.", _FILE, minItems=1, maxItems=MOST),
            "purpose": text("One of OpenAI's, or `user_upload`, `assistant`, `vector_store`.", default="user_data"),
        },
        required=("files",),
    ),
    "PlatformUploadLinksRequest": thing(
        "Files that are to come.",
        {
            "files": many(
                "What each is.",
                thing(
                    "",
                    {
                        "filename": text("Its name."),
                        "mime_type": text("Its type; told by its name and its content where it is left out."),
                        "file_size": whole("Its size in bytes, to be told at once when it is too large.", 1),
                        "purpose": text("As for an upload.", default="user_data"),
                    },
                    required=("filename",),
                ),
                minItems=1,
                maxItems=MOST,
            )
        },
        required=("files",),
    ),
    "PlatformFileRegister": thing(
        "Files that were sent to links.",
        {
            "files": many(
                "Their ids.",
                thing("", {"file_id": text("As it came with the link.")}, required=("file_id",)),
                minItems=1,
                maxItems=MOST,
            )
        },
        required=("files",),
    ),
    "FileContent": {**_FILE, "description": "The content of a file, as it is."},
}

_WORDS: dict[str, dict[str, Schema]] = {
    "OpenAIFile": {
        "id": {"description": "Begins with `file_`."},
        "bytes": {"description": "Its size."},
        "created_at": {"description": "Unix seconds."},
        "expires_at": {"description": "Unix seconds; null where it stays until it is deleted."},
        "filename": {"description": "Its name, without folders and unseen characters."},
        "purpose": word("What it is for.", PURPOSES),
    },
    "PlatformFile": {
        "id": {"description": "Begins with `file_`."},
        "original_filename": {"description": "Its name, without folders and unseen characters."},
        "file_size": {"description": "In bytes."},
        "storage_path": {"description": "The name of its content in the store."},
        "uploaded_at": {"description": "ISO 8601, in UTC."},
        "purpose": word("What it is for.", PURPOSES),
        "sha256": {"description": "Of the content, in hexadecimal digits."},
        "expires_at": {"description": "ISO 8601; null where it stays until it is deleted."},
    },
    "PlatformFileLink": {"download_url": {"description": "Needs no key, and holds for an hour."}},
    "PlatformUploadLink": {"upload_url": {"description": "Takes the content with PUT, without a key, for an hour."}},
}
