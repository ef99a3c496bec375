"""The page of vector stores does what it says: its programs run, and its bodies are taken."""

import asyncio
import contextlib
import io
import json
import re
from pathlib import Path

import pytest
from gateway import DEV_KEY

PAGE = (Path(__file__).parents[2] / "docs/vector-stores.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
BODIES = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]


@pytest.fixture
def surroundings(shelf, tmp_path, monkeypatch):
    """What a program finds around it."""
    monkeypatch.setenv("FREDDY_API_KEY", DEV_KEY)
    monkeypatch.setenv("FREDDY_BASE_URL", shelf.gateway.url)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


async def test_the_programs_of_the_page_run(shelf, surroundings):
    def run() -> str:
        told, names = io.StringIO(), {}
        with contextlib.redirect_stdout(told):
            for program in PROGRAMS:
                exec(compile(program, "vector-stores.md", "exec"), names)
        return told.getvalue()

    lines = (await asyncio.to_thread(run)).splitlines()
    assert lines[0] == "completed None"
    assert re.fullmatch(r"0\.\d+ refunds\.md A refund takes five working days once the parcel has arrived\.", lines[1])
    assert lines[2] == "Hello there."
    told = [tool["function"]["name"] for tool in shelf.gateway.upstream.last.body["tools"]]
    assert told == ["file_search"]


async def test_the_bodies_of_the_page_are_taken(shelf):
    store, ids = await shelf.stocked()
    [chunking] = [body for body in BODIES if body.get("type") == "static"]
    [search] = [body for body in BODIES if "query" in body]
    path = f"/v1/vector_stores/{store}"
    added = await shelf.gateway.post(f"{path}/files", {"file_id": ids["office"], "chunking_strategy": chunking})
    assert (added.status_code, added.json()["chunking_strategy"]) == (200, chunking)
    assert (await shelf.gateway.post(f"{path}/search", search)).status_code == 200
    [answer] = [body for body in BODIES if "search_query" in body]
    found = (await shelf.gateway.post(f"{path}/search", {"query": "refund"})).json()
    assert found.keys() == answer.keys()
    assert found["data"][0].keys() == answer["data"][0].keys()
