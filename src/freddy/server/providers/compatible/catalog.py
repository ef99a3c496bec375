"""The vendors that speak chat completions, a row each, as their published specifications say.

A row is all there is to a vendor: see `row.Row`. Where a specification is silent, the row is careful.
"""

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec.structs import replace

from freddy.server.core.request import Effort
from freddy.server.providers.compatible.row import PLAIN, SAMPLING, Facts, GivenBack, Json, Parameter, Row

_LOGPROBS: Final[Mapping[Parameter, str]] = {"logprobs": "logprobs", "top_logprobs": "top_logprobs"}
_PARALLEL: Final[Mapping[Parameter, str]] = {"parallel_tool_calls": "parallel_tool_calls"}
_CACHE: Final[Mapping[Parameter, str]] = {"cache_key": "prompt_cache_key"}
_LIMIT: Final[Mapping[Parameter, str]] = {"max_output_tokens": "max_completion_tokens"}
_BOTH: Final[frozenset[Literal["json", "schema"]]] = frozenset(("json", "schema"))
_WORDS: Final[Mapping[Effort, str]] = {"off": "none", "maximum": "max"}


def _levels(*levels: Effort) -> dict[Effort, Json]:
    """As `reasoning_effort`, in OpenAI's words."""
    return {level: {"reasoning_effort": _WORDS.get(level, level)} for level in levels}


def _without(takes: Mapping[Parameter, str], *names: Parameter) -> dict[Parameter, str]:
    return {name: spelled for name, spelled in takes.items() if name not in names}


def _for(patterns: str, facts: Facts) -> tuple[tuple[str, Facts], ...]:
    """The same facts for several patterns, apart by spaces."""
    return tuple((pattern, facts) for pattern in patterns.split())


def find(name: str) -> Row | None:
    return next((row for row in CATALOG if row.name == name), None)


def recognised(url: str) -> Row:
    """The vendor that an address gives away, else the row of a server that nobody knows."""
    host = (urlsplit(url).hostname or "").lower()
    for row in CATALOG:
        if any(host == known or (known.startswith(".") and host.endswith(known)) for known in row.hosts):
            return row
    return COMPATIBLE


# A server that nobody knows: what most take.

COMPATIBLE: Final = Row(
    name="compatible",
    title="Any other server",
    docs="https://platform.openai.com/docs/api-reference/chat/create",
    facts=Facts(
        takes={**PLAIN, **_LOGPROBS, **_PARALLEL},
        efforts=_levels("off", "low", "medium", "high"),
        thought="tags",
        strict=True,
        closed_functions=True,
        files="file",
    ),
)

# Servers that one runs oneself.

_LOCAL: Final = Facts(
    takes={**PLAIN, **_LOGPROBS, **_PARALLEL},
    within={"top_logprobs": (0, 20)},
    thinks="unless off",
    thought="tags",
    system="first",
    alternating=True,
)


def _switched(effort: str | None = None) -> Json:
    """Thinking as a switch of the chat template: Qwen's and Gemma's name for it, and DeepSeek's."""
    on = effort is not None
    told: Json = {"chat_template_kwargs": {"enable_thinking": on, "thinking": on}}
    return told | {"reasoning_effort": effort} if effort else told


_SWITCHED: Final[Mapping[Effort, Json]] = {
    "off": _switched(),
    "low": _switched("low"),
    "medium": _switched("medium"),
    "high": _switched("high"),
}
_VLLM: Final = replace(_LOCAL, efforts=_SWITCHED, given_back=GivenBack("reasoning"), guarantees=_BOTH, strict=True)

VLLM: Final = Row(
    name="vllm",
    title="vLLM",
    docs="https://docs.vllm.ai/en/stable/serving/openai_compatible_server/",
    keys=("VLLM_API_KEY",),
    facts=_VLLM,
    # Mistral's own tokenizer takes no fields for a template, and ids of calls of one form only.
    models=_for(
        "mistral* magistral* ministral* devstral* */mistral* */magistral* */ministral* */devstral*",
        replace(_VLLM, efforts=_levels("low", "medium", "high"), call_ids=r"[A-Za-z0-9]{9}", bridged=True),
    ),
)

