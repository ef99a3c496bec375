"""The pages: what a program gets, what a browser gets, and that both are whole and safe."""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from freddy.server.http.openapi import document
from freddy.server.http.routes.pages import PageRoutes

VOID = {"meta", "link", "br", "hr", "img", "input"}
BROWSER = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class _Page(HTMLParser):
    """Checks that tags are closed in order, and collects ids, links and what would be fetched."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.links: set[str] = set()
        self.fetched: set[str] = set()
        self.tags: Counter[str] = Counter()
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags[tag] += 1
        if given.get("id"):
            self.ids[str(given["id"])] += 1
        if tag == "a":
            self.links.add(str(given["href"]))
        for name in ("src", "srcset", "action", "data"):
            if given.get(name):
                self.fetched.add(str(given[name]))
        if tag == "link":
            self.fetched.add(str(given["href"]))
        assert not any(name.startswith("on") for name in given)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag


async def _get(
    page: str, *, accept: bytes = b"*/*", host: bytes = b"127.0.0.1:8000", development: bool = True
) -> tuple[dict[str, str], bytes]:
    routes = PageRoutes(version="1.2.3", development=development)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "scheme": "http", "headers": [(b"accept", accept), (b"host", host)]}
    await getattr(routes, page)(scope, receive, send)
    assert sent[0]["status"] == 200
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert headers["content-length"] == str(len(sent[1]["body"]))
    return headers, sent[1]["body"]


async def test_a_program_is_told_where_to_go_in_json():
    headers, body = await _get("index")
    assert headers["content-type"] == "application/json"
    assert headers["vary"] == "accept"
    told = msgspec.json.decode(body)
    assert told["version"] == "1.2.3"
    assert set(told["links"].values()) <= document("1.2.3")["paths"].keys()


@pytest.mark.parametrize("development", [True, False])
async def test_a_browser_is_told_where_to_go_on_a_page(development):
    headers, body = await _get("index", accept=BROWSER, development=development)
    assert headers["content-type"] == "text/html; charset=utf-8"
    page = _Page(body.decode())
    assert {"/docs", "/openapi.json", "/health/ready"} <= page.links
    assert page.links <= document("1.2.3")["paths"].keys()
    assert (b"Authorization" in body) == (not development)


async def test_a_strange_host_is_escaped():
    _, body = await _get("index", accept=BROWSER, host=b'x"><script>alert(1)</script>')
    assert b"<script" not in body


@pytest.mark.parametrize("page", ["index", "docs"])
async def test_a_page_fetches_nothing_and_runs_nothing(page):
    headers, body = await _get(page, accept=BROWSER)
    found = _Page(body.decode())
    assert found.fetched == {"data:,"}
    assert not found.tags["script"]
    assert not re.search(r"url\(|@import", body.decode())
    assert headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_reference_is_well_formed_and_its_links_lead_somewhere():
    _, body = await _get("docs")
    page = _Page(body.decode())
    assert not [name for name, times in page.ids.items() if times > 1]
    inside = {link.removeprefix("#") for link in page.links if link.startswith("#")}
    assert inside <= page.ids.keys()
    assert {"synapses-and-neurons", "synapses-and-tokens", "errors", "events", "schemas"} <= page.ids.keys()


async def test_the_reference_has_every_operation_and_every_schema():
    _, body = await _get("docs")
    ids = _Page(body.decode()).ids
    told = document("1.2.3")
    operations = {each["operationId"] for methods in told["paths"].values() for each in methods.values()}
    assert operations | told["components"]["schemas"].keys() <= ids.keys()


async def test_the_document_is_served_as_json():
    headers, body = await _get("openapi")
    assert headers["content-type"] == "application/json"
    assert msgspec.json.decode(body)["openapi"] == "3.1.0"
