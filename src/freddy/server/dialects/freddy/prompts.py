"""Owns how prompt templates are written and read: the bodies of /v1/prompts."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.prompts import LONGEST_CONTENT, MOST_VARIABLES, Prompt, Type, Variable, is_name, required
from freddy.server.dialects.freddy import aliases
from freddy.server.dialects.freddy.fields import Fields, raw, read, too_deep
from freddy.server.resources.base import LONGEST_NAME, Kept

DESCRIPTION: Final = 2_000
TAGS: Final = 20
TAG: Final = 64
CHOICES: Final = 100
MODEL: Final = 255
TYPES: Final[dict[str, Type]] = {
    "string": "string",
    "number": "number",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
    "image": "image",
    "file": "file",
}
_encode = msgspec.json.Encoder().encode


class NewPrompt(Struct, frozen=True):
    name: str
    prompt: Prompt
    organization_id: str | None


class PromptChange(Struct, frozen=True):
    """What is to be different; `UNSET` stays as it is. `whole` takes everything away that is not there."""

    name: str | UnsetType = UNSET
    content: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    variables: dict[str, Variable] | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    model: str | UnsetType | None = UNSET
    organization_id: str | None = None
    expected_version: int | None = None
    whole: bool = False

    def apply(self, name: str, prompt: Prompt) -> tuple[str, Prompt]:
        """The name and the template after the change."""
        before = Prompt(content="") if self.whole else prompt
        changes = {field: getattr(self, field) for field in Prompt.__struct_fields__}
        changed = replace(before, **{field: value for field, value in changes.items() if value is not UNSET})
        return name if self.name is UNSET else self.name, changed


class PromptVariable(Struct, omit_defaults=True):
    type: Type
    required: bool
    description: str | UnsetType = UNSET
    default: Raw | UnsetType = UNSET
    enum: tuple[Raw, ...] | UnsetType = UNSET


class PromptView(Struct, kw_only=True):
    id: str
    object: Literal["prompt"] = "prompt"
    organization_id: str
    name: str
    description: str | None
    content: str
    variables: dict[str, PromptVariable]
    required_variables: tuple[str, ...]
    tags: tuple[str, ...]
    is_public: bool
    model: str | None
    metadata: dict[str, str]
    version: str
    created_at: int
    updated_at: int
    created_by: str | None


class PromptList(Struct, kw_only=True):
    object: Literal["list"] = "list"
    data: tuple[PromptView, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool
    total_count: int


class PromptDeleted(Struct):
    id: str
    object: Literal["prompt.deleted"] = "prompt.deleted"
    deleted: bool = True


def decode_new(body: bytes) -> NewPrompt:
    """Raises `errors.InvalidValue` and `errors.UnknownParameter`."""
    change = _whole(_decode(body))
    return NewPrompt(*change.apply("", Prompt(content="")), change.organization_id)


def decode_replacement(body: bytes) -> PromptChange:
    """All of the template: what is not there goes."""
    return replace(_whole(_decode(body)), whole=True)


def decode_change(body: bytes) -> PromptChange:
    return _decode(body)


def encode_prompt(kept: Kept[Prompt]) -> bytes:
    return _encode(_view(kept))


def encode_list(found: Sequence[Kept[Prompt]], *, has_more: bool, total: int) -> bytes:
    return _encode(
        PromptList(
            data=tuple(_view(kept) for kept in found),
            first_id=found[0].id if found else None,
            last_id=found[-1].id if found else None,
            has_more=has_more,
            total_count=total,
        )
    )


def encode_deleted(prompt_id: str) -> bytes:
    return _encode(PromptDeleted(prompt_id))


def _decode(body: bytes) -> PromptChange:
    try:
        return _change(Fields(read(body), aliases.TEMPLATE))
    except RecursionError:
        raise too_deep() from None


def _change(fields: Fields) -> PromptChange:
    name = fields.string("name", least=1, most=LONGEST_NAME)
    content = fields.string("content", least=1, most=LONGEST_CONTENT)
    for field in ("name", "content"):
        if fields.given(field) and field not in fields:
            raise fields.wrong(field, "must be a string")
    description = fields.string("description", most=DESCRIPTION)
    model = fields.string("model", least=1, most=MODEL)
    variables, tags, metadata = _variables(fields), _tags(fields), fields.metadata()
    return PromptChange(
        name=UNSET if name is None else name,
        content=UNSET if content is None else content,
        description=description if fields.given("description") else UNSET,
        variables=variables if fields.given("variables") else UNSET,
        tags=tags if fields.given("tags") else UNSET,
        is_public=fields.flag("is_public", default=False) if fields.given("is_public") else UNSET,
        metadata=(metadata or {}) if fields.given("metadata") else UNSET,
        model=model if fields.given("model") else UNSET,
        organization_id=fields.identifier("organization_id"),
        expected_version=_expected(fields),
    )


def _variables(fields: Fields) -> dict[str, Variable]:
    declared = fields.mapping("variables") or {}
    place = fields.place("variables")
    if len(declared) > MOST_VARIABLES:
        raise errors.InvalidValue(place, f"must be at most {MOST_VARIABLES} variables")
    for name in declared:
        if not is_name(name):
            raise errors.InvalidValue(
                place, f"must have names of 1 to 64 letters, digits, _, - or . (not {name[:64]!r})"
            )
    return {
        name: _variable(Fields(each, aliases.TEMPLATE_VARIABLE, f"{place}.{name}")) for name, each in declared.items()
    }


def _variable(fields: Fields) -> Variable:
    choices = fields.array("enum")
    if len(choices) > CHOICES:
        raise fields.wrong("enum", f"must have at most {CHOICES} values")
    default = fields.get("default")
    return Variable(
        type=fields.choice("type", TYPES) or "string",
        description=fields.string("description", most=DESCRIPTION),
        required=fields.flag("required", default=False),
        default=None if default is None else raw(default),
        enum=tuple(raw(each) for _, each in choices),
    )


def _tags(fields: Fields) -> tuple[str, ...]:
    tags = fields.strings("tags")
    if len(tags) > TAGS or not all(0 < len(tag) <= TAG for tag in tags):
        raise fields.wrong("tags", f"must be at most {TAGS} tags, each of 1 to {TAG} characters")
    return tuple(dict.fromkeys(tags))


def _expected(fields: Fields) -> int | None:
    """As a number, or as answers write it."""
    given = fields.get("expected_version")
    if type(given) is str and given.isascii() and given.isdigit() and len(given) < 10:
        return int(given)
    return fields.integer("expected_version", 1)


def _whole(change: PromptChange) -> PromptChange:
    """The same. Raises `errors.InvalidRequest` where it lacks what a template must have."""
    if change.name is UNSET:
        raise _missing("name")
    if change.content is UNSET:
        raise _missing("content")
    return change


def _missing(name: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(f"Missing required parameter: {name!r}", param=name, code="missing_required_parameter")


def _view(kept: Kept[Prompt]) -> PromptView:
    prompt = kept.value
    return PromptView(
        id=kept.id,
        organization_id=kept.organization_id,
        name=kept.name,
        description=prompt.description,
        content=prompt.content,
        variables={
            name: PromptVariable(
                type=one.type,
                required=one.required,
                description=one.description or UNSET,
                default=UNSET if one.default is None else one.default,
                enum=one.enum or UNSET,
            )
            for name, one in prompt.variables.items()
        },
        required_variables=required(prompt),
        tags=prompt.tags,
        is_public=prompt.is_public,
        model=prompt.model,
        metadata=prompt.metadata,
        version=str(kept.version),
        created_at=kept.created_at,
        updated_at=kept.updated_at,
        created_by=kept.created_by,
    )
