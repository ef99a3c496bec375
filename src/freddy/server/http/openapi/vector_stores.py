"""What the paths of vector stores do, take and answer, in both shapes."""

from typing import Literal

from freddy.server.core import filtering, stocking
from freddy.server.core.files import MOST as MOST_SENT
from freddy.server.dialects import hosted
from freddy.server.dialects.freddy import vector_store_views as platform_views
from freddy.server.dialects.freddy import vector_stores as platform
from freddy.server.dialects.openai import vector_store_views as openai_views
from freddy.server.dialects.openai import vector_stores as openai
from freddy.server.http.openapi.paths import Area, Operation
from freddy.server.http.openapi.schemas import (
    METADATA,
    Schema,
    Types,
    either,
    flag,
    many,
    number,
    ref,
    text,
    thing,
    whole,
    word,
)
from freddy.server.resources.base import LONGEST_NAME

_PATH = "/v1/vector_stores"
_ONE = _PATH + "/{vector_store_id}"
_FILES = _ONE + "/files"
_FILE = _FILES + "/{file_id}"
_BATCHES = _ONE + "/file_batches"
_BATCH = _BATCHES + "/{batch_id}"
_OWNED = "/v1/organizations/{organization}/vector-stores"
_OWNED_ONE = _OWNED + "/{vector_store_id}"
_OWNED_FILES = _OWNED_ONE + "/files"
_OWNED_FILE = _OWNED_FILES + "/{file_id}"
_PAGE = ("limit", "order", "after", "before")
_ATTRIBUTES: Schema = {
    "type": "object",
    "description": "What searches may filter by: up to 16 texts, numbers and truth values.",
    "maxProperties": filtering.MOST_ATTRIBUTES,
    "additionalProperties": {"type": ["string", "number", "boolean"]},
    "propertyNames": {"maxLength": filtering.LONGEST_KEY},
}
_FILE_ID = text("The id of an uploaded file.")
_EXPIRES: Schema = thing(
    "The store goes so many days after it was last used.",
    {"anchor": {"const": "last_active_at"}, "days": whole("Days.", 1, stocking.LONGEST_LIFE)},
    required=("anchor", "days"),
)


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    names: dict[type, str] = {
        openai_views.StoreView: "OpenAIVectorStore",
        openai_views.StoreList: "OpenAIVectorStoreList",
        openai_views.StoreDeleted: "OpenAIVectorStoreDeleted",
        openai_views.FileCounts: "OpenAIVectorStoreFileCounts",
        openai_views.ExpiresAfter: "OpenAIVectorStoreExpiry",
        openai_views.StoreFileView: "OpenAIVectorStoreFile",
        openai_views.StoreFileList: "OpenAIVectorStoreFileList",
        openai_views.StoreFileDeleted: "OpenAIVectorStoreFileDeleted",
        openai_views.LastError: "OpenAIVectorStoreFileError",
        openai_views.StaticChunking: "OpenAIStaticChunking",
        openai_views.StaticSizes: "OpenAIChunkSizes",
        openai_views.FileBatch: "OpenAIVectorStoreFileBatch",
        openai_views.FileContent: "OpenAIVectorStoreFileContent",
        openai_views.TextContent: "OpenAIVectorStoreText",
        openai_views.SearchResult: "OpenAIVectorStoreSearchResult",
        openai_views.SearchResults: "OpenAIVectorStoreSearchResults",
    }
    types = Types(found, "OpenAI", words=_WORDS, names=names)
    for answer in names:
        types.add(answer)
    written = Types(found, "VectorStore", words=_WORDS)
    for answer in (
        platform_views.VectorStoreAnswer,
        platform_views.VectorStores,
        platform_views.VectorStoreRemoved,
        platform_views.VectorStoreUsageAnswer,
        platform_views.VectorStoreFileAnswer,
        platform_views.VectorStoreFilesAnswer,
        platform_views.VectorStoreFilesAddedAnswer,
        platform_views.VectorStoreUpload,
        platform_views.VectorStoreFileStatusAnswer,
        platform_views.VectorStoreFileLogAnswer,
    ):
        written.add(answer)
    return found | _SENT


