# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`client.api_keys`: credentials of programs."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

from freddy._sync.organizations import meant
from freddy._sync.transport import Transport, Call
from freddy._settings import path
from freddy.types.accounts import ApiKey, read_keys
from freddy.types.requests import NOT_GIVEN, Maybe, without_omitted

_PAGE = 100


class ApiKeys:
    """`organization_id` may be left out where the client has one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        *,
        scopes: Maybe[Sequence[str]] = NOT_GIVEN,
        expires_at: Maybe[str | int] = NOT_GIVEN,
        monthly_budget: Maybe[float] = NOT_GIVEN,
        limits: Maybe[Mapping[str, Any]] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        organization_id: str | None = None,
    ) -> ApiKey:
        """A new key, with its secret in `key`: it is not told again. Without `scopes` it may do what you may."""
        fields = {
            "key_name": name,
            "scopes": scopes,
            "expires_at": expires_at,
            "monthly_budget": monthly_budget,
            "limits": limits,
            "metadata": metadata,
        }
        call = Call(method="POST", path=self._path(organization_id), body=without_omitted(fields))
        return ApiKey((self._transport.send(call)).body)

    def list(self, *, organization_id: str | None = None) -> builtins.list[ApiKey]:
        """All keys, the newest first."""
        found: builtins.list[ApiKey] = []
        while True:
            query = {"skip": len(found), "take": _PAGE}
            reply = self._transport.send(Call(method="GET", path=self._path(organization_id), query=query))
            part = read_keys(reply.body.get("keys"))
            found += part
            if not part or len(found) >= reply.body["total"]:
                return found

    def get(self, key_id: str, *, organization_id: str | None = None) -> ApiKey:
        return self._ask("GET", organization_id, key_id)

    def update(
        self,
        key_id: str,
        *,
        name: Maybe[str] = NOT_GIVEN,
        scopes: Maybe[Sequence[str]] = NOT_GIVEN,
        expires_at: Maybe[str | int] = NOT_GIVEN,
        monthly_budget: Maybe[float] = NOT_GIVEN,
        limits: Maybe[Mapping[str, Any]] = NOT_GIVEN,
        metadata: Maybe[Mapping[str, str]] = NOT_GIVEN,
        organization_id: str | None = None,
    ) -> ApiKey:
        """Changes the fields that are given; None takes one away."""
        fields = {
            "key_name": name,
            "scopes": scopes,
            "expires_at": expires_at,
            "monthly_budget": monthly_budget,
            "limits": limits,
            "metadata": metadata,
        }
        call = Call(method="PATCH", path=self._path(organization_id, key_id), body=without_omitted(fields))
        return ApiKey((self._transport.send(call)).body)

    def pause(self, key_id: str, *, organization_id: str | None = None) -> ApiKey:
        """It is refused until `unpause`."""
        return self._ask("POST", organization_id, key_id, "pause")

    def unpause(self, key_id: str, *, organization_id: str | None = None) -> ApiKey:
        return self._ask("POST", organization_id, key_id, "unpause")

    def rotate(self, key_id: str, *, organization_id: str | None = None) -> ApiKey:
        """The same key with another secret in `key`; the old one is refused at once."""
        call = Call(method="POST", path=self._path(organization_id, key_id, "rotate"))
        return ApiKey((self._transport.send(call)).body["new_key"])

    def delete(self, key_id: str, *, organization_id: str | None = None) -> None:
        self._transport.send(Call(method="DELETE", path=self._path(organization_id, key_id)))

    def _ask(self, method: str, organization_id: str | None, *segments: str) -> ApiKey:
        reply = self._transport.send(Call(method=method, path=self._path(organization_id, *segments)))
        return ApiKey(reply.body if method == "GET" else reply.body["key"])

    def _path(self, organization_id: str | None, *segments: str) -> str:
        return path("organizations", meant(self._transport, organization_id), "api-keys", *segments)
