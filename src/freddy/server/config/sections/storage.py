"""Settings of what is kept: the database, uploaded files, secrets."""

from pathlib import Path
from typing import Annotated

from msgspec import Struct

from freddy.server.config.declarations import Setting


class Store(Struct, frozen=True, kw_only=True):
    """Where state is kept."""

    database: Annotated[
        Path | str,
        Setting(
            "FREDDY_DATABASE",
            "An SQLite file, or the address of a PostgreSQL database (see [databases](databases.md)).",
            shown="`freddy.db` in the home folder",
            form="database",
        ),
    ]
    """A text is an address."""


class Files(Struct, frozen=True, kw_only=True):
    """Where uploaded files are kept, and how large they may be. With a bucket they are kept in S3, else in a folder."""

    folder: Annotated[
        Path | None,
        Setting("FREDDY_FILES_FOLDER", "The folder of uploaded files.", shown="`files` in the home folder"),
    ] = None
    max_bytes: Annotated[
        int,
        Setting("FREDDY_FILES_MAX_BYTES", "Largest file; a larger one gets 413.", low=1024, high=5 * 2**30),
    ] = 100 * 1024 * 1024
    max_turn_bytes: Annotated[
        int,
        Setting(
            "FREDDY_FILES_MAX_TURN_BYTES",
            "The most that uploaded files may add to what a model is asked at once; more gets 413.",
            low=1024,
            high=2**31,
        ),
    ] = 32 * 1024 * 1024
    max_text_characters: Annotated[
        int,
        Setting(
            "FREDDY_FILES_MAX_TEXT_CHARACTERS",
            "Longest text that a model is told of one document; what is longer is cut, and says so.",
            low=1000,
            high=50_000_000,
        ),
    ] = 1_000_000
    cache_bytes: Annotated[
        int,
        Setting(
            "FREDDY_FILES_CACHE_BYTES",
            "Memory for files as models take them, so that the turns of a conversation read them once.",
            low=0,
            high=2**34,
        ),
    ] = 64 * 1024 * 1024
    extract_seconds: Annotated[
        float,
        Setting("FREDDY_FILES_EXTRACT_SECONDS", "Longest time to read the text of a document.", low=1, high=3600),
    ] = 60.0
    extract_memory_mib: Annotated[
        int,
        Setting(
            "FREDDY_FILES_EXTRACT_MEMORY_MIB",
            "Most memory that reading a document may take, in MiB. It is read in a process of its own.",
            low=128,
            high=65536,
        ),
    ] = 1024
    s3_bucket: Annotated[
        str | None, Setting("FREDDY_FILES_S3_BUCKET", "Keep files in this bucket of S3 instead of the folder.")
    ] = None
    s3_endpoint: Annotated[
        str | None,
        Setting("FREDDY_FILES_S3_ENDPOINT", "Address of a server that speaks S3, where it is not AWS.", form="url"),
    ] = None
    s3_region: Annotated[str, Setting("FREDDY_FILES_S3_REGION", "Region of the bucket.")] = "us-east-1"
    s3_prefix: Annotated[
        str | None, Setting("FREDDY_FILES_S3_PREFIX", "Beginning of the names of all objects, such as `freddy/`.")
    ] = None
    s3_access_key: Annotated[
        str | None,
        Setting(
            "FREDDY_FILES_S3_ACCESS_KEY",
            "Access key. Without it the keys are found as AWS' own tools find them: in the `AWS_` variables, or by "
            "the machine's role.",
        ),
    ] = None
    s3_secret_key: Annotated[
        str | None, Setting("FREDDY_FILES_S3_SECRET_KEY", "Secret of the access key.", secret=True)
    ] = None

    def __repr__(self) -> str:
        return f"Files(folder={self.folder!r}, s3_bucket={self.s3_bucket!r})"


class Secrets(Struct, frozen=True, kw_only=True):
    """How secrets are kept that the server must be able to read again."""

    key: Annotated[
        str | None,
        Setting(
            "FREDDY_SECRET_KEY",
            "Seals the keys that organizations bring for upstreams, and signs the tokens of users. Several, with "
            "commas between them: the first seals and signs, all open and verify. Without it one is made when it is "
            "first needed and kept in the home folder.",
            secret=True,
            form="keys",
        ),
    ] = None

    def __repr__(self) -> str:
        return "Secrets()"
