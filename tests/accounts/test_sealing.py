"""What is sealed opens for the server alone, in its place alone."""

import asyncio
import os
import stat
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freddy.server.core import errors
from freddy.server.sealing import AesSealer

OLD, NEW = "old-" + "0123456789abcdef" * 2, "new-" + "fedcba9876543210" * 2
SECRET = "sk-vendor-0123456789-wxyz"
PLACE = ("provider_key", "org_a", "openai")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "home" / "secret_key"


async def test_what_is_sealed_opens_again_and_never_looks_the_same(file):
    sealer = AesSealer([OLD], file=file)
    first, second = [await sealer.seal(SECRET, PLACE) for _ in range(2)]
    assert first != second
    assert SECRET.encode() not in first
    assert [await sealer.open(one, PLACE) for one in (first, second)] == [SECRET, SECRET]
    assert not file.exists()


@pytest.mark.parametrize(
    "place",
    [("provider_key", "org_b", "openai"), ("provider_key", "org_a", "anthropic"), ("provider_key", "org_a,openai"), ()],
)
async def test_in_another_place_it_does_not_open(file, place):
    sealer = AesSealer([OLD], file=file)
    sealed = await sealer.seal(SECRET, PLACE)
    with pytest.raises(errors.StorageUnavailable, match="damaged, or stands where it was not sealed for") as refused:
        await sealer.open(sealed, place)
    assert SECRET not in repr(refused.value)


@given(place=st.integers(0, 60), bit=st.integers(0, 7))
def test_a_single_wrong_bit_is_noticed(tmp_path_factory, place, bit):
    async def look() -> None:
        sealer = AesSealer([OLD], file=tmp_path_factory.getbasetemp() / "none")
        sealed = bytearray(await sealer.seal(SECRET, PLACE))
        sealed[place % len(sealed)] ^= 1 << bit
        with pytest.raises(errors.StorageUnavailable):
            await sealer.open(bytes(sealed), PLACE)

    asyncio.run(look())


@pytest.mark.parametrize("cut", [0, 1, 9, 20, 21, 36])
async def test_what_is_cut_short_does_not_open(file, cut):
    sealer = AesSealer([OLD], file=file)
    with pytest.raises(errors.StorageUnavailable):
        await sealer.open((await sealer.seal(SECRET, PLACE))[:cut], PLACE)


async def test_the_first_of_several_keys_seals_and_all_open(file):
    before = await AesSealer([OLD], file=file).seal(SECRET, PLACE)
    both = AesSealer([NEW, OLD], file=file)
    after = await both.seal(SECRET, PLACE)
    assert await both.open(before, PLACE) == await both.open(after, PLACE) == SECRET
    assert await AesSealer([NEW], file=file).open(after, PLACE) == SECRET
    with pytest.raises(errors.StorageUnavailable):
        await AesSealer([OLD], file=file).open(after, PLACE)


async def test_a_wrong_secret_key_says_what_to_do_and_shows_neither_key_nor_secret(file):
    sealed = await AesSealer([OLD], file=file).seal(SECRET, PLACE)
    with pytest.raises(errors.StorageUnavailable) as refused:
        await AesSealer([NEW], file=file).open(sealed, PLACE)
    told = refused.value
    assert told.details == "add the secret key that sealed it to FREDDY_SECRET_KEY, or store the secret again"
    for hidden in (OLD, NEW, SECRET):
        assert hidden not in f"{told!r} {told.message} {told.details} {told.__cause__!r}"


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
async def test_without_a_key_one_is_made_once_for_this_user_alone(file):
    sealed = await AesSealer([], file=file).seal(SECRET, PLACE)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == [file.name]
    made = file.read_text()
    assert len(made.strip()) >= 43
    assert await AesSealer([], file=file).open(sealed, PLACE) == SECRET
    await AesSealer([], file=file).seal(SECRET, PLACE)
    assert file.read_text() == made


async def test_many_that_need_a_key_at_once_get_the_same(file):
    sealers = [AesSealer([], file=file) for _ in range(8)]
    sealed = await asyncio.gather(*(sealer.seal(SECRET, PLACE) for sealer in sealers))
    assert os.listdir(file.parent) == [file.name]
    assert {await sealers[0].open(one, PLACE) for one in sealed} == {SECRET}


async def test_the_key_in_the_file_opens_beside_those_of_the_settings(file):
    running = AesSealer([NEW], file=file)
    sealed = await AesSealer([], file=file).seal(SECRET, PLACE)
    assert await running.open(sealed, PLACE) == SECRET
    assert (await running.seal(SECRET, PLACE))[1:9] != sealed[1:9]


async def test_a_lost_file_is_told_of_and_not_made_anew_for_opening(file):
    sealed = await AesSealer([], file=file).seal(SECRET, PLACE)
    file.unlink()
    with pytest.raises(errors.StorageUnavailable, match="a secret key that this server does not have"):
        await AesSealer([], file=file).open(sealed, PLACE)
    assert not file.exists()


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff\xfe" * 40])
async def test_a_file_that_holds_no_key_is_not_used(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(errors.StorageUnavailable) as refused:
        await AesSealer([], file=file).seal(SECRET, PLACE)
    assert str(file) in refused.value.message
    assert refused.value.details
    assert file.read_bytes() == content


async def test_where_no_file_can_be_made_the_setting_is_named(tmp_path):
    (tmp_path / "home").write_text("a file, not a folder")
    with pytest.raises(errors.StorageUnavailable) as refused:
        await AesSealer([], file=tmp_path / "home" / "secret_key").seal(SECRET, PLACE)
    assert "FREDDY_SECRET_KEY" in refused.value.details


def test_a_sealer_shows_nothing_of_its_keys(file):
    assert OLD not in repr(AesSealer([OLD], file=file))
