"""The OpenAPI document: it holds every path, is well formed, and says what the dialects do."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from starlette.routing import Route

from freddy.server.config import Settings
from freddy.server.config import settings as parts
from freddy.server.core import ids, items
from freddy.server.core.events import UNTOLD, Event
from freddy.server.dialects.freddy import FREDDY, aliases
from freddy.server.dialects.openai import OPENAI
from freddy.server.http import app, openapi
from freddy.server.http.openapi import OPERATIONS, events, examples, freddy, others
from freddy.server.wiring import open_house

DOCUMENT = openapi.document("1.2.3")
SCHEMAS = DOCUMENT["components"]["schemas"]
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
JSON_SCHEMA = {
    "$ref", "type", "properties", "required", "items", "anyOf", "allOf", "oneOf", "enum", "const", "default",
    "description", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties",
    "pattern", "additionalProperties", "propertyNames", "contentMediaType",
}  # fmt: skip


def _new_id(prefix: str) -> str:
    return ids.write(prefix, 0, b"\0" * 8)


def _settings(home: Path) -> Settings:
    return Settings(
        home=home,
        store=parts.Store(database=home / "freddy.db"),
        model=parts.Model(name="none", pull=False),
        dev=parts.Development(api_key="sk-frdy-development-key-of-this-test"),
    )


async def _routes(home: Path) -> set[tuple[str, str]]:
    """Those of a real house, which knows every area."""
    async with open_house(_settings(home)) as house:
        door: Any = house.app
        return {
            (method.lower(), re.sub(r":\w+}", "}", route.path))
            for route in door._app.routes
            if isinstance(route, Route)
            for method in (route.methods or ())
            if method != "HEAD"
        }


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _walk(each)
    elif isinstance(value, list):
        for each in value:
            yield from _walk(each)


def _resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    for key in reference.removeprefix("#/").split("/"):
        found = found[key]
    return found


async def test_every_route_is_in_the_document_and_the_other_way_round(tmp_path):
    told = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert told == await _routes(tmp_path)


def test_the_document_has_what_openapi_asks_for():
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert DOCUMENT["info"]["title"]
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert set(DOCUMENT) <= {"openapi", "info", "servers", "tags", "security", "paths", "components"}
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    names = [operation.name for operation in OPERATIONS]
    assert len(names) == len(set(names))
    for path, methods in DOCUMENT["paths"].items():
        assert path.startswith("/")
        assert methods.keys() <= METHODS
        for operation in methods.values():
            assert set(operation["tags"]) <= tags
            assert operation["responses"]
            for status, answer in operation["responses"].items():
                assert re.fullmatch(r"[1-5]\d\d", status)
                assert _resolve(answer["$ref"])["description"] if "$ref" in answer else answer["description"]
            parameters = [_resolve(each["$ref"]) for each in operation.get("parameters", ())]
            in_path = {each["name"] for each in parameters if each["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))
            for parameter in parameters:
                assert parameter["in"] in {"path", "query"}
                assert parameter["schema"]


def test_every_reference_leads_somewhere():
    references = {str(each["$ref"]) for each in _walk(DOCUMENT) if isinstance(each.get("$ref"), str)}
    assert references
    for reference in references:
        assert _resolve(reference)


def test_every_component_is_used():
    references = {str(each["$ref"]) for each in _walk(DOCUMENT) if isinstance(each.get("$ref"), str)}
    for part in ("schemas", "parameters", "headers"):
        unused = {name for name in DOCUMENT["components"][part] if f"#/components/{part}/{name}" not in references}
        assert not unused


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_a_json_schema(name):
    _check_schema(SCHEMAS[name], name)


def _check_schema(schema: Any, place: str) -> None:
    assert isinstance(schema, dict), place
    assert schema.keys() <= JSON_SCHEMA, place
    kinds = schema.get("type", [])
    known = {"string", "integer", "number", "boolean", "array", "object", "null"}
    assert set([kinds] if isinstance(kinds, str) else kinds) <= known, place
    assert set(schema.get("required", ())) <= set(schema.get("properties", {})), place
    if "pattern" in schema:
        re.compile(schema["pattern"])
    for key, inner in schema.get("properties", {}).items():
        _check_schema(inner, f"{place}.{key}")
    for key in ("items", "additionalProperties", "propertyNames"):
        if key in schema:
            _check_schema(schema[key], f"{place}.{key}")
    for key in ("anyOf", "allOf", "oneOf"):
        assert schema.get(key, [1]), place
        for number, inner in enumerate(schema.get(key, ())):
            _check_schema(inner, f"{place}.{key}[{number}]")


def test_the_freddy_request_has_every_parameter_that_is_read():
    assert set(SCHEMAS["FreddyRequest"]["properties"]) == set(aliases.REQUEST.values())
    assert set(SCHEMAS["ThreadCreate"]["properties"]) == set(aliases.NEW_THREAD.values())


@pytest.mark.parametrize("name", ["FreddyRequest", "OpenAIRequest", "FreddyInputMessage"])
def test_every_parameter_says_what_it_is(name):
    for parameter, schema in SCHEMAS[name]["properties"].items():
        assert "const" in schema or schema.get("description"), parameter


def test_words_are_said_of_what_there_is_only():
    for words in (freddy._WORDS, openapi.openai._WORDS):
        for component, properties in words.items():
            assert properties.keys() <= SCHEMAS[component]["properties"].keys(), component


def test_parameters_keep_their_descriptions():
    for name, parameter in others.PARAMETERS.items():
        assert parameter["description"], name


@pytest.mark.parametrize("dialect", [FREDDY, OPENAI], ids=["freddy", "openai"])
def test_example_requests_are_accepted(dialect):
    requests = examples.FREDDY_REQUESTS if dialect is FREDDY else examples.OPENAI_REQUESTS
    for request in requests.values():
        assert dialect.decode_request(msgspec.json.encode(request), _new_id).input


@pytest.mark.parametrize(
    ("dialect", "component"),
    [(FREDDY, "FreddyResponse"), (OPENAI, "OpenAIResponse")],
    ids=["freddy", "openai"],
)
def test_an_answer_has_the_members_of_its_schema(dialect, component):
    answer = examples.answer(dialect)
    parts = [_resolve(each["$ref"]) for each in SCHEMAS[component].get("allOf", ())] or [SCHEMAS[component]]
    properties = {name for part in parts for name in part["properties"]}
    required = {name for part in parts for name in part["required"]}
    assert required <= answer.keys() <= properties


@pytest.mark.parametrize("name", ["freddy", "openai"])
def test_the_events_of_a_stream_are_told_with_their_members(name):
    dialect, told = (FREDDY, events.FREDDY) if name == "freddy" else (OPENAI, events.OPENAI)
    members = {event.name: event.members for event in told}
    for line in examples.stream(dialect).splitlines():
        if line.startswith("data: {"):
            data = msgspec.json.decode(line.removeprefix("data: "))
            expected = {"type", "sequence_number", *members[data["type"]].split(", ")}
            # What only some streams have: padding, probabilities, and all that an end says.
            assert data.keys() - {"logprobs"} <= expected
            assert expected - data.keys() <= {"obfuscation"}


@pytest.mark.parametrize("name", ["freddy", "openai"])
def test_every_event_name_that_a_dialect_writes_is_told(name):
    told = events.FREDDY if name == "freddy" else events.OPENAI
    module = __import__(f"freddy.server.dialects.{name}.events", fromlist=["x"])
    with open(module.__file__) as file:
        written = set(re.findall(r"\"((?:response)\.[a-z_.]+|error)\"", file.read()))
    assert written - {"response.queued"} <= {event.name for event in told}


def test_the_document_is_built_once():
    assert openapi.encoded("1.2.3") is openapi.encoded("1.2.3")
    assert msgspec.json.decode(openapi.encoded("1.2.3")) == DOCUMENT


def test_public_paths_ask_for_no_key_and_all_others_do():
    for operation in OPERATIONS:
        told = DOCUMENT["paths"][operation.path][operation.method]
        assert (told.get("security") == []) == (operation.path in app.PUBLIC)


def test_the_kinds_of_items_and_events_are_still_those_that_were_described():
    """A new kind needs its words here: see `openapi/events.py` and the dialects' item schemas."""
    assert {kind.__name__ for kind in get_args(items.Item)} == {
        "Message",
        "Reasoning",
        "FunctionCall",
        "FunctionOutput",
        "McpTools",
        "HostedCall",
        "ApprovalRequest",
        "ApprovalAnswer",
        "Compaction",
        "Other",
    }
    assert len(get_args(Event)) - len(UNTOLD) == 21
