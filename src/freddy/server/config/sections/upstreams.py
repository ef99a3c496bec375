"""Settings of upstreams: where they are, how long they may take, and what happens when one fails."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Struct

from freddy.server.config.declarations import Setting

UPSTREAM_VARIABLES: dict[str, str] = {
    "FREDDY_UPSTREAM_URL": "Address of an OpenAI-compatible server, for the upstream named `upstream`.",
    "FREDDY_UPSTREAM_KEY": "Its key.",
    "FREDDY_UPSTREAM_MODELS": "Its models: names or patterns, with commas between them (default `*`).",
    "FREDDY_UPSTREAM_VENDOR": "Whose ways it has, such as `groq` or `vllm`; then the address may be left out.",
    "FREDDY_UPSTREAM_KIND": "Its wire: `compatible`, `openai` or `anthropic`; by default the vendor's own.",
}


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
