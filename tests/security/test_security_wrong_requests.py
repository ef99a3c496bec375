"""Thousands of wrong requests to all paths of tools: each is answered, and none is a fault of the server."""

import asyncio
import copy
import json
import random
from typing import Any
from urllib.parse import quote

import pytest
from gateway import DEV_KEY

from databases import fresh_database
from freddy.server.config import settings as parts
from stores_stage import library
from upstream import Answer, text

ODD: tuple[Any, ...] = (
    None,
    "",
    " ",
    "\0",
    "a\0b",
    "\U0010ffff",
    "x" * 10_000,
    "***REDACTED***",
    "http://127.0.0.1:1/",
    "' OR 1=1 --",
    -1,
    0,
    1,
    2**31,
    2**63,
    -(2**64),
    10**30,
    1e308,
    5e-324,
    0.5,
    True,
    False,
    [],
    [None],
    ["\0"],
    ["x"] * 300,
    {},
    {"\0": "\0"},
    {"": ""},
    {"a": {"b": {"c": [1, {"d": None}]}}},
    {"type": "and", "filters": [{"type": "eq", "key": "k\0", "value": "\0"}]},
    {"type": "in", "key": "k", "value": [1e308, "x", True]},
)
RAW = (b"", b"null", b"[]", b'"x"', b"{", b"\xff", b'{"name":"\\ud800"}', b'{"name":1e999}', b'{"a":' * 500 + b"1")
IDS = ("", "\0", "%", "..", "x" * 3_000, "é", "a/b", "' --", "vs_0", "file_0", "fn_0", "mcpc_0", "😀", "%00", "\n")
QUERY = ("limit", "order", "after", "before", "filter", "search", "skip", "take", "page", "page_size", "status", "sort")
VALUES = (
    "",
    "\0",
    "-1",
    "0",
    "1",
    "99999999999999999999",
    "asc",
    "é",
    "completed,",
    "x" * 3_000,
    "%F0%9F",
    "1e5",
    "%",
)
STORE = {
    "name": "n",
    "description": "d",
    "metadata": {"a": "b"},
    "expires_after": {"anchor": "last_active_at", "days": 3},
    "chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 10}},
    "access_mode": "organization",
}
FILTER = {
    "type": "and",
    "filters": [{"type": "eq", "key": "k", "value": "v"}, {"type": "in", "key": "k", "value": [1]}],
}
SEARCH = {
    "query": ["refund", "parcel"],
    "filters": FILTER,
    "max_num_results": 5,
    "ranking_options": {
        "ranker": "auto",
        "score_threshold": 0.1,
        "hybrid_search": {"embedding_weight": 1, "text_weight": 2},
    },
}
FUNCTION = {
    "name": "stock",
    "url": "https://functions.example.com/x",
    "description": "d",
    "parameters": {"type": "object", "properties": {"a": {"type": "string", "pattern": "a+"}}},
    "headers": {"authorization": "secret-of-the-function"},
    "timeout_seconds": 5,
    "metadata": {"a": "b"},
    "require_approval": False,
}
SERVER = {
    "name": "Wiki",
    "server_url": "https://mcp.example.com/mcp",
    "transport_type": "streamable_http",
    "auth_type": "api_key",
    "credentials": {"api_key": "secret-of-the-server"},
    "headers": {"x-a": "secret-of-the-server"},
    "tool_configuration": {
        "enabled": True,
        "allowed_tools": ["a*"],
        "require_approval": {"always": {"tool_names": ["b"]}},
    },
}
ASKED = {
    "model": "stage",
    "input": [
        {"role": "user", "content": "Hi"},
        {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "s", "name": "n", "arguments": "{}"},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": False},
        {"type": "mcp_list_tools", "id": "l_1", "server_label": "s", "tools": [{"name": "n", "input_schema": {}}]},
        {"type": "mcp_call", "id": "c_1", "server_label": "s", "name": "n", "arguments": "{}", "output": "o"},
        {"type": "file_search_call", "id": "f_1", "queries": ["q"], "status": "completed", "results": []},
    ],
    "tools": [
        {
            "type": "mcp",
            "server_label": "s",
            "server_url": "http://127.0.0.1:1/mcp",
            "headers": {"a": "b"},
            "authorization": "secret",
            "allowed_tools": {"tool_names": ["a"], "read_only": True},
            "require_approval": {"never": {"tool_names": ["a"]}},
        },
        {"type": "file_search", "vector_store_ids": ["STORE"], "filters": FILTER, "max_num_results": 3},
        {"type": "function", "name": "get_cities", "parameters": {"type": "object", "properties": {}}},
    ],
    "tool_choice": {"type": "mcp", "server_label": "s", "name": "n"},
}


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inner for place in places(each, (*at, key)))]


def spoiled(chance: random.Random, body: Any) -> Any:
    """The body with one to three odd values, or names, or without something."""
    body = copy.deepcopy(body)
    for _ in range(chance.randint(1, 3)):
        if not body:
            break
        *path, last = chance.choice(places(body)[1:])
        inner = body
        for key in path:
            inner = inner[key]
        match chance.randrange(6), inner:
            case 0, dict():
                inner.pop(last)
            case 1, dict():
                inner[chance.choice(("\0", "x" * 300, "camelCase", "é", ""))] = inner.pop(last)
            case _:
                inner[last] = copy.deepcopy(chance.choice(ODD))
    return body


