"""A whole server with vector stores, over a vendor of embeddings for whom texts are near that share words."""

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from gateway import DEV_KEY, Gateway, serving, settings
from msgspec.structs import replace

from freddy.server.config import Upstream
from freddy.server.config import settings as parts
from simulators.script import Call, Fault, Plain, Reply
from simulators.server import Json, Simulator
from upstream import PATIENCE

DIMENSIONS = 64
LOCAL = "org_local"
MODEL = "words/hashes"
HANDBOOK = {
    "refunds.md": "# Refunds\n\nA refund takes five working days once the parcel has arrived at the warehouse.\n",
    "shipping.md": "# Shipping\n\nParcels leave the harbour twice a week. Islands wait longer in winter storms.\n",
    "office.md": "# Office\n\nThe kitchen is on the second floor, beside the copier with the paper jam.\n",
}


class Hashes(Simulator):
    """Hashes words into a few dimensions. It waits while `held` is not set, and refuses while `away`."""

    kind = "openai"
    ask = "/v1/embeddings"

    def __init__(self) -> None:
        super().__init__(answering=self._vectors)
        self.held = asyncio.Event()
        self.held.set()
        self.away = False

    def given_key(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("authorization")

    def wrong(self, call: Call, raw: bytes) -> Iterator[str]:
        yield from ()

    def fault(self, fault: Fault) -> Json:
        return {"error": {"message": fault.message, "type": "invalid_request_error", "param": None, "code": None}}

    async def _tell(self, reply: Reply, call: Call, writer: asyncio.StreamWriter) -> bool:
        await self.held.wait()
        return await super()._tell(reply, call, writer)

    def _vectors(self, call: Call) -> Reply:
        if self.away:
            return Fault(401, "the account is closed")
        data = [
            {"object": "embedding", "index": place, "embedding": _hashed(text)}
            for place, text in enumerate(call.body["input"])
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return Plain(json.dumps({"object": "list", "data": data, "model": "hashes", "usage": usage}).encode())


def _hashed(text: str) -> list[float]:
    numbers = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        numbers[hashlib.sha256(word.encode()).digest()[0] % DIMENSIONS] += 1.0
    return numbers if any(numbers) else [1.0] * DIMENSIONS


class Library:
    """A gateway with vector stores, and who makes its vectors."""

    def __init__(self, gateway: Gateway, embedder: Hashes) -> None:
        self.gateway = gateway
        self.embedder = embedder

    async def uploaded(self, name: str, content: str | bytes, *, key: str = DEV_KEY) -> str:
        """The id of a file."""
        data = content.encode() if isinstance(content, str) else content
        reply = await self.gateway.http(key).post(
            "/v1/files", files={"file": (name, data)}, data={"purpose": "assistants"}
        )
        assert reply.status_code == 200, reply.text
        return reply.json()["id"]

    async def stocked(self, **attributes: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """A store with the handbook, indexed, and the ids of its files by their names' stems."""
        ids = {name.removesuffix(".md"): await self.uploaded(name, text) for name, text in HANDBOOK.items()}
        files = [{"file_id": file_id, "attributes": attributes.get(stem, {})} for stem, file_id in ids.items()]
        store = (await self.gateway.post("/v1/vector_stores", {"name": "Handbook"})).json()["id"]
        batch = (await self.gateway.post(f"/v1/vector_stores/{store}/file_batches", {"files": files})).json()
        await self.ended(f"/v1/vector_stores/{store}/file_batches/{batch['id']}")
        return store, ids

    async def ended(self, path: str, *, key: str = DEV_KEY) -> dict[str, Any]:
        """What is at the path, once its `status` is no longer `in_progress`."""
        async with asyncio.timeout(6 * PATIENCE):
            while True:
                reply = await self.gateway.get(path, key=key)
                assert reply.status_code == 200, reply.text
                if reply.json()["status"] != "in_progress":
                    return reply.json()
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def library(home: Path, upstream: Simulator, **changes: Any) -> AsyncIterator[Library]:
    """`changes` replace sections of the settings."""
    async with Hashes() as embedder:
        vendor = Upstream(
            name="words",
            kind=embedder.kind,
            url=embedder.url,
            key="sk-words",
            models=("hashes",),
            default_model="hashes",
        )
        sections = {
            "embeddings": parts.Embeddings(model=MODEL),
            "knowledge": parts.Knowledge(attempts=1),
            **changes,
        }
        chosen = settings(home, upstream, **sections)
        chosen = replace(chosen, upstreams=(*chosen.upstreams, vendor))
        async with serving(chosen, upstream) as gateway:
            yield Library(gateway, embedder)
            embedder.held.set()
        assert embedder.complaints == []


@pytest.fixture
async def shelf(upstream: Simulator, tmp_path: Path) -> AsyncIterator[Library]:
    """For the tests of a folder whose `conftest` takes it."""
    async with library(tmp_path, upstream) as library_:
        yield library_
