"""What the paths of a thread's messages and its name, and the list of responses, do, take and answer."""

from freddy.server.dialects.freddy import response_list, threads
from freddy.server.http.openapi.paths import Area, Operation
from freddy.server.http.openapi.schemas import Schema, Types, either, many, ref, text, thing, word

_ONE = "/v1/threads/{thread_id}"
_MESSAGE = _ONE + "/messages/{message_id}"
_WRITE = (400, 404, 413, 422)


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    written = Types(found, "Thread", words=_WORDS)
    for kind in (threads.AllDeleted, threads.Named, threads.MessageDeleted, threads.Stopped):
        written.add(kind)
    Types(found, "Freddy", words=_WORDS).add(response_list.ResponseList)
    return found | {
        "CancelledResponse": either(
            "The response for an id of a response, what became of the thread for an id of a thread.",
            ref("FreddyResponse"),
            ref("ThreadStopped"),
        ),
        "ThreadMessageUpdate": thing(
            "What is to be different.",
            {"content": text("The new text. Images, sounds and files of the message stay.", minLength=1)},
            required=("content",),
        ),
        "ThreadNaming": thing(
            "What the thread is named after. Without it, what the user said first in the thread.",
            {
                "messages": many(
                    "The first text of the role `user` counts.",
                    thing("", {"role": text("Who speaks."), "content": text("What is said.")}, required=("role",)),
                )
            },
        ),
    }


_WORDS: dict[str, dict[str, Schema]] = {
    "ThreadAllDeleted": {"deleted": {"description": "How many there were."}},
    "ThreadNamed": {"title": {"description": "The name, which is the thread's title now. So is `name`."}},
    "ThreadStopped": {
        "response_id": {"description": "The response that was stopped."},
        "cancel_mode": word(
            "`quick_edit` within five seconds of the start: the thread is as if nothing had been asked. "
            "`keep_partial` later: what was said until then stays in the thread.",
            ("quick_edit", "keep_partial"),
        ),
        "elapsed_seconds": {"description": "Since the start."},
    },
    "FreddyResponseList": {
        "data": {"type": "array", "items": ref("FreddyResponse"), "description": "As they are now."},
        "first_id": {"description": "The `before` of the page before this one."},
        "last_id": {"description": "The `after` of the page that follows."},
        "has_more": {"description": "Whether a page follows."},
    },
}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": schema.pop("description")}


AREA = Area(
    operations=(
        Operation(
            method="get",
            path="/v1/model/response",
            name="listModelResponses",
            tag="Freddy dialect",
            title="List responses",
            says="The newest first, those that failed or were cancelled included. Only what is stored is listed.",
            query=(
                "limit",
                "order",
                "after",
                "before",
                "organization_id",
                "thread",
                "status",
                "answered_by",
                "metadata",
            ),
            answer="FreddyResponseList",
            statuses=(422,),
        ),
        Operation(
            method="delete",
            path="/v1/threads",
            name="deleteAllThreads",
            tag="Threads",
            title="Delete all threads",
            says="Those of the organization that the caller may see, with their responses.",
            query=("organization_id",),
            answer="ThreadAllDeleted",
        ),
        Operation(
            method="post",
            path=_ONE + "/generateName",
            name="nameThread",
            tag="Threads",
            title="Name a thread",
            says="After the first sentence of what the user said first, in up to 60 characters. It becomes the title.",
            body="ThreadNaming",
            requests={"first message": {"messages": [{"role": "user", "content": "How do foxes hunt in winter?"}]}},
            answer="ThreadNamed",
            statuses=_WRITE,
        ),
        Operation(
            method="patch",
            path=_MESSAGE,
            name="updateMessage",
            tag="Threads",
            title="Change a message",
            says="Of the user or the assistant. The model reads it so from the next request on, and its response has "
            "it so, too.",
            body="ThreadMessageUpdate",
            requests={"text": {"content": "My fox is called Reineke."}},
            answer="ThreadMessage",
            statuses=_WRITE,
        ),
        Operation(
            method="delete",
            path=_MESSAGE,
            name="deleteMessage",
            tag="Threads",
            title="Delete a message",
            says="It is gone from its response, too. A call and its output go together; what answers a deleted "
            "message stays.",
            answer="ThreadMessageDeleted",
            statuses=(404,),
        ),
    ),
    components=_components(),
    parameters={
        "message_id": {
            "name": "message_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": "The `id` of a message of the thread.",
        },
        "assistant": _query("assistant_id", text("Only threads bound to this assistant.")),
        "user": _query("user_id", text("Only threads of this user.")),
        "visible_in_ui": _query("visible_in_ui", word("Only those that people are shown, or not.", ("true", "false"))),
        "is_pinned": _query("is_pinned", word("Only pinned ones, or only others.", ("true", "false"))),
        "include_total": _query(
            "include_total", word("Also `total`. It takes time: all are counted.", ("true", "false"), default="false")
        ),
        "metadata": {
            "name": "metadata",
            "in": "query",
            "style": "deepObject",
            "explode": True,
            "schema": {"type": "object", "additionalProperties": {"type": "string"}},
            "description": "Only what has all these pairs: `metadata[key]=value`, or one JSON object.",
        },
        "thread": _query("thread", text("Only responses of this thread.")),
        "status": _query("status", word("Only responses of this status.", response_list.STATUSES)),
        "answered_by": _query("model", text("Only responses of this model.")),
    },
)