def requests(chance: random.Random, ids: dict[str, str]) -> tuple[str, str, dict[str, str], bytes | None]:
    one, file, batch = ids["store"], ids["file"], ids["batch"]
    owned = "/v1/organizations/org_local/vector-stores"
    paths: list[tuple[str, list[str], Any]] = [
        ("POST", ["v1", "vector_stores"], STORE | {"file_ids": [file]}),
        ("POST", ["v1", "vector_stores", one], STORE),
        ("POST", ["v1", "vector_stores", one, "search"], SEARCH),
        ("POST", ["v1", "vector_stores", one, "files"], {"file_id": file, "attributes": {"k": "v", "n": 1}}),
        ("POST", ["v1", "vector_stores", one, "files", file], {"attributes": {"k": "v", "n": 1, "b": True}}),
        ("POST", ["v1", "vector_stores", one, "file_batches"], {"files": [{"file_id": file, "attributes": {"k": 1}}]}),
        ("POST", ["v1", "vector_stores", one, "file_batches", batch, "cancel"], {}),
        ("GET", ["v1", "vector_stores", one], None),
        ("GET", ["v1", "vector_stores", one, "files", file, "content"], None),
        ("GET", ["v1", "vector_stores", one, "file_batches", batch, "files"], None),
        ("DELETE", ["v1", "vector_stores", "vs_none", "files", file], None),
        ("POST", [*owned.split("/")[1:]], STORE),
        ("PATCH", [*owned.split("/")[1:], one], STORE),
        ("GET", [*owned.split("/")[1:]], None),
        ("POST", [*owned.split("/")[1:], one, "files"], {"file_ids": [file], "attributes": {"k": "v"}}),
        ("GET", [*owned.split("/")[1:], one, "files"], None),
        ("POST", [*owned.split("/")[1:], one, "files", file, "retry"], {"reset_error": True}),
        (
            "POST",
            [*owned.split("/")[1:], one, "files", "upload-base64"],
            {"files": [{"filename": "a.txt", "content": "aGk=", "mime_type": "text/plain"}]},
        ),
        ("POST", ["v1", "functions"], FUNCTION),
        ("PUT", ["v1", "functions", ids["function"]], FUNCTION),
        ("PATCH", ["v1", "functions", ids["function"]], FUNCTION),
        ("POST", ["v1", "functions", ids["function"], "test"], {"arguments": {"a": "b"}}),
        ("POST", ["v1", "functions", ids["function"], "rotate-secret"], {"overlap_seconds": 5}),
        ("GET", ["v1", "functions"], None),
        ("POST", ["v1", "mcp-configurations"], SERVER),
        ("PATCH", ["v1", "mcp-configurations", ids["server"]], SERVER),
        ("POST", ["v1", "mcp-configurations", "mcpc_none", "test"], None),
        ("GET", ["v1", "mcp-configurations"], None),
        ("GET", ["v1", "mcp", "servers"], None),
        ("POST", ["v1", "responses"], ASKED),
        ("POST", ["v1", "model", "response"], {key.replace("input", "inputs"): each for key, each in ASKED.items()}),
    ]  # fmt: skip
    method, path, body = chance.choice(paths)
    path = list(path)
    if chance.random() < 0.25:
        path[chance.randrange(1, len(path))] = chance.choice(IDS)
    asked = {chance.choice(QUERY): chance.choice(VALUES) for _ in range(chance.randint(0, 2))}
    content = None
    if body is not None:
        text = json.dumps(spoiled(chance, body)).replace("STORE", one)
        content = chance.choice(RAW) if chance.random() < 0.1 else text.encode()
    return method, "/" + "/".join(quote(part, safe="") for part in path), asked, content


async def stocked(shelf: Any) -> dict[str, str]:
    store, files = await shelf.stocked()
    file = files["office"]
    batch = await shelf.gateway.post(f"/v1/vector_stores/{store}/file_batches", {"file_ids": [file]})
    function = await shelf.gateway.post("/v1/functions", FUNCTION)
    server = await shelf.gateway.post("/v1/mcp-configurations", SERVER)
    assert function.status_code == server.status_code == 201, function.text + server.text
    return {
        "store": store,
        "file": file,
        "batch": batch.json()["id"],
        "function": function.json()["id"],
        "server": server.json()["id"],
    }


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_no_wrong_request_is_a_fault_of_the_server(upstream, tmp_path, database):
    chance = random.Random(20_26)
    upstream.answering = lambda _: Answer(text("Hi"))
    statuses: dict[int, int] = {}

    async def attack(shelf: Any) -> None:
        ids = await stocked(shelf)
        client = shelf.gateway.http(DEV_KEY)

        async def ask(number: int) -> None:
            method, path, asked, content = requests(chance, ids)
            async with asyncio.timeout(30):
                reply = await client.request(method, path, params=asked, content=content)
            statuses[reply.status_code] = statuses.get(reply.status_code, 0) + 1
            told = (number, method, path[:200], asked, (content or b"")[:2000], reply.text[:500])
            assert reply.status_code < 500, told
            assert "Traceback" not in reply.text, told

        for start in range(0, 2_000, 8):
            await asyncio.gather(*(ask(number) for number in range(start, start + 8)))

    if database == "sqlite":
        async with library(tmp_path, upstream) as shelf:
            await attack(shelf)
    else:
        async with fresh_database() as url, library(tmp_path, upstream, store=parts.Store(database=url)) as shelf:
            await attack(shelf)
    assert statuses[404] > 50
    assert statuses[200] > 50
