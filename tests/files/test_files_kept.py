"""What is kept of files over time: expiry, sweeps, and what broken uploads and deletions leave."""

import asyncio

import pytest
from files_stage import CALLER, STRANGER, pieces

from freddy.server.core import errors
from freddy.server.core.files import Draft
from freddy.server.ports.stores import FilePage


async def test_an_expired_file_is_unknown_and_a_sweep_removes_its_content(stage):
    short = await stage.upload(b"Foxes", "foxes.txt", expires_after=3600)
    long = await stage.upload(b"Badgers", "badgers.txt")
    await stage.files.keep_text(short, "Foxes")
    stage.clock.advance(3600)
    with pytest.raises(errors.NotFound) as unknown:
        await stage.files.get(short.id, CALLER)
    assert unknown.value.code == "file_not_found"
    assert (await stage.files.list(CALLER, FilePage()))[0] == [long]
    with pytest.raises(errors.NotFound):
        await stage.files.delete(short.id, CALLER)
    assert stage.kept == sorted([short.blob, short.text_blob, long.blob])
    await stage.files.sweep()
    assert stage.kept == [long.blob]
    assert await stage.store.orphans() == []


async def test_a_sweep_removes_what_a_killed_server_left(stage):
    await stage.store.begin("file_lost")
    lost = stage.blobs._folder / "st" / "file_lost#1"
    lost.parent.mkdir()
    lost.write_bytes(b"half")
    await stage.files.sweep()
    assert (stage.kept, await stage.store.orphans()) == ([], [])


async def test_a_sweep_leaves_alone_what_is_being_uploaded(stage):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow():
        yield b"Foxes"
        begun.set()
        await go_on.wait()
        yield b" are red."

    async def upload():
        async with stage.files.upload() as upload:
            await upload.receive(slow(), filename="foxes.txt", declared=None)
            await stage.files.sweep()
            return await upload.keep(CALLER, Draft("user_data"))

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        uploading = tasks.create_task(upload())
        await begun.wait()
        await stage.files.sweep()
        go_on.set()
    (file,) = uploading.result()
    await stage.files.sweep()
    assert b"".join([piece async for piece in stage.files.read(file)]) == b"Foxes are red."


async def test_of_several_files_all_are_kept_or_none(stage):
    async def two(second: bytes):
        async with stage.files.upload() as upload:
            await upload.receive(pieces(b"Foxes"), filename="1.txt", declared=None)
            await upload.receive(pieces(second), filename="2.txt", declared=None)
            await upload.keep(CALLER, Draft("user_data"))

    with pytest.raises(errors.InvalidRequest):
        await two(b"")
    assert (stage.kept, await stage.store.orphans(), await stage.files.count(CALLER)) == ([], [], 0)
    await two(b"Badgers")
    assert len(stage.kept) == await stage.files.count(CALLER) == 2


async def test_content_that_cannot_be_removed_now_is_removed_later(stage):
    file = await stage.upload(b"Foxes", "foxes.txt")
    folder = (stage.blobs._folder / file.blob).parent
    # A folder in the place of the file cannot be deleted as one.
    (folder / file.id).unlink()
    (folder / file.id).mkdir()
    await stage.files.delete(file.id, CALLER)
    with pytest.raises(errors.NotFound):
        await stage.files.get(file.id, CALLER)
    assert await stage.store.orphans() == [file.blob]
    (folder / file.id).rmdir()
    await stage.files.sweep()
    assert await stage.store.orphans() == []


async def test_a_text_that_comes_after_its_file_has_gone_is_not_kept(stage):
    file = await stage.upload(b"Foxes", "foxes.txt")
    await stage.files.delete(file.id, CALLER)
    await stage.files.keep_text(file, "Foxes")
    assert stage.kept == []


async def test_files_are_found_by_the_ids_that_were_given(stage):
    file = await stage.upload(b"Foxes", "foxes.txt")
    other = file.id.replace("_", "-", 1)
    assert await stage.files.find("org_1", [file.id, other]) == {file.id: file, other: file}
    with pytest.raises(errors.NotFound):
        await stage.files.find("org_2", [file.id])
    with pytest.raises(errors.NotFound):
        await stage.files.get(file.id, STRANGER)
