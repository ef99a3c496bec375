"""What the paths of webhooks do, take and answer."""

from freddy.server.core.webhooks import (
    EVENT_TYPES,
    EVERY,
    MOST_OVERLAP_SECONDS,
    OVERLAP_SECONDS,
    STATUSES,
    TEST,
)
from freddy.server.dialects.freddy import webhooks as wire
from freddy.server.http.openapi.paths import Area, Operation
from freddy.server.http.openapi.schemas import Schema, Types, flag, text, thing, whole

_PATH, _OPENAI = "/v1/webhooks", "/v1/webhook_endpoints"
_ONE, _OPENAI_ONE = _PATH + "/{webhook_id}", _OPENAI + "/{webhook_id}"
_DELIVERY = _ONE + "/deliveries/{event_id}"
_WRITE = (400, 409, 413, 422)
_NEW = {
    "name": "Billing",
    "url": "https://hooks.example.com/freddy",
    "event_types": ["response.completed", "response.failed"],
}


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    names: dict[type, str] = {
        wire.WebhookView: "Webhook",
        wire.WebhookList: "WebhookList",
        wire.WebhookDeleted: "WebhookDeleted",
        wire.WebhookTest: "WebhookTest",
        wire.WebhookDelivery: "WebhookDelivery",
        wire.WebhookDeliveryList: "WebhookDeliveryList",
        wire.WebhookEventTypes: "WebhookEventTypes",
    }
    types = Types(found, "Webhook", words=_WORDS, names=names)
    for answer in names:
        types.add(answer)
    fields: dict[str, Schema] = {
        "name": text("What people call it; without one, as its host is called.", maxLength=255),
        "url": text("Where events are sent.", maxLength=2048),
        "event_types": {
            "type": "array",
            "items": {"type": "string", "enum": [*EVENT_TYPES, EVERY]},
            "minItems": 1,
            "description": f'What is sent there. `["{EVERY}"]`, which holds where this is left out, is everything. '
            "`events` is another name of it.",
        },
        "enabled": flag("Whether anything is sent there.", default=True),
        "organization_id": text("Whose it is; the key implies one."),
    }
    expected = {"expected_version": whole("Answers 409 where it is in another version by now.", 1)}
    return found | {
        "WebhookCreate": thing("A new webhook.", fields, required=("url",)),
        "WebhookUpdate": thing("What is to be different; what is left out stays.", fields | expected),
        "WebhookTrial": thing(
            "What to send.",
            {
                "event_type": {
                    "type": "string",
                    "enum": [TEST, *EVENT_TYPES],
                    "default": TEST,
                    "description": "The type of the event; it is about a response that does not exist.",
                }
            },
        ),
        "WebhookRotation": thing(
            "How the secret changes.",
            {
                "overlap_seconds": whole(
                    "The secret before signs, too, for so long.", 0, MOST_OVERLAP_SECONDS, default=OVERLAP_SECONDS
                ),
                "keep_old_secret_active_for_24_hours": flag(
                    "Instead of `overlap_seconds`: a day, or not at all.", default=False
                ),
            },
        ),
    }


_WORDS: dict[str, dict[str, Schema]] = {
    "Webhook": {
        "id": {"description": "Begins with `wh_`."},
        "disabled_because": {
            "enum": ["gone", "failing", None],
            "description": "Why this server has disabled it: the address answered with 410, or nothing could be "
            "delivered for days.",
        },
        "signing_secret": {
            "description": "What signs the events; begins with `whsec_`. Only in the answer that made it."
        },
        "signing_secret_hint": {"description": "The end of the secret, to tell it from others."},
        "previous_secret_until": {"description": "Unix seconds until which the secret before signs, too."},
        "version": {"description": "Counts from 1; every change makes another."},
        "created_at": {"description": "Unix seconds. So are the other times."},
        "created_by": {"description": "A user, or an API key."},
    },
    "WebhookTest": {
        "success": {"description": "Whether it answered with a status of success."},
        "status_code": {"description": "The status; null where there was none."},
        "error": {"description": "Why it was no success."},
        "duration_ms": {"description": "Milliseconds that it took."},
    },
    "WebhookDelivery": {
        "id": {"description": "That of the event, which is the header `webhook-id`, too; begins with `evt_`."},
        "status": {"enum": list(STATUSES), "description": "`failed` is not attempted again."},
        "attempts": {"description": "How many were begun."},
        "next_attempt_at": {"description": "Unix seconds; null where there is none to come."},
        "status_code": {"description": "What the last attempt was answered with."},
        "error": {"description": "Why the last attempt failed."},
    },
}
_PARAMETERS: dict[str, Schema] = {
    "webhook_id": {
        "name": "webhook_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Begins with `wh_`.",
    },
    "event_id": {
        "name": "event_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Begins with `evt_`.",
    },
    "delivery_status": {
        "name": "status",
        "in": "query",
        "schema": {"type": "string", "enum": list(STATUSES)},
        "description": "Only deliveries of this status.",
    },
}
_PAGE = ("organization_id", "limit", "order", "after", "before")
_ONCE = "Only this answer tells the secret that signs its events."
_TRIAL = "Sends an event at once, and once, enabled or not. Where that fails the answer is 200 all the same."