SGLANG: Final = Row(
    name="sglang",
    title="SGLang",
    docs="https://docs.sglang.io/docs/basic_usage/openai_api_completions",
    keys=("SGLANG_API_KEY",),
    facts=replace(_LOCAL, efforts=_SWITCHED, given_back=GivenBack("reasoning_content"), guarantees=_BOTH, strict=True),
)

OLLAMA: Final = Row(
    name="ollama",
    title="Ollama",
    docs="https://docs.ollama.com/api/openai-compatibility",
    keys=("OLLAMA_API_KEY",),
    hosts=("ollama.com",),
    facts=Facts(
        takes={**PLAIN, **_LOGPROBS},
        within={"top_logprobs": (0, 20)},
        efforts=_levels("off", "low", "medium", "high"),
        thinks="unless off",
        given_back=GivenBack("reasoning"),
        must_call=None,
        named=False,
        image_urls=False,
        image_details=(),
        audio=None,
    ),
)


def _templated(effort: str | None = None) -> Json:
    told: Json = {"enable_thinking": effort is not None}
    return {"chat_template_kwargs": told | ({"reasoning_effort": effort} if effort else {})}


LLAMA_CPP: Final = Row(
    name="llama.cpp",
    title="llama.cpp",
    docs="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    keys=("LLAMA_API_KEY",),
    facts=replace(
        _LOCAL,
        efforts={
            "off": _templated(),
            "low": _templated("low"),
            "medium": _templated("medium"),
            "high": _templated("high"),
        },
        thought="apart",
        given_back=GivenBack("reasoning_content"),
        guarantees=_BOTH,
        named=False,
        image_urls=False,
    ),
)

LM_STUDIO: Final = Row(
    name="lmstudio",
    title="LM Studio",
    docs="https://lmstudio.ai/docs/developer/openai-compat",
    keys=("LMSTUDIO_API_KEY",),
    directory="lmstudio",
    facts=replace(
        _LOCAL,
        takes=PLAIN,
        efforts=_levels("off", "low", "medium", "high"),
        json="json_schema",
        named=False,
        image_urls=False,
        audio=None,
    ),
)

_TGI: Final = replace(
    _LOCAL,
    takes={**PLAIN, **_LOGPROBS},
    within={"top_logprobs": (0, 5), "stop": (0, 4)},
    json="json_schema",
    image_details=(),
    audio=None,
)

TGI: Final = Row(
    name="tgi",
    title="Text Generation Inference",
    docs="https://huggingface.co/docs/text-generation-inference/en/reference/api_reference",
    facts=_TGI,
    # It leaves thinking where it is, and the templates of these models write the opening tag.
    models=_for("*deepseek-r1* *qwq* *qwen3*thinking*", replace(_TGI, thought="open", thinks="always")),
)

# OpenAI's models, at OpenAI and elsewhere.

_GPT: Final = Facts(
    takes={**PLAIN, **_LOGPROBS, **_PARALLEL, **_CACHE, **_LIMIT},
    within={"top_logprobs": (0, 20), "stop": (0, 4)},
    closed_schemas=True,
    strict=True,
    call_ids=r".{1,40}",
    developer=True,
    refusals=True,
    image_details=("low", "high", "original"),
    files="file",
)
_GPT_THINKS: Final = replace(
    _GPT,
    takes={**_without(_GPT.takes, *SAMPLING, "stop", "logprobs", "top_logprobs"), "verbosity": "verbosity"},
    thinks="always",
)
_GPT_MAY_THINK: Final = replace(
    _GPT,
    takes={**_GPT.takes, "verbosity": "verbosity"},
    thinking_excludes=frozenset((*SAMPLING, "stop", "logprobs", "top_logprobs")),
)