_FILE_FIELDS: dict[str, Schema] = {
    "file_id": _FILE_ID,
    "attributes": _ATTRIBUTES,
    "chunking_strategy": ref("ChunkingStrategy"),
}
_STORE_FIELDS: dict[str, Schema] = {
    "name": text("What people call it.", maxLength=LONGEST_NAME),
    "description": text("What is in it.", maxLength=openai.LONGEST_DESCRIPTION),
    "metadata": METADATA,
    "expires_after": _EXPIRES,
}
_PLATFORM_FIELDS: dict[str, Schema] = {
    "name": text("What people call it.", minLength=1, maxLength=LONGEST_NAME),
    "description": text("What is in it.", maxLength=platform.LONGEST_DESCRIPTION),
    "access_mode": word(
        "Kept and handed back: a store is its whole organization's, and nobody else's.",
        platform.ACCESS_MODES,
        default="organization",
    ),
    "access_departments": many("Must be empty.", {"type": "string"}, maxItems=0),
    "access_users": many("Must be empty.", {"type": "string"}, maxItems=0),
    "flowplate_project_id": text("Kept, handed back, and listed by.", maxLength=LONGEST_NAME),
    "flow_id": text("Kept, handed back, and listed by.", maxLength=LONGEST_NAME),
    "metadata": METADATA,
    "expires_after": _EXPIRES,
}
_MODEL = text("Who makes its vectors: one of the server's embedding models. The usual one where it is left out.")
_SENT: dict[str, Schema] = {
    "ChunkingStrategy": either(
        "How a file is cut: `auto` is 800 tokens, 400 of them from the chunk before.",
        thing("", {"type": {"const": "auto"}}, required=("type",)),
        thing(
            "",
            {
                "type": {"const": "static"},
                "static": thing(
                    "",
                    {
                        "max_chunk_size_tokens": whole(
                            "Tokens of a chunk.", stocking.SMALLEST_CHUNK, stocking.LARGEST_CHUNK
                        ),
                        "chunk_overlap_tokens": whole("Of them those of the chunk before: at most half.", 0),
                    },
                    required=("max_chunk_size_tokens", "chunk_overlap_tokens"),
                ),
            },
            required=("type", "static"),
        ),
    ),
    "AttributeFilter": either(
        f"Which files are meant. Up to {filtering.MOST} filters, {filtering.DEEPEST} deep.",
        thing(
            "One attribute, compared.",
            {
                "type": word("How.", filtering.OPERATORS),
                "key": text("The attribute's name.", minLength=1, maxLength=filtering.LONGEST_KEY),
                "value": either(
                    "With what: an array for `in` and `nin`.",
                    {"type": ["string", "number", "boolean"]},
                    {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "maxItems": filtering.MOST},
                ),
            },
            required=("type", "key", "value"),
        ),
        thing(
            "All of the filters, or one of them.",
            {
                "type": word("Which.", ("and", "or")),
                "filters": many("Those.", ref("AttributeFilter"), minItems=1),
            },
            required=("type", "filters"),
        ),
    ),
    "OpenAIVectorStoreCreate": thing(
        "A new store.",
        _STORE_FIELDS
        | {
            "file_ids": many("Files it begins with.", {"type": "string"}, maxItems=openai.MOST_FILES),
            "chunking_strategy": ref("ChunkingStrategy"),
            "embedding_model": _MODEL,
            "organization_id": text("Whose it is; the key implies one."),
        },
    ),
    "OpenAIVectorStoreUpdate": thing("What is to be different.", _STORE_FIELDS),
    "OpenAIVectorStoreFileCreate": thing("A file for a store.", _FILE_FIELDS, required=("file_id",)),
    "OpenAIVectorStoreFileUpdate": thing(
        "Attributes in the place of those there were.", {"attributes": _ATTRIBUTES}, required=("attributes",)
    ),
    "OpenAIVectorStoreFileBatchCreate": thing(
        "Files for a store: `file_ids`, all alike, or `files`, each with its own.",
        {
            "file_ids": many("Their ids.", {"type": "string"}, maxItems=stocking.MOST_AT_ONCE),
            "files": many("Each.", thing("", _FILE_FIELDS, required=("file_id",)), maxItems=stocking.MOST_AT_ONCE),
            "attributes": _ATTRIBUTES,
            "chunking_strategy": ref("ChunkingStrategy"),
        },
    ),
    "OpenAIVectorStoreSearch": thing(
        "A question.",
        {
            "query": either(
                "A text, or several that are asked together.",
                {"type": "string", "minLength": 1, "maxLength": openai.LONGEST_QUERY},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": stocking.MOST_QUERIES},
            ),
            "filters": ref("AttributeFilter"),
            "max_num_results": whole("Chunks to find.", 1, stocking.MOST_RESULTS, default=openai.DEFAULT_RESULTS),
            "ranking_options": thing(
                "What is best.",
                {
                    "ranker": text(
                        f"What decides the order: {', '.join(hosted.RANKERS)}, or a name of OpenAI's such as "
                        "`default-2024-11-15`.",
                        default="auto",
                    ),
                    "score_threshold": number("The lowest score.", 0, 1, default=0),
                    "hybrid_search": thing(
                        "How much meaning and words count, in proportion.",
                        {
                            "embedding_weight": number("Meaning.", 0, 1_000_000, default=1),
                            "text_weight": number("Words.", 0, 1_000_000, default=1),
                        },
                    ),
                },
            ),
            "rewrite_query": flag("Search for what the question asks, without the words around it.", default=False),
        },
        required=("query",),
    ),
    "VectorStoreCreate": thing("A new store.", _PLATFORM_FIELDS | {"embedding_model": _MODEL}, required=("name",)),
    "VectorStoreUpdate": thing("What is to be different.", _PLATFORM_FIELDS),
    "VectorStoreFileAdd": thing(
        "A file for a store, or several that are alike.",
        _FILE_FIELDS | {"file_ids": many("Their ids.", {"type": "string"}, maxItems=stocking.MOST_AT_ONCE)},
    ),
    "VectorStoreFileAdded": either(
        "The file; all of them, where several were asked for.",
        ref("VectorStoreFileAnswer"),
        ref("VectorStoreFilesAddedAnswer"),
    ),
    "VectorStoreFileRetry": thing(
        "Nothing needs to be said.", {"reset_error": flag("An error goes in any case.", default=True)}
    ),
    "VectorStoreUploadRequest": thing(
        "Files in base64: they are uploaded and put into the store.",
        {
            "files": many(
                "Each.",
                thing(
                    "",
                    {
                        "filename": text("Its name."),
                        "content": text("What is in it, in base64."),
                        "mime_type": text("Its type; told by its name and its content where it is left out."),
                    },
                    required=("filename", "content"),
                ),
                minItems=1,
                maxItems=MOST_SENT,
            )
        },
        required=("files",),
    ),
}

