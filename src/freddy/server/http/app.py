"""The list of routes, and what stands before them; nothing else."""

from collections.abc import Iterable

from starlette.routing import Match, Route, Router
from starlette.types import ASGIApp, Scope

from freddy.server.dialects.base import Dialect
from freddy.server.dialects.freddy import FREDDY
from freddy.server.dialects.openai import OPENAI
from freddy.server.http.auth import Auth
from freddy.server.http.door import Door, Requests
from freddy.server.http.endpoint import route
from freddy.server.http.once import Once
from freddy.server.http.routes import auth as sign_in
from freddy.server.http.routes.files import FileRoutes, is_link
from freddy.server.http.routes.health import HealthRoutes
from freddy.server.http.routes.models import ModelRoutes
from freddy.server.http.routes.pages import PageRoutes
from freddy.server.http.routes.provider_keys import ProviderKeyRoutes
from freddy.server.http.routes.responses import ResponseRoutes
from freddy.server.http.routes.threads import ThreadRoutes
from freddy.server.http.routes.users import is_invitation
from freddy.server.http.routes.websocket import WebSocketRoutes
from freddy.server.ports.world import Clock, IdSource

_PAGES = frozenset(("/", "/docs", "/openapi.json", "/health/live", "/health/ready", "/metrics", "/favicon.ico"))
PUBLIC = _PAGES | sign_in.PUBLIC
"""All other paths need a credential."""
_OPENAI_PATHS = (
    "/v1/responses",
    "/v1/files",
    "/v1/conversations",
    "/v1/vector_stores",
    "/v1/webhook_endpoints",
    "/v1/webhook_event_types",
)


def build(
    *,
    freddy: Dialect,
    responses: ResponseRoutes,
    sockets: WebSocketRoutes,
    threads: ThreadRoutes,
    models: ModelRoutes,
    files: FileRoutes,
    provider_keys: ProviderKeyRoutes,
    health: HealthRoutes,
    pages: PageRoutes,
    auth: Auth,
    clock: Clock,
    ids: IdSource,
    requests: Requests,
    once: Once,
    others: Iterable[Route] = (),
) -> ASGIApp:
    """`others` are routes that come after all of these."""
    own, openai = "/v1/model/response", "/v1/responses"
    brought = "/v1/organizations/{organization}/provider-keys"
    uploaded = "/v1/organizations/{organization}/files"
    # The busiest come first: the router tries one after the other.
    routes = [
        route("POST", own, responses.create, dialect=freddy),
        route("POST", openai, responses.create, dialect=OPENAI),
        route("POST", own + "/stream", responses.create, dialect=freddy, always_stream=True),
        route("GET", own, responses.list, dialect=freddy),
        route("GET", own + "/output-modes", models.output_modes),
        route("GET", own + "/reasoning-levels", models.reasoning_levels),
        route("GET", own + "/{response_id}", responses.get, dialect=freddy),
        route("DELETE", own + "/{response_id}", responses.delete),
        route("POST", own + "/{response_id}/cancel", responses.cancel, dialect=freddy),
        route("GET", openai, sockets.open),
        route("POST", openai + "/input_tokens", responses.count),
        route("POST", openai + "/compact", responses.compact),
        route("GET", openai + "/{response_id}", responses.get, dialect=OPENAI),
        route("DELETE", openai + "/{response_id}", responses.delete),
        route("POST", openai + "/{response_id}/cancel", responses.cancel, dialect=OPENAI),
        route("GET", openai + "/{response_id}/input_items", responses.input_items),
        route("POST", "/v1/threads", threads.create),
        route("GET", "/v1/threads", threads.list),
        route("DELETE", "/v1/threads", threads.delete_all),
        route("GET", "/v1/threads/{thread_id}", threads.get),
        route("PATCH", "/v1/threads/{thread_id}", threads.update),
        route("POST", "/v1/threads/{thread_id}", threads.update),
        route("DELETE", "/v1/threads/{thread_id}", threads.delete),
        route("GET", "/v1/threads/{thread_id}/messages", threads.messages),
        route("PATCH", "/v1/threads/{thread_id}/messages/{message_id}", threads.update_message),
        route("DELETE", "/v1/threads/{thread_id}/messages/{message_id}", threads.delete_message),
        route("POST", "/v1/threads/{thread_id}/generateName", threads.name),
        route("POST", "/v1/threads/{thread_id}/pin", threads.pin),
        route("POST", "/v1/threads/{thread_id}/unpin", threads.unpin),
        route("GET", "/v1/models", models.list),
        route("GET", "/v1/models/{model:path}", models.get),
        route("GET", brought, provider_keys.list),
        route("GET", brought + "/{upstream}", provider_keys.get),
        route("PUT", brought + "/{upstream}", provider_keys.put),
        route("DELETE", brought + "/{upstream}", provider_keys.delete),
        route("POST", "/v1/files", files.create),
        route("GET", "/v1/files", files.list),
        route("GET", "/v1/files/{file_id}", files.get),
        route("GET", "/v1/files/{file_id}/content", files.content),
        route("DELETE", "/v1/files/{file_id}", files.delete),
        route("POST", uploaded + "/upload", files.upload),
        route("POST", uploaded + "/upload-url", files.upload_links),
        route("PUT", uploaded + "/uploads/{ticket}", files.put),
        route("GET", uploaded, files.page),
        route("POST", uploaded, files.register),
        route("GET", uploaded + "/{file_id}", files.one),
        route("DELETE", uploaded + "/{file_id}", files.remove),
        route("GET", uploaded + "/{file_id}/content", files.link),
        route("GET", uploaded + "/{file_id}/download", files.download),
        *others,
        route("GET", "/health/live", health.live),
        route("GET", "/health/ready", health.ready),
        route("GET", "/metrics", health.metrics),
        route("GET", "/", pages.index),
        route("GET", "/docs", pages.docs),
        route("GET", "/openapi.json", pages.openapi),
    ]

    def methods_of(scope: Scope) -> str:
        """The methods that a path knows, with commas between them."""
        fitting = (one for one in routes if one.matches(scope)[0] is not Match.NONE)
        known = {method for one in fitting for method in one.methods or ()}
        # What is there to be told apart from a path that does not exist is no method to be used.
        return ", ".join(sorted(known - {"GET", "HEAD"} if scope["path"] == openai else known))

    return Door(
        Router(routes, redirect_slashes=False),
        auth=auth,
        public=PUBLIC,
        is_link=lambda scope: is_link(scope) or is_invitation(scope),
        dialect_of=dialect_of,
        methods_of=methods_of,
        clock=clock,
        ids=ids,
        requests=requests,
        once=once,
        once_themselves=frozenset((own, own + "/stream", openai)),
        sockets=frozenset((openai,)),
    )


def dialect_of(path: str) -> Dialect:
    """The dialect in which a path tells its errors."""
    return OPENAI if path.startswith(_OPENAI_PATHS) else FREDDY