def _openai(prefix: str = "") -> tuple[tuple[str, Facts], ...]:
    """By family, as OpenAI tells: https://platform.openai.com/docs/guides/reasoning"""
    high: dict[Effort, Json] = {"maximum": {"reasoning_effort": "high"}}
    none_to_high = _levels("off", "low", "medium", "high") | high
    none_to_xhigh = none_to_high | _levels("xhigh")
    low_to_xhigh = _levels("low", "medium", "high", "xhigh") | high
    families = (
        (
            "o1* o3* o4*",
            replace(
                _GPT_THINKS,
                takes=_without(_GPT_THINKS.takes, "verbosity", "parallel_tool_calls"),
                efforts=_levels("low", "medium", "high"),
            ),
        ),
        ("gpt-5-chat*", _GPT),
        ("gpt-5.?-chat*", replace(_GPT_THINKS, efforts=_levels("medium"))),
        ("gpt-5-pro*", replace(_GPT_THINKS, efforts=_levels("high"))),
        ("gpt-5.?-pro*", replace(_GPT_THINKS, efforts=_levels("medium", "high", "xhigh") | high)),
        ("gpt-5.1-codex*", replace(_GPT_THINKS, efforts=_levels("low", "medium", "high"))),
        ("gpt-5.1*", replace(_GPT_MAY_THINK, efforts=none_to_high)),
        ("gpt-5.2* gpt-5.3* gpt-5.4*", replace(_GPT_MAY_THINK, efforts=none_to_xhigh)),
        (
            "gpt-5.5* gpt-5.6* gpt-6-sol* gpt-6-luna* gpt-6.1-terra*",
            replace(_GPT_MAY_THINK, efforts=none_to_xhigh, thinks="unless off"),
        ),
        ("gpt-6*", replace(_GPT_THINKS, efforts=low_to_xhigh)),
        ("gpt-5*", replace(_GPT_THINKS, efforts=_levels("minimal", "low", "medium", "high"))),
    )
    return tuple((prefix + pattern, facts) for patterns, facts in families for pattern in patterns.split())


OPENAI: Final = Row(
    name="openai",
    title="OpenAI (chat completions)",
    docs="https://platform.openai.com/docs/api-reference/chat/create",
    url="https://api.openai.com/v1",
    keys=("OPENAI_API_KEY",),
    hosts=("api.openai.com",),
    directory="openai",
    facts=_GPT,
    models=_openai(),
)

AZURE: Final = Row(
    name="azure",
    title="Azure OpenAI (v1 API)",
    docs="https://learn.microsoft.com/en-us/azure/ai-foundry/openai/latest",
    keys=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
    hosts=(".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"),
    directory="azure",
    key_header="api-key",
    facts=replace(_GPT, files=None, image_details=("low", "high")),
    models=tuple((pattern, replace(facts, files=None, image_details=("low", "high"))) for pattern, facts in _openai()),
)

GITHUB: Final = Row(
    name="github",
    title="GitHub Models",
    docs="https://docs.github.com/en/rest/models/inference",
    url="https://models.github.ai/inference",
    keys=("GITHUB_TOKEN",),
    hosts=("models.github.ai",),
    directory="github-models",
    headers={"x-github-api-version": "2022-11-28"},
    listing=None,
    facts=Facts(thought="tags", named=False, developer=True, audio=None),
    models=tuple(
        (
            pattern,
            replace(
                facts,
                takes=_without(
                    facts.takes, "cache_key", "verbosity", "parallel_tool_calls", "logprobs", "top_logprobs"
                ),
                files=None,
                audio=None,
            ),
        )
        for pattern, facts in (*_openai("openai/"), ("openai/*", _GPT))
    ),
)

# Vendors of models of their own.

_GEMINI: Final = Facts(
    takes=_without(PLAIN, "seed", "presence_penalty", "frequency_penalty"),
    within={"stop": (0, 5)},
    efforts=_levels("off", "low", "medium", "high"),
    thinks="unless off",
    given_back=GivenBack("signatures"),
    thinking_counted_apart=True,
    names=r"[A-Za-z_][A-Za-z0-9_-]{0,63}",
    image_urls=False,
    image_details=(),
)

GEMINI: Final = Row(
    name="gemini",
    title="Google Gemini (compatible endpoint)",
    docs="https://ai.google.dev/gemini-api/docs/openai",
    url="https://generativelanguage.googleapis.com/v1beta/openai",
    keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    hosts=("generativelanguage.googleapis.com",),
    directory="google",
    facts=_GEMINI,
    models=(
        *_for("*gemini-1* *gemini-2.0* *gemma-3*", replace(_GEMINI, efforts={}, thinks="when asked")),
        *_for("*gemini-*-pro*", replace(_GEMINI, efforts=_levels("low", "medium", "high"), thinks="always")),
    ),
)

