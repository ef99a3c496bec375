"""Owns the noun assistant: settings kept under an id, what they fill in, and who may use them."""

from typing import Final, Literal, TypeAlias, TypeVar

from msgspec import Raw, Struct
from msgspec.structs import replace

from freddy.server.core import errors, toolspec
from freddy.server.core.request import ContextMode, Output, Reasoning, Request, Sampling

T = TypeVar("T")

AccessMode: TypeAlias = Literal["private", "restricted", "department", "organization", "global", "public"]
Access: TypeAlias = Literal["owner", "edit", "view"]

EVERYBODY: Final = "*"
"""In the place of a user's id: every member of the organization."""


class Settings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is taken where a request says nothing. None, and what is empty, says nothing either.

    Kept for assistants, and for organizations as their defaults. The fields are those of `Request`; `system_message`
    is what the model reads before the instructions, whoever these are from.
    """

    model: str | None = None
    instructions: str | None = None
    system_message: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_logprobs: int | None = None
    """A number asks for log probabilities, 0 for those of the chosen tokens alone."""
    seed: int | None = None
    stop: tuple[str, ...] = ()
    verbosity: Literal["low", "medium", "high"] | None = None
    max_output_tokens: int | None = None
    output: Output | None = None
    reasoning: Reasoning | None = None
    max_tool_calls: int | None = None
    parallel_tool_calls: bool | None = None
    context_mode: ContextMode | None = None
    truncation: Literal["auto", "disabled"] | None = None
    store: bool | None = None

    def over(self, others: "Settings") -> "Settings":
        """These, and where one of them says nothing that of the others. Both system messages are read, theirs first."""
        if others == _NONE:
            return self
        chosen = {
            field: own if (own := getattr(self, field)) not in (None, ()) else getattr(others, field)
            for field in self.__struct_fields__
        }
        return Settings(**{**chosen, "system_message": (*others.system_message, *self.system_message)})

    @property
    def outline(self) -> dict[str, object]:
        """What is said, for a log: of texts only how long they are, of schemas only their names."""
        told = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) not in (None, ())}
        if self.instructions is not None:
            told["instructions"] = len(self.instructions)
        if self.system_message:
            told["system_message"] = [len(text) for text in self.system_message]
        if self.stop:
            told["stop"] = [len(text) for text in self.stop]
        if self.output is not None:
            told["output"] = [self.output.mode, *(schema.name for schema in self.output.schemas)]
        return told


_NONE: Final = Settings()


class Assistant(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`access` says which users may use it, `users` name them where that is needed; `editors` may change it besides.

    `rules` are ids of rules that concern every request. `providers` are those whose models may answer, all if empty.
    `kept` are fields of the caller's dialect that have no effect here and are handed back as they came.
    """

    description: str | None = None
    settings: Settings = _NONE
    rules: tuple[str, ...] = ()
    vector_store_ids: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    servers: tuple[toolspec.Mcp, ...] = ()
    """MCP servers whose tools are offered beside those of the request, without what would be told in confidence."""
    active: bool = True
    api_enabled: bool = True
    """Whether API keys may ask it."""
    access: AccessMode = "organization"
    users: tuple[str, ...] = ()
    editors: tuple[str, ...] = ()
    chatters: tuple[str, ...] = ()
    """Those to whom a chat offers it, everybody if empty."""
    metadata: dict[str, str] = {}
    kept: dict[str, Raw] = {}


def applied(request: Request, settings: Settings) -> Request:
    """The request, with what its caller left out taken from the settings.

    Reasoning and the form of the answer are taken whole. Whoever asks for work in the background wants it stored.
    """
    if settings == _NONE:
        return request
    given = request.given
    return replace(
        request,
        model=request.model or settings.model or "",
        instructions=_instructions(request, settings),
        sampling=_sampling(request, settings),
        output=request.output if settings.output is None or "output" in given else settings.output,
        reasoning=request.reasoning
        if settings.reasoning is None or request.reasoning != Reasoning()
        else settings.reasoning,
        max_output_tokens=_first(request.max_output_tokens, settings.max_output_tokens),
        max_tool_calls=request.max_tool_calls
        if "max_tool_calls" in given
        else _first(settings.max_tool_calls, request.max_tool_calls),
        parallel_tool_calls=request.parallel_tool_calls
        if settings.parallel_tool_calls is None or "parallel_tool_calls" in given
        else settings.parallel_tool_calls,
        context_mode=request.context_mode if "context_mode" in given else settings.context_mode or request.context_mode,
        truncation=request.truncation if "truncation" in given else settings.truncation or request.truncation,
        store=request.store if settings.store is None or "store" in given or request.background else settings.store,
        # What the assistant says of it is said, too: it goes before what a model is used to.
        given=given
        if settings.parallel_tool_calls is None or "parallel_tool_calls" in given
        else (*given, "parallel_tool_calls"),
    )


def access(assistant: Assistant, user_id: str | None, *, created_by: str | None) -> Access | None:
    """What a user of the assistant's organization may do with it; None: it is not there for this one.

    Without a user it is one who sees all of the organization, such as an API key. There are no departments here:
    `department` admits whom `restricted` does.
    """
    if user_id is None or user_id == created_by:
        return "owner"
    if EVERYBODY in assistant.editors or user_id in assistant.editors:
        return "edit"
    match assistant.access:
        case "private":
            return None
        case "restricted" | "department":
            return "view" if EVERYBODY in assistant.users or user_id in assistant.users else None
        case "organization" | "global" | "public":
            return "view"


def offered(assistant: Assistant, user_id: str | None) -> bool:
    """Whether a chat offers it to this user. API keys, which have none, are offered everything."""
    chatters = assistant.chatters
    return not chatters or EVERYBODY in chatters or user_id is None or user_id in chatters


def check_provider(assistant: Assistant, *, name: str, model: str, provider: str) -> None:
    """Raises `errors.PermissionDenied` where the assistant of this name has its models from others."""
    if assistant.providers and provider not in assistant.providers:
        raise errors.PermissionDenied(
            f"The assistant {name!r} is not allowed to use {model!r} of the provider {provider!r}",
            param="model",
            details=f"ask for a model of {', '.join(assistant.providers)}",
        )


def _instructions(request: Request, settings: Settings) -> str | None:
    own = request.instructions if request.instructions is not None else settings.instructions
    if not settings.system_message:
        return own
    return "\n\n".join((*settings.system_message, own) if own else settings.system_message)


def _sampling(request: Request, settings: Settings) -> Sampling:
    own = request.sampling
    logprobs, top_logprobs = own.logprobs, own.top_logprobs
    if settings.top_logprobs is not None and not logprobs and "logprobs" not in request.given:
        logprobs, top_logprobs = True, settings.top_logprobs
    return Sampling(
        temperature=_first(own.temperature, settings.temperature),
        top_p=_first(own.top_p, settings.top_p),
        presence_penalty=_first(own.presence_penalty, settings.presence_penalty),
        frequency_penalty=_first(own.frequency_penalty, settings.frequency_penalty),
        logprobs=logprobs,
        top_logprobs=top_logprobs,
        seed=_first(own.seed, settings.seed),
        stop=own.stop if own.stop or "stop" in request.given else settings.stop,
        verbosity=_first(own.verbosity, settings.verbosity),
    )


def _first(own: T | None, other: T | None) -> T | None:
    return other if own is None else own
