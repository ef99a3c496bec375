"""Whatever another organization has is, to the byte, like what nobody has."""

from typing import Any

import pytest
from gateway import spelled

from freddy.server.config import settings as parts
from stores_stage import library

FUNCTION = {"name": "stock", "url": "https://functions.example.com/x"}
SERVER = {"name": "Wiki", "server_url": "https://mcp.example.com/mcp"}
OWNED = "/v1/organizations/org_theirs/vector-stores"


@pytest.fixture
async def shelf(upstream, tmp_path):
    async with library(tmp_path, upstream, dev=parts.Development(mode="off")) as library_:
        yield library_


def unknown(known: str) -> str:
    """An id that nobody has, of the same form."""
    return known[:-4] + ("0000" if not known.endswith("0000") else "1111")


async def test_no_path_tells_what_others_have_from_what_nobody_has(shelf, upstream):
    gateway = shelf.gateway
    ours, theirs = [(await gateway.mint(name)).secret for name in ("org_ours", "org_theirs")]

    async def made(path: str, body: Any) -> str:
        reply = await gateway.post(path, body, key=ours)
        assert reply.status_code in (200, 201), reply.text
        return reply.json()["id"]

    file = await shelf.uploaded("secret.txt", "the secret plan", key=ours)
    store = await made("/v1/vector_stores", {"name": "Ours", "file_ids": [file]})
    batch = await made(f"/v1/vector_stores/{store}/file_batches", {"file_ids": [file]})
    await shelf.ended(f"/v1/vector_stores/{store}/file_batches/{batch}", key=ours)
    function = await made("/v1/functions", FUNCTION)
    server = await made("/v1/mcp-configurations", SERVER)
    own = (await gateway.post("/v1/vector_stores", {}, key=theirs)).json()["id"]
    assistant = {"name": "A", "instructions": "Search.", "vector_store_ids": [store]}
    ids = {"{store}": store, "{file}": file, "{batch}": batch, "{function}": function, "{server}": server}

    asked: list[tuple[str, str, Any]] = [
        *(
            (method, f"{base}/{{store}}{rest}", body)
            for base in ("/v1/vector_stores", OWNED)
            for method, rest, body in (
                ("GET", "", None),
                ("DELETE", "", None),
                ("GET", "/files", None),
                ("POST", "/files", {"file_id": "{file}"}),
                ("GET", "/files/{file}", None),
                ("DELETE", "/files/{file}", None),
            )
        ),
        ("POST", "/v1/vector_stores/{store}", {"name": "x"}),
        ("POST", "/v1/vector_stores/{store}/search", {"query": "secret plan"}),
        ("POST", "/v1/vector_stores/{store}/files/{file}", {"attributes": {}}),
        ("GET", "/v1/vector_stores/{store}/files/{file}/content", None),
        ("POST", "/v1/vector_stores/{store}/file_batches", {"file_ids": ["{file}"]}),
        ("GET", "/v1/vector_stores/{store}/file_batches/{batch}", None),
        ("POST", "/v1/vector_stores/{store}/file_batches/{batch}/cancel", None),
        ("GET", "/v1/vector_stores/{store}/file_batches/{batch}/files", None),
        ("PATCH", OWNED + "/{store}", {"name": "x"}),
        ("GET", OWNED + "/{store}/files/{file}/status", None),
        ("GET", OWNED + "/{store}/files/{file}/logs", None),
        ("POST", OWNED + "/{store}/files/{file}/retry", {}),
        ("POST", OWNED + "/{store}/files/upload-base64", {"files": [{"filename": "a.txt", "content": "aGk="}]}),
        # Into a store, or out of one, of their own.
        ("POST", "/v1/vector_stores", {"file_ids": ["{file}"]}),
        ("POST", f"/v1/vector_stores/{own}/files", {"file_id": "{file}"}),
        ("POST", f"{OWNED}/{own}/files", {"file_ids": ["{file}"]}),
        ("GET", f"/v1/vector_stores/{own}/files/{{file}}/content", None),
        ("GET", f"/v1/vector_stores/{own}/file_batches/{{batch}}", None),
        ("POST", f"/v1/vector_stores/{own}/file_batches/{{batch}}/cancel", None),
        ("GET", f"/v1/vector_stores/{own}/file_batches/{{batch}}/files", None),
        *((method, "/v1/functions/{function}", None) for method in ("GET", "DELETE")),
        ("PUT", "/v1/functions/{function}", FUNCTION),
        ("PATCH", "/v1/functions/{function}", {"enabled": False}),
        ("POST", "/v1/functions/{function}/test", {"arguments": {}}),
        ("POST", "/v1/functions/{function}/rotate-secret", {}),
        *((method, "/v1/mcp-configurations/{server}", None) for method in ("GET", "DELETE")),
        ("PUT", "/v1/mcp-configurations/{server}", {"name": "x"}),
        ("PATCH", "/v1/mcp-configurations/{server}", {"name": "x"}),
        ("POST", "/v1/mcp-configurations/{server}/test", None),
        *(
            ("POST", *spelled(dialect, tools=[tool]))
            for dialect in ("freddy", "openai")
            for tool in (
                {"type": "file_search", "vector_store_ids": ["{store}"]},
                {"type": "file_search", "vector_store_ids": [own, "{store}"]},
                {"type": "mcp", "server_label": "s", "configuration_id": "{server}"},
            )
        ),
        ("POST", *spelled("freddy", vector_store_ids=["{store}"])),
    ]

    def filled(value: Any, known: dict[str, str]) -> Any:
        if isinstance(value, dict):
            return {key: filled(each, known) for key, each in value.items()}
        if isinstance(value, list):
            return [filled(each, known) for each in value]
        for name, one in known.items() if isinstance(value, str) else ():
            value = value.replace(name, one)
        return value

    for method, path, body in asked:
        told = []
        for known in (ids, {name: unknown(one) for name, one in ids.items()}):
            reply = await gateway.http(theirs).request(method, filled(path, known), json=filled(body, known))
            text = reply.text
            for name, one in known.items():
                text = text.replace(one, name)
            told.append((reply.status_code, text))
        assert told[0] == told[1], (method, path)
        assert told[0][0] == 404, (method, path, told[0])
    assert upstream.calls == []

    # An assistant of theirs with a store of ours searches nothing, and says no more than for one that is not there.
    warned = []
    for one in (store, unknown(store)):
        reply = await gateway.post("/v1/assistants", assistant | {"vector_store_ids": [one]}, key=theirs)
        if reply.status_code == 201:
            body = {"inputs": "Hi", "model": "stage", "assistant_id": reply.json()["id"]}
            answer = await gateway.post("/v1/model/response", body, key=theirs)
            warned.append((answer.status_code, str(answer.json().get("warnings")).replace(one, "ID")))
        else:
            warned.append((reply.status_code, reply.text.replace(one, "ID")))
    assert warned[0] == warned[1]

    # Nothing of it was touched, and no list or sum tells of it.
    for path in ("/v1/vector_stores", "/v1/functions", "/v1/mcp-configurations", "/v1/mcp/servers", OWNED, "/v1/files"):
        told = await gateway.get(path, key=theirs)
        assert told.status_code == 200, path
        assert not any(one in told.text for one in ids.values()), path
    told = await gateway.get(f"{OWNED}/usage", key=theirs)
    assert store not in told.text
    told = await gateway.get("/v1/organizations/org_ours/vector-stores", key=theirs)
    assert told.status_code == 403
    found = await gateway.post(f"/v1/vector_stores/{store}/search", {"query": "secret plan"}, key=ours)
    assert found.json()["data"][0]["file_id"] == file
    assert (await gateway.get(f"/v1/functions/{function}", key=ours)).json()["enabled"] is True
    assert (await gateway.get(f"/v1/mcp-configurations/{server}", key=ours)).json()["name"] == "Wiki"


async def test_a_cursor_of_others_is_like_an_unknown_one(shelf):
    gateway = shelf.gateway
    ours, theirs = [(await gateway.mint(name)).secret for name in ("org_ours", "org_theirs")]
    store = (await gateway.post("/v1/vector_stores", {}, key=ours)).json()["id"]
    function = (await gateway.post("/v1/functions", FUNCTION, key=ours)).json()["id"]
    for path, one in (("/v1/vector_stores", store), ("/v1/functions", function)):
        for cursor in ("after", "before"):
            told = [
                (reply.status_code, reply.text.replace(each, "ID"))
                for each in (one, unknown(one))
                for reply in [await gateway.get(f"{path}?{cursor}={each}", key=theirs)]
            ]
            assert told[0] == told[1]
