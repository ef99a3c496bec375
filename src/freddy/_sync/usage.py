# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`client.usage`: who used what, and what may be spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from freddy._sync.organizations import meant
from freddy._sync.transport import Transport, Call
from freddy._settings import path
from freddy.types.requests import NOT_GIVEN, Maybe, NotGiven, without_omitted
from freddy.types.usage import UsageLimits, UsageReport

Group = Literal["model", "provider", "kind", "key", "user"]


class Usage:
    """What the organization used. A key needs the scope `usage:read`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(
        self,
        *,
        start: int | str | NotGiven = NOT_GIVEN,
        end: int | str | NotGiven = NOT_GIVEN,
        bucket: Literal["hour", "day", "month", "none"] | NotGiven = NOT_GIVEN,
        group_by: Sequence[Group] | NotGiven = NOT_GIVEN,
        model: str | NotGiven = NOT_GIVEN,
        provider: str | NotGiven = NOT_GIVEN,
        kind: Literal["model", "tool", "embedding"] | NotGiven = NOT_GIVEN,
        api_key_id: str | NotGiven = NOT_GIVEN,
        user_id: str | NotGiven = NOT_GIVEN,
        organization_id: Maybe[str] = NOT_GIVEN,
    ) -> UsageReport:
        """Usage from `start` to before `end`: Unix seconds, or dates such as `2026-03-05`. By default of 30 days.

        `group_by` tells it apart; the other names leave out what is not theirs.
        """
        query = {
            "start": start,
            "end": end,
            "bucket": bucket,
            "group_by": group_by if isinstance(group_by, NotGiven) else ",".join(group_by),
            "model": model,
            "provider": provider,
            "kind": kind,
            "api_key_id": api_key_id,
            "user_id": user_id,
        }
        organization = organization_id or self._transport.settings.organization_id
        if organization is not None:
            query["organization_id"] = organization
        call = Call(method="GET", path=path("usage"), query=without_omitted(query))
        return UsageReport((self._transport.send(call)).body)

    def limits(
        self,
        *,
        year: int | NotGiven = NOT_GIVEN,
        month: int | NotGiven = NOT_GIVEN,
        organization_id: str | None = None,
    ) -> UsageLimits:
        """What may be spent in a month, by default this one, and what was."""
        query = without_omitted({"year": year, "month": month})
        call = Call(method="GET", path=self._limits(organization_id), query=query)
        return UsageLimits((self._transport.send(call)).body)

    def set_limits(
        self,
        *,
        monthly: Maybe[float] = NOT_GIVEN,
        api_key_id: str | NotGiven = NOT_GIVEN,
        api_key_monthly: Maybe[float] = NOT_GIVEN,
        organization_id: str | None = None,
    ) -> None:
        """US dollars a month, of the organization, and of one of its keys. None takes a limit away.

        A key needs the scope `organizations:manage`.
        """
        fields = {"monthly_api_limit": monthly, "api_key_id": api_key_id, "api_key_limit": api_key_monthly}
        call = Call(method="PUT", path=self._limits(organization_id), body=without_omitted(fields))
        self._transport.send(call)

    def _limits(self, organization_id: str | None) -> str:
        return path("analytics", "usage", "limits", meant(self._transport, organization_id))
