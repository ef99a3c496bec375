"""The docs against the code: blocks compile, requests decode, links lead somewhere, nothing is left out."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from freddy.server import config
from freddy.server.core import errors, ids
from freddy.server.dialects.freddy import FREDDY, aliases
from freddy.server.dialects.openai import OPENAI
from freddy.server.dialects.openai.request import INCLUDABLE
from freddy.server.http.openapi import OPERATIONS, document, events, failures
from freddy.server.listeners.metrics import Metrics

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
API = (ROOT / "docs/api.md").read_text()
ERRORS = (ROOT / "docs/errors.md").read_text()
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CALL = re.compile(r"curl\b.*?(/v1/\S+).*?-d '(.*?)'", re.DOTALL)


def _blocks(*languages: str) -> Iterator[object]:
    for path in PAGES:
        for number, (language, block) in enumerate(_FENCE.findall(path.read_text())):
            if language in languages:
                yield pytest.param(block, id=f"{path.relative_to(ROOT)}:{number}")


def _new_id(prefix: str) -> str:
    return ids.write(prefix, 0, b"\0" * 8)


@pytest.mark.parametrize("block", [*_blocks("python")])
def test_a_python_block_compiles(block):
    ast.parse(block)


@pytest.mark.parametrize("block", [*_blocks("json")])
def test_a_json_block_is_json(block):
    json.loads(block)


@pytest.mark.parametrize("block", [*_blocks("sh")])
def test_a_request_of_a_shell_block_is_accepted(block):
    for path, body in _CALL.findall(block):
        dialect = OPENAI if path.startswith("/v1/responses") else FREDDY
        assert dialect.decode_request(body.encode(), _new_id).input


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    for link in _LINK.findall(path.read_text()):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_path_is_in_the_api_page_and_the_other_way_round():
    told = {tuple(found) for found in re.findall(r"^\| `([A-Z]+) (/\S*)` \|", API, re.MULTILINE)}
    assert told == {(one.method.upper(), one.path) for one in OPERATIONS}


def test_every_event_is_in_the_api_page_and_the_other_way_round():
    freddy, openai = API.split("## The OpenAI dialect")
    for text, known in ((freddy, events.FREDDY), (openai, events.OPENAI)):
        rows = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
        told = set(re.findall(r"`((?:response|thinking|reasoning)\.[a-z_.]+|error)`", rows))
        asked = {*aliases.INCLUDE, *INCLUDABLE}
        assert told - asked == {event.name for event in known}


def test_every_parameter_is_in_the_api_page():
    freddy, openai = API.split("## The OpenAI dialect")
    schemas = document("0")["components"]["schemas"]
    for text, name in ((freddy, "FreddyRequest"), (openai, "OpenAIRequest")):
        missing = [each for each in schemas[name]["properties"] if f"`{each}`" not in text]
        assert not missing


def test_every_error_is_in_the_error_page_with_its_status_type_and_code():
    rows = re.findall(r"^\| (\w+) \| (\d+) \| `(\w+)` \| `(\w+)`", ERRORS, re.MULTILINE)
    known = [(kind.__name__, str(kind.status), kind.type, kind.default_code) for kind in failures.kinds()]
    assert sorted(rows) == sorted(known)


def test_every_special_code_is_in_the_error_page():
    usual = {kind.default_code for kind in failures.kinds()} | {errors.FreddyError.default_code}
    source = "\n".join(path.read_text() for path in (ROOT / "src/freddy/server").rglob("*.py"))
    special = set(re.findall(r"\bcode=\"([a-z_]+)\"", source)) - usual
    assert special <= set(re.findall(r"^\| `(\w+)` \|", ERRORS, re.MULTILINE))


def test_every_variable_that_the_docs_name_is_a_setting():
    known = {one.setting.variable for one in config.settings.declared()}
    known |= config.settings.UPSTREAM_VARIABLES.keys() | config.settings.OTHER_VARIABLES.keys()
    for path in PAGES:
        assert set(re.findall(r"\bFREDDY_[A-Z_]+\b", path.read_text())) <= known, path


def test_every_metric_is_in_the_operating_page_and_the_other_way_round():
    body, _ = Metrics("1", lambda: "ready").render()
    told = set(re.findall(r"^# TYPE (freddy_\w+)", body.decode(), re.MULTILINE))
    assert told == set(re.findall(r"^\| `(freddy_\w+)`", (ROOT / "docs/operate.md").read_text(), re.MULTILINE))


def test_every_decision_is_in_the_list_of_decisions():
    folder = ROOT / "docs/decisions"
    listed = set(re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text()))
    assert listed == {path.name for path in folder.glob("[0-9]*.md")}


@pytest.mark.parametrize("path", ["/v1/model/response", "/v1/responses"])
def test_every_parameter_has_its_place_in_the_table(path):
    whole = document("1")
    body = whole["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    named = whole["components"]["schemas"][body["$ref"].rpartition("/")[2]]["properties"]
    page = (ROOT / "docs/parameters.md").read_text()
    assert [name for name in named if not re.search(rf"`{name}[`:]", page)] == []
