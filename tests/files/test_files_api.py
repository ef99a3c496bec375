"""Files through the door: uploads in both shapes, lists, downloads, deletion, and all that can go wrong."""

import asyncio
import contextlib
import hashlib
import socket

import openai
import pytest
from gateway import DEV_KEY

import freddy
from freddy.server.config import settings as parts
from freddy.server.core.accounts import SCOPES
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.uploads import SqlFiles

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 24
LARGEST = 100_000
PLATFORM = "/v1/organizations/org_local/files"


async def upload(gateway, content=b"Foxes are red.", filename="foxes.txt", *, key=DEV_KEY, purpose="user_data"):
    reply = await gateway.http(key).post("/v1/files", files={"file": (filename, content)}, data={"purpose": purpose})
    assert reply.status_code == 200, reply.text
    return reply.json()


async def raw(gateway, head, *pieces, cut=False):
    """Sends bytes as they stand; the answer's head and body. With `cut` the client leaves at the end of them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        writer.write(head)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if cut:
            return b""
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def form_head(*, length=None, boundary="xx", more=""):
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    return (
        f"POST /v1/files HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {DEV_KEY}\r\nconnection: close\r\n"
        f"content-type: multipart/form-data; boundary={boundary}\r\n{size}\r\n{more}\r\n"
    ).encode()


async def test_the_openai_client_uploads_lists_reads_and_deletes(gateway):
    client = gateway.openai()
    made = await client.files.create(file=("foxes.txt", b"Foxes are red."), purpose="user_data")
    assert made.id.startswith("file_")
    assert (made.bytes, made.filename, made.purpose, made.object) == (14, "foxes.txt", "user_data", "file")
    assert made.expires_at is None
    assert await client.files.retrieve(made.id) == made
    assert (await client.files.content(made.id)).content == b"Foxes are red."
    assert [each.id async for each in client.files.list()] == [made.id]
    assert (await client.files.wait_for_processing(made.id)).status == "processed"
    gone = await client.files.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "file")
    with pytest.raises(openai.NotFoundError) as missing:
        await client.files.retrieve(made.id)
    assert missing.value.code == "file_not_found"


async def test_the_freddy_client_does_the_same(gateway, tmp_path):
    path = tmp_path / "foxes.md"
    path.write_bytes(b"# Foxes")
    client = gateway.freddy()
    made = [
        await client.files.create(path),
        await client.files.create(b"Foxes", filename="foxes.txt", purpose="assistants", expires_after=3600),
    ]
    with path.open("rb") as opened:
        made.append(await client.files.create(opened))
    assert [(file.filename, file.bytes, file.purpose) for file in made] == [
        ("foxes.md", 7, "user_data"),
        ("foxes.txt", 5, "assistants"),
        ("foxes.md", 7, "user_data"),
    ]
    assert made[1].expires_at == made[1].created_at + 3600
    assert await client.files.content(made[0].id) == b"# Foxes"
    assert [file.id async for file in await client.files.list(limit=2)] == [file.id for file in reversed(made)]
    assert [file.id async for file in await client.files.list(purpose="assistants")] == [made[1].id]
    assert (await client.files.delete(made[1].id)).deleted
    with pytest.raises(freddy.NotFoundError):
        await client.files.get(made[1].id)


async def test_an_id_may_begin_as_openais_do(gateway):
    made = await upload(gateway)
    assert (await gateway.get(f"/v1/files/{made['id'].replace('_', '-', 1)}")).json() == made


async def test_the_platforms_paths_upload_several_files_and_list_them_by_page(gateway):
    files = [("files", (f"{number}.txt", b"x" * number)) for number in range(1, 4)]
    reply = await gateway.http().post(f"{PLATFORM}/upload", files=files, data={"purpose": "vector_store"})
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert (told["success"], told["total_uploaded"], told["total_failed"]) == (True, 3, 0)
    first = told["files"][0]
    assert first | {"id": "", "uploaded_at": "", "storage_path": "", "uploaded_by_api_key_id": ""} == {
        "id": "",
        "original_filename": "1.txt",
        "file_size": 1,
        "mime_type": "text/plain",
        "storage_path": "",
        "organization_id": "org_local",
        "uploaded_by": None,
        "uploaded_by_api_key_id": "",
        "uploaded_at": "",
        "purpose": "assistants",
        "sha256": hashlib.sha256(b"x").hexdigest(),
        "expires_at": None,
    }
    names = [each["original_filename"] for each in told["files"]]
    pages = [(await gateway.get(f"{PLATFORM}?page={page}&limit=2")).json() for page in (1, 2)]
    assert [(page["total"], page["page"], page["limit"], page["has_more"]) for page in pages] == [
        (3, 1, 2, True),
        (3, 2, 2, False),
    ]
    assert sorted(each["original_filename"] for page in pages for each in page["files"]) == names
    assert (await gateway.get(f"{PLATFORM}/{first['id']}")).json() == first
    assert (await gateway.delete(f"{PLATFORM}/{first['id']}")).json()["deleted"]
    assert (await gateway.get(f"{PLATFORM}/{first['id']}")).status_code == 404


async def test_a_link_downloads_one_file_without_a_key(gateway):
    made = await upload(gateway)
    told = (await gateway.get(f"{PLATFORM}/{made['id']}/content")).json()
    assert (told["file_id"], told["filename"], told["file_size"]) == (made["id"], "foxes.txt", 14)
    link = told["download_url"]
    nobody = gateway.http(None)
    assert (await nobody.get(link)).content == b"Foxes are red."
    other = await upload(gateway, b"Secret")
    for wrong in (
        link.replace(made["id"], other["id"]),
        link.replace("org_local", "org_abc123"),
        link.replace("expires=", "expires=9"),
        link.replace("token=", "token=x"),
        link.replace("token=", "token=%F0%9F%A6%8A"),
        link.partition("&")[0],
    ):
        reply = await nobody.get(wrong)
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "invalid_link"), wrong
    assert (await gateway.get(f"{PLATFORM}/{made['id']}/download")).content == b"Foxes are red."


async def test_nothing_but_a_link_opens_the_way_to_a_file_without_a_key(opened):
    gateway = await opened(dev=parts.Development(mode="off"))
    nobody = gateway.http(None)
    for path in ("/v1/files", PLATFORM, f"{PLATFORM}/file_1/download", f"{PLATFORM}/file_1?token=x"):
        assert (await nobody.get(path)).status_code == 401, path
    assert (await nobody.post(f"{PLATFORM}/upload?token=x")).status_code == 401
    assert (await nobody.put(f"{PLATFORM}/uploads/x", content=b"x")).status_code == 403


async def test_a_file_is_uploaded_to_a_link_without_a_key(gateway):
    announced = {"files": [{"filename": "a/foxes.txt", "mime_type": "text/plain", "purpose": "user_upload"}]}
    told = (await gateway.post(f"{PLATFORM}/upload-url", announced)).json()
    (link,) = told["files"]
    asked = {"files": [{"file_id": link["file_id"]}]}
    before = (await gateway.post(PLATFORM, asked)).json()
    assert (before["success"], before["total_failed"], before["files"]) == (False, 1, [])
    nobody = gateway.http(None)
    assert (await nobody.put(link["upload_url"], content=b"")).json()["error"]["code"] == "empty_file"
    part = await nobody.put(link["upload_url"], content=b"x", headers={"content-range": "bytes 0-0/2"})
    assert part.json()["error"]["code"] == "invalid_file"
    assert (await nobody.put(link["upload_url"], content=b"x" * (LARGEST + 1))).status_code == 413
    sent = await nobody.put(link["upload_url"], content=b"Foxes are red.")
    assert sent.status_code == 200, sent.text
    assert sent.json()["id"] == link["file_id"]
    assert (await nobody.put(link["upload_url"], content=b"Again")).status_code == 409
    after = (await gateway.post(PLATFORM, asked)).json()
    assert (after["success"], after["files"][0]["original_filename"]) == (True, "foxes.txt")
    assert (await gateway.get(f"/v1/files/{link['file_id']}/content")).content == b"Foxes are red."


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "files"),
        ({"files": []}, "files"),
        ({"files": [{"filename": "x"}] * 11}, "files"),
        ({"files": [{}]}, "files[0].filename"),
        ({"files": [{"filename": "x", "purpose": "fun"}]}, "files[0].purpose"),
        ({"files": [{"filename": "x", "size": 0}]}, "files[0].size"),
    ],
)
async def test_what_is_announced_wrongly_is_named(gateway, body, param):
    reply = await gateway.post(f"{PLATFORM}/upload-url", body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, param)


async def test_what_is_announced_too_large_gets_no_link(gateway):
    reply = await gateway.post(f"{PLATFORM}/upload-url", {"files": [{"filename": "x", "file_size": LARGEST + 1}]})
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "file_too_large")


async def test_another_organizations_file_is_as_unknown_as_one_that_never_was(opened):
    gateway = await opened(dev=parts.Development(mode="off"))
    mine, theirs = await gateway.mint("org_a"), await gateway.mint("org_b")
    made = await upload(gateway, key=mine.secret)
    never = "file_" + "0" * 28
    for method, path in (
        ("GET", "/v1/files/{}"),
        ("GET", "/v1/files/{}/content"),
        ("DELETE", "/v1/files/{}"),
        ("GET", "/v1/organizations/org_b/files/{}"),
        ("GET", "/v1/organizations/org_b/files/{}/content"),
        ("GET", "/v1/organizations/org_b/files/{}/download"),
        ("DELETE", "/v1/organizations/org_b/files/{}"),
    ):
        client = gateway.http(theirs.secret)
        known, unknown = [await client.request(method, path.format(name)) for name in (made["id"], never)]
        assert (known.status_code, unknown.status_code) == (404, 404)
        assert known.text.replace(made["id"], "") == unknown.text.replace(never, "")
    assert (await gateway.get("/v1/files", key=theirs.secret)).json()["data"] == []
    assert (await gateway.get("/v1/organizations/org_a/files", key=theirs.secret)).status_code == 403
    assert (await gateway.get(f"/v1/files/{made['id']}", key=mine.secret)).json() == made


async def test_a_key_of_several_organizations_says_whose_file_it_is(opened):
    gateway = await opened(dev=parts.Development(mode="off"))
    both = (await gateway.mint("org_a", "org_b")).secret
    client = gateway.freddy(both, organization_id="org_b")
    made = await client.files.create(b"x", filename="x.txt")
    assert [file.id async for file in await client.files.list()] == [made.id]
    assert (await gateway.get("/v1/files", key=both)).json()["data"] == []
    assert (await gateway.get(f"/v1/files/{made.id}", key=both)).status_code == 200
    assert (await gateway.get(f"/v1/organizations/org_a/files/{made.id}", key=both)).status_code == 404
    stranger = gateway.freddy(both, organization_id="org_c")
    with pytest.raises(freddy.PermissionDeniedError):
        await stranger.files.create(b"x", filename="x.txt")


async def test_scopes_tell_who_may_read_and_who_may_write(opened, blobs):
    gateway = await opened(dev=parts.Development(mode="off"))
    reader = await gateway.mint("org_a", scopes=[one for one in SCOPES if one != "files:write"])
    writer = await gateway.mint("org_a", scopes=["files:write"])
    made = await upload(gateway, key=writer.secret)
    assert (await gateway.get(f"/v1/files/{made['id']}", key=writer.secret)).status_code == 403
    assert (await gateway.get(f"/v1/files/{made['id']}", key=reader.secret)).status_code == 200
    assert (await gateway.delete(f"/v1/files/{made['id']}", key=reader.secret)).status_code == 403
    refused = await gateway.http(reader.secret).post("/v1/files", files={"file": b"x"}, data={"purpose": "vision"})
    assert refused.status_code == 403
    assert len(blobs()) == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\foxes.txt", "foxes.txt"),
        ("  foxes \u2028 and  badgers.txt ", "foxes and badgers.txt"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("Füchse 🦊.txt", "Füchse 🦊.txt"),
        ("..", "file"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
    ],
)
async def test_a_name_is_kept_without_what_could_do_harm(gateway, given, kept):
    assert (await upload(gateway, filename=given))["filename"] == kept


async def test_a_download_says_what_it_is_and_never_acts_as_a_page(gateway):
    page = await upload(gateway, b"<script>alert(1)</script>", "a page.html")
    reply = await gateway.get(f"/v1/files/{page['id']}/content")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-disposition"] == 'attachment; filename="a page.html"'
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    picture = await upload(gateway, PNG, 'Füchse".png')
    reply = await gateway.get(f"/v1/files/{picture['id']}/content")
    assert (reply.headers["content-type"], reply.headers["content-length"]) == ("image/png", str(len(PNG)))
    told = "inline; filename=\"F_chse_.png\"; filename*=UTF-8''F%C3%BCchse%22.png"
    assert reply.headers["content-disposition"] == told


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("bytes=0-4", b"Foxes"),
        ("bytes=6-", b"are red."),
        ("bytes=-4", b"red."),
        ("bytes=10-999", b"red."),
        ("bytes=-999", b"Foxes are red."),
    ],
)
async def test_a_part_of_a_file_can_be_asked_for(gateway, asked, told):
    made = await upload(gateway)
    reply = await gateway.http().get(f"/v1/files/{made['id']}/content", headers={"range": asked})
    assert reply.content == told
    if told != b"Foxes are red.":
        start = b"Foxes are red.".index(told)
        assert reply.status_code == 206
        assert reply.headers["content-range"] == f"bytes {start}-{start + len(told) - 1}/14"


@pytest.mark.parametrize("asked", ["bytes=14-", "bytes=5-2", "bytes=-0", "bytes=0-1,3-4", "lines=1-2", "bytes=-"])
async def test_a_part_that_is_not_there_is_the_whole(gateway, asked):
    made = await upload(gateway)
    reply = await gateway.http().get(f"/v1/files/{made['id']}/content", headers={"range": asked})
    assert (reply.status_code, reply.content) == (200, b"Foxes are red.")


async def test_a_part_of_a_changed_file_is_the_whole(gateway):
    made = await upload(gateway)
    path = f"/v1/files/{made['id']}/content"
    whole = await gateway.http().get(path, headers={"range": "bytes=0-4", "if-range": '"other"'})
    assert whole.content == b"Foxes are red."
    same = await gateway.http().get(path, headers={"range": "bytes=0-4", "if-range": whole.headers["etag"]})
    assert same.content == b"Foxes"


async def test_the_head_of_a_download_has_no_content(gateway):
    made = await upload(gateway)
    reply = await gateway.http().head(f"/v1/files/{made['id']}/content")
    assert (reply.status_code, reply.headers["content-length"], reply.content) == (200, "14", b"")


async def test_lists_go_on_where_they_were_although_files_go_and_come(gateway):
    made = [(await upload(gateway, filename=f"{number}.txt"))["id"] for number in range(5)]
    ordered = sorted(made)
    seen, after = [], ""
    while True:
        page = (await gateway.get(f"/v1/files?limit=2&order=asc{after}")).json()
        seen += [each["id"] for each in page["data"]]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
        await gateway.delete(f"/v1/files/{page['last_id']}")
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == ordered
    left = (await gateway.get("/v1/files")).json()
    assert [each["id"] for each in left["data"]] == [ordered[2], ordered[0]]
    assert (await gateway.get("/v1/files?purpose=vision")).json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "order=up", "purpose=fun"])
async def test_a_list_that_cannot_be_is_refused(gateway, query):
    reply = await gateway.get(f"/v1/files?{query}")
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, query.partition("=")[0])


async def test_a_deleted_file_leaves_nothing_behind(gateway, blobs):
    made = await upload(gateway)
    assert [name.rpartition("/")[2] for name in blobs()] == [made["id"]]
    await gateway.delete(f"/v1/files/{made['id']}")
    assert blobs() == []


async def test_a_file_outlives_the_server(opened):
    made = await upload(await opened())
    gateway = await opened()
    assert (await gateway.get(f"/v1/files/{made['id']}/content")).content == b"Foxes are red."


async def test_files_that_are_too_large_are_refused_and_not_kept(gateway, blobs):
    announced = await gateway.http().post(
        "/v1/files", files={"file": ("x", b"x" * (LARGEST + 300_000))}, data={"purpose": "user_data"}
    )
    just = await gateway.http().post("/v1/files", files={"file": ("x", b"x" * (LARGEST + 1))})
    for reply in (announced, just):
        error = reply.json()["error"]
        assert (reply.status_code, error["code"], error["param"]) == (413, "file_too_large", "file")
        assert "100,000 bytes" in error["message"]
        assert "files.max_bytes" in error["message"]
    assert blobs() == []
    assert (await upload(gateway, b"x" * LARGEST))["bytes"] == LARGEST


async def test_a_large_upload_without_a_length_stops_where_it_is_too_large(gateway, blobs):
    start = b'--xx\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\n'
    pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (start, b"x" * 60_000, b"x" * 60_000)]
    reply = await raw(gateway, form_head(), *pieces)
    assert b" 413 " in reply.partition(b"\r\n")[0]
    assert blobs() == []


def refusals():
    part = 'content-disposition: form-data; name="{}"'
    file = part.format("file") + '; filename="x.txt"'
    fine = ("--xx", file, "", "x")
    purpose = ("--xx", part.format("purpose"), "", "user_data")
    yield "missing_required_parameter", "file", (*purpose, "--xx--", "")
    yield "missing_required_parameter", "purpose", (*fine, "--xx--", "")
    yield "empty_file", "file", ("--xx", file, "", "", *purpose, "--xx--", "")
    yield "too_many_files", "file", (*fine, *fine, *purpose, "--xx--", "")
    yield "invalid_file", "file", ("--xx", part.format("file"), "", "x", *purpose, "--xx--", "")
    yield "invalid_value", "purpose", (*fine, "--xx", part.format("purpose"), "", "fun", "--xx--", "")
    yield "unknown_parameter", "colour", (*fine, *purpose, "--xx", part.format("colour"), "", "red", "--xx--", "")
    yield "unknown_parameter", "document", ("--xx", file.replace('"file"', '"document"'), "", "x", "--xx--", "")
    yield "invalid_request", "purpose", (*fine, *purpose, *purpose, "--xx--", "")
    yield "invalid_multipart", None, (*fine, *purpose)
    yield "invalid_multipart", None, ("--yy", file, "", "x", "--yy--", "")
    yield "invalid_multipart", None, ("--xx", "colour: red", "", "x", "--xx--", "")
    yield "invalid_multipart", None, ("--xx", "co lour: red", "", "x", "--xx--", "")
    yield "invalid_multipart", None, ("--xx", part.format("purpose"), "", "x" * 70_000, "--xx--", "")
    yield "invalid_multipart", None, ("",)
    for field, value in (("anchor", "updated_at"), ("seconds", "60"), ("seconds", "soon")):
        name = f"expires_after[{field}]"
        other = () if field == "anchor" else ("--xx", part.format("expires_after[anchor]"), "", "created_at")
        yield "invalid_value", name, (*fine, *purpose, *other, "--xx", part.format(name), "", value, "--xx--", "")


@pytest.mark.parametrize(("code", "param", "lines"), list(refusals()))
async def test_a_form_that_is_wrong_is_refused_and_nothing_kept(gateway, blobs, code, param, lines):
    reply = await gateway.http().post(
        "/v1/files",
        content="\r\n".join(lines).encode(),
        headers={"content-type": "multipart/form-data; boundary=xx"},
    )
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, code, param), error
    assert blobs() == []
    assert (await gateway.get("/v1/files")).json()["data"] == []


async def test_many_parts_are_refused(gateway):
    reply = await gateway.http().post("/v1/files", files=[("purpose", (None, "x"))] * 70)
    assert reply.json()["error"]["code"] in ("invalid_multipart", "invalid_request")


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("application/json", 415, "unsupported_media_type"),
        ("", 415, "unsupported_media_type"),
        ("multipart/form-data", 400, "invalid_multipart"),
        ("multipart/form-data; boundary=" + "x" * 300, 400, "invalid_multipart"),
    ],
)
async def test_what_is_no_form_is_refused(gateway, kind, status, code):
    reply = await gateway.http().post("/v1/files", content=b"{}", headers={"content-type": kind})
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("size", [50_000, 12_000_000])
async def test_a_client_that_hangs_up_leaves_nothing_behind(opened, blobs, size):
    gateway = await opened()
    start = b'--xx\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\n'
    await raw(gateway, form_head(length=20_000_000), start, b"x" * size, cut=True)
    async with asyncio.timeout(30), Database(gateway.settings.store.database) as database:
        # Until nothing is being written any more.
        while blobs() or await SqlFiles(database).orphans():  # noqa: ASYNC110 nobody tells
            await asyncio.sleep(0)
    assert (await gateway.get("/v1/files")).json()["data"] == []


async def test_an_upload_by_pieces_of_one_byte_is_whole(gateway):
    body = (
        b'--xx\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        b'--xx\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\nFoxes\r\n--x are red.\r\n--xx--\r\n'
    )
    pieces = [b"1\r\n%c\r\n" % byte for byte in body]
    reply = await raw(gateway, form_head(), *pieces, b"0\r\n\r\n")
    assert b" 200 " in reply.partition(b"\r\n")[0], reply
    (file,) = (await gateway.get("/v1/files")).json()["data"]
    assert (await gateway.get(f"/v1/files/{file['id']}/content")).content == b"Foxes\r\n--x are red."


async def test_a_reader_that_leaves_in_the_middle_harms_nobody(opened):
    gateway = await opened()
    made = await upload(gateway, b"x" * 8_000_000)
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(
            f"GET /v1/files/{made['id']}/content HTTP/1.1\r\nhost: localhost\r\n"
            f"authorization: Bearer {DEV_KEY}\r\n\r\n".encode()
        )
        connection.setblocking(False)
        assert await asyncio.get_running_loop().sock_recv(connection, 100)
    assert len((await gateway.get(f"/v1/files/{made['id']}/content")).content) == 8_000_000


async def test_a_file_whose_content_is_gone_says_so(gateway, tmp_path):
    made = await upload(gateway)
    (path,) = (path for path in (tmp_path / "files").rglob("*") if path.is_file())
    path.unlink()
    reply = await gateway.get(f"/v1/files/{made['id']}/content")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "file_content_missing")
    assert (await gateway.delete(f"/v1/files/{made['id']}")).status_code == 200


async def test_a_store_that_cannot_be_written_is_said(gateway, tmp_path):
    (tmp_path / "files").rmdir()
    (tmp_path / "files").write_text("in the way")
    reply = await gateway.http().post("/v1/files", files={"file": ("x", b"x")}, data={"purpose": "user_data"})
    assert (reply.status_code, reply.json()["error"]["type"]) == (503, "server_error")
    (tmp_path / "files").unlink()
    (tmp_path / "files").mkdir()
    assert (await upload(gateway))["bytes"] == 14


async def test_other_bodies_keep_their_own_limit(opened):
    gateway = await opened(server=parts.Server(max_body_bytes=2000))
    assert (await upload(gateway, b"x" * 50_000))["bytes"] == 50_000
    assert (await gateway.post("/v1/threads", {"title": "x" * 3000})).status_code == 413


async def test_the_folder_of_files_is_for_the_servers_user_alone(gateway, tmp_path):
    await upload(gateway)
    assert (tmp_path / "files").stat().st_mode & 0o777 == 0o700
