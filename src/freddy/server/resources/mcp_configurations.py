"""Keeps the MCP servers of organizations with what they are told in confidence, and opens them for requests."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from freddy.server.core import errors, ids
from freddy.server.core import mcp_configurations as rules
from freddy.server.core.accounts import Caller
from freddy.server.core.mcp_configurations import Change, Configuration, Connection, Secrets, Tested
from freddy.server.ports.mcp import Configured, McpServers, Server
from freddy.server.ports.outward import Outward
from freddy.server.ports.records import RecordStore
from freddy.server.ports.sealer import Sealer
from freddy.server.ports.world import Clock, IdSource
from freddy.server.resources import base
from freddy.server.resources.base import MOST, Changed, Kept, Listing, OvertakenError, page, unheard, unless_overtaken
from freddy.server.resources.sample_mcp_configurations import SampleMcpConfigurations

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Secrets).decode
_REMEMBERED: Final = 10_000
_TRIES: Final = 10
_NO_SAMPLES: Final = SampleMcpConfigurations()


class McpConfigurations:
    """The port of that name, and the use-cases of those who keep them.

    A member changes what they made themselves; who sees everything of the organization, whatever is there.
    """

    def __init__(
        self,
        records: RecordStore,
        *,
        sealer: Sealer,
        servers: McpServers,
        outward: Outward,
        clock: Clock,
        ids_from: IdSource,
        programs: Collection[str] = (),
        test_seconds: float = 20.0,
        most: int = MOST,
        changed: Changed = unheard,
        samples: SampleMcpConfigurations = _NO_SAMPLES,
    ) -> None:
        """`programs` are the operator's, by name; `most` is how many configurations an organization may have."""
        self._sealer = sealer
        self._servers = servers
        self._outward = outward
        self._clock = clock
        self._ids = ids_from
        self._programs = frozenset(programs)
        self._test_seconds = test_seconds
        self._samples = samples
        self._connections: dict[tuple[str, int], Connection] = {}
        self._kept = base.Collection(
            "mcp_configuration",
            Configuration,
            prefix=ids.MCP_CONFIGURATION,
            records=records,
            clock=clock,
            ids=ids_from,
            most=most,
            changed=changed,
            param="configuration_id",
            code="mcp_configuration_not_found",
        )

    async def server(self, organization_id: str, configuration_id: str) -> Configured:
        kept = (await self._kept.find(organization_id, [configuration_id])).get(configuration_id)
        if kept is None:
            sample = self._samples.find(organization_id, configuration_id)
            if sample is None:
                raise errors.NotFound(
                    f"There is no MCP configuration {configuration_id[:100]!r}",
                    param="tools",
                    code="mcp_configuration_not_found",
                )
            return sample
        tools = kept.value.tools
        if not kept.value.enabled or not tools.enabled:
            field = "`enabled`" if not kept.value.enabled else "`enabled` of its `tool_configuration`"
            raise errors.InvalidRequest(
                f"The MCP configuration {configuration_id!r} is not enabled",
                param="tools",
                code="mcp_configuration_disabled",
                details=f"set {field} to true, or name another one",
            )
        server = _server(kept, await self._opened(kept))
        return Configured(server=server, allowed=tools.allowed, excluded=tools.excluded, approval=tools.approval)

    async def create(self, caller: Caller, change: Change) -> Kept[Configuration]:
        """Raises `errors.InvalidValue` for what cannot be, and `errors.Conflict` when there are too many."""
        if change.name is UNSET:
            raise errors.InvalidRequest(
                "Missing required parameter: 'name'", param="name", code="missing_required_parameter"
            )
        self._check_place(change)
        value, secrets = rules.changed(Configuration(), change, Secrets())
        configuration_id = self._ids.new(ids.MCP_CONFIGURATION)
        sealed = await self._sealed(secrets, caller.organization_id, configuration_id)
        return await self._kept.create(
            caller, name=change.name, value=replace(value, credentials=sealed), thing_id=configuration_id
        )

    async def get(self, caller: Caller, configuration_id: str) -> Kept[Configuration]:
        """Raises `errors.NotFound`."""
        return await self._kept.get(caller, configuration_id)

    async def list(
        self, caller: Caller, listing: Listing, *, enabled: bool | None = None
    ) -> tuple[Sequence[Kept[Configuration]], int]:
        """A page, and how many there are on all pages."""
        found = [
            kept
            for kept in await self._kept.all(caller.organization_id)
            if enabled is None or kept.value.enabled == enabled
        ]
        return page(found, listing, words=_words)

    async def change(self, caller: Caller, configuration_id: str, change: Change) -> Kept[Configuration]:
        """Raises `errors.NotFound`, `errors.InvalidValue`, `errors.PermissionDenied` for another member's, and
        `errors.Conflict` when it is not in the expected version.
        """
        self._check_place(change)
        for _ in range(_TRIES):
            read = await self._kept.get(caller, configuration_id)
            _check_editor(caller, read)
            value = await self._changed(read, change)
            try:
                return await self._kept.change(
                    caller,
                    configuration_id,
                    unless_overtaken(read, read.name if change.name is UNSET else change.name, value),
                    expected_version=change.expected_version,
                )
            except OvertakenError:
                continue
        raise errors.Conflict(
            f"The MCP configuration {configuration_id!r} is being changed by others", details="try again in a moment"
        )

    async def delete(self, caller: Caller, configuration_id: str) -> None:
        """Raises `errors.NotFound`, and `errors.PermissionDenied` for another member's."""
        _check_editor(caller, await self._kept.get(caller, configuration_id))
        await self._kept.delete(caller, configuration_id)

    async def test(self, caller: Caller, configuration_id: str) -> Tested:
        """Asks the server for its tools, whether or not requests may use it. Raises `errors.NotFound`."""
        kept = await self._kept.get(caller, configuration_id)
        secrets = await self._opened(kept)
        try:
            async with asyncio.timeout(self._test_seconds):
                tools = await self._servers.tools(_server(kept, secrets), fresh=True)
        except errors.ToolFailed as error:
            told = error.message if error.details is None else f"{error.message}: {error.details}"
            tested = Tested(error=secrets.hidden(told))
        except TimeoutError:
            tested = Tested(error=f"The MCP server did not tell its tools within {self._test_seconds:g} seconds")
        else:
            tested = Tested(tools=tuple(tool.name for tool in tools))
        self._remember(kept, tested)
        _log.info(
            "mcp_configuration_tested",
            extra={
                "organization_id": kept.organization_id,
                "configuration_id": kept.id,
                "connected": tested.error is None,
            },
        )
        return tested

    def connection(self, kept: Kept[Configuration]) -> Connection:
        """What this process knows of it in this version."""
        return self._connections.get((kept.id, kept.version), Connection())

    def _remember(self, kept: Kept[Configuration], tested: Tested) -> None:
        before = self._connections.pop((kept.id, kept.version), Connection())
        if len(self._connections) >= _REMEMBERED:
            self._connections.clear()
        if tested.error is None:
            after = Connection("connected", int(self._clock.now()), tools=len(tested.tools))
        else:
            after = Connection("error", before.connected_at, tested.error, before.tools)
        self._connections[kept.id, kept.version] = after

    def _check_place(self, change: Change) -> None:
        """Whether the server may be there at all."""
        if change.server_url is not UNSET:
            rules.check_url(change.server_url)
            self._outward.check(change.server_url, param="server_url")
        if change.program is not UNSET and change.program not in self._programs:
            known = ", ".join(sorted(self._programs))
            raise errors.InvalidValue("program", f"must be one of the operator's: {known or 'there is none'}")

    async def _changed(self, kept: Kept[Configuration], change: Change) -> Configuration:
        if not change.confidential:
            return rules.altered(kept.value, change)
        known: Secrets | None
        try:
            known = await self._opened(kept)
        except errors.StorageUnavailable:
            known = None
        value, secrets = rules.changed(kept.value, change, known)
        if secrets == known:
            return value
        return replace(value, credentials=await self._sealed(secrets, kept.organization_id, kept.id))

    async def _sealed(self, secrets: Secrets, organization_id: str, configuration_id: str) -> bytes | None:
        if secrets == Secrets():
            return None
        return await self._sealer.seal(_encode(secrets).decode(), rules.bound_to(organization_id, configuration_id))

    async def _opened(self, kept: Kept[Configuration]) -> Secrets:
        """Raises `errors.StorageUnavailable`."""
        if kept.value.credentials is None:
            return Secrets()
        try:
            opened = await self._sealer.open(kept.value.credentials, rules.bound_to(kept.organization_id, kept.id))
        except errors.StorageUnavailable as error:
            _log.warning(
                "mcp_credentials_unreadable",
                extra={
                    "organization_id": kept.organization_id,
                    "configuration_id": kept.id,
                    "reason": error.message,
                    "cure": error.details,
                },
            )
            raise errors.StorageUnavailable(
                f"The credentials of the MCP configuration {kept.id!r} cannot be opened",
                code="mcp_credentials_unreadable",
                details="send them again; or let the operator add the secret key that sealed them to FREDDY_SECRET_KEY",
            ) from error
        return _decode(opened)


def _server(kept: Kept[Configuration], secrets: Secrets) -> Server:
    return Server(
        organization_id=kept.organization_id,
        url=kept.value.server_url,
        program=kept.value.program,
        transport=kept.value.transport,
        headers=rules.sent(kept.value, secrets),
    )


def _words(kept: Kept[Configuration]) -> Sequence[str | None]:
    return kept.name, kept.value.description, kept.value.server_url, kept.value.program


def _check_editor(caller: Caller, kept: Kept[Configuration]) -> None:
    if caller.sees_only is not None and caller.sees_only != kept.created_by:
        raise errors.PermissionDenied(
            f"The MCP configuration {kept.id!r} was made by somebody else: you may use it, not change it",
            param="configuration_id",
            details="ask its maker, an administrator or an owner of the organization",
        )