_COUNTED: dict[str, Schema] = {
    "usage_bytes": {"description": "What its chunks take, text and vectors."},
    "created_at": {"description": "Unix seconds."},
}
_WORDS: dict[str, dict[str, Schema]] = {
    "OpenAIVectorStore": _COUNTED
    | {
        "id": {"description": "Begins with `vs_`."},
        "status": {"description": "`in_progress` while a file waits or is worked on."},
        "last_active_at": {"description": "Unix seconds: when it was last searched or changed."},
        "expires_at": {"description": "Unix seconds; null where it stays until it is deleted."},
        "metadata": METADATA,
    },
    "OpenAIVectorStoreFile": _COUNTED | {"id": {"description": "That of the file."}, "attributes": _ATTRIBUTES},
    "OpenAIVectorStoreFileBatch": {"id": {"description": "Begins with `vsfb_`."}},
    "OpenAIVectorStoreSearchResults": {
        "data": {"description": "The best first."},
        "warnings": {"description": "What was not done as asked, where there is such a thing."},
    },
    "OpenAIVectorStoreSearchResult": {
        "score": {"description": "0 to 1, the higher the better; comparable within one search."},
        "attributes": _ATTRIBUTES,
    },
    "VectorStore": {
        "id": {"description": "Begins with `vs_`."},
        "created_by": {"description": "A user, or an API key."},
        "is_active": {"description": "False from when it has expired until it is removed."},
        "data_size": {"description": "Bytes that its chunks take, text and vectors."},
        "embedding_model": {"description": "Who makes its vectors, for its whole life."},
        "metadata": METADATA,
    },
    "VectorStoreFile": {
        "id": {"description": "Of the file in this store; begins with `vsf_`."},
        "progress": {"description": "0 to 1."},
        "file_size": {"description": "Of the file itself, in bytes; null where it is gone."},
        "attributes": _ATTRIBUTES,
    },
    "VectorStoreFileStatus": {"progress": {"description": "0 to 1."}},
    "VectorStoreUse": {
        "usage_percentage": {"description": "Of all that the organization's stores take."},
        "color": {"description": "For a chart."},
    },
}