AREA = Area(
    operations=(
        Operation(
            method="post",
            path=_PATH,
            name="createWebhook",
            tag="Webhooks",
            title="Make a webhook",
            says=_ONCE,
            body="WebhookCreate",
            requests={"billing": _NEW},
            answer="Webhook",
            status=201,
            statuses=_WRITE,
        ),
        Operation(
            method="get",
            path=_PATH,
            name="listWebhooks",
            tag="Webhooks",
            title="List webhooks",
            query=_PAGE,
            answer="WebhookList",
            statuses=(422,),
        ),
        Operation(
            method="get",
            path=_ONE,
            name="getWebhook",
            tag="Webhooks",
            title="Get a webhook",
            query=("organization_id",),
            answer="Webhook",
            statuses=(404,),
        ),
        Operation(
            method="patch",
            path=_ONE,
            name="updateWebhook",
            tag="Webhooks",
            title="Change a webhook",
            says="What is left out stays. Enabling it forgets why it was disabled.",
            query=("organization_id",),
            body="WebhookUpdate",
            requests={"off": {"enabled": False, "expected_version": 1}},
            answer="Webhook",
            statuses=(404, *_WRITE),
        ),
        Operation(
            method="delete",
            path=_ONE,
            name="deleteWebhook",
            tag="Webhooks",
            title="Delete a webhook",
            says="With its secrets and deliveries.",
            query=("organization_id",),
            answer="WebhookDeleted",
            statuses=(404,),
        ),
        Operation(
            method="post",
            path=_ONE + "/test",
            name="testWebhook",
            tag="Webhooks",
            title="Try a webhook",
            says=_TRIAL,
            query=("organization_id",),
            body="WebhookTrial",
            requests={"completed": {"event_type": "response.completed"}},
            answer="WebhookTest",
            statuses=(404, 422),
        ),
        Operation(
            method="post",
            path=_ONE + "/rotate",
            name="rotateWebhookSecret",
            tag="Webhooks",
            title="Change the secret of a webhook",
            says="Only this answer tells the new one.",
            query=("organization_id",),
            body="WebhookRotation",
            requests={"at_once": {"overlap_seconds": 0}},
            answer="Webhook",
            statuses=(404, 409, 422),
        ),
        Operation(
            method="get",
            path=_ONE + "/deliveries",
            name="listWebhookDeliveries",
            tag="Webhooks",
            title="List deliveries",
            says="The newest events first.",
            query=(*_PAGE, "delivery_status"),
            answer="WebhookDeliveryList",
            statuses=(404, 422),
        ),
        Operation(
            method="get",
            path=_DELIVERY,
            name="getWebhookDelivery",
            tag="Webhooks",
            title="Get a delivery",
            query=("organization_id",),
            answer="WebhookDelivery",
            statuses=(404,),
        ),
        Operation(
            method="post",
            path=_DELIVERY + "/redeliver",
            name="redeliverWebhookEvent",
            tag="Webhooks",
            title="Deliver an event again",
            says="With all attempts, whatever became of it before.",
            query=("organization_id",),
            answer="WebhookDelivery",
            statuses=(404, 409),
        ),
        Operation(
            method="post",
            path=_OPENAI,
            name="createWebhookEndpoint",
            tag="Webhooks",
            title="Make a webhook (OpenAI)",
            says=_ONCE,
            body="WebhookCreate",
            requests={"billing": _NEW},
            answer="Webhook",
            status=201,
            statuses=_WRITE,
        ),
        Operation(
            method="get",
            path=_OPENAI,
            name="listWebhookEndpoints",
            tag="Webhooks",
            title="List webhooks (OpenAI)",
            query=_PAGE,
            answer="WebhookList",
            statuses=(422,),
        ),
        Operation(
            method="get",
            path=_OPENAI_ONE,
            name="getWebhookEndpoint",
            tag="Webhooks",
            title="Get a webhook (OpenAI)",
            query=("organization_id",),
            answer="Webhook",
            statuses=(404,),
        ),
        Operation(
            method="post",
            path=_OPENAI_ONE,
            name="updateWebhookEndpoint",
            tag="Webhooks",
            title="Change a webhook (OpenAI)",
            query=("organization_id",),
            body="WebhookUpdate",
            requests={"name": {"name": "Billing"}},
            answer="Webhook",
            statuses=(404, *_WRITE),
        ),
        Operation(
            method="delete",
            path=_OPENAI_ONE,
            name="deleteWebhookEndpoint",
            tag="Webhooks",
            title="Delete a webhook (OpenAI)",
            query=("organization_id",),
            answer="WebhookDeleted",
            statuses=(404,),
        ),
        Operation(
            method="post",
            path=_OPENAI_ONE + "/test",
            name="testWebhookEndpoint",
            tag="Webhooks",
            title="Try a webhook (OpenAI)",
            says=_TRIAL,
            query=("organization_id",),
            body="WebhookTrial",
            requests={"completed": {"event_type": "response.completed"}},
            answer="WebhookTest",
            statuses=(404, 422),
        ),
        Operation(
            method="post",
            path=_OPENAI_ONE + "/rotate_secret",
            name="rotateWebhookEndpointSecret",
            tag="Webhooks",
            title="Change the secret of a webhook (OpenAI)",
            says="The one before signs no more, where nothing else is said.",
            query=("organization_id",),
            body="WebhookRotation",
            requests={"a_day": {"keep_old_secret_active_for_24_hours": True}},
            answer="Webhook",
            statuses=(404, 409, 422),
        ),
        Operation(
            method="get",
            path="/v1/webhook_event_types",
            name="listWebhookEventTypes",
            tag="Webhooks",
            title="List types of events (OpenAI)",
            query=("organization_id",),
            answer="WebhookEventTypes",
        ),
    ),
    components=_components(),
    parameters=_PARAMETERS,
)
