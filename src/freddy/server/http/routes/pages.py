"""The paths that tell where to go: for programs as JSON, for people as pages."""

import asyncio
from html import escape

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from freddy.server.http.replies import send_json

_LINKS = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "live": "/health/live",
    "ready": "/health/ready",
    "metrics": "/metrics",
    "models": "/v1/models",
}
_SAFE = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; img-src data:"),
    (b"x-content-type-options", b"nosniff"),
)


class PageRoutes:
    """`development` says whether calls without a key are answered."""

    def __init__(self, *, version: str, development: bool) -> None:
        self._version = version
        self._development = development

    async def index(self, scope: Scope, _receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if _wants_html(headers.get("accept", "")):
            await _send_page(send, self._index_page(f"{scope['scheme']}://{headers.get('host', 'localhost')}"))
            return
        told = {
            "name": "freddy",
            "version": self._version,
            "development": self._development,
            "links": _LINKS,
        }
        await send_json(send, msgspec.json.encode(told), headers={"vary": "accept"})

    async def docs(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        from freddy.server.http.openapi import reference  # noqa: PLC0415 — 4 MB of descriptions that few ask for

        await _send_page(send, await asyncio.to_thread(reference.rendered, self._version))

    async def openapi(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        from freddy.server.http import openapi  # noqa: PLC0415 — as above

        # Pages of other places may read it: documentation tools do, and it holds no secret.
        document = await asyncio.to_thread(openapi.encoded, self._version)
        await send_json(send, document, headers={"access-control-allow-origin": "*"})

    def _index_page(self, address: str) -> bytes:
        from freddy.server.http.openapi.style import page  # noqa: PLC0415 — as above

        key = "" if self._development else "  -H 'Authorization: Bearer YOUR_API_KEY' \\\n"
        curl = (
            f"curl {address}/v1/model/response \\\n{key}"
            "  -H 'Content-Type: application/json' \\\n"
            '  -d \'{"inputs": "Say hello in one sentence."}\''
        )
        note = (
            "<p>Local development mode is on: calls from this machine need no key.</p>"
            if self._development
            else "<p>Keys are made with <code>freddy keys create NAME</code>.</p>"
        )
        body = (
            '<main class="plain">'
            f"<h1>Freddy {escape(self._version)}</h1>"
            "<p>A model-response API answers here.</p>"
            f"<pre><code>{escape(curl)}</code></pre>{note}"
            "<ul>"
            '<li><a href="/docs">Reference</a>: every path, parameter, event and error</li>'
            '<li><a href="/openapi.json">OpenAPI document</a>: the same for programs</li>'
            '<li><a href="/health/ready">Health</a>: what works now</li>'
            '<li><a href="/metrics">Metrics</a>: for Prometheus</li>'
            "</ul></main>"
        )
        return page("Freddy", body)


def _wants_html(accept: str) -> bool:
    """Browsers name HTML; programs name JSON or take anything."""
    return "text/html" in accept.lower()


async def _send_page(send: Send, html: bytes) -> None:
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(html)).encode()),
        (b"vary", b"accept"),
        *_SAFE,
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": html})