def _path(name: str, says: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": says}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": schema.pop("description")}


_PARAMETERS: dict[str, Schema] = {
    "vector_store_id": _path("vector_store_id", "Begins with `vs_`."),
    "batch_id": _path("batch_id", "Begins with `vsfb_`."),
    "stored_files": _query("filter", word("Only files of this status.", openai.STATUSES)),
    "stores_search": _query("search", text("What the name has in it.")),
    "stores_access_mode": _query("access_mode", word("Only stores of this mode.", platform.ACCESS_MODES)),
    "stores_project": _query("flowplate_project_id", text("Only stores with this one.")),
    "stores_flow": _query("flow_id", text("Only stores with this one.")),
    "stores_skip": _query("skip", whole("Entries to pass over.", 0, default=0)),
    "stores_take": _query("take", whole("Entries to tell.", 1, 100, default=20)),
    "stores_sort": _query("sort", word("By what.", platform.SORTS, default="created_at")),
    "stored_page_size": _query("page_size", whole("Entries of a page.", 1, 100, default=20)),
    "stored_status": _query(
        "status", text("Only files that are `pending`, `processing`, `completed` or `failed`; or several, with commas.")
    ),
}


def _operation(
    method: Literal["get", "post", "patch", "delete"],
    path: str,
    name: str,
    title: str,
    *,
    answer: str,
    body: str | None = None,
    query: tuple[str, ...] = (),
    statuses: tuple[int, ...] = (),
    says: str = "",
    requests: dict[str, Schema] | None = None,
    status: int = 200,
) -> Operation:
    return Operation(
        method=method,
        path=path,
        name=name,
        tag="Vector stores",
        title=title,
        says=says,
        body=body,
        query=query,
        requests=requests or {},
        answer=answer,
        status=status,
        statuses=statuses,
    )


_WRITE = (400, 404, 409, 413)
_WRITE_PLATFORM = (400, 404, 409, 413, 422)
_SEARCHES = (400, 404, 413, 429, 502, 504)
_REFUNDS: Schema = {"file_id": "file_019a6f3c2b7d4e1f8a2b3c4d5e6f", "attributes": {"topic": "refunds", "year": 2026}}

