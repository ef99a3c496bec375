"""The contract of `Blobs`, in a folder and in a bucket."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import obstore
import pytest
from moto.server import ThreadedMotoServer

from freddy.server.core import errors
from freddy.server.ports.blobs import Blobs
from freddy.server.stores.blobs.local import LocalBlobs
from freddy.server.stores.blobs.objects import ObjectBlobs
from freddy.server.stores.blobs.s3 import S3Blobs

BUCKET = "freddys"
LARGE = 11 * 1024 * 1024
"""More than S3 takes at once."""


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The address of a server that speaks S3, with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    address = f"http://127.0.0.1:{port}"
    make_bucket(address)
    yield address
    server.stop()


def make_bucket(address: str) -> None:
    import urllib.request

    no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"{address}/{BUCKET}", method="PUT", headers={"content-length": "0"})
    with no_proxy.open(request, timeout=30) as answer:
        assert answer.status == 200


def in_bucket(address: str, prefix: str | None = None, **changes: str) -> S3Blobs:
    keys = {"access_key": "key", "secret_key": "secret", **changes}
    return S3Blobs(BUCKET, region="eu-central-1", endpoint=address, prefix=prefix, **keys)


@pytest.fixture(params=["local", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectBlobs:
    if request.param == "local":
        return LocalBlobs(tmp_path / "blobs")
    return in_bucket(request.getfixturevalue("bucket"), prefix=f"{tmp_path.name}/")


async def pieces(*each: bytes) -> AsyncIterator[bytes]:
    for piece in each:
        await asyncio.sleep(0)
        yield piece


async def content(blobs: Blobs, name: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in blobs.read(name, start, end)])


async def names(blobs: ObjectBlobs) -> list[str]:
    """All that is kept."""
    return [entry["path"] async for batch in obstore.list(blobs._store) for entry in batch]


async def test_what_was_written_is_read(blobs: ObjectBlobs) -> None:
    await blobs.write("ab/file", pieces(b"Foxes ", b"are ", b"red."))
    assert await content(blobs, "ab/file") == b"Foxes are red."


async def test_an_empty_blob_is_one_too(blobs: ObjectBlobs) -> None:
    await blobs.write("ab/file", pieces())
    assert await content(blobs, "ab/file") == b""


async def test_a_large_blob_is_whole(blobs: ObjectBlobs) -> None:
    block = bytes(range(256)) * 256
    await blobs.write("ab/file", pieces(*[block] * (LARGE // len(block))))
    found = await content(blobs, "ab/file")
    assert found == block * (LARGE // len(block))
    assert await content(blobs, "ab/file", LARGE - 3) == block[-3:]


@pytest.mark.parametrize(("start", "end", "told"), [(0, 5, b"Foxes"), (6, None, b"are"), (6, 7, b"a"), (3, 3, b"")])
async def test_a_part_is_read(blobs: ObjectBlobs, start: int, end: int | None, told: bytes) -> None:
    await blobs.write("ab/file", pieces(b"Foxes are"))
    assert await content(blobs, "ab/file", start, end) == told


async def test_what_is_not_there_is_told_before_the_first_byte(blobs: ObjectBlobs) -> None:
    with pytest.raises(errors.NotFound):
        await anext(blobs.read("ab/file"))


class Gone(Exception):
    pass


@pytest.mark.parametrize("size", [10, LARGE])
async def test_a_write_that_breaks_off_keeps_nothing(blobs: ObjectBlobs, size: int) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * (size // 10)
        raise Gone

    with pytest.raises(Gone):
        await blobs.write("ab/file", broken())
    assert await names(blobs) == []


async def test_a_write_that_is_cancelled_keeps_nothing(blobs: ObjectBlobs) -> None:
    begun, never = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * LARGE
        yield b"x" * LARGE
        begun.set()
        await never.wait()

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(blobs.write("ab/file", endless()))
        await begun.wait()
        writing.cancel()
    await blobs.delete(["ab/file"])
    assert await names(blobs) == []


async def test_a_name_is_written_anew(blobs: ObjectBlobs) -> None:
    await blobs.write("ab/file", pieces(b"Foxes"))
    await blobs.write("ab/file", pieces(b"Badgers"))
    assert await content(blobs, "ab/file") == b"Badgers"


async def test_deleting_takes_what_is_there(blobs: ObjectBlobs) -> None:
    for name in ("ab/one", "ab/one.txt", "cd/two"):
        await blobs.write(name, pieces(b"x"))
    await blobs.delete(["ab/one", "ab/one.txt", "ef/never"])
    assert await names(blobs) == ["cd/two"]
    with pytest.raises(errors.NotFound):
        await content(blobs, "ab/one")


async def test_deleting_takes_what_a_killed_process_left(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    (tmp_path / "blobs" / "ab").mkdir()
    left = tmp_path / "blobs" / "ab" / "file#1"
    other = tmp_path / "blobs" / "ab" / "file2"
    left.write_bytes(b"half")
    other.write_bytes(b"whole")
    await blobs.delete(["ab/file"])
    assert (left.exists(), other.exists()) == (False, True)


async def test_a_prefix_stands_before_every_name(bucket: str) -> None:
    await in_bucket(bucket, prefix="some/where").write("ab/file", pieces(b"x"))
    assert await content(in_bucket(bucket), "some/where/ab/file") == b"x"


async def test_a_bucket_that_is_not_there_is_said(bucket: str) -> None:
    blobs = S3Blobs("nobodys", region="eu-central-1", endpoint=bucket, access_key="k", secret_key="s")
    with pytest.raises(errors.StorageUnavailable):
        await blobs.write("ab/file", pieces(b"x"))


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.StorageUnavailable, match="file/blobs"):
        LocalBlobs(tmp_path / "file" / "blobs")
