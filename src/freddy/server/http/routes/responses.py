"""The paths of responses, in both dialects: parse, require, one call down, encode."""

from contextlib import aclosing

from msgspec.structs import replace
from starlette.datastructures import Headers as HttpHeaders
from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.core import errors, events
from freddy.server.core.request import DEFAULT_MODEL
from freddy.server.core.response import Response
from freddy.server.dialects import openai
from freddy.server.dialects.base import Dialect
from freddy.server.dialects.freddy import response_list
from freddy.server.dialects.freddy.threads import encode_stopped
from freddy.server.http import body, paging, sse
from freddy.server.http.body import ClientGone
from freddy.server.http.errors import headers
from freddy.server.http.hangups import Hangups
from freddy.server.http.places import Places
from freddy.server.http.replies import cut, send_json
from freddy.server.ports.stores import ResponseFilter
from freddy.server.ports.world import IdSource
from freddy.server.runtime.responses import Responses


class ResponseRoutes:
    def __init__(
        self,
        responses: Responses,
        *,
        ids: IdSource,
        hangups: Hangups,
        places: Places,
        max_body_bytes: int,
        ping_seconds: float,
        hold_seconds: float = 2.0,
    ) -> None:
        """A stream's head waits up to `hold_seconds` for the model's first word, so that a failure has a status."""
        self._responses = responses
        self._ids = ids
        self._hangups = hangups
        self._places = places
        self._max_body_bytes = max_body_bytes
        self._ping_seconds = ping_seconds
        self._hold_seconds = hold_seconds

    async def create(
        self, scope: Scope, receive: Receive, send: Send, *, dialect: Dialect, always_stream: bool = False
    ) -> None:
        sent = await body.read(scope, receive, limit=self._max_body_bytes)
        request = dialect.decode_request(sent, self._ids.new)
        if always_stream and not request.stream:
            request = replace(request, stream=True)
        caller = require(scope["caller"], "responses:write", request.organization_id)
        key = HttpHeaders(scope=scope).get("idempotency-key")
        if key is None:
            started = await self._responses.start(request, caller)
        else:
            started = await self._responses.start_once(request, caller, key=key, body=sent)
        response = started.response
        scope["told"] = started.headers
        if request.background and not request.stream:
            await send_json(send, dialect.encode_response(response))
        elif request.stream:
            await self._stream(response, scope, receive, send, dialect=dialect)
        else:
            await self._whole(response, receive, send, dialect=dialect)

    async def count(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = await body.read(scope, receive, limit=self._max_body_bytes)
        request = openai.decode_counted(sent, self._ids.new, model=DEFAULT_MODEL)
        caller = require(scope["caller"], "responses:write")
        counted = await self._responses.count(request, caller)
        await send_json(send, openai.encode_input_tokens(counted))

    async def compact(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = await body.read(scope, receive, limit=self._max_body_bytes)
        request = openai.decode_compacted(sent, self._ids.new)
        caller = require(scope["caller"], "responses:write")
        started = await self._responses.start(request, caller)
        scope["told"] = started.headers
        ended = await self._ended(started.response, receive)
        if ended.status == "completed":
            messages = await self._responses.kept_messages(ended, caller)
            await send_json(send, openai.encode_compacted(ended, messages))
            return
        failure = ended.failure or errors.Internal("The compaction was stopped").as_failure()
        status, answer = openai.OPENAI.encode_error(failure)
        await send_json(send, answer, status=status, headers=headers(failure))

    async def get(self, scope: Scope, receive: Receive, send: Send, *, dialect: Dialect) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "responses:read")
        response = await self._responses.get(scope["path_params"]["response_id"], caller)
        if asked := dialect.decode_include((*query.getlist("include"), *query.getlist("include[]"))):
            include = tuple(dict.fromkeys((*response.request.include, *asked)))
            response = replace(response, request=replace(response.request, include=include))
        if paging.truth(query, "stream"):
            after = paging.whole_number(query, "starting_after", default=-1, low=-1)
            await body.read(scope, receive, limit=self._max_body_bytes)
            with self._places.taken(caller.organization_id):
                await self._stream(response, scope, receive, send, dialect=dialect, after=after, hold=False)
            return
        await send_json(send, dialect.encode_response(response))

    async def list(self, scope: Scope, receive: Receive, send: Send, *, dialect: Dialect) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "responses:read", query.get("organization_id"))
        page = paging.page(query)
        having = ResponseFilter(
            thread_id=query.get("thread") or query.get("thread_id") or None,
            status=response_list.decode_status(query["status"]) if query.get("status") else None,
            model=query.get("model") or None,
            metadata=paging.metadata(query),
        )
        found, more = await self._responses.list(caller, page, having)
        told = [(response.id, dialect.encode_response(response)) for response in found]
        await send_json(send, response_list.encode_responses(told, has_more=more, limit=page.limit))

    async def cancel(self, scope: Scope, receive: Receive, send: Send, *, dialect: Dialect) -> None:
        caller = require(scope["caller"], "responses:write")
        response_id = scope["path_params"]["response_id"]
        if dialect is openai.OPENAI:
            response = await self._responses.get(response_id, caller)
            if not response.request.background:
                raise errors.InvalidRequest(
                    "Only a response that was created with background=true can be cancelled", param="response_id"
                )
        # Clients that follow a stream know the thread, and name it instead.
        elif (stopped := await self._responses.stop_in_thread(response_id, caller)) is not None:
            stopped_id = stopped.response.id
            told = encode_stopped(stopped_id, response_id, seconds=stopped.seconds, kept=stopped.kept)
            await send_json(send, told)
            return
        await send_json(send, dialect.encode_response(await self._responses.cancel(response_id, caller)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "responses:write")
        response_id = scope["path_params"]["response_id"]
        await self._responses.delete(response_id, caller)
        await send_json(send, openai.encode_deleted(response_id))

    async def input_items(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        page = paging.page(query)
        asked = openai.OPENAI.decode_include((*query.getlist("include"), *query.getlist("include[]")))
        caller = require(scope["caller"], "responses:read")
        found, more = await self._responses.input_items(scope["path_params"]["response_id"], caller, page)
        encrypted, results = "reasoning.encrypted" in asked, "file_search.results" in asked
        await send_json(send, openai.encode_input_items(found, has_more=more, encrypted=encrypted, results=results))

    async def _whole(self, response: Response, receive: Receive, send: Send, *, dialect: Dialect) -> None:
        ended = await self._ended(response, receive)
        if ended.status == "failed" and ended.failure is not None:
            status, answer = dialect.encode_error(ended.failure)
            await send_json(send, answer, status=status, headers=headers(ended.failure))
            return
        await send_json(send, dialect.encode_response(ended))

    async def _ended(self, response: Response, receive: Receive) -> Response:
        """The response when it has ended."""
        ended: Response | None = None
        try:
            async with self._hangups.watch(receive), aclosing(self._responses.follow(response)) as batches:
                async for _, batch in batches:
                    last = batch[-1]
                    if isinstance(last, events.Finished):
                        ended = last.response
        except ClientGone:
            await self._leave(response)
            raise
        if ended is None:
            # Somebody else writes it, and this server stops.
            raise errors.ShuttingDown("The server is stopping", retry_after=1)
        self._responses.release(ended)
        return ended

    async def _stream(
        self,
        response: Response,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        dialect: Dialect,
        after: int = -1,
        hold: bool = True,
    ) -> None:
        encode_event = dialect.event_encoder(response)
        # Before anything is waited for: a run that ends meanwhile may be dropped, but not from who follows it already.
        following = self._responses.follow(response, after)
        # Who had heard all of a response that had ended hears nothing more.
        whole = response.ended
        try:
            async with aclosing(following) as batches, self._hangups.watch(receive):
                if hold and (failure := await self._responses.failed_at_once(response, seconds=self._hold_seconds)):
                    status, answer = dialect.encode_error(failure)
                    await send_json(send, answer, status=status, headers=headers(failure))
                    return
                await send({"type": "http.response.start", "status": 200, "headers": sse.HEADERS})
                async with self._hangups.pinging(send, sse.PING, seconds=self._ping_seconds):
                    async for first, batch in batches:
                        whole = isinstance(batch[-1], events.Finished)
                        for piece in sse.frames(first, batch, encode_event):
                            await send({"type": "http.response.body", "body": piece, "more_body": True})
        except ClientGone:
            await self._leave(response)
            raise
        if whole:
            await send({"type": "http.response.body", "body": dialect.end_of_stream})
            return
        # What has no end goes on elsewhere while this server stops, or was deleted. Nobody is to take that for all.
        cut(scope)

    async def _leave(self, response: Response) -> None:
        """The client is gone: what nobody listens to any more is stopped, unless it was meant to go on alone."""
        if not response.request.background and not self._responses.listeners(response):
            await self._responses.stop(response)