AREA = Area(
    operations=(
        _operation(
            "post",
            _PATH,
            "createVectorStore",
            "Create a vector store",
            body="OpenAIVectorStoreCreate",
            requests={"handbook": {"name": "Handbook", "file_ids": ["file_019a6f3c2b7d4e1f8a2b3c4d5e6f"]}},
            answer="OpenAIVectorStore",
            statuses=_WRITE,
        ),
        _operation(
            "get",
            _PATH,
            "listVectorStores",
            "List vector stores",
            query=(*_PAGE, "organization_id"),
            answer="OpenAIVectorStoreList",
            statuses=(400,),
        ),
        _operation(
            "get", _ONE, "retrieveVectorStore", "Retrieve a vector store", answer="OpenAIVectorStore", statuses=(404,)
        ),
        _operation(
            "post",
            _ONE,
            "modifyVectorStore",
            "Change a vector store",
            body="OpenAIVectorStoreUpdate",
            requests={"name": {"name": "Handbook 2026"}},
            answer="OpenAIVectorStore",
            statuses=_WRITE,
        ),
        _operation(
            "delete",
            _ONE,
            "deleteVectorStore",
            "Delete a vector store",
            says="The files stay: they only leave the store.",
            answer="OpenAIVectorStoreDeleted",
            statuses=(404,),
        ),
        _operation(
            "post",
            _ONE + "/search",
            "searchVectorStore",
            "Search a vector store",
            body="OpenAIVectorStoreSearch",
            requests={
                "filtered": {
                    "query": "How long does a refund take?",
                    "filters": {"type": "eq", "key": "topic", "value": "refunds"},
                    "max_num_results": 5,
                }
            },
            answer="OpenAIVectorStoreSearchResults",
            statuses=_SEARCHES,
        ),
        _operation(
            "post",
            _FILES,
            "createVectorStoreFile",
            "Put a file into a vector store",
            says="It is read, cut and embedded after the answer: ask for it until its `status` is `completed`. A file "
            "that is there already begins anew.",
            body="OpenAIVectorStoreFileCreate",
            requests={"refunds": _REFUNDS},
            answer="OpenAIVectorStoreFile",
            statuses=_WRITE,
        ),
        _operation(
            "get",
            _FILES,
            "listVectorStoreFiles",
            "List a vector store's files",
            query=(*_PAGE, "stored_files"),
            answer="OpenAIVectorStoreFileList",
            statuses=(400, 404),
        ),
        _operation(
            "get",
            _FILE,
            "retrieveVectorStoreFile",
            "Retrieve a file of a vector store",
            answer="OpenAIVectorStoreFile",
            statuses=(404,),
        ),
        _operation(
            "post",
            _FILE,
            "updateVectorStoreFile",
            "Change a file's attributes",
            body="OpenAIVectorStoreFileUpdate",
            requests={"year": {"attributes": {"topic": "refunds", "year": 2027}}},
            answer="OpenAIVectorStoreFile",
            statuses=(400, 404, 413),
        ),
        _operation(
            "delete",
            _FILE,
            "deleteVectorStoreFile",
            "Take a file out of a vector store",
            says="The file itself stays.",
            answer="OpenAIVectorStoreFileDeleted",
            statuses=(404,),
        ),
        _operation(
            "get",
            _FILE + "/content",
            "retrieveVectorStoreFileContent",
            "Read a file's chunks",
            answer="OpenAIVectorStoreFileContent",
            statuses=(404,),
        ),
        _operation(
            "post",
            _BATCHES,
            "createVectorStoreFileBatch",
            "Put files into a vector store",
            body="OpenAIVectorStoreFileBatchCreate",
            requests={"files": {"files": [_REFUNDS]}},
            answer="OpenAIVectorStoreFileBatch",
            statuses=_WRITE,
        ),
        _operation(
            "get",
            _BATCH,
            "getVectorStoreFileBatch",
            "Retrieve a batch",
            answer="OpenAIVectorStoreFileBatch",
            statuses=(404,),
        ),
        _operation(
            "post",
            _BATCH + "/cancel",
            "cancelVectorStoreFileBatch",
            "Cancel a batch",
            says="What is indexed by then stays.",
            answer="OpenAIVectorStoreFileBatch",
            statuses=(404,),
        ),
        _operation(
            "get",
            _BATCH + "/files",
            "listFilesInVectorStoreBatch",
            "List a batch's files",
            query=(*_PAGE, "stored_files"),
            answer="OpenAIVectorStoreFileList",
            statuses=(400, 404),
        ),
        _operation(
            "post",
            _OWNED,
            "createOrganizationVectorStore",
            "Create a vector store",
            body="VectorStoreCreate",
            requests={"handbook": {"name": "Handbook", "description": "What we promise to customers"}},
            answer="VectorStoreAnswer",
            status=201,
            statuses=_WRITE_PLATFORM,
        ),
        _operation(
            "get",
            _OWNED,
            "listOrganizationVectorStores",
            "List vector stores",
            query=(
                "stores_search",
                "stores_access_mode",
                "stores_project",
                "stores_flow",
                "stores_skip",
                "stores_take",
                "stores_sort",
                "order",
            ),
            answer="VectorStores",
            statuses=(422,),
        ),
        _operation(
            "get",
            _OWNED + "/usage",
            "getVectorStoreUsage",
            "How much each vector store takes",
            answer="VectorStoreUsageAnswer",
        ),
        _operation(
            "get",
            _OWNED_ONE,
            "getOrganizationVectorStore",
            "Retrieve a vector store",
            answer="VectorStoreAnswer",
            statuses=(404,),
        ),
        _operation(
            "patch",
            _OWNED_ONE,
            "updateOrganizationVectorStore",
            "Change a vector store",
            body="VectorStoreUpdate",
            requests={"name": {"name": "Handbook 2026"}},
            answer="VectorStoreAnswer",
            statuses=_WRITE_PLATFORM,
        ),
        _operation(
            "delete",
            _OWNED_ONE,
            "deleteOrganizationVectorStore",
            "Delete a vector store",
            says="The files stay: they only leave the store.",
            answer="VectorStoreRemoved",
            statuses=(404,),
        ),
        _operation(
            "post",
            _OWNED_FILES,
            "addVectorStoreFile",
            "Put a file into a vector store",
            says="It is read, cut and embedded after the answer. A file that is there already begins anew.",
            body="VectorStoreFileAdd",
            requests={"refunds": _REFUNDS},
            answer="VectorStoreFileAdded",
            status=201,
            statuses=_WRITE_PLATFORM,
        ),
        _operation(
            "get",
            _OWNED_FILES,
            "listOrganizationVectorStoreFiles",
            "List a vector store's files",
            query=("page", "stored_page_size", "stored_status"),
            answer="VectorStoreFilesAnswer",
            statuses=(404, 422),
        ),
        _operation(
            "post",
            _OWNED_FILES + "/upload-base64",
            "uploadVectorStoreFiles",
            "Upload files into a vector store",
            says="What cannot be kept is told in `errors`; the others are kept.",
            body="VectorStoreUploadRequest",
            requests={"notes": {"files": [{"filename": "notes.txt", "content": "SGVsbG8="}]}},
            answer="VectorStoreUpload",
            status=201,
            statuses=_WRITE_PLATFORM,
        ),
        _operation(
            "get",
            _OWNED_FILE,
            "getOrganizationVectorStoreFile",
            "Retrieve a file of a vector store",
            answer="VectorStoreFileAnswer",
            statuses=(404,),
        ),
        _operation(
            "delete",
            _OWNED_FILE,
            "removeVectorStoreFile",
            "Take a file out of a vector store",
            says="The file itself stays.",
            answer="VectorStoreRemoved",
            statuses=(404,),
        ),
        _operation(
            "get",
            _OWNED_FILE + "/status",
            "getVectorStoreFileStatus",
            "How far a file is",
            answer="VectorStoreFileStatusAnswer",
            statuses=(404,),
        ),
        _operation(
            "post",
            _OWNED_FILE + "/retry",
            "retryVectorStoreFile",
            "Try a file again",
            says="One that failed, or was cancelled.",
            body="VectorStoreFileRetry",
            requests={"again": {}},
            answer="VectorStoreFileStatusAnswer",
            statuses=(404, 409, 422),
        ),
        _operation(
            "get",
            _OWNED_FILE + "/logs",
            "getVectorStoreFileLogs",
            "What became of a file",
            answer="VectorStoreFileLogAnswer",
            statuses=(404,),
        ),
    ),
    components=_components(),
    parameters=_PARAMETERS,
)
