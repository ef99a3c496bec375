"""What every path does, asks and answers."""

from typing import Literal, TypeAlias

from msgspec import Struct

from freddy.server.http.openapi import examples
from freddy.server.http.openapi.schemas import Schema

Tag: TypeAlias = Literal["Freddy dialect", "OpenAI dialect", "Threads", "Models", "The server"]

TAGS: dict[Tag, str] = {
    "Freddy dialect": "Responses in the spelling of the Freddy API. Keys are accepted in snake_case and camelCase.",
    "OpenAI dialect": "The same responses in the shapes that the official `openai` clients expect.",
    "Threads": "Kept conversations: the `thread` of one dialect is the `conversation` of the other.",
    "Models": "Who can answer.",
    "The server": "How it is, and pages such as this one. No key is needed.",
}
_WRITE, _ONE = (400, 413, 422), (404,)
_MODEL = (404, 409, 429, 502, 504)


class Operation(Struct, frozen=True, kw_only=True):
    """`answer` and `body` name components; `statuses` are errors beside those that every path may answer."""

    method: Literal["get", "post", "patch", "delete"]
    path: str
    name: str
    tag: Tag
    title: str
    says: str = ""
    query: tuple[str, ...] = ()
    body: str | None = None
    requests: dict[str, Schema] = {}
    answer: str | None = None
    status: int = 200
    kind: str = "application/json"
    statuses: tuple[int, ...] = ()
    streams: Literal["", "FREDDY", "OPENAI"] = ""

    @property
    def public(self) -> bool:
        return self.tag == "The server"

    @property
    def dialect(self) -> Literal["Freddy", "OpenAI"]:
        return "OpenAI" if self.path.startswith("/v1/responses") else "Freddy"


_PAGE = ("limit", "order", "after", "before")
_FOLLOW = ("stream", "starting_after")
_STREAMED = "With `stream` the answer is a stream of server-sent events. "
_FREDDY, _OPENAI = "/v1/model/response", "/v1/responses"

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
        says="What was written so far is kept. A response that has ended stays as it is.",
        answer="FreddyResponse",
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
        title="WebSocket (not offered)",
        says="Clients that ask for a WebSocket get 426 and go back to POST; any other GET gets 405.",
        status=426,
        answer="OpenAIError",
        statuses=(405,),
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
        query=_PAGE,
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
        requests={"titled": {"title": "Foxes"}},
        answer="Thread",
        status=201,
        statuses=(*_WRITE, 409),
    ),
    Operation(
        method="get",
        path="/v1/threads",
        name="listThreads",
        tag="Threads",
        title="List threads",
        query=(*_PAGE, "organization_id"),
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
        says="Its title and its metadata.",
        body="ThreadUpdate",
        requests={"titled": {"title": "Foxes and badgers"}},
        answer="Thread",
        statuses=(*_WRITE, 404),
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
        statuses=(*_WRITE, 404),
    ),
    Operation(
        method="delete",
        path="/v1/threads/{thread_id}",
        name="deleteThread",
        tag="Threads",
        title="Delete a thread",
        says="Its responses go with it.",
        answer="ThreadDeleted",
        statuses=_ONE,
    ),
    Operation(
        method="get",
        path="/v1/threads/{thread_id}/messages",
        name="listMessages",
        tag="Threads",
        title="List a thread's messages",
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
        says="In OpenAI's shape (`data`) and the platform's own (`models`), aliases included.",
        answer="ModelList",
    ),
    Operation(
        method="get",
        path="/v1/models/{model}",
        name="getModel",
        tag="Models",
        title="Get a model",
        says="The name may have slashes.",
        answer="Model",
        statuses=_ONE,
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
