"""A running server before a simulated vendor of each kind, for clients as people have them."""

import os
from dataclasses import dataclass

import aitronos_client
import pytest
from gateway import Gateway, serving, settings

from freddy.server.config import Upstream
from simulators.chat import Chat
from simulators.messages import Messages
from simulators.responses import Responses
from simulators.server import Simulator
from stores_stage import library

MODELS = {"compatible": "qwen3", "openai": "gpt-5", "anthropic": "claude-sonnet-4-5"}


@dataclass(frozen=True)
class Stage:
    """`model` is a name that callers know as one of the vendor's."""

    gateway: Gateway
    vendor: Simulator
    model: str

    @property
    def kind(self) -> str:
        return self.vendor.kind

    @property
    def told(self) -> list[tuple[str, str]]:
        """What the vendor was last told, in words of no vendor: who, and the text, or the kind of the rest."""
        return [one for item in self._items() for one in _told(item)]

    def _items(self):
        body = self.vendor.last.body
        system = [{"role": "system", "content": body["system"]}] if "system" in body else []
        if body.get("instructions"):
            system = [{"role": "system", "content": body["instructions"]}]
        return [*system, *body.get("messages", body.get("input", ()))]


def _told(item):
    role = item.get("role")
    if role == "tool":
        yield "output", item["content"]
        return
    if role is None:
        match item["type"]:
            case "function_call":
                yield "call", item["arguments"]
            case "function_call_output":
                yield "output", item["output"]
            case "reasoning":
                yield "thought", "".join(part["text"] for part in item["summary"])
        return
    content = item.get("content") or ()
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        match part["type"]:
            case "thinking":
                yield "thought", part["thinking"]
            case "tool_use":
                yield "call", part["input"]
            case "tool_result":
                yield "output", "".join(one["text"] for one in part["content"])
            case _:
                yield role, part["text"]
    for call in item.get("tool_calls", ()):
        yield "call", call["function"]["arguments"]


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch):
    for name in list(os.environ):  # noqa: TID251 clients read it
        if name.startswith(("FREDDY_", "OPENAI_", "LANGCHAIN_", "LANGSMITH_", "LOGFIRE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(params=[Chat, Responses, Messages], ids=lambda kind: kind.kind)
async def stage(request, tmp_path):
    async with request.param() as vendor:
        model = MODELS[vendor.kind]
        upstream = Upstream(
            name="stage", url=vendor.url, key="sk-vendor", kind=vendor.kind, models=("*",), default_model=model
        )
        chosen = settings(tmp_path, vendor, upstreams=(upstream,))
        async with serving(chosen, vendor) as gateway:
            yield Stage(gateway, vendor, model)
        assert vendor.complaints == []


@pytest.fixture
async def platform(tmp_path):
    """The platform's published client before a server in local development mode."""
    async with aitronos_client.platform(tmp_path) as platform:
        yield platform


@pytest.fixture
async def shelf(tmp_path):
    """A server with vector stores."""
    async with Chat() as vendor, library(tmp_path, vendor) as library_:
        yield library_
