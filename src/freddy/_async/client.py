"""`AsyncFreddyClient`: its configuration, its resources as attributes, and its end."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx2

from freddy import _settings
from freddy._async.api_keys import AsyncApiKeys
from freddy._async.assistants import AsyncAssistants
from freddy._async.files import AsyncFiles
from freddy._async.functions import AsyncFunctions
from freddy._async.mcp_configurations import AsyncMcpConfigurations
from freddy._async.models import AsyncModels
from freddy._async.organizations import AsyncOrganizations
from freddy._async.prompts import AsyncPrompts
from freddy._async.responses import AsyncResponses
from freddy._async.rules import AsyncRules
from freddy._async.threads import AsyncThreads
from freddy._async.transport import DEFAULT_TIMEOUT, AsyncTransport, Timeout
from freddy._async.usage import AsyncUsage
from freddy._async.users import AsyncUsers
from freddy._async.vector_stores import AsyncVectorStores
from freddy._async.webhooks import AsyncWebhooks


class AsyncFreddyClient:
    """Speaks with one Freddy server.

    - `api_key`: default `FREDDY_API_KEY`; with neither, no credential is sent, which a server in
      local development mode accepts.
    - `base_url`: default `FREDDY_BASE_URL`, else `http://127.0.0.1:8000`; with or without `/v1`.
    - `organization_id`: default `FREDDY_ORG_ID`; goes into every request that names none.
    - `timeout`: seconds without a byte from the server, or an `httpx2.Timeout`; None for no limit.
    - `max_retries`: how often a call is tried again after a failure that may pass.
    - `http_client`: your own client, for proxies or certificates; you close it yourself.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        organization_id: str | None = None,
        timeout: Timeout = DEFAULT_TIMEOUT,
        max_retries: int = 2,
        http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        settings = _settings.complete(api_key, base_url=base_url, organization_id=organization_id)
        self._attach(AsyncTransport(settings, http_client=http_client, timeout=timeout, max_retries=max_retries))

    @classmethod
    def over(cls, transport: AsyncTransport) -> AsyncFreddyClient:
        """A client over a ready transport; for tests that bring their own clock and sleep."""
        client = cls.__new__(cls)
        client._attach(transport)  # noqa: SLF001 its own
        return client

    def _attach(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self.responses = AsyncResponses(transport)
        self.threads = AsyncThreads(transport)
        self.models = AsyncModels(transport)
        self.files = AsyncFiles(transport)
        self.vector_stores = AsyncVectorStores(transport)
        self.organizations = AsyncOrganizations(transport)
        self.users = AsyncUsers(transport)
        self.api_keys = AsyncApiKeys(transport)
        self.prompts = AsyncPrompts(transport)
        self.mcp_configurations = AsyncMcpConfigurations(transport)
        self.functions = AsyncFunctions(transport)
        self.webhooks = AsyncWebhooks(transport)
        self.assistants = AsyncAssistants(transport)
        self.rules = AsyncRules(transport)
        self.usage = AsyncUsage(transport)

    @property
    def base_url(self) -> str:
        """Where the server is; `/v1` comes after it."""
        return self._transport.settings.base_url

    async def close(self) -> None:
        """Ends all connections. Leaving a `with` block does it, too."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"
