"""What the paths of rules and of their attachments do, take and answer."""

from typing import Literal

from freddy.server.core import rules
from freddy.server.dialects.freddy import rule_views as views
from freddy.server.dialects.freddy import rules as wire
from freddy.server.http.openapi.paths import Area, Operation
from freddy.server.http.openapi.schemas import METADATA, Schema, Types, either, flag, many, text, thing, whole, word
from freddy.server.resources.base import LONGEST_NAME

_PATH = "/v1/rules"
_ONE = _PATH + "/{rule_id}"
_OWNED = "/v1/organizations/{organization}/rules"
_OWNED_ONE = _OWNED + "/{rule_id}"
_ATTACHED = _ONE + "/attachments"
_PLACE = _ATTACHED + "/{entity_type}/{entity_id}"
_WRITE = (400, 404, 409, 413, 422)
_STRING: Schema = {"type": "string", "maxLength": wire.LONGEST_WORD}
_PRIORITY = whole("The higher is told first, and shortened last.", rules.LOWEST, rules.HIGHEST, default=rules.USUAL)
_LIMIT = whole("Characters that the model reads of it at most.", rules.SHORTEST_LIMIT, rules.LONGEST)
_ENTITY: Schema = {
    "entity_type": word("What it is.", rules.ENTITIES),
    "entity_id": text("Its id, or the name of a model.", minLength=1, maxLength=wire.LONGEST_ENTITY),
}
_FIELDS: dict[str, Schema] = {
    "name": text("What people call it; the model reads it as a heading.", minLength=1, maxLength=LONGEST_NAME),
    "content": text(
        "What the model is told. `{{rule_context.request_type}}` is replaced by what a request says there.",
        minLength=1,
        maxLength=rules.LONGEST,
    ),
    "description": text("What it is for.", maxLength=rules.LONGEST_DESCRIPTION),
    "category": text(f"One word, such as {', '.join(rules.CATEGORIES)}.", minLength=1, maxLength=wire.LONGEST_WORD),
    "rule_type": word("What it is about.", tuple(wire.TYPES)),
    "scope": word("A label. What it is attached to decides where it applies.", tuple(wire.SCOPES)),
    "apply_mode": word("When it applies where it is attached.", tuple(wire.MODES), default="always"),
    "priority": {**_PRIORITY, "description": "Where a request or an assistant names it."},
    "character_limit": _LIMIT,
    "keywords": many("Words of mode `auto`.", {**_STRING, "minLength": 1}, maxItems=wire.MOST_KEYWORDS),
    "conditions": thing(
        "Values that fields of the rule context must have for mode `auto`.",
        {},
        maxProperties=wire.MOST_CONDITIONS,
        additionalProperties=either(
            "", _STRING, {"type": "array", "items": _STRING, "minItems": 1, "maxItems": wire.MOST_VALUES}
        ),
    ),
    "is_public": flag("Whether all organizations of the server may read and copy it.", default=False),
    "is_active": flag("Whether it applies at all.", default=True),
    "metadata": METADATA,
}


def _components() -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    written = Types(found, "Rule", words=_WORDS)
    for answer in (
        views.RuleView,
        views.RuleList,
        views.RulePage,
        views.RuleDeleted,
        views.RuleAttachmentView,
        views.RuleAttachmentList,
        views.RuleDetached,
        views.CategoryCounts,
        views.RuleUsage,
    ):
        written.add(answer)
    organization = text("Whose it is; the key implies one.")
    return found | {
        "RuleCreate": thing(
            "A new rule.",
            _FIELDS
            | {
                "organization_id": organization,
                "attachments": many(
                    "What it is attached to from the beginning.",
                    thing(
                        "",
                        _ENTITY | {"priority": _PRIORITY, "character_limit": _LIMIT},
                        required=("entity_type", "entity_id"),
                    ),
                    maxItems=wire.MOST_AT_ONCE,
                ),
            },
            required=("name", "content"),
        ),
        "RuleUpdate": thing(
            "What is to be different. What is left out stays; null takes a field back to its default.",
            {
                name: one if name in ("name", "content") else either("", one, {"type": "null"})
                for name, one in _FIELDS.items()
            }
            | {
                "organization_id": organization,
                "expected_version": whole("Answers 409 where it is in another version by now.", 1),
            },
        ),
        "RuleAttachmentCreate": thing(
            "What the rule is attached to.",
            _ENTITY | {"priority": _PRIORITY, "character_limit": _LIMIT},
            required=("entity_type", "entity_id"),
        ),
        "RuleAttachmentUpdate": thing(
            "What is to be different. Null takes a field back to its default.",
            {
                "priority": _PRIORITY,
                "character_limit": either("", _LIMIT, {"type": "null"}),
                "is_active": flag("Whether the rule applies there.", default=True),
            },
        ),
    }


