"""What every path does, asks and answers."""

from typing import Literal, TypeAlias

from msgspec import Struct

from freddy.server.http.openapi import examples
from freddy.server.http.openapi.schemas import Schema

Tag: TypeAlias = Literal[
    "Freddy dialect",
    "OpenAI dialect",
    "Threads",
    "Conversations",
    "Assistants",
    "Rules",
    "Prompts",
    "MCP configurations",
    "Functions",
    "Webhooks",
    "Models",
    "Files",
    "Vector stores",
    "Sign-in",
    "Organizations",
    "API keys",
    "Provider keys",
    "Usage",
    "The server",
]

TAGS: dict[Tag, str] = {
    "Freddy dialect": "Responses in the spelling of the Freddy API. Keys are accepted in snake_case and camelCase.",
    "OpenAI dialect": "The same responses in the shapes that the official `openai` clients expect.",
    "Threads": "Kept conversations: the `thread` of one dialect is the `conversation` of the other.",
    "Conversations": "Threads in the shapes that the official `openai` clients expect.",
    "Assistants": "Named settings for requests, in versions.",
    "Rules": "Reusable instructions, attached to what they are for.",
    "Prompts": "Templates with variables, in versions.",
    "MCP configurations": "Servers of tools that requests name by `configuration_id`, with their credentials.",
    "Functions": "What this server calls for models, at addresses that the organization registered.",
    "Webhooks": "Addresses that are told when responses in the background have ended. The paths "
    "`/v1/webhook_endpoints` are for the official `openai` clients.",
    "Models": "Who can answer.",
    "Files": "What requests name by `file_id`. The first paths have OpenAI's shapes, the others the platform's.",
    "Vector stores": "Files that are found by what they say. The first paths have OpenAI's shapes, the others the "
    "platform's.",
    "Sign-in": "Tokens of users.",
    "Organizations": "Who shares threads, keys, limits and bills; and who changed what.",
    "API keys": "Credentials of programs.",
    "Provider keys": "An organization's own keys for upstreams, used instead of the operator's.",
    "Usage": "Who used what, and how much they may.",
    "The server": "How it is, and pages such as this one. No key is needed.",
}
_WRITE, _ONE = (400, 413, 422), (404,)
_MODEL = (404, 409, 429, 502, 504)
_OPENAI_PATHS = (
    "/v1/responses",
    "/v1/files",
    "/v1/conversations",
    "/v1/vector_stores",
    "/v1/webhook_endpoints",
    "/v1/webhook_event_types",
)


class Operation(Struct, frozen=True, kw_only=True):
    """`answer` and `body` name components; `statuses` are errors beside those that every path may answer."""

    method: Literal["get", "post", "put", "patch", "delete"]
    path: str
    name: str
    tag: Tag
    title: str
    says: str = ""
    query: tuple[str, ...] = ()
    body: str | None = None
    sent: str = "application/json"
    """The media type of the body."""
    requests: dict[str, Schema] = {}
    answer: str | None = None
    status: int = 200
    kind: str = "application/json"
    statuses: tuple[int, ...] = ()
    streams: Literal["", "FREDDY", "OPENAI"] = ""
    open: bool = False
    """Whether it needs no credential, as nothing of the server itself does."""

    @property
    def public(self) -> bool:
        return self.open or self.tag == "The server"

    @property
    def dialect(self) -> Literal["Freddy", "OpenAI"]:
        return "OpenAI" if self.path.startswith(_OPENAI_PATHS) else "Freddy"


class Area(Struct, frozen=True, kw_only=True):
    """What a module of paths adds to the document: schemas and query parameters by name."""

    operations: tuple[Operation, ...]
    components: dict[str, Schema] = {}
    parameters: dict[str, Schema] = {}


_PAGE = ("limit", "order", "after", "before")
_FOLLOW = ("stream", "starting_after", "include")
_STREAMED = "With `stream` the answer is a stream of server-sent events. "
_FREDDY, _OPENAI = "/v1/model/response", "/v1/responses"
_UPLOADED = "/v1/organizations/{organization}/files"
_BROUGHT = "/v1/organizations/{organization}/provider-keys"

