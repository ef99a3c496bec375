"""The contract of `FileStore`."""

import pytest
from contract_examples import ACME, OTHERS
from msgspec.structs import replace

from freddy.server.core import errors
from freddy.server.core.files import File
from freddy.server.ports.stores import FilePage, FileStore
from freddy.server.stores.sql.engine import Database
from freddy.server.stores.sql.uploads import SqlFiles

NOW = 1_000


@pytest.fixture
def files(database: Database) -> FileStore:
    return SqlFiles(database)


def file(file_id: str, **changes: object) -> File:
    plain = File(
        id=file_id,
        organization_id=ACME,
        filename="foxes.txt",
        media_type="text/plain",
        size=14,
        sha256="ab",
        purpose="user_data",
        created_at=NOW,
    )
    return replace(plain, **changes)


async def test_a_file_comes_back_as_it_was(files: FileStore) -> None:
    made = file("file_1", expires_at=NOW + 1, key_id="key_1", size=2**40)
    await files.begin("file_1")
    await files.add([made])
    assert await files.find(ACME, ["file_1", "file_2"], NOW) == {"file_1": made}


async def test_another_organization_sees_nothing(files: FileStore) -> None:
    await files.add([file("file_1")])
    assert await files.find(OTHERS, ["file_1"], NOW) == {}
    assert await files.list(OTHERS, FilePage(), NOW) == ([], False)
    assert await files.count(OTHERS, NOW) == 0
    assert not await files.delete(OTHERS, "file_1", NOW)
    assert await files.count(ACME, NOW) == 1


async def test_a_blob_that_was_begun_is_an_orphan_until_its_file_is_there(files: FileStore) -> None:
    await files.begin("file_1")
    await files.begin("file_2")
    assert await files.orphans() == [file("file_1").blob, file("file_2").blob]
    await files.add([file("file_1"), file("file_2")])
    assert await files.orphans() == []


async def test_an_id_is_taken_once(files: FileStore) -> None:
    await files.begin("file_1")
    with pytest.raises(errors.Conflict):
        await files.begin("file_1")
    await files.add([file("file_1")])
    with pytest.raises(errors.Conflict):
        await files.begin("file_1")


async def test_a_deleted_file_leaves_an_orphan(files: FileStore) -> None:
    await files.add([file("file_1")])
    assert await files.delete(ACME, "file_1", NOW)
    assert not await files.delete(ACME, "file_1", NOW)
    assert await files.find(ACME, ["file_1"], NOW) == {}
    assert await files.orphans() == [file("file_1").blob]
    await files.forget([file("file_1").blob])
    assert await files.orphans() == []


async def test_what_has_expired_is_not_there(files: FileStore) -> None:
    await files.add([file("file_1", expires_at=NOW + 10), file("file_2")])
    assert list(await files.find(ACME, ["file_1", "file_2"], NOW + 9)) == ["file_1", "file_2"]
    assert list(await files.find(ACME, ["file_1", "file_2"], NOW + 10)) == ["file_2"]
    found, _ = await files.list(ACME, FilePage(), NOW + 10)
    assert [each.id for each in found] == ["file_2"]
    assert await files.count(ACME, NOW + 10) == 1
    assert not await files.delete(ACME, "file_1", NOW + 10)


async def test_what_has_expired_is_deleted_in_the_end(files: FileStore) -> None:
    await files.add([file("file_1", expires_at=NOW), file("file_2", organization_id=OTHERS, expires_at=NOW)])
    await files.add([file("file_3", expires_at=NOW + 1), file("file_4")])
    assert await files.expire(NOW) == 2
    assert await files.expire(NOW) == 0
    assert await files.orphans() == [file("file_1").blob, file("file_2").blob]
    assert await files.count(ACME, 0) == 2


async def test_lists_go_both_ways_and_go_on(files: FileStore) -> None:
    await files.add([file(f"file_{number}") for number in range(5)])
    for order, expected in (("asc", [0, 1, 2, 3, 4]), ("desc", [4, 3, 2, 1, 0])):
        seen, after, more = [], None, True
        while more:
            found, more = await files.list(ACME, FilePage(limit=2, order=order, after=after), NOW)
            seen += [int(each.id[-1]) for each in found]
            after = found[-1].id
        assert seen == expected


async def test_a_list_goes_on_after_a_file_that_is_gone(files: FileStore) -> None:
    await files.add([file(f"file_{number}") for number in range(3)])
    await files.delete(ACME, "file_1", NOW)
    found, more = await files.list(ACME, FilePage(after="file_1"), NOW)
    assert ([each.id for each in found], more) == (["file_0"], False)


async def test_a_list_can_skip_and_be_of_one_purpose(files: FileStore) -> None:
    await files.add([file(f"file_{number}", purpose="vision" if number % 2 else "batch") for number in range(6)])
    found, more = await files.list(ACME, FilePage(limit=2, skip=1), NOW)
    assert ([each.id for each in found], more) == (["file_4", "file_3"], True)
    found, more = await files.list(ACME, FilePage(purpose="vision"), NOW)
    assert ([each.id for each in found], more) == (["file_5", "file_3", "file_1"], False)
