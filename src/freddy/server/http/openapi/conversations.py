"""What the paths of conversations do, take and answer."""

from freddy.server.dialects.openai import conversations as wire
from freddy.server.dialects.openai import items as written
from freddy.server.dialects.openai.request import INCLUDABLE
from freddy.server.http.openapi.paths import Area, Operation
from freddy.server.http.openapi.schemas import METADATA, Schema, Types, many, ref, thing

_PATH = "/v1/conversations"
_ONE = _PATH + "/{conversation_id}"
_ITEMS = _ONE + "/items"
_ITEM = _ITEMS + "/{item_id}"
_WRITE = (400, 413)
_HELLO = {"type": "message", "role": "user", "content": "Hello!"}


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    names: dict[type, str] = {
        wire.ConversationView: "Conversation",
        wire.ConversationDeleted: "ConversationDeleted",
        wire.ConversationItemList: "ConversationItemList",
    }
    types = Types(found, "OpenAI", words=_WORDS, names=names)
    for answer in names:
        types.add(answer)
    found["ConversationItem"] = {"description": "An item of a conversation.", **types.schema(written.Item)}
    items = many("Up to 20.", ref("OpenAIInputItem"), maxItems=wire.MOST_ITEMS)
    return found | {
        "ConversationCreate": thing("A new conversation.", {"items": items, "metadata": METADATA}),
        "ConversationUpdate": thing(
            "Metadata in the place of what there was.", {"metadata": METADATA}, required=("metadata",)
        ),
        "ConversationItemsCreate": thing(
            "Items that are added together, behind what is there.",
            {"items": {**items, "minItems": 1}},
            required=("items",),
        ),
    }


_WORDS: dict[str, dict[str, Schema]] = {
    "Conversation": {
        "id": {"description": "That of the thread."},
        "created_at": {"description": "Unix seconds."},
        "metadata": METADATA,
    },
}


def _path(name: str, says: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": says}


_PARAMETERS: dict[str, Schema] = {
    "conversation_id": _path("conversation_id", "The id of a conversation, or of a thread."),
    "item_id": _path("item_id", "The id of an item of the conversation."),
    "conversation_include": {
        "name": "include",
        "in": "query",
        "schema": {"type": "array", "items": {"type": "string", "enum": list(INCLUDABLE)}},
        "description": "What else to tell; `include[]` is the same.",
    },
}

AREA = Area(
    operations=(
        Operation(
            method="post",
            path=_PATH,
            name="createConversation",
            tag="Conversations",
            title="Create a conversation",
            body="ConversationCreate",
            requests={"greeting": {"items": [_HELLO], "metadata": {"topic": "demo"}}},
            answer="Conversation",
            statuses=_WRITE,
        ),
        Operation(
            method="get",
            path=_ONE,
            name="getConversation",
            tag="Conversations",
            title="Get a conversation",
            answer="Conversation",
            statuses=(404,),
        ),
        Operation(
            method="post",
            path=_ONE,
            name="updateConversation",
            tag="Conversations",
            title="Change a conversation's metadata",
            body="ConversationUpdate",
            requests={"topic": {"metadata": {"topic": "weather"}}},
            answer="Conversation",
            statuses=(404, *_WRITE),
        ),
        Operation(
            method="delete",
            path=_ONE,
            name="deleteConversation",
            tag="Conversations",
            title="Delete a conversation",
            says="Its responses go with it.",
            answer="ConversationDeleted",
            statuses=(404,),
        ),
        Operation(
            method="post",
            path=_ITEMS,
            name="createConversationItems",
            tag="Conversations",
            title="Add items",
            query=("conversation_include",),
            body="ConversationItemsCreate",
            requests={"message": {"items": [_HELLO]}},
            answer="ConversationItemList",
            statuses=(404, *_WRITE),
        ),
        Operation(
            method="get",
            path=_ITEMS,
            name="listConversationItems",
            tag="Conversations",
            title="List items",
            query=("limit", "order", "after", "before", "conversation_include"),
            answer="ConversationItemList",
            statuses=(400, 404),
        ),
        Operation(
            method="get",
            path=_ITEM,
            name="getConversationItem",
            tag="Conversations",
            title="Get an item",
            query=("conversation_include",),
            answer="ConversationItem",
            statuses=(400, 404),
        ),
        Operation(
            method="delete",
            path=_ITEM,
            name="deleteConversationItem",
            tag="Conversations",
            title="Delete an item",
            says="With what makes no sense without it, such as the output of a call. The answer is the conversation.",
            answer="Conversation",
            statuses=(404,),
        ),
    ),
    components=_components(),
    parameters=_PARAMETERS,
)