_MISTRAL: Final = Facts(
    takes={**PLAIN, **_LOGPROBS, **_PARALLEL, **_CACHE, "seed": "random_seed"},
    within={"temperature": (0, 1.5)},
    given_back=GivenBack("chunks", always=True),
    strict=True,
    must_call="any",
    call_ids=r"[A-Za-z0-9]{9}",
    bridged=True,
    output_parts=True,
    audio="text",
    files="document_url",
    file_urls=True,
    counts=False,
)

MISTRAL: Final = Row(
    name="mistral",
    title="Mistral AI",
    docs="https://docs.mistral.ai/api/endpoint/chat",
    url="https://api.mistral.ai/v1",
    keys=("MISTRAL_API_KEY",),
    hosts=("api.mistral.ai", "codestral.mistral.ai"),
    directory="mistral",
    facts=_MISTRAL,
    models=(
        *_for("magistral*", replace(_MISTRAL, thinks="always")),
        *_for("mistral-large-4*", replace(_MISTRAL, efforts=_levels("off", "low", "medium", "high"))),
        *_for(
            "mistral-small-latest mistral-small-26* mistral-medium-3-5* mistral-medium-26* mistral-medium-latest",
            replace(_MISTRAL, efforts=_levels("off", "high")),
        ),
    ),
)


def _deepseek(effort: str | None = None) -> Json:
    if effort is None:
        return {"thinking": {"type": "disabled"}}
    return {"thinking": {"type": "enabled"}, "reasoning_effort": effort}


_DEEPSEEK: Final = Facts(
    takes={**_without(PLAIN, "seed"), **_LOGPROBS},
    within={"top_logprobs": (0, 20), "stop": (0, 16)},
    efforts={
        "off": _deepseek(),
        "low": _deepseek("low"),
        "high": _deepseek("high"),
        "maximum": _deepseek("max"),
    },
    thinks="unless off",
    thinking_excludes=frozenset((*SAMPLING, "logprobs", "top_logprobs", "tool_choice")),
    given_back=GivenBack("reasoning_content", needed=True),
    schema=False,
    image_details=(),
    audio=None,
)

DEEPSEEK: Final = Row(
    name="deepseek",
    title="DeepSeek",
    docs="https://api-docs.deepseek.com/api/create-chat-completion",
    url="https://api.deepseek.com",
    keys=("DEEPSEEK_API_KEY",),
    hosts=("api.deepseek.com",),
    directory="deepseek",
    facts=_DEEPSEEK,
    models=(
        ("deepseek-chat", replace(_DEEPSEEK, thinks="when asked")),
        ("deepseek-reasoner", replace(_DEEPSEEK, efforts={}, thinks="always")),
    ),
)

_GROK: Final = Facts(
    takes={**_without(PLAIN, "presence_penalty", "frequency_penalty", "stop"), **_LOGPROBS, **_PARALLEL, **_LIMIT},
    within={"top_logprobs": (0, 8)},
    thinks="always",
    thinking_counted_apart=True,
    guarantees=_BOTH,
    audio=None,
)

XAI: Final = Row(
    name="xai",
    title="xAI",
    docs="https://docs.x.ai/docs/api-reference#chat-completions",
    url="https://api.x.ai/v1",
    keys=("XAI_API_KEY",),
    hosts=("api.x.ai", ".api.x.ai"),
    directory="xai",
    facts=_GROK,
    models=(
        *_for(
            "*non-reasoning* grok-2*",
            replace(_GROK, takes={**PLAIN, **_LOGPROBS, **_PARALLEL, **_LIMIT}, thinks="when asked"),
        ),
        *_for(
            "grok-4.3* grok-latest",
            replace(_GROK, efforts=_levels("off", "low", "medium", "high"), thinks="unless off"),
        ),
        *_for(
            "grok-4.5* grok-4.6* grok-4.7* grok-build-latest", replace(_GROK, efforts=_levels("low", "medium", "high"))
        ),
        *_for("grok-3-mini*", replace(_GROK, efforts=_levels("low", "high"))),
    ),
)