_WORDS: dict[str, dict[str, Schema]] = {
    "Rule": {
        "id": {"description": "Begins with `rule_`."},
        "version": {"description": "Counts from 1; every change makes another."},
        "created_by": {"description": "A user, or an API key."},
        "usage_count": {"description": "To how many entities it is attached."},
        "can_edit": {"description": "Whether you may change it."},
        "created_at": {"description": "ISO 8601, in UTC."},
    },
    "RuleSummary": {"content_preview": {"description": f"The first {views.PREVIEW} characters."}},
    "RuleAttachment": {
        "id": {"description": "Begins with `ratt_`."},
        "attached_at": {"description": "Unix seconds."},
        "attached_by": {"description": "A user, or an API key."},
        "created_at": {"description": "ISO 8601, in UTC."},
    },
    "RulePage": {"filters": {"description": "Those that were asked for."}},
}


def _query(name: str, schema: Schema) -> Schema:
    says = schema.pop("description")
    return {"name": name, "in": "query", "schema": schema, "description": says}


def _part(name: str, schema: Schema) -> Schema:
    says = schema.pop("description")
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": says}


_TRUTH = ("true", "false")
_PARAMETERS: dict[str, Schema] = {
    "rule_id": _part("rule_id", text("Begins with `rule_`.")),
    "entity_type": _part("entity_type", word("What a rule is attached to.", rules.ENTITIES)),
    "entity_id": _part("entity_id", text("Its id, or the name of a model.")),
    "rules_search": _query("search", text("Words that name, description or content have.")),
    "rules_category": _query("category", text("Only those of this category.")),
    "rules_type": _query("rule_type", word("Only those about this.", tuple(wire.TYPES))),
    "rules_scope": _query("scope", word("Only those with this label.", (*wire.SCOPES, "global"))),
    "rules_active": _query("is_active", word("Only those that are active, or are not.", _TRUTH)),
    "rules_public": _query("is_public", word("Only those that are public, or are not.", _TRUTH)),
    "rules_entity_type": _query("entity_type", word("Only what is attached to such.", rules.ENTITIES)),
    "rules_entity_id": _query("entity_id", text("Only what is attached to this one; needs `entity_type`.")),
    "rules_attached": _query("attached_only", word("Only those that are attached, or are not.", _TRUTH)),
    "rules_with": _query("include_attachments", word("Whether `attached_entities` are told.", _TRUTH)),
    "rules_details": _query("include_rule_details", word("Whether `rule_summary` is told.", _TRUTH, default="true")),
    "rules_skip": _query("skip", whole("How many to leave out before the page.", 0, default=0)),
    "rules_force": _query("force", word("Delete it although it is attached.", _TRUTH, default="false")),
}
_FILTERS = (
    "rules_search",
    "rules_category",
    "rules_type",
    "rules_scope",
    "rules_active",
    "rules_public",
    "rules_entity_type",
    "rules_entity_id",
    "rules_attached",
    "rules_with",
)
_FORMAL = {
    "name": "Formal tone",
    "content": "Write in a formal and courteous tone. Use no slang.",
    "category": "professional",
    "rule_type": "behavior",
}


def _create(path: str, name: str) -> Operation:
    return Operation(
        method="post",
        path=path,
        name=name,
        tag="Rules",
        title="Create a rule",
        says="With its attachments, or not at all.",
        body="RuleCreate",
        requests={
            "plain": _FORMAL,
            "attached": {
                **_FORMAL,
                "attachments": [{"entity_type": "model", "entity_id": "ftg-3.0", "priority": 80}],
            },
        },
        answer="Rule",
        status=201,
        statuses=_WRITE,
    )


def _get(path: str, name: str, says: str) -> Operation:
    return Operation(
        method="get",
        path=path,
        name=name,
        tag="Rules",
        title="Get a rule",
        says=says,
        query=("rules_with",),
        answer="Rule",
        statuses=(404, 422),
    )


def _change(method: Literal["patch", "put"], path: str, name: str) -> Operation:
    return Operation(
        method=method,
        path=path,
        name=name,
        tag="Rules",
        title="Change a rule",
        says="Makes the next version, where anything differs. PUT and PATCH are the same: what is left out stays.",
        body="RuleUpdate",
        requests={"auto": {"apply_mode": "auto", "keywords": ["contract", "invoice"], "expected_version": 1}},
        answer="Rule",
        statuses=_WRITE,
    )


