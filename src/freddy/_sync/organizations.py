# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`client.organizations`: who shares threads, keys and limits; and who changed what."""

from __future__ import annotations

import builtins
import json
from typing import Any

from freddy._sync.paging import Page, fetch_page
from freddy._sync.transport import Transport, Call
from freddy._settings import path
from freddy.types.accounts import AuditEntry, Organization, Role, read_organizations, read_roles
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted

_PAGE = 100


def meant(transport: Transport, organization_id: str | None) -> str:
    """The organization that is named, or else the client's own."""
    found = organization_id or transport.settings.organization_id
    if not found:
        raise ValueError("name the organization: organization_id=…, or FREDDY_ORG_ID for the whole client")
    return found


class Organizations:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, *, type: str = "other", **about: Any) -> Organization:  # noqa: A002, ANN401
        """`about` may be `description`, `website`, `industry` and others that the reference names."""
        call = Call(method="POST", path=path("organizations"), body={"name": name, "type": type, **about})
        return Organization((self._transport.send(call)).body)

    def list(self) -> builtins.list[Organization]:
        """All that the credential reaches."""
        found: builtins.list[Organization] = []
        while True:
            query = {"skip": len(found), "limit": _PAGE}
            reply = self._transport.send(Call(method="GET", path=path("organizations"), query=query))
            part = read_organizations(reply.body.get("organizations"))
            found += part
            if not part or len(found) >= reply.body["total"]:
                return found

    def get(self, organization_id: str) -> Organization:
        call = Call(method="GET", path=path("organizations", organization_id))
        return Organization((self._transport.send(call)).body)

    def update(
        self,
        organization_id: str,
        *,
        name: Maybe[str] = NOT_GIVEN,
        limits: Maybe[dict[str, Any]] = NOT_GIVEN,
        **about: Any,  # noqa: ANN401 goes into the body as it is
    ) -> Organization:
        """Changes the fields that are given; None takes one away."""
        fields = without_omitted({"name": name, "limits": limits, **about})
        call = Call(method="PATCH", path=path("organizations", organization_id), body=fields)
        return Organization((self._transport.send(call)).body)

    def delete(self, organization_id: str) -> None:
        """Its keys and members are refused from then on."""
        self._transport.fetch(Call(method="DELETE", path=path("organizations", organization_id)))

    def roles(self, organization_id: str | None = None) -> builtins.list[Role]:
        where = path("organizations", meant(self._transport, organization_id), "roles")
        # The answer is a list, and `send` wants an object.
        return read_roles(json.loads(self._transport.fetch(Call(method="GET", path=where))))

    def audit_log(
        self,
        organization_id: str | None = None,
        *,
        action: str | NotGiven = NOT_GIVEN,
        actor_id: str | NotGiven = NOT_GIVEN,
        resource_type: str | NotGiven = NOT_GIVEN,
        resource_id: str | NotGiven = NOT_GIVEN,
        since: int | NotGiven = NOT_GIVEN,
        until: int | NotGiven = NOT_GIVEN,
        limit: int | NotGiven = NOT_GIVEN,
        after: str | NotGiven = NOT_GIVEN,
    ) -> Page[AuditEntry]:
        """Who changed what, the newest first. `since` and `until` are Unix seconds."""
        query = {
            "action": action,
            "actor_id": actor_id,
            "resource_type": resource_type,
            "resource_id": resource_id,
            "since": since,
            "until": until,
            "limit": limit,
            "after": after,
        }
        where = path("organizations", meant(self._transport, organization_id), "audit-log")
        return fetch_page(self._transport, where, query, AuditEntry)