_KIMI: Final = Facts(
    takes={**_without(PLAIN, "seed"), **_CACHE, **_LIMIT},
    within={"temperature": (0, 1), "stop": (0, 5)},
    schema=False,
    must_call=None,
    named=False,
    image_urls=False,
    image_details=(),
    audio=None,
)
_KIMI_THINKS: Final = replace(
    _KIMI,
    takes=_without(_KIMI.takes, *SAMPLING),
    thinks="always",
    given_back=GivenBack("reasoning_content", needed=True),
)

MOONSHOT: Final = Row(
    name="moonshot",
    title="Moonshot AI",
    docs="https://platform.kimi.ai/docs/api/chat",
    url="https://api.moonshot.ai/v1",
    keys=("MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY"),
    hosts=("api.moonshot.ai", "api.moonshot.cn"),
    directory="moonshotai",
    facts=_KIMI,
    models=(
        *_for("kimi-k3*", replace(_KIMI_THINKS, efforts=_levels("low", "high", "maximum"))),
        *_for(
            "kimi-k2.5* kimi-k2.6*",
            replace(
                _KIMI_THINKS,
                efforts={"off": {"thinking": {"type": "disabled"}}, "high": {"thinking": {"type": "enabled"}}},
                thinks="unless off",
            ),
        ),
        *_for("kimi-k2.7*", _KIMI_THINKS),
        *_for("kimi-k2-thinking* kimi-thinking*", replace(_KIMI_THINKS, takes=_KIMI.takes)),
    ),
)


def _qwen(budget: int | None = None) -> Json:
    """`thinking_budget` is in tokens; without one the model's own bound counts."""
    return {"enable_thinking": True} | ({"thinking_budget": budget} if budget else {})


QWEN: Final = Row(
    name="qwen",
    title="Alibaba Cloud Model Studio (Qwen)",
    docs="https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-openai-chat-completions",
    url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    keys=("DASHSCOPE_API_KEY",),
    hosts=(
        "dashscope.aliyuncs.com",
        "dashscope-intl.aliyuncs.com",
        "dashscope-us.aliyuncs.com",
        ".dashscope.aliyuncs.com",
    ),
    directory="alibaba",
    facts=Facts(
        takes={**_without(PLAIN, "frequency_penalty"), **_LOGPROBS, **_PARALLEL},
        within={"temperature": (0, 1.99), "top_logprobs": (0, 5)},
        efforts={
            "off": {"enable_thinking": False},
            "low": _qwen(2_500),
            "medium": _qwen(10_000),
            "high": _qwen(25_000),
            "maximum": _qwen(),
        },
        thinking_excludes=frozenset(("tool_choice", "form")),
        thinking_streams=True,
        given_back=GivenBack("reasoning_content"),
        schema=False,
        must_call=None,
        system="first",
        image_details=(),
        audio="address",
    ),
)

COHERE: Final = Row(
    name="cohere",
    title="Cohere (compatibility API)",
    docs="https://docs.cohere.com/docs/compatibility-api",
    url="https://api.cohere.ai/compatibility/v1",
    keys=("COHERE_API_KEY", "CO_API_KEY"),
    hosts=("api.cohere.ai", "api.cohere.com"),
    directory="cohere",
    facts=Facts(
        within={"temperature": (0, 1), "presence_penalty": (0, 1), "frequency_penalty": (0, 1), "stop": (0, 5)},
        efforts=_levels("off", "high"),
        thinks="unless off",
        strict=True,
        must_call=None,
        named=False,
        developer=True,
        image_details=(),
        audio=None,
        counts=False,
    ),
)

_SONAR: Final = Facts(
    takes=_without(PLAIN, "seed"),
    within={"temperature": (0, 1.99)},
    thought="tags",
    json="json_schema",
    named=False,
    system="first",
    alternating=True,
    image_details=(),
    audio=None,
    files="file_url",
    file_urls=True,
    counts=False,
)

PERPLEXITY: Final = Row(
    name="perplexity",
    title="Perplexity",
    docs="https://docs.perplexity.ai/api-reference/chat-completions-post",
    url="https://api.perplexity.ai",
    keys=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
    hosts=("api.perplexity.ai",),
    directory="perplexity",
    listing=None,
    facts=_SONAR,
    models=_for(
        "*reasoning* *deep-research*",
        replace(_SONAR, efforts=_levels("minimal", "low", "medium", "high"), thinks="always"),
    ),
)

