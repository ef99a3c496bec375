"""Owns how a response is written: one object for all clients, with the older names as mirrors."""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from freddy.server.core import items, toolspec
from freddy.server.core.request import Request
from freddy.server.core.response import Response
from freddy.server.core.usage import Shares, Usage
from freddy.server.dialects.freddy import aliases, considered, errors, thinking, views
from freddy.server.dialects.freddy.request import ECHOED

_encode = msgspec.json.Encoder().encode


class Neurons(Struct):
    """What was read: the request's own input, what came before it, instructions, tools and their outputs.

    The parts are estimated and add up to the total. They are null where nothing is known of them; `input` is then all.
    """

    input: float
    context: float | None
    system: float | None
    tools: float | None
    total: float


class Synapses(Struct):
    """What was written: `output` can be seen, `reasoning` need not be, `tool_execution` are the arguments of calls."""

    output: float
    reasoning: float
    tool_execution: float | None
    total: float


class Cost(Struct):
    total: float
    currency: Literal["USD"] = "USD"


class UsageView(Struct):
    """`cost` is null where a price is not known. `estimated`: nobody counted, it was worked out here."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    neurons: Neurons | UnsetType = UNSET
    synapses: Synapses | UnsetType = UNSET
    cost: Cost | UnsetType | None = UNSET
    estimated: bool | UnsetType = UNSET


class AttemptLog(Struct):
    """One try to have a model answer: `code` and `status` are those of its error, null where it answered."""

    type: Literal["attempt"]
    provider: str
    model: str
    seconds: float
    code: str | None
    status: int | None
    note: str | None


class WarningLog(Struct):
    type: Literal["warning"]
    message: str


class IncompleteDetails(Struct):
    reason: str


class ReasoningView(Struct):
    """`effort` as asked; what was thought is in `content`, or only a `summary` of it.

    `encrypted_content` is all of it, to be handed back by callers who keep the conversation themselves.
    """

    effort: str | None
    summary: str | None
    content: str | None
    encrypted_content: str | UnsetType | None = UNSET


class InputImage(Struct):
    """An image of a message of the request; `url` leads to its content, for a file with the same credential."""

    message_id: str
    url: str
    file_id: str | None
    fileId: str | None  # noqa: N815 a mirror in the older API's spelling


class NamedFunction(Struct):
    type: Literal["function"]
    name: str


class HostedTool(Struct):
    """A tool that this server runs: all of an MCP server, or the one of that name."""

    type: str
    server_label: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class AllowedTools(Struct):
    type: Literal["allowed_tools"]
    mode: str
    tools: tuple[NamedFunction | HostedTool, ...]


class ResponseView(Struct, kw_only=True):
    id: str
    object: str = "response"
    created_at: int
    createdAt: int  # noqa: N815 a mirror in the older API's spelling
    completed_at: int | None
    status: str
    model: str
    output: tuple[views.Item, ...]
    outputs: tuple[views.Item, ...] | UnsetType
    response: str | UnsetType
    thread: str | None
    thread_id: str | None
    previous_response_id: str | None
    organization_id: str
    assistant_id: str | None
    usage: UsageView | None
    reasoning: ReasoningView | None
    metadata: dict[str, str]
    incomplete_details: IncompleteDetails | None
    error: errors.ErrorView | None
    warnings: tuple[str, ...]
    temperature: float | None
    top_p: float | None
    max_output_synapses: int | None
    tool_choice: str | NamedFunction | HostedTool | AllowedTools | Raw
    parallel_tool_calls: bool
    max_tool_calls: int | None
    output_mode: str
    thread_context_mode: str
    truncation: str
    store: bool
    background: bool
    request_logs: tuple[AttemptLog | WarningLog, ...] | UnsetType = UNSET
    rules_debug: considered.RulesDebug | UnsetType = UNSET
    input_images: tuple[InputImage, ...] | UnsetType = UNSET


class Units(Struct, frozen=True):
    """How many tokens are accounted as one neuron of input, and as one synapse of output."""

    tokens_per_neuron: float = 1.0
    tokens_per_synapse: float = 1.0


ONE_TO_ONE: Final = Units()


def encode_response(response: Response, *, units: Units = ONE_TO_ONE, mirrors: bool = True) -> bytes:
    """`mirrors` off leaves out `outputs`, `response` and `result` of calls, which say again what others say."""
    writer = views.Writer(response.request, mirrors=mirrors)
    wire = tuple(item for each in response.output if (item := writer.item(each)) is not None)
    request = response.request
    view = ResponseView(
        id=response.id,
        created_at=response.created_at,
        createdAt=response.created_at,
        completed_at=response.completed_at,
        status=response.status,
        model=response.model,
        output=wire,
        outputs=_deliverables_first(response.output, wire) if mirrors else UNSET,
        response=response.text if mirrors else UNSET,
        thread=response.thread_id,
        thread_id=response.thread_id,
        previous_response_id=request.previous_response_id,
        organization_id=response.organization_id,
        assistant_id=request.assistant_id,
        usage=usage_view(response, units),
        reasoning=_reasoning(response),
        metadata=request.metadata,
        incomplete_details=IncompleteDetails(response.incomplete_reason) if response.incomplete_reason else None,
        error=errors.view(response.failure) if response.failure else None,
        warnings=response.warnings,
        temperature=request.sampling.temperature,
        top_p=request.sampling.top_p,
        max_output_synapses=request.max_output_tokens,
        tool_choice=_tool_choice(response),
        parallel_tool_calls=request.parallel_tool_calls,
        max_tool_calls=request.max_tool_calls,
        output_mode=request.output.mode,
        thread_context_mode=request.context_mode,
        truncation=request.truncation,
        store=request.store,
        background=request.background,
        request_logs=_logs(response) if views.asks(request, "request.logs") else UNSET,
        rules_debug=considered.debug(response.considered) if views.asks(request, "rules.debug") else UNSET,
        input_images=_input_images(request) if views.asks(request, "message.input_images") else UNSET,
    )
    body = _encode(view)
    echo = {name: request.echo[name] for name in ECHOED if name in request.echo}
    return body[:-1] + b"," + _encode(echo)[1:] if echo else body


def usage_view(response: Response, units: Units) -> UsageView | None:
    usage = response.usage
    if usage is None:
        return None
    view = UsageView(usage.input_tokens, usage.output_tokens, usage.total_tokens)
    if not views.asks(response.request, "usage.detailed"):
        return view
    return replace(
        view,
        neurons=_neurons(usage, response.shares, units.tokens_per_neuron),
        synapses=_synapses(usage, response.shares, units.tokens_per_synapse),
        cost=None if response.cost is None else Cost(response.cost),
        estimated=usage.estimated,
    )


def _neurons(usage: Usage, shares: Shares | None, tokens: float) -> Neurons:
    total = usage.input_tokens
    if shares is None:
        return Neurons(input=total / tokens, context=None, system=None, tools=None, total=total / tokens)
    rest = total - shares.context - shares.system - shares.tools
    return Neurons(
        input=rest / tokens,
        context=shares.context / tokens,
        system=shares.system / tokens,
        tools=shares.tools / tokens,
        total=total / tokens,
    )


def _synapses(usage: Usage, shares: Shares | None, tokens: float) -> Synapses:
    called = 0 if shares is None else shares.tool_execution
    return Synapses(
        output=(usage.output_tokens - usage.reasoning_tokens - called) / tokens,
        reasoning=usage.reasoning_tokens / tokens,
        tool_execution=None if shares is None else called / tokens,
        total=usage.output_tokens / tokens,
    )


def _logs(response: Response) -> tuple[AttemptLog | WarningLog, ...]:
    """What happened on the way to the answer: tries in their order, then warnings."""
    tries = tuple(
        AttemptLog(
            type="attempt",
            provider=one.provider,
            model=one.model,
            seconds=round(one.seconds, 6),
            code=one.code or None,
            status=one.status,
            note=one.note or None,
        )
        for one in response.attempts
    )
    return (*tries, *(WarningLog("warning", message) for message in response.warnings))


def _input_images(request: Request) -> tuple[InputImage, ...]:
    return tuple(
        InputImage(
            message_id=item.id,
            url=part.url or f"/v1/files/{part.file_id}/content",
            file_id=part.file_id,
            fileId=part.file_id,
        )
        for item in request.input
        if isinstance(item, items.Message)
        for part in item.parts
        if isinstance(part, items.Image)
    )


def _deliverables_first(made: tuple[items.Item, ...], wire: tuple[views.Item, ...]) -> tuple[views.Item, ...]:
    """Images, the last message, the other messages, the rest: each in order, messages with `texts`."""
    shown = [item for item in made if not isinstance(item, items.Reasoning | items.Compaction)]
    last = max((place for place, item in enumerate(shown) if isinstance(item, items.Message)), default=-1)

    def rank(place: int) -> int:
        item = shown[place]
        if isinstance(item, items.Other) and item.type == "image":
            return 0
        if isinstance(item, items.Message):
            return 1 if place == last else 2
        return 3

    return tuple(_with_texts(wire[place]) for place in sorted(range(len(shown)), key=rank))


def _with_texts(item: views.Item) -> views.Item:
    if not isinstance(item, views.Message):
        return item
    texts = tuple(views.PlainText(part.text) for part in item.content if isinstance(part, views.Text))
    return replace(item, texts=texts)


def _reasoning(response: Response) -> ReasoningView | None:
    asked = response.request.reasoning
    thoughts = [item for item in response.output if isinstance(item, items.Reasoning)]
    if not thoughts and asked.effort is None and asked.summary is None:
        return None
    return ReasoningView(
        effort=asked.effort and aliases.EFFORT_NAMES.get(asked.effort, asked.effort),
        summary="\n\n".join(text for item in thoughts for text in item.summaries) or None,
        content="\n\n".join(text for item in thoughts for text in item.texts) or None,
        encrypted_content=thinking.pack(response.output)
        if views.asks(response.request, "reasoning.encrypted")
        else UNSET,
    )


def _tool_choice(response: Response) -> str | NamedFunction | HostedTool | AllowedTools | Raw:
    choice = response.request.tool_choice
    match choice:
        case toolspec.Named(name):
            return NamedFunction("function", name)
        case toolspec.Hosted():
            return _hosted(choice)
        case toolspec.Allowed(names, mode, hosted):
            functions = (NamedFunction("function", name) for name in names)
            return AllowedTools("allowed_tools", mode, (*functions, *map(_hosted, hosted)))
        case _:
            return response.request.echo.get("tool_choice", choice)


def _hosted(choice: toolspec.Hosted) -> HostedTool:
    return HostedTool(choice.tool, choice.server_label or UNSET, choice.name or UNSET)