OPERATIONS = (
    Operation(
        method="post",
        path=_FREDDY,
        name="createModelResponse",
        tag="Freddy dialect",
        title="Create a model response",
        says=_STREAMED + "A response that fails answers with the error's status; kept, it can be got as `failed`.",
        body="FreddyRequest",
        requests=examples.FREDDY_REQUESTS,
        answer="FreddyResponse",
        statuses=_WRITE + _MODEL,
        streams="FREDDY",
    ),
    Operation(
        method="post",
        path=_FREDDY + "/stream",
        name="streamModelResponse",
        tag="Freddy dialect",
        title="Create a model response, streamed",
        says="The same as with `stream: true`.",
        body="FreddyRequest",
        requests={"text": examples.FREDDY_REQUESTS["text"]},
        statuses=_WRITE + _MODEL,
        streams="FREDDY",
    ),
    Operation(
        method="get",
        path=_FREDDY + "/{response_id}",
        name="getModelResponse",
        tag="Freddy dialect",
        title="Get a response",
        says="Of either dialect. With `stream=true` its events are told, over again or as they come.",
        query=_FOLLOW,
        answer="FreddyResponse",
        statuses=(404, 422),
        streams="FREDDY",
    ),
    Operation(
        method="delete",
        path=_FREDDY + "/{response_id}",
        name="deleteModelResponse",
        tag="Freddy dialect",
        title="Delete a response",
        says="It is stopped when it still runs. Its items leave its thread too.",
        answer="OpenAIDeleted",
        statuses=_ONE,
    ),
    Operation(
        method="post",
        path=_FREDDY + "/{response_id}/cancel",
        name="cancelModelResponse",
        tag="Freddy dialect",
        title="Cancel a response",
        says="What was written so far is kept. A response that has ended stays as it is. The id of a thread stops "
        "the response that is being made for it, and answers with what became of the thread.",
        answer="CancelledResponse",
        statuses=_ONE,
    ),
    Operation(
        method="post",
        path=_OPENAI,
        name="createResponse",
        tag="OpenAI dialect",
        title="Create a response",
        says=_STREAMED + "Members that are not listed are ignored.",
        body="OpenAIRequest",
        requests=examples.OPENAI_REQUESTS,
        answer="OpenAIResponse",
        statuses=_WRITE + _MODEL,
        streams="OPENAI",
    ),
    Operation(
        method="get",
        path=_OPENAI,
        name="connectResponses",
        tag="OpenAI dialect",
        title="Open a WebSocket",
        says="With the headers `Connection: Upgrade` and `Upgrade: websocket`, as OpenAI has it. Text frames such as "
        '`{"type": "response.create", "stream_id": "main", "model": …, "input": …}`, with the parameters of the POST, '
        "are answered with the events of its stream, one in a frame, each with the `stream_id` of its request. "
        "Requests of a lane follow each other, those of different lanes are answered at once. `response.cancel` stops "
        "a response and `response.steer` adds to one; with `generate: false` nothing is asked of a model. A "
        "`previous_response_id` may be that of a response with `store: false` of the same connection. What cannot be "
        "answered is an event `error` with its `status`. A request that lost its header `Connection` gets 426.",
        status=101,
        statuses=(400, 403, 405),
    ),
    Operation(
        method="post",
        path=_OPENAI + "/input_tokens",
        name="countInputTokens",
        tag="OpenAI dialect",
        title="Count input tokens",
        says="How many tokens the request would take. `model` may be left out.",
        body="OpenAIRequest",
        requests={"text": examples.OPENAI_REQUESTS["text"]},
        answer="OpenAIInputTokens",
        statuses=(*_WRITE, 404, 502, 504),
    ),
    Operation(
        method="post",
        path=_OPENAI + "/compact",
        name="compactResponse",
        tag="OpenAI dialect",
        title="Compact a conversation",
        says="The model writes a summary of the conversation. The answer stands for it: hand it back as input, or go "
        "on from its id.",
        body="OpenAIRequest",
        requests={"text": examples.OPENAI_REQUESTS["text"]},
        answer="OpenAICompacted",
        statuses=_WRITE + _MODEL,
    ),
    Operation(
        method="get",
        path=_OPENAI + "/{response_id}",
        name="retrieveResponse",
        tag="OpenAI dialect",
        title="Retrieve a response",
        says="Of either dialect. With `stream=true` its events are told, over again or as they come.",
        query=_FOLLOW,
        answer="OpenAIResponse",
        statuses=(400, 404),
        streams="OPENAI",
    ),
    Operation(
        method="delete",
        path=_OPENAI + "/{response_id}",
        name="deleteResponse",
        tag="OpenAI dialect",
        title="Delete a response",
        says="It is stopped when it still runs. Its items leave its conversation too.",
        answer="OpenAIDeleted",
        statuses=_ONE,
    ),
    Operation(
        method="post",
        path=_OPENAI + "/{response_id}/cancel",
        name="cancelResponse",
        tag="OpenAI dialect",
        title="Cancel a response",
        says="Only one that was created with `background: true`.",
        answer="OpenAIResponse",
        statuses=(400, 404),
    ),
    Operation(
        method="get",
        path=_OPENAI + "/{response_id}/input_items",
        name="listInputItems",
        tag="OpenAI dialect",
        title="List input items",
        says="What the response was made from.",
        query=(*_PAGE, "include"),
        answer="OpenAIItemList",
        statuses=(400, 404),
    ),
    Operation(
        method="post",
        path="/v1/threads",
        name="createThread",
        tag="Threads",
        title="Create a thread",
        says="Seldom needed: a response makes the thread that it names.",
        body="ThreadCreate",
        requests={
            "titled": {"title": "Foxes"},
            "with messages": {"messages": [{"role": "user", "content": "My fox is called Reineke."}]},
        },
        answer="Thread",
        status=201,
        statuses=(*_WRITE, 404, 409),
    ),
    Operation(
        method="get",
        path="/v1/threads",
        name="listThreads",
        tag="Threads",
        title="List threads",
        says="Those that are pinned come first, the last pinned before the others; then by time. Each is listed once.",
        query=(
            *_PAGE,
            "organization_id",
            "assistant",
            "user",
            "visible_in_ui",
            "is_pinned",
            "metadata",
            "include_total",
        ),
        answer="ThreadList",
        statuses=(422,),
    ),
    Operation(
        method="get",
        path="/v1/threads/{thread_id}",
        name="getThread",
        tag="Threads",
        title="Get a thread",
        answer="Thread",
        statuses=_ONE,
    ),
    Operation(
        method="patch",
        path="/v1/threads/{thread_id}",
        name="updateThread",
        tag="Threads",
        title="Change a thread",
        says="What is sent, and nothing else. Its assistant can be changed until it has a message.",
        body="ThreadUpdate",
        requests={"titled": {"title": "Foxes and badgers"}},
        answer="Thread",
        statuses=(*_WRITE, 404, 409),
    ),
    Operation(
        method="post",
        path="/v1/threads/{thread_id}",
        name="updateThreadByPost",
        tag="Threads",
        title="Change a thread",
        says="The same as PATCH, for older clients.",
        body="ThreadUpdate",
        requests={"titled": {"title": "Foxes and badgers"}},
        answer="Thread",
        statuses=(*_WRITE, 404, 409),
    ),
    Operation(
        method="delete",
        path="/v1/threads/{thread_id}",
        name="deleteThread",
        tag="Threads",
        title="Delete a thread",
        says="Its messages and responses go with it. What is being answered ends without it.",
        answer="ThreadDeleted",
        statuses=_ONE,
    ),
    Operation(
        method="get",
        path="/v1/threads/{thread_id}/messages",
        name="listMessages",
        tag="Threads",
        title="List a thread's messages",
        says="With calls of functions and their outputs, but without what was edited away.",
        query=_PAGE,
        answer="ThreadMessageList",
        statuses=(404, 422),
    ),
    Operation(
        method="post",
        path="/v1/threads/{thread_id}/pin",
        name="pinThread",
        tag="Threads",
        title="Pin a thread",
        answer="ThreadPin",
        statuses=_ONE,
    ),
    Operation(
        method="post",
        path="/v1/threads/{thread_id}/unpin",
        name="unpinThread",
        tag="Threads",
        title="Unpin a thread",
        answer="ThreadPin",
        statuses=_ONE,
    ),
    Operation(
        method="get",
        path="/v1/models",
        name="listModels",
        tag="Models",
        title="List models",
        says="In OpenAI's shape (`data`) and the platform's own (`models`), aliases included. "
        "The query concerns `models`. An upstream that cannot be asked now is left out.",
        query=("ui_models_only", "include_pricing", "include_details", "include_capabilities", "include_deprecated"),
        answer="ModelList",
    ),
    Operation(
        method="get",
        path="/v1/models/{model}",
        name="getModel",
        tag="Models",
        title="Get a model",
        says="The name may have slashes, and `mdl_` before it.",
        answer="Model",
        statuses=_ONE,
    ),
    Operation(
        method="get",
        path=_FREDDY + "/output-modes",
        name="listOutputModes",
        tag="Models",
        title="List the forms of an answer",
        says="What `output_mode` may be.",
        answer="ModelOutputModes",
    ),
    Operation(
        method="get",
        path=_FREDDY + "/reasoning-levels",
        name="listReasoningLevels",
        tag="Models",
        title="List the levels of thinking",
        says="What `reasoning.effort` may be.",
        answer="ModelReasoningLevels",
    ),
    Operation(
        method="get",
        path=_BROUGHT,
        name="listProviderKeys",
        tag="Provider keys",
        title="List an organization's own keys",
        says="All of them, by upstream.",
        answer="ProviderKeyList",
    ),
    Operation(
        method="get",
        path=_BROUGHT + "/{upstream}",
        name="getProviderKey",
        tag="Provider keys",
        title="Look at an organization's own key",
        says="The key itself is never shown.",
        answer="ProviderKey",
        statuses=_ONE,
    ),
    Operation(
        method="put",
        path=_BROUGHT + "/{upstream}",
        name="putProviderKey",
        tag="Provider keys",
        title="Bring a key, or another one",
        says="The organization's requests to the upstream use it from the next one on.",
        body="ProviderKeyPut",
        requests={"key": {"key": "your-key-of-the-vendor"}},
        answer="ProviderKey",
        statuses=(*_WRITE, 404),
    ),
    Operation(
        method="delete",
        path=_BROUGHT + "/{upstream}",
        name="deleteProviderKey",
        tag="Provider keys",
        title="Take a key away",
        says="From the next request on the operator's key is used.",
        answer="ProviderKeyDeleted",
        statuses=_ONE,
    ),
    Operation(
        method="post",
        path="/v1/files",
        name="createFile",
        tag="Files",
        title="Upload a file",
        says="It is kept as it comes; nothing is kept of an upload that breaks off.",
        body="OpenAIFileUpload",
        sent="multipart/form-data",
        answer="OpenAIFile",
        statuses=(400, 413, 415),
    ),
    Operation(
        method="get",
        path="/v1/files",
        name="listFiles",
        tag="Files",
        title="List files",
        query=("files_limit", "order", "after", "purpose", "organization_id"),
        answer="OpenAIFileList",
        statuses=(400,),
    ),
    Operation(
        method="get",
        path="/v1/files/{file_id}",
        name="retrieveFile",
        tag="Files",
        title="Retrieve a file",
        says="What is known of it, not its content.",
        answer="OpenAIFile",
        statuses=_ONE,
    ),
    Operation(
        method="get",
        path="/v1/files/{file_id}/content",
        name="downloadFile",
        tag="Files",
        title="Retrieve a file's content",
        says="With its own content type. A `Range` of bytes is answered with 206.",
        answer="FileContent",
        kind="application/octet-stream",
        statuses=_ONE,
    ),
    Operation(
        method="delete",
        path="/v1/files/{file_id}",
        name="deleteFile",
        tag="Files",
        title="Delete a file",
        answer="OpenAIFileDeleted",
        statuses=_ONE,
    ),
    Operation(
        method="post",
        path=_UPLOADED + "/upload",
        name="uploadFiles",
        tag="Files",
        title="Upload files",
        says="All of them are kept, or none.",
        body="PlatformFileUpload",
        sent="multipart/form-data",
        answer="PlatformFileBatch",
        statuses=(400, 413, 415, 422),
    ),
    Operation(
        method="get",
        path=_UPLOADED,
        name="listPlatformFiles",
        tag="Files",
        title="List an organization's files",
        says="The newest first.",
        query=("page", "limit"),
        answer="PlatformFilePage",
        statuses=(422,),
    ),
    Operation(
        method="get",
        path=_UPLOADED + "/{file_id}",
        name="getPlatformFile",
        tag="Files",
        title="Get a file",
        answer="PlatformFile",
        statuses=_ONE,
    ),
    Operation(
        method="delete",
        path=_UPLOADED + "/{file_id}",
        name="deletePlatformFile",
        tag="Files",
        title="Delete a file",
        answer="PlatformFileRemoved",
        statuses=_ONE,
    ),
    Operation(
        method="get",
        path=_UPLOADED + "/{file_id}/content",
        name="linkFile",
        tag="Files",
        title="Get a link to a file's content",
        says="It needs no key, and holds for an hour.",
        answer="PlatformFileLink",
        statuses=_ONE,
    ),
    Operation(
        method="get",
        path=_UPLOADED + "/{file_id}/download",
        name="downloadPlatformFile",
        tag="Files",
        title="Download a file's content",
        says="With a key, or with the `token` and `expires` of a link. A `Range` of bytes is answered with 206.",
        query=("token", "expires"),
        answer="FileContent",
        kind="application/octet-stream",
        statuses=(404, 422),
    ),
    Operation(
        method="post",
        path=_UPLOADED + "/upload-url",
        name="linkUploads",
        tag="Files",
        title="Get links to upload files to",
        says="Each takes one file with PUT, without a key.",
        body="PlatformUploadLinksRequest",
        requests={"one": {"files": [{"filename": "report.pdf", "mime_type": "application/pdf"}]}},
        answer="PlatformUploadLinks",
        statuses=_WRITE,
    ),
    Operation(
        method="put",
        path=_UPLOADED + "/uploads/{ticket}",
        name="putFile",
        tag="Files",
        title="Send a file to its link",
        says="The body is the file as it is. The address is the credential; a key is not looked at.",
        body="FileContent",
        sent="application/octet-stream",
        answer="PlatformFile",
        statuses=(400, 409, 413, 415),
    ),
    Operation(
        method="post",
        path=_UPLOADED,
        name="registerFiles",
        tag="Files",
        title="Ask which files have come",
        says="For clients that upload by link. `success` is false where one of them has not.",
        body="PlatformFileRegister",
        requests={"one": {"files": [{"file_id": "file_019a6f3c2b7d4e1f8a2b3c4d5e6f"}]}},
        answer="PlatformFileBatch",
        statuses=_WRITE,
    ),
    Operation(
        method="get",
        path="/health/live",
        name="live",
        tag="The server",
        title="Whether the process lives",
        answer="Live",
    ),
    Operation(
        method="get",
        path="/health/ready",
        name="ready",
        tag="The server",
        title="Whether it can do its work",
        says="503 with the same body when something that is needed is not well.",
        answer="Ready",
    ),
    Operation(
        method="get",
        path="/metrics",
        name="metrics",
        tag="The server",
        title="Metrics for Prometheus",
        kind="text/plain",
    ),
    Operation(
        method="get",
        path="/",
        name="index",
        tag="The server",
        title="Where to go",
        says="JSON; a page for those who accept HTML.",
        answer="Index",
    ),
    Operation(
        method="get",
        path="/docs",
        name="docs",
        tag="The server",
        title="The reference as a page",
        kind="text/html",
    ),
    Operation(
        method="get",
        path="/openapi.json",
        name="openapi",
        tag="The server",
        title="The OpenAPI document",
        answer="OpenAPI",
    ),
)
"""In the order of the reference."""
