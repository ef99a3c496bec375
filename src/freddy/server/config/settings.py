"""All settings together: which tables there are, and in which module of `sections` each of them is declared."""

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Struct

from freddy.server.config.declarations import Declared, Setting, fields
from freddy.server.config.sections.accounts import Accounts, Oidc
from freddy.server.config.sections.knowledge import Embeddings, Knowledge
from freddy.server.config.sections.limits import Accounting, Limits
from freddy.server.config.sections.models import Candidate, Engine, Model, Price, Served
from freddy.server.config.sections.outward import Network, Webhooks
from freddy.server.config.sections.resources import Resources, Rules
from freddy.server.config.sections.runs import Background, Channel
from freddy.server.config.sections.serving import Development, Log, Server
from freddy.server.config.sections.storage import Files, Secrets, Store
from freddy.server.config.sections.tools import Functions, Mcp, McpProgram, Tools
from freddy.server.config.sections.upstreams import UPSTREAM_VARIABLES, Routing, Timeouts, Upstream

__all__ = [
    "OTHER_VARIABLES",
    "SECTIONS",
    "UPSTREAM_VARIABLES",
    "Accounting",
    "Accounts",
    "Background",
    "Candidate",
    "Channel",
    "Development",
    "Embeddings",
    "Engine",
    "Files",
    "Functions",
    "Knowledge",
    "Limits",
    "Log",
    "Mcp",
    "McpProgram",
    "Model",
    "Network",
    "Oidc",
    "Price",
    "Resources",
    "Routing",
    "Rules",
    "Secrets",
    "Served",
    "Server",
    "Settings",
    "Store",
    "Timeouts",
    "Tools",
    "Upstream",
    "Webhooks",
    "declared",
    "is_loopback",
    "value",
]


class Settings(Struct, frozen=True, kw_only=True):
    home: Annotated[
        Path,
        Setting(
            "FREDDY_HOME",
            "Folder for everything the server keeps: database, models, development key.",
            shown="`$XDG_DATA_HOME/freddy` where that is set, else `~/.freddy`",
        ),
    ]
    server: Server = Server()
    dev: Development = Development()
    store: Store
    files: Files = Files()
    secrets: Secrets = Secrets()
    accounts: Accounts = Accounts()
    oidc: Oidc = Oidc()
    model: Model = Model()
    engine: Engine = Engine()
    embeddings: Embeddings = Embeddings()
    timeouts: Timeouts = Timeouts()
    routing: Routing = Routing()
    channel: Channel = Channel()
    background: Background = Background()
    limits: Limits = Limits()
    rules: Rules = Rules()
    resources: Resources = Resources()
    network: Network = Network()
    tools: Tools = Tools()
    functions: Functions = Functions()
    webhooks: Webhooks = Webhooks()
    mcp: Mcp = Mcp()
    knowledge: Knowledge = Knowledge()
    accounting: Accounting = Accounting()
    log: Log = Log()
    upstreams: tuple[Upstream, ...] = ()
    models: tuple[Served, ...] = ()
    aliases: Mapping[str, str] = {}
    """A model name as callers say it → the model that answers."""

    @property
    def development(self) -> bool:
        """Whether local development mode is on."""
        return self.dev.mode == "on" or (self.dev.mode == "auto" and not self.public)

    @property
    def public(self) -> bool:
        """Whether others than this machine's users reach the server: by its address, or through a proxy."""
        url = self.server.public_url
        return not is_loopback(self.server.host) or (url is not None and not is_loopback(urlsplit(url).hostname or ""))

    @property
    def dev_key_path(self) -> Path:
        """The file of the development key that was made at first start."""
        return self.home / "dev_key"

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The secret keys that are set; the first seals."""
        return tuple(self.secrets.key.split(",")) if self.secrets.key else ()

    @property
    def secret_key_path(self) -> Path:
        """The file of the secret key that is made where none is set."""
        return self.home / "secret_key"

    @property
    def files_path(self) -> Path:
        """The folder of uploaded files."""
        return self.files.folder or self.home / "files"

    @property
    def models_path(self) -> Path:
        """The folder of pulled models."""
        return self.home / "models"


SECTIONS: dict[str, type[Struct]] = {
    "server": Server,
    "dev": Development,
    "store": Store,
    "files": Files,
    "secrets": Secrets,
    "accounts": Accounts,
    "oidc": Oidc,
    "model": Model,
    "engine": Engine,
    "embeddings": Embeddings,
    "timeouts": Timeouts,
    "routing": Routing,
    "channel": Channel,
    "background": Background,
    "limits": Limits,
    "rules": Rules,
    "resources": Resources,
    "network": Network,
    "functions": Functions,
    "webhooks": Webhooks,
    "tools": Tools,
    "mcp": Mcp,
    "knowledge": Knowledge,
    "accounting": Accounting,
    "log": Log,
}

OTHER_VARIABLES: dict[str, str] = {
    "FREDDY_CONFIG": "Path of the settings file.",
    "FREDDY_API_KEY": "Read by the client and by `freddy ask`: the key that is sent.",
    "FREDDY_BASE_URL": "Read by the client and by `freddy ask`: where the server is.",
    "FREDDY_ORG_ID": "Read by the client and by `freddy ask`: the organization that is named.",
}


def declared() -> Iterator[Declared]:
    """Every setting, in the order of the documentation."""
    yield from fields("", Settings)
    for table, section in SECTIONS.items():
        yield from fields(f"{table}.", section)


def value(settings: Settings, name: str) -> object:
    """The value of the setting with this name."""
    found: object = settings
    for part in name.split("."):
        found = getattr(found, part)
    return found


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