# Vendors of the models of others.

_GROQ: Final = Facts(
    takes={**_without(PLAIN, "presence_penalty", "frequency_penalty"), **_PARALLEL, **_LIMIT},
    within={"stop": (0, 4)},
    schema=False,
    form_beside_tools=False,
    form_streams=False,
    audio=None,
    counts=False,
)
_GROQ_SCHEMAS: Final = replace(_GROQ, schema=True, closed_schemas=True)
_GROQ_QWEN: Final = replace(
    _GROQ,
    always={"reasoning_format": "parsed"},
    efforts={"off": {"reasoning_effort": "none"}, "high": {"reasoning_effort": "default"}},
    thinks="unless off",
    given_back=GivenBack("reasoning"),
)

GROQ: Final = Row(
    name="groq",
    title="Groq",
    docs="https://console.groq.com/docs/api-reference#chat-create",
    url="https://api.groq.com/openai/v1",
    keys=("GROQ_API_KEY",),
    hosts=("api.groq.com",),
    directory="groq",
    facts=_GROQ,
    models=(
        *_for(
            "openai/gpt-oss*",
            replace(
                _GROQ_SCHEMAS,
                efforts=_levels("low", "medium", "high"),
                thinks="always",
                given_back=GivenBack("reasoning"),
            ),
        ),
        *_for("moonshotai/kimi-k2* meta-llama/llama-4*", _GROQ_SCHEMAS),
        *_for("qwen/qwen3.8*", replace(_GROQ_QWEN, efforts=_levels("off", "low", "medium", "high"))),
        *_for("qwen/qwen3* qwen-qwq* deepseek-r1*", _GROQ_QWEN),
    ),
)

OPENROUTER: Final = Row(
    name="openrouter",
    title="OpenRouter",
    docs="https://openrouter.ai/docs/api-reference/chat-completion",
    url="https://openrouter.ai/api/v1",
    keys=("OPENROUTER_API_KEY",),
    hosts=("openrouter.ai",),
    directory="openrouter",
    facts=Facts(
        takes={**PLAIN, **_LOGPROBS, **_PARALLEL, **_CACHE, "summary": "reasoning.summary"},
        within={"top_logprobs": (0, 20)},
        efforts={
            level: {"reasoning": {"effort": _WORDS.get(level, level)}}
            for level in ("off", "minimal", "low", "medium", "high", "xhigh", "maximum")
        },
        given_back=GivenBack("details"),
        strict=True,
        developer=True,
        refusals=True,
        output_parts=True,
        image_details=("low", "high", "original"),
        files="file",
        file_urls=True,
    ),
)

TOGETHER: Final = Row(
    name="together",
    title="Together AI",
    docs="https://docs.together.ai/reference/chat-completions",
    url="https://api.together.xyz/v1",
    keys=("TOGETHER_API_KEY",),
    hosts=("api.together.xyz", "api.together.ai"),
    directory="togetherai",
    facts=Facts(
        # Here `logprobs` is how many tokens to tell of.
        takes={**PLAIN, "top_logprobs": "logprobs"},
        within={"top_logprobs": (1, 20)},
        efforts={"off": {"reasoning": {"enabled": False}}, **_levels("low", "medium", "high")},
        thought="tags",
        guarantees=frozenset(("schema",)),
        image_details=(),
        audio=None,
        counts=False,
    ),
)

FIREWORKS: Final = Row(
    name="fireworks",
    title="Fireworks AI",
    docs="https://docs.fireworks.ai/api-reference/post-chatcompletions",
    url="https://api.fireworks.ai/inference/v1",
    keys=("FIREWORKS_API_KEY",),
    hosts=("api.fireworks.ai",),
    directory="fireworks-ai",
    facts=Facts(
        takes={**PLAIN, **_LOGPROBS, **_PARALLEL},
        within={"top_logprobs": (0, 5), "stop": (0, 4)},
        efforts=_levels("off", "low", "medium", "high"),
        thinks="unless off",
        thought="tags",
        given_back=GivenBack("reasoning_content"),
        guarantees=frozenset(("schema",)),
        image_details=(),
        audio=None,
    ),
)

