"""Owns how rules and their attachments are read: the bodies of /v1/rules."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, structs

from freddy.server.core import errors, rules
from freddy.server.core.rules import Entity, Rule
from freddy.server.dialects.freddy import aliases
from freddy.server.dialects.freddy.fields import Fields, read, too_deep
from freddy.server.resources.base import LONGEST_NAME
from freddy.server.resources.rules import Aim

MOST_AT_ONCE: Final = 100
"""Attachments that a rule is created with."""
MOST_KEYWORDS: Final = 50
MOST_CONDITIONS: Final = 16
MOST_VALUES: Final = 20
LONGEST_WORD: Final = 100
LONGEST_ENTITY: Final = 256

TYPES: Final[Mapping[str, rules.Type]] = {
    "behavior": "behavior",
    "guardrails": "guardrails",
    "formatting": "formatting",
    "context": "context",
    "content_policy": "content_policy",
    "constraint": "constraint",
}
SCOPES: Final[Mapping[str, rules.Scope]] = {
    "organization": "organization",
    "team": "team",
    "model": "model",
    "assistant": "assistant",
    "user": "user",
    "vector_store": "vector_store",
}
MODES: Final[Mapping[str, rules.ApplyMode]] = {"always": "always", "auto": "auto", "manual": "manual"}
ENTITIES: Final[Mapping[str, Entity]] = {name: name for name in rules.ENTITIES}
_DEFAULTS: Final[Mapping[str, Any]] = {
    field.name: field.default_factory() if callable(field.default_factory) else field.default
    for field in structs.fields(Rule)
    if field.name != "content"
}


class NewRule(Struct, frozen=True):
    name: str
    rule: Rule
    aims: tuple[Aim, ...]
    organization_id: str | None


class RuleChange(Struct, frozen=True):
    """What is to be different: `values` are fields of `Rule`."""

    name: str | None
    values: dict[str, Any]
    expected_version: int | None
    organization_id: str | None


def decode_rule_create(body: bytes) -> NewRule:
    fields = _read(body, aliases.RULE)
    name, content = fields.string("name", most=LONGEST_NAME), _content(fields)
    if name is None or not name.strip():
        raise fields.wrong("name", "must name the rule")
    if content is None:
        raise fields.wrong("content", "must be what the model is to be told")
    if "expected_version" in fields:
        raise fields.wrong("expected_version", "is for changes: a new rule has no version yet")
    return NewRule(
        name=name,
        rule=Rule(content=content, **_values(fields)),
        aims=_aims(fields),
        organization_id=fields.identifier("organization_id"),
    )


def decode_rule_change(body: bytes) -> RuleChange:
    """Null takes a field back to its default; name and content have none, and stay."""
    fields = _read(body, aliases.RULE)
    if "attachments" in fields:
        raise fields.wrong("attachments", "are changed by their own paths: /v1/rules/{rule_id}/attachments")
    name, content = fields.string("name", most=LONGEST_NAME), _content(fields)
    if name is not None and not name.strip():
        raise fields.wrong("name", "must not be blank")
    values = _values(fields) | {
        name: each for name, each in _DEFAULTS.items() if fields.given(name) and name not in fields
    }
    return RuleChange(
        name=name,
        values=values if content is None else {**values, "content": content},
        expected_version=fields.integer("expected_version", 1),
        organization_id=fields.identifier("organization_id"),
    )


def decode_attachment_create(body: bytes) -> Aim:
    fields = _read(body, aliases.RULE_ATTACHMENT)
    if "is_active" in fields:
        raise fields.wrong("is_active", "is for changes: a new attachment is active")
    return _aim(fields)


def decode_attachment_change(body: bytes) -> dict[str, Any]:
    """Fields of `Attachment`. Null takes one back to its default."""
    fields = _read(body, aliases.RULE_ATTACHMENT)
    for name in ("entity_type", "entity_id"):
        if name in fields:
            raise fields.wrong(name, "cannot be changed: attach the rule there, and detach it here")
    values: dict[str, Any] = {}
    if fields.given("priority"):
        values["priority"] = _priority(fields)
    if fields.given("character_limit"):
        values["character_limit"] = _limit(fields)
    if fields.given("is_active"):
        values["active"] = fields.flag("is_active", default=True)
    return values


def entity(value: str, *, param: str = "entity_type") -> Entity:
    """The kind of entity that a path or a query names. Raises `errors.InvalidValue`."""
    known = ENTITIES.get(value)
    if known is None:
        raise errors.InvalidValue(param, f"must be one of {', '.join(ENTITIES)}")
    return known


def _read(body: bytes, names: aliases.Names) -> Fields:
    try:
        return Fields(read(body), names)
    except RecursionError:
        raise too_deep() from None


def _content(fields: Fields) -> str | None:
    content = fields.string("content", most=rules.LONGEST)
    if content is not None and not content.strip():
        raise fields.wrong("content", "must not be blank")
    return content


def _values(fields: Fields) -> dict[str, Any]:
    """The fields of `Rule` that have a value here, but for the content."""
    values: dict[str, Any] = {
        "description": fields.string("description", most=rules.LONGEST_DESCRIPTION),
        "category": fields.string("category", least=1, most=LONGEST_WORD),
        "rule_type": fields.choice("rule_type", TYPES),
        "scope": fields.choice("scope", SCOPES),
        "apply_mode": fields.choice("apply_mode", MODES),
        "priority": fields.integer("priority", rules.LOWEST, rules.HIGHEST),
        "character_limit": _limit(fields),
        "keywords": _keywords(fields) if "keywords" in fields else None,
        "conditions": _conditions(fields),
        "is_public": fields.boolean("is_public"),
        "is_active": fields.boolean("is_active"),
        "metadata": fields.metadata(),
    }
    return {name: value for name, value in values.items() if value is not None}


def _keywords(fields: Fields) -> tuple[str, ...]:
    keywords = tuple(dict.fromkeys(word.strip() for word in fields.strings("keywords")))
    if len(keywords) > MOST_KEYWORDS or not all(0 < len(word) <= LONGEST_WORD for word in keywords):
        raise fields.wrong("keywords", f"must be at most {MOST_KEYWORDS} texts of 1 to {LONGEST_WORD} characters")
    return keywords


def _conditions(fields: Fields) -> dict[str, tuple[str, ...]] | None:
    told = fields.mapping("conditions")
    if told is None:
        return None
    if len(told) > MOST_CONDITIONS:
        raise fields.wrong("conditions", f"must be at most {MOST_CONDITIONS}")
    return {aliases.RULE_CONTEXT.get(field, field): _condition(fields, field, value) for field, value in told.items()}


def _condition(fields: Fields, field: str, value: object) -> tuple[str, ...]:
    place = f"{fields.place('conditions')}.{field[:LONGEST_WORD]}"
    values = value if isinstance(value, list) else [value]
    if not 0 < len(values) <= MOST_VALUES:
        raise errors.InvalidValue(place, f"must be 1 to {MOST_VALUES} values")
    words = tuple(each.strip() for each in values if isinstance(each, str))
    if len(words) < len(values) or not all(0 < len(word) <= LONGEST_WORD for word in words):
        raise errors.InvalidValue(place, f"must be texts of 1 to {LONGEST_WORD} characters")
    return words


def _aims(fields: Fields) -> tuple[Aim, ...]:
    several = fields.array("attachments")
    if len(several) > MOST_AT_ONCE:
        raise fields.wrong("attachments", f"must be at most {MOST_AT_ONCE}: attach the rule to more when it is there")
    aims: dict[tuple[str, str], Aim] = {}
    for place, each in several:
        aim = _aim(Fields(each, aliases.RULE_ATTACHMENT, place))
        if (aim.entity_type, aim.entity_id) in aims:
            raise errors.InvalidValue(place, "names the same entity as one before it")
        aims[aim.entity_type, aim.entity_id] = aim
    return tuple(aims.values())


def _aim(fields: Fields) -> Aim:
    kind, entity_id = fields.choice("entity_type", ENTITIES), fields.string("entity_id", least=1, most=LONGEST_ENTITY)
    if kind is None:
        raise fields.wrong("entity_type", f"must be one of {', '.join(ENTITIES)}")
    if entity_id is None:
        raise fields.wrong("entity_id", "must be an id, or the name of a model")
    return Aim(entity_type=kind, entity_id=entity_id, priority=_priority(fields), character_limit=_limit(fields))


def _priority(fields: Fields) -> int:
    priority = fields.integer("priority", rules.LOWEST, rules.HIGHEST)
    return rules.USUAL if priority is None else priority


def _limit(fields: Fields) -> int | None:
    return fields.integer("character_limit", rules.SHORTEST_LIMIT, rules.LONGEST)
