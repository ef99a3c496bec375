"""The paths of assistants: parse, require, one call down, encode."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from freddy.server.accounts.access import require
from freddy.server.core import errors
from freddy.server.core.assistants import Assistant
from freddy.server.dialects.freddy import assistants as wire
from freddy.server.http import body, paging
from freddy.server.http.endpoint import route
from freddy.server.http.replies import send_json
from freddy.server.resources.assistants import Assistants, Filters
from freddy.server.resources.base import Kept, Listing, Sort

_PATH: Final = "/v1/assistants"
_MOST: Final = 100
_SORTS: Final[dict[str, Sort]] = {"created_at": "created_at", "updated_at": "updated_at", "name": "name"}
_FAR: Final = 10_000_000


class AssistantRoutes:
    def __init__(self, assistants: Assistants, *, max_body_bytes: int) -> None:
        self._assistants = assistants
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        one = _PATH + "/{assistant_id}"
        return [
            route("POST", _PATH, self.create),
            route("GET", _PATH, self.list),
            route("GET", one, self.get),
            route("PUT", one, self.update),
            route("PATCH", one, self.update),
            route("DELETE", one, self.delete),
            route("GET", one + "/history", self.history),
        ]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_new(await self._read(scope, receive))
        caller = require(scope["caller"], "assistants:write", asked.organization_id)
        kept = await self._assistants.create(caller, name=asked.name, assistant=asked.assistant)
        await send_json(send, wire.encode_assistant(wire.Told(kept, "owner")), status=201)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "assistants:read", query.get("organization_id"))
        listing, filters = _listing(query), _filters(query)
        detail = wire.DETAILS[_word(query, "fields", wire.DETAILS, default="standard")]
        found, total = await self._assistants.list(caller, listing, filters)
        answer = wire.encode_list(
            [wire.Told(kept, access) for kept, access in found],
            detail=detail,
            pagination=_pagination(listing.limit, listing.offset, count=len(found), total=total),
            filters=wire.AssistantFilters(
                search=listing.search,
                access_mode=filters.access,
                include_inactive=filters.inactive,
                sort_by=listing.sort,
                sort_order="desc" if listing.descending else "asc",
            ),
            user=wire.AssistantUser(
                user_id=caller.user_id or caller.key_id or wire.ANONYMOUS,
                organization_count=len(caller.organization_ids),
            ),
            organization_id=caller.organization_id,
        )
        await send_json(send, answer)

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "assistants:read", _organization(scope))
        await send_json(send, wire.encode_assistant(wire.Told(*await self._assistants.get(caller, _id(scope)))))

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = wire.decode_change(await self._read(scope, receive))
        caller = require(scope["caller"], "assistants:write", asked.organization_id or _organization(scope))
        changed = await self._assistants.change(
            caller, _id(scope), asked.apply, rules=asked.rules, expected_version=asked.expected_version
        )
        await send_json(send, wire.encode_assistant(wire.Told(*changed)))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = require(scope["caller"], "assistants:write", _organization(scope))
        await self._assistants.delete(caller, _id(scope))
        await send_json(send, wire.encode_deleted(_id(scope)))

    async def history(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = HttpRequest(scope).query_params
        caller = require(scope["caller"], "assistants:read", query.get("organization_id"))
        limit, offset = _place(query)
        versions = await self._assistants.versions(caller, _id(scope))
        entries = _told(versions, query)
        shown = entries[offset : offset + limit]
        pagination = _pagination(limit, offset, count=len(shown), total=len(entries))
        await send_json(send, wire.encode_history(shown, pagination=pagination))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await body.read(scope, receive, limit=self._max_body_bytes)


def _told(versions: Sequence[Kept[Assistant]], query: Mapping[str, str]) -> list[wire.AssistantHistoryEntry]:
    """The entries that the query asks for, the newest first."""
    action, user_id = query.get("action"), query.get("user_id")
    since, until = _moment(query, "start_date"), _moment(query, "end_date", end=True)
    entries = [wire.entry(kept, before) for kept, before in zip(versions, [*versions[1:], None], strict=True)]
    return [
        entry
        for entry in entries
        if (not action or entry.action == action)
        and (not user_id or entry.user_id == user_id)
        and (since is None or entry.timestamp >= since)
        and (until is None or entry.timestamp <= until)
    ]


def _listing(query: Mapping[str, str]) -> Listing:
    limit, offset = _place(query)
    order = _word(query, "sort_order", ("asc", "desc"), default="desc")
    return Listing(
        search=query.get("search") or None,
        sort=_SORTS[_word(query, "sort_by", _SORTS, default="created_at")],
        descending=order == "desc",
        limit=limit,
        offset=offset,
    )


def _filters(query: Mapping[str, str]) -> Filters:
    return Filters(
        access=wire.ACCESS[_word(query, "access_mode", wire.ACCESS)] if query.get("access_mode") else None,
        vector_store_id=query.get("vector_store_id") or None,
        in_chat=paging.truth(query, "visible_in_chat") or paging.truth(query, "for_chat"),
        inactive=paging.truth(query, "include_inactive"),
    )


def _place(query: Mapping[str, str]) -> tuple[int, int]:
    """`limit` and `offset`; or `page`, which counts from 1."""
    limit = paging.whole_number(query, "limit", default=20, low=1, high=_MOST)
    if "page" in query:
        return limit, (paging.whole_number(query, "page", default=1, low=1, high=_FAR) - 1) * limit
    return limit, paging.whole_number(query, "offset", default=0, low=0, high=_FAR)


def _pagination(limit: int, offset: int, *, count: int, total: int) -> wire.Pagination:
    return wire.Pagination(total=total, limit=limit, offset=offset, has_more=offset + count < total)


def _word(query: Mapping[str, str], name: str, choices: Sequence[str] | Mapping[str, str], default: str = "") -> str:
    given = query.get(name) or default
    if given not in choices:
        raise errors.InvalidValue(name, f"must be one of {', '.join(choices)}")
    return given


def _moment(query: Mapping[str, str], name: str, *, end: bool = False) -> int | None:
    """Unix seconds of a date or a time in ISO 8601, UTC where nothing else is said; at the end of a date's day."""
    given = query.get(name)
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if end and len(given) <= len("2026-01-31"):
            moment += timedelta(days=1, seconds=-1)
        return int(moment.timestamp())
    except (ValueError, OverflowError):
        raise errors.InvalidValue(name, "must be a date or a time in ISO 8601, such as 2026-01-31") from None


def _organization(scope: Scope) -> str | None:
    return HttpRequest(scope).query_params.get("organization_id")


def _id(scope: Scope) -> str:
    assistant_id: str = scope["path_params"]["assistant_id"]
    return assistant_id