_CEREBRAS: Final = Facts(
    takes={**PLAIN, **_LOGPROBS, **_PARALLEL, **_CACHE, **_LIMIT},
    within={"temperature": (0, 1.5), "top_logprobs": (0, 20), "stop": (0, 4)},
    closed_schemas=True,
    form_beside_tools=False,
    form_streams=False,
    strict=True,
    developer=True,
    audio=None,
)
_CEREBRAS_THINKS: Final = replace(
    _CEREBRAS, always={"reasoning_format": "parsed"}, thinks="always", given_back=GivenBack("reasoning")
)

CEREBRAS: Final = Row(
    name="cerebras",
    title="Cerebras",
    docs="https://inference-docs.cerebras.ai/api-reference/chat-completions",
    url="https://api.cerebras.ai/v1",
    keys=("CEREBRAS_API_KEY",),
    hosts=("api.cerebras.ai",),
    directory="cerebras",
    facts=_CEREBRAS,
    models=(
        *_for("gpt-oss*", replace(_CEREBRAS_THINKS, efforts=_levels("low", "medium", "high"))),
        *_for("kimi-k3*", replace(_CEREBRAS_THINKS, efforts=_levels("low", "high", "maximum"))),
        *_for(
            "zai-glm-5.3*",
            replace(_CEREBRAS_THINKS, efforts=_levels("low", "high", "maximum"), given_back=GivenBack("tags")),
        ),
        *_for(
            "zai-*",
            replace(
                _CEREBRAS_THINKS, efforts=_levels("off", "high"), thinks="unless off", given_back=GivenBack("tags")
            ),
        ),
    ),
)

_NVIDIA: Final = Facts(
    efforts={
        "off": {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
        "high": {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}},
    },
    thought="tags",
    schema=False,
    image_details=(),
    audio=None,
)

NVIDIA: Final = Row(
    name="nvidia",
    title="NVIDIA NIM",
    docs="https://docs.api.nvidia.com/nim/reference/llm-apis",
    url="https://integrate.api.nvidia.com/v1",
    keys=("NVIDIA_API_KEY",),
    hosts=("integrate.api.nvidia.com",),
    directory="nvidia",
    facts=_NVIDIA,
    models=_for("openai/gpt-oss*", replace(_NVIDIA, efforts=_levels("low", "medium", "high"), thinks="always")),
)

DEEPINFRA: Final = Row(
    name="deepinfra",
    title="DeepInfra",
    docs="https://docs.deepinfra.com/api-reference/openai-chat-completions-1",
    url="https://api.deepinfra.com/v1/openai",
    keys=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
    hosts=("api.deepinfra.com",),
    directory="deepinfra",
    facts=Facts(
        takes={**PLAIN, **_CACHE, "logprobs": "logprobs"},
        within={"stop": (0, 4)},
        efforts=_levels("off", "low", "medium", "high"),
        thought="tags",
        must_call=None,
        named=False,
        image_details=(),
    ),
)

HUGGING_FACE: Final = Row(
    name="huggingface",
    title="Hugging Face (Inference Providers)",
    docs="https://huggingface.co/docs/inference-providers/tasks/chat-completion",
    url="https://router.huggingface.co/v1",
    keys=("HF_TOKEN",),
    hosts=("router.huggingface.co",),
    directory="huggingface",
    facts=Facts(
        takes={**PLAIN, **_LOGPROBS},
        within={"top_logprobs": (0, 5), "stop": (0, 4)},
        efforts=_levels("off", "minimal", "low", "medium", "high", "xhigh"),
        thought="tags",
        image_details=(),
        audio=None,
    ),
)

CATALOG: Final[tuple[Row, ...]] = (
    VLLM,
    SGLANG,
    OLLAMA,
    LLAMA_CPP,
    LM_STUDIO,
    TGI,
    OPENAI,
    AZURE,
    GITHUB,
    GEMINI,
    MISTRAL,
    DEEPSEEK,
    XAI,
    MOONSHOT,
    QWEN,
    COHERE,
    PERPLEXITY,
    GROQ,
    OPENROUTER,
    TOGETHER,
    FIREWORKS,
    CEREBRAS,
    NVIDIA,
    DEEPINFRA,
    HUGGING_FACE,
    COMPATIBLE,
)
