# Generated from freddy._async by scripts/unasync.py; edit that instead.
"""`FreddyClient`: its configuration, its resources as attributes, and its end."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx2

from freddy import _settings
from freddy._sync.api_keys import ApiKeys
from freddy._sync.assistants import Assistants
from freddy._sync.files import Files
from freddy._sync.functions import Functions
from freddy._sync.mcp_configurations import McpConfigurations
from freddy._sync.models import Models
from freddy._sync.organizations import Organizations
from freddy._sync.prompts import Prompts
from freddy._sync.responses import Responses
from freddy._sync.rules import Rules
from freddy._sync.threads import Threads
from freddy._sync.transport import DEFAULT_TIMEOUT, Transport, Timeout
from freddy._sync.usage import Usage
from freddy._sync.users import Users
from freddy._sync.vector_stores import VectorStores
from freddy._sync.webhooks import Webhooks


class FreddyClient:
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
        http_client: httpx2.Client | None = None,
    ) -> None:
        settings = _settings.complete(api_key, base_url=base_url, organization_id=organization_id)
        self._attach(Transport(settings, http_client=http_client, timeout=timeout, max_retries=max_retries))

    @classmethod
    def over(cls, transport: Transport) -> FreddyClient:
        """A client over a ready transport; for tests that bring their own clock and sleep."""
        client = cls.__new__(cls)
        client._attach(transport)  # noqa: SLF001 its own
        return client

    def _attach(self, transport: Transport) -> None:
        self._transport = transport
        self.responses = Responses(transport)
        self.threads = Threads(transport)
        self.models = Models(transport)
        self.files = Files(transport)
        self.vector_stores = VectorStores(transport)
        self.organizations = Organizations(transport)
        self.users = Users(transport)
        self.api_keys = ApiKeys(transport)
        self.prompts = Prompts(transport)
        self.mcp_configurations = McpConfigurations(transport)
        self.functions = Functions(transport)
        self.webhooks = Webhooks(transport)
        self.assistants = Assistants(transport)
        self.rules = Rules(transport)
        self.usage = Usage(transport)

    @property
    def base_url(self) -> str:
        """Where the server is; `/v1` comes after it."""
        return self._transport.settings.base_url

    def close(self) -> None:
        """Ends all connections. Leaving a `with` block does it, too."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"
