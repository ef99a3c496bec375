"""The platform's own client uploads, lists, reads and deletes files."""

import asyncio
import datetime
import hashlib

import httpx
import pytest
from aitronos import FileReference, InputMessage
from aitronos.core.api_error import ApiError

ORGANIZATION = "org_local"
NOTES = b"The meeting is on Tuesday."
SHA256 = hashlib.sha256(NOTES).hexdigest()


async def uploaded(platform, *files):
    return (await platform.client.files.upload_file(ORGANIZATION, files=list(files))).files


async def fetched(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        return await http.get(url)


async def test_files_are_uploaded_together(platform):
    made = await platform.client.files.upload_file(
        ORGANIZATION, files=[("notes.txt", NOTES), ("table.csv", b"a,b\n1,2\n", "text/csv")]
    )
    assert (made.success, made.message, made.total_uploaded, made.total_failed) == (True, "2 files uploaded", 2, 0)
    first, second = made.files
    assert first.id.startswith("file_")
    assert first.uploaded_at.utcoffset() == datetime.timedelta(0)
    assert first.uploaded_by_api_key_id.startswith("key_")
    assert first.model_dump(exclude={"id", "uploaded_at", "storage_path", "uploaded_by_api_key_id"}) == {
        "original_filename": "notes.txt",
        "file_size": len(NOTES),
        "mime_type": "text/plain",
        "organization_id": ORGANIZATION,
        "uploaded_by": None,
        "purpose": "user_data",
        "sha256": SHA256,
        "expires_at": None,
    }
    assert (second.original_filename, second.mime_type) == ("table.csv", "text/csv")
    assert first.storage_path != second.storage_path
    assert await platform.client.files.get_file(ORGANIZATION, first.id) == first


async def test_files_are_listed_by_numbered_pages(platform):
    files = platform.client.files
    made = await uploaded(platform, *((f"{number}.txt", b"x") for number in range(3)))
    page = await files.list_files(ORGANIZATION, page=1, limit=2)
    assert (page.total, page.page, page.limit, page.has_more) == (3, 1, 2, True)
    rest = await files.list_files(ORGANIZATION, page=2, limit=2)
    assert (rest.total, rest.page, rest.limit, rest.has_more) == (3, 2, 2, False)
    assert sorted(one.id for one in (*page.files, *rest.files)) == sorted(one.id for one in made)
    assert page.files[0] in made
    assert (await files.list_files(ORGANIZATION)).limit == 20


async def test_content_is_read_by_a_link_without_a_key(platform):
    [made] = await uploaded(platform, ("notes.txt", NOTES))
    link = await platform.client.files.get_file_content(ORGANIZATION, made.id)
    assert (link.file_id, link.filename, link.mime_type, link.file_size) == (
        made.id,
        "notes.txt",
        "text/plain",
        len(NOTES),
    )
    assert link.download_url.startswith(platform.gateway.url)
    reply = await fetched(link.download_url)
    assert (reply.status_code, reply.content) == (200, NOTES)


async def test_the_client_downloads_content_that_is_json_and_raises_any_other(platform):
    # Whatever comes is JSON to it: other content stands in the error, which has the status 200.
    files = platform.client.files
    data, notes = await uploaded(platform, ("data.json", b'{"a": 1}'), ("notes.txt", NOTES))

    async def downloaded(file_id):
        url = httpx.URL((await files.get_file_content(ORGANIZATION, file_id)).download_url)
        return await files.download_file_content(
            ORGANIZATION, file_id, token=url.params["token"], expires=int(url.params["expires"])
        )

    assert await downloaded(data.id) == {"a": 1}
    with pytest.raises(ApiError) as raised:
        await downloaded(notes.id)
    assert (raised.value.status_code, raised.value.body) == (200, NOTES.decode())


async def test_a_link_that_was_altered_leads_nowhere(platform):
    files = platform.client.files
    one, other = await uploaded(platform, ("one.json", b"1"), ("other.json", b"2"))
    url = httpx.URL((await files.get_file_content(ORGANIZATION, one.id)).download_url)
    for file_id, later in ((other.id, 0), (one.id, 1)):
        expires = int(url.params["expires"]) + later
        forged = url.copy_with(path=url.path.replace(one.id, file_id)).copy_set_param("expires", expires)
        assert (await fetched(str(forged))).status_code in (401, 403)


async def test_a_file_is_announced_sent_and_registered(platform):
    files = platform.client.files
    announced = {"filename": "notes.txt", "mime_type": "text/plain", "file_size": len(NOTES), "purpose": "user_upload"}
    told = await files.generate_upload_url(ORGANIZATION, request={"files": [announced]})
    assert told["success"]
    [link] = told["files"]
    assert (link["filename"], link["mime_type"], link["method"]) == ("notes.txt", "text/plain", "PUT")
    assert datetime.datetime.fromisoformat(link["expires_at"]).utcoffset() == datetime.timedelta(0)
    before = await files.register_file(ORGANIZATION, request={"files": [link]})
    assert (before["success"], before["total_uploaded"], before["total_failed"]) == (False, 0, 1)
    assert before["errors"][0]["file_id"] == link["file_id"]
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        assert (await http.put(link["upload_url"], content=NOTES)).status_code == 200
    done = await files.register_file(ORGANIZATION, request={"files": [link]})
    assert (done["success"], done["total_uploaded"], done["total_failed"]) == (True, 1, 0)
    got = await files.get_file(ORGANIZATION, link["file_id"])
    assert (got.original_filename, got.file_size, got.sha256) == ("notes.txt", len(NOTES), SHA256)


async def test_a_deleted_file_is_gone(platform):
    files = platform.client.files
    [made] = await uploaded(platform, ("notes.txt", NOTES))
    assert await files.delete_file(ORGANIZATION, made.id) is None
    for ask in (files.get_file, files.get_file_content, files.delete_file):
        with pytest.raises(ApiError) as missing:
            await ask(ORGANIZATION, made.id)
        assert missing.value.status_code == 404
    assert (await files.list_files(ORGANIZATION)).total == 0


async def test_another_organization_s_file_is_as_unknown_as_any(platform):
    [made] = await uploaded(platform, ("notes.txt", NOTES))
    minted = await platform.gateway.mint("org_other")
    async with platform.another(minted.secret) as stranger:
        told = []
        for file_id in (made.id, made.id[:-1] + ("0" if made.id[-1] != "0" else "1")):
            with pytest.raises(ApiError) as missing:
                await stranger.files.get_file("org_other", file_id)
            told.append((missing.value.status_code, str(missing.value.body).replace(file_id, "…")))
        with pytest.raises(ApiError) as refused:
            await stranger.files.list_files(ORGANIZATION)
    assert told[0] == told[1]
    assert told[0][0] == 404
    assert refused.value.status_code in (403, 404)


async def test_a_message_has_a_file_that_was_uploaded(platform):
    [made] = await uploaded(platform, ("notes.txt", NOTES))
    block = {"type": "file", "file_id": made.id}
    for message in (
        InputMessage(role="user", content="When is it?", files=[FileReference(file_id=made.id)]),
        InputMessage(role="user", content=[{"type": "text", "text": "When is it?"}, block]),
    ):
        answer = await platform.client.responses.create_response(inputs=[message])
        assert answer["status"] == "completed"
        assert NOTES.decode() in str(platform.vendor.last.body["messages"])


async def test_the_synchronous_client_does_the_same(platform):
    def work():
        with platform.sync() as client:
            [made] = client.files.upload_file(ORGANIZATION, files=[("notes.txt", NOTES)]).files
            got = client.files.get_file(ORGANIZATION, made.id)
            link = client.files.get_file_content(ORGANIZATION, made.id)
            listed = client.files.list_files(ORGANIZATION)
            client.files.delete_file(ORGANIZATION, made.id)
            return made == got == listed.files[0], link.file_size, client.files.list_files(ORGANIZATION).total

    assert await asyncio.to_thread(work) == (True, len(NOTES), 0)
