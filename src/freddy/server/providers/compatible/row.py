"""What can be known of a vendor that speaks chat completions: the shape of a row of the catalog. Pure."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from freddy.server.core.profile import Profile
from freddy.server.core.request import Effort

Json: TypeAlias = dict[str, object]

Parameter: TypeAlias = Literal[
    "max_output_tokens",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "logprobs",
    "top_logprobs",
    "verbosity",
    "parallel_tool_calls",
    "summary",
    "cache_key",
]
SAMPLING: Final[tuple[Parameter, ...]] = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
EFFORTS: Final[tuple[Effort, ...]] = ("off", "minimal", "low", "medium", "high", "xhigh", "maximum")

PLAIN: Final[Mapping[Parameter, str]] = MappingProxyType(
    {
        "max_output_tokens": "max_tokens",
        "temperature": "temperature",
        "top_p": "top_p",
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
        "seed": "seed",
        "stop": "stop",
    }
)
"""What nearly every vendor takes, in the usual spelling."""


class GivenBack(Struct, frozen=True):
    """How a vendor wants to see again what its model thought.

    `form`: the field of the assistant's message; or `chunks` of the content; or `tags` around it in the content; or
    `details`, the objects that the vendor made of it; or `signatures`, sealed, at the calls that it led to.
    `always`: in every message, and not only where tools were called since the user last spoke.
    `needed`: messages that call tools are refused without it; an empty one will do.
    """

    form: Literal["reasoning_content", "reasoning", "chunks", "tags", "details", "signatures"]
    always: bool = False
    needed: bool = False


class Facts(Struct, frozen=True, kw_only=True):
    """How a model of the vendor is asked, and how it answers."""

    takes: Mapping[Parameter, str] = PLAIN
    """Where each parameter stands in the body; a dot leads into an object. What is not here is not taken."""
    within: Mapping[Parameter, tuple[float, float]] = {}
    """The least and the most of a parameter; of `stop`, how many."""
    always: Json = {}
    """Fields of every body."""

    efforts: Mapping[Effort, Json] = {}
    """The levels of thinking that there are, each with the fields that ask for it."""
    thinks: Literal["when asked", "unless off", "always"] = "when asked"
    thinking_excludes: frozenset[Parameter | Literal["tool_choice", "form"]] = frozenset()
    """What is refused, or has no effect, while the model thinks."""
    thinking_streams: bool = False
    """Whether a model that thinks answers only as a stream."""
    thought: Literal["apart", "tags", "open"] = "apart"
    """Whether thinking comes in a field of its own, or may begin the content, in `<think>` tags.

    `open`: it always does, and the opening tag is missing, because the model's template has written it already.
    """
    given_back: GivenBack | None = None
    thinking_counted_apart: bool = False
    """Whether `completion_tokens` leaves out what was thought, which `total_tokens` holds."""

    json: Literal["json_object", "json_schema"] | None = "json_object"
    """How JSON is asked for: None is in words only, `json_schema` is as a schema of any object."""
    schema: bool = True
    """Whether a JSON Schema is taken; else it is told in words, with JSON mode where there is one."""
    closed_schemas: bool = False
    """Whether only schemas of OpenAI's strict subset may be `strict`, with an object at the root."""
    guarantees: frozenset[Literal["json", "schema"]] = frozenset()
    form_beside_tools: bool = True
    """Whether JSON may be asked for together with tools."""
    form_streams: bool = True
    """Whether JSON may be streamed."""

    strict: bool = False
    """Whether functions may be `strict`."""
    closed_functions: bool = False
    """Whether only those with a schema of OpenAI's strict subset: what stands behind may be OpenAI."""
    must_call: str | None = "required"
    """The word for a choice among all tools that must be made, None where there is none."""
    named: bool = True
    """Whether one tool may be demanded by name."""
    call_ids: str | None = None
    """The pattern of ids of calls that are taken as they are; None takes any."""
    names: str = r"[A-Za-z0-9_-]{1,64}"
    """The pattern of names that functions may have."""

    developer: bool = False
    """Whether there is a role `developer`."""
    system: Literal["anywhere", "first"] = "anywhere"
    """Whether system messages may stand anywhere, or there is but one, at the beginning."""
    alternating: bool = False
    """Whether messages of one role must not follow each other."""
    bridged: bool = False
    """Whether the user must not speak right after a tool."""
    refusals: bool = False
    """Whether a message of the assistant may hold a refusal."""
    output_parts: bool = False
    """Whether the output of a tool may hold more than text."""

    image_urls: bool = True
    image_details: tuple[str, ...] = ("low", "high")
    audio: Literal["object", "address", "text"] | None = "object"
    """As `{data, format}`; as the same with a data URL in `data`; or as bare base64."""
    files: Literal["file", "document_url", "file_url"] | None = None
    file_types: tuple[str, ...] = ("application/pdf",)
    file_urls: bool = False
    """Whether files may be given by http address."""

    counts: bool = True
    """Whether a stream must be asked for its usage."""


class Row(Struct, frozen=True, kw_only=True):
    """A vendor. Another one is another row, and nothing else."""

    name: str
    title: str
    docs: str
    """Where the vendor publishes its specification."""
    url: str | None = None
    """The base that stands before `/chat/completions`; None where everyone has their own."""
    keys: tuple[str, ...] = ()
    """Environment variables in which its key usually is."""
    hosts: tuple[str, ...] = ()
    """Hosts that give it away; one that begins with a dot stands for all that end so."""
    directory: str | None = None
    """What the models.dev directory calls it."""
    key_header: str = "authorization"
    headers: Mapping[str, str] = {}
    listing: str | None = "/models"
    """The path of its list of models, None where there is none."""
    facts: Facts = Facts()
    models: tuple[tuple[str, Facts], ...] = ()
    """Other facts for models whose name fits a pattern, small letters, `*` for anything; the first that fits counts."""

    def of(self, model: str) -> Facts:
        name = model.lower()
        return next((facts for pattern, facts in self.models if fnmatchcase(name, pattern)), self.facts)

    def adding(self, fields: Mapping[str, object]) -> "Row":
        """The row for a body with these fields, too."""
        return replace(self, facts=replace(self.facts, always={**self.facts.always, **fields}))


def fitted(profile: Profile, facts: Facts) -> Profile:
    """The profile of a model as far as the vendor's wire carries it, with what the vendor guarantees."""
    return replace(
        profile,
        image_urls=profile.image_urls and facts.image_urls,
        audio=profile.audio and facts.audio is not None,
        files=profile.files and facts.files is not None,
        file_urls=profile.file_urls and facts.file_urls,
        file_types=tuple(kind for kind in profile.file_types if kind in facts.file_types),
        max_temperature=min(profile.max_temperature, facts.within.get("temperature", (0.0, 2.0))[1]),
        schemas=profile.schemas or "schema" in facts.guarantees,
        json=profile.json or "json" in facts.guarantees,
    )