def _delete(path: str, name: str) -> Operation:
    return Operation(
        method="delete",
        path=path,
        name=name,
        tag="Rules",
        title="Delete a rule",
        says="With all its versions and attachments.",
        query=("rules_force",),
        answer="RuleDeleted",
        statuses=(404, 409, 422),
    )


AREA = Area(
    operations=(
        _create(_PATH, "createRule"),
        Operation(
            method="get",
            path=_PATH,
            name="listRules",
            tag="Rules",
            title="List rules",
            says="Those of one organization, by cursor.",
            query=("organization_id", "limit", "order", "after", "before", *_FILTERS),
            answer="RuleList",
            statuses=(422,),
        ),
        Operation(
            method="get",
            path=_PATH + "/public",
            name="listPublicRules",
            tag="Rules",
            title="List public rules",
            says="Those that are public and active, of all organizations of this server.",
            query=("rules_skip", "limit", *_FILTERS[:4]),
            answer="RulePage",
            statuses=(422,),
        ),
        _get(_ONE, "getRule", "Of any organization that you reach; of others, where it is public."),
        _change("patch", _ONE, "updateRule"),
        _change("put", _ONE, "putRule"),
        _delete(_ONE, "deleteRule"),
        Operation(
            method="get",
            path=_ATTACHED,
            name="listRuleAttachments",
            tag="Rules",
            title="List what a rule is attached to",
            says="The highest priority first.",
            query=("rules_entity_type", "rules_active"),
            answer="RuleAttachmentList",
            statuses=(404, 422),
        ),
        Operation(
            method="post",
            path=_ATTACHED,
            name="attachRule",
            tag="Rules",
            title="Attach a rule",
            says="To an entity, once.",
            body="RuleAttachmentCreate",
            requests={"model": {"entity_type": "model", "entity_id": "ftg-3.0", "priority": 80}},
            answer="RuleAttachment",
            status=201,
            statuses=_WRITE,
        ),
        Operation(
            method="get",
            path=_PLACE,
            name="getRuleAttachment",
            tag="Rules",
            title="Get an attachment",
            answer="RuleAttachment",
            statuses=(404, 422),
        ),
        Operation(
            method="put",
            path=_PLACE,
            name="updateRuleAttachment",
            tag="Rules",
            title="Change an attachment",
            says="What is left out stays.",
            query=("rules_details",),
            body="RuleAttachmentUpdate",
            requests={"pause": {"is_active": False}},
            answer="RuleAttachment",
            statuses=_WRITE,
        ),
        Operation(
            method="delete",
            path=_PLACE,
            name="detachRule",
            tag="Rules",
            title="Detach a rule",
            answer="RuleDetached",
            statuses=(404, 422),
        ),
        Operation(
            method="get",
            path=_PATH + "/entities/{entity_type}/{entity_id}/rules",
            name="listEntityRules",
            tag="Rules",
            title="List the rules of an entity",
            says="The highest priority first.",
            query=("organization_id", "rules_details"),
            answer="RuleAttachmentList",
            statuses=(422,),
        ),
        _create(_OWNED, "createOrganizationRule"),
        Operation(
            method="get",
            path=_OWNED,
            name="listOrganizationRules",
            tag="Rules",
            title="List an organization's rules",
            says="By number of rules to skip.",
            query=("rules_skip", "limit", *_FILTERS),
            answer="RulePage",
            statuses=(422,),
        ),
        _get(_OWNED_ONE, "getOrganizationRule", "Of the organization, or a public one."),
        _change("patch", _OWNED_ONE, "updateOrganizationRule"),
        _change("put", _OWNED_ONE, "putOrganizationRule"),
        _delete(_OWNED_ONE, "deleteOrganizationRule"),
        Operation(
            method="post",
            path=_OWNED_ONE + "/duplicate",
            name="duplicateRule",
            tag="Rules",
            title="Copy a rule",
            says="Into the organization; also a public one of another. It is attached to nothing, and not public.",
            answer="Rule",
            status=201,
            statuses=(404, 409),
        ),
        Operation(
            method="get",
            path=_OWNED + "/statistics/categories",
            name="countRuleCategories",
            tag="Rules",
            title="Count rules by category",
            says="Those without one count as `custom`.",
            answer="RuleCategoryCounts",
        ),
        Operation(
            method="get",
            path=_OWNED_ONE + "/statistics/usage",
            name="countRuleAttachments",
            tag="Rules",
            title="Count what a rule is attached to",
            says="Attachments that are active.",
            answer="RuleUsage",
            statuses=(404,),
        ),
    ),
    components=_components(),
    parameters=_PARAMETERS,
)
