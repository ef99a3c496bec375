"""The secrets of functions when another secret key is the first."""

from pathlib import Path

import pytest
from functions_stage import THEIRS, TOKEN, FunctionStage

from callers import OURS, caller
from freddy.server.core import errors
from freddy.server.core.functions import Change
from freddy.server.resources.functions import Functions
from freddy.server.resources.resealing import Resealed, SealedRecords, of_functions, reseal
from freddy.server.sealing import AesSealer

OLD, NEW, GONE = ("o" * 32,), ("n" * 32,), ("g" * 32,)
URL = "https://functions.example/stock"


class Keys:
    """Functions of one database, by the secret keys of the process that has them."""

    def __init__(self, stage: FunctionStage, folder: Path) -> None:
        self._stage = stage
        self._folder = folder

    def sealer(self, *keys: str) -> AesSealer:
        return AesSealer(keys, file=self._folder / "none")

    def functions(self, *keys: str) -> Functions:
        return self._stage.opened(sealer=self.sealer(*keys))

    async def reseal(self, *keys: str) -> Resealed:
        rows = SealedRecords(self._stage.records, "function", organization_ids=[OURS, THEIRS])
        return await reseal(rows, of_functions(self._stage.clock.now()), self.sealer(*keys))


@pytest.fixture
def keys(stage: FunctionStage, tmp_path: Path) -> Keys:
    return Keys(stage, tmp_path)


def change(name: str, **more: object) -> Change:
    return Change(name=name, url=URL, **more)  # type: ignore[arg-type]


async def confided(functions: Functions, name: str) -> tuple[dict[str, str], tuple[str, ...]]:
    found = (await functions.named(OURS, [name]))[name]
    opened = await functions.confided(found)
    return dict(opened.headers), opened.secrets


async def test_headers_and_both_secrets_open_with_the_new_key_alone(stage: FunctionStage, keys: Keys):
    old = keys.functions(*OLD)
    made = await old.create(caller(), change("stock_of", headers={"Authorization": TOKEN}))
    rotated = await old.rotate(caller(), made.kept.id, overlap_seconds=3600)
    assert await keys.reseal(*NEW, *OLD) == Resealed(1, [])
    expected = ({"Authorization": TOKEN}, (rotated.secret, made.secret))
    assert await confided(keys.functions(*NEW), "stock_of") == expected
    kept = await keys.functions(*NEW).get(caller(), made.kept.id)
    assert (kept.name, kept.value.url, kept.value.header_names) == ("stock_of", URL, ("Authorization",))


async def test_one_without_headers_has_its_secret_only(keys: Keys):
    made = await keys.functions(*OLD).create(caller(), change("stock_of"))
    assert await keys.reseal(*NEW, *OLD) == Resealed(1, [])
    assert await confided(keys.functions(*NEW), "stock_of") == ({}, (made.secret,))


async def test_what_cannot_be_opened_is_named_and_the_rest_is_sealed_anew(keys: Keys):
    made = await keys.functions(*GONE).create(caller(), change("stock_of", headers={"Authorization": TOKEN}))
    rotated = await keys.functions(*OLD).rotate(caller(), made.kept.id, overlap_seconds=0)
    other = await keys.functions(*OLD).create(caller(), change("price_of"))
    assert await keys.reseal(*NEW, *OLD) == Resealed(1, [(OURS, made.kept.id)])
    new = keys.functions(*NEW)
    assert await confided(new, "price_of") == ({}, (other.secret,))
    with pytest.raises(errors.StorageUnavailable):
        await confided(new, "stock_of")
    await new.change(caller(), made.kept.id, Change(headers={}))
    assert await confided(keys.functions(*NEW), "stock_of") == ({}, (rotated.secret,))


async def test_a_secret_that_signs_no_more_is_in_nobodys_way(stage: FunctionStage, keys: Keys):
    made = await keys.functions(*GONE).create(caller(), change("stock_of"))
    await keys.functions(*OLD).rotate(caller(), made.kept.id, overlap_seconds=60)
    assert await keys.reseal(*NEW, *OLD) == Resealed(0, [(OURS, made.kept.id)])
    stage.clock.advance(61)
    assert await keys.reseal(*NEW, *OLD) == Resealed(1, [])
