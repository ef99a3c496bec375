"""Registered functions on both databases: what is kept, who finds them, and what is never to be read."""

import asyncio

import msgspec
import pytest
from functions_stage import PARAMETERS, THEIRS, TOKEN, FunctionServer, FunctionStage, verified

from callers import OURS, caller
from freddy.server.core import errors
from freddy.server.core.functions import Change
from freddy.server.ports.stores import Page
from freddy.server.ports.tools import Asker
from freddy.server.sealing import AesSealer

URL = "http://127.0.0.1:9/stock"
ASKER = Asker(OURS, call_id="call_1")


async def test_a_function_is_found_by_its_organization_alone(stage: FunctionStage):
    made = await stage.made(URL, description="Stock", require_approval=True)
    found = await stage.chain.find(OURS, ["stock_of", "get_cities", "unknown"])
    assert set(found) == {"stock_of", "get_cities"}
    spec = found["stock_of"].spec
    assert (spec.name, spec.description, spec.require_approval, spec.hosted) == ("stock_of", "Stock", True, True)
    assert msgspec.json.decode(bytes(spec.parameters or b"")) == PARAMETERS
    assert found["stock_of"].source == f"registered {made.kept.id}"
    assert set(await stage.chain.find(THEIRS, ["stock_of", "get_temperature"])) == {"get_temperature"}
    with pytest.raises(errors.NotFound):
        await stage.functions.get(caller(THEIRS), made.kept.id)


async def test_a_call_through_the_chain_is_signed_and_has_the_headers(stage: FunctionStage, server: FunctionServer):
    made = await stage.made(server.url, headers={"Authorization": TOKEN})
    function = (await stage.chain.find(OURS, ["stock_of"]))["stock_of"]
    answer = await function.call('{"article":"A"}', ASKER)
    assert answer.error is None
    [heard] = server.heard
    assert heard.headers["authorization"] == TOKEN
    assert verified(made.secret, heard.headers, heard.body, now=stage.clock.now())


async def test_after_a_rotation_both_secrets_sign_for_a_while(stage: FunctionStage, server: FunctionServer):
    made = await stage.made(server.url)
    second = await stage.functions.rotate(caller(), made.kept.id, overlap_seconds=100)
    assert second.secret != made.secret
    assert second.kept.version == 2

    async def signed_by() -> list[bool]:
        stage.clock.advance(10)
        function = (await stage.chain.find(OURS, ["stock_of"]))["stock_of"]
        await function.call('{"article":"A"}', ASKER)
        heard = server.heard[-1]
        return [verified(one.secret, heard.headers, heard.body, now=stage.clock.now()) for one in (made, second, third)]

    third = second
    assert await signed_by() == [True, True, True]
    stage.clock.advance(100)
    assert await signed_by() == [False, True, True]
    third = await stage.functions.rotate(caller(), made.kept.id, overlap_seconds=0)
    assert await signed_by() == [False, False, True]


async def test_a_disabled_or_deleted_function_is_not_found(stage: FunctionStage):
    made = await stage.made(URL)
    assert await stage.functions.named(OURS, ["stock_of"])
    await stage.functions.change(caller(), made.kept.id, Change(enabled=False))
    assert not await stage.functions.named(OURS, ["stock_of"])
    await stage.functions.change(caller(), made.kept.id, Change(enabled=True))
    assert await stage.functions.named(OURS, ["stock_of"])
    await stage.functions.delete(caller(), made.kept.id)
    assert not await stage.functions.named(OURS, ["stock_of"])


async def test_another_process_sees_a_change_within_seconds(stage: FunctionStage):
    other = stage.opened()
    assert not await other.named(OURS, ["stock_of"])
    await stage.made(URL)
    stage.clock.advance(6)
    assert await other.named(OURS, ["stock_of"])


async def test_a_name_belongs_to_one_function_of_an_organization(stage: FunctionStage):
    first = await stage.made(URL)
    await stage.made(URL, by=caller(THEIRS))
    with pytest.raises(errors.Conflict) as refused:
        await stage.made(URL)
    assert refused.value.param == "name"
    second = await stage.made(URL, name="other")
    with pytest.raises(errors.Conflict):
        await stage.functions.change(caller(), second.kept.id, Change(name="stock_of"))
    assert (await stage.functions.change(caller(), first.kept.id, Change(name="stock_of"))).version == 1
    await stage.functions.change(caller(), first.kept.id, Change(name="older"))
    await stage.functions.change(caller(), second.kept.id, Change(name="stock_of"))


async def test_of_many_that_are_made_at_once_under_one_name_one_stays(stage: FunctionStage):
    makers = [stage.functions] * 6
    told = await asyncio.gather(
        *(each.create(caller(), Change(name="same", url=URL)) for each in makers), return_exceptions=True
    )
    assert sum(isinstance(one, errors.Conflict) for one in told) == 5
    assert (await stage.functions.list(caller(), Page()))[2] == 1


async def test_of_those_that_several_processes_make_at_once_never_two_stay(stage: FunctionStage):
    told = await asyncio.gather(
        *(stage.opened().create(caller(), Change(name="same", url=URL)) for _ in range(6)), return_exceptions=True
    )
    stay = len(told) - sum(isinstance(one, errors.Conflict) for one in told)
    assert (await stage.functions.list(caller(), Page()))[2] == stay <= 1


@pytest.mark.parametrize("name", ["get_cities", "get_temperature"])
async def test_the_names_of_the_server_are_not_to_be_had(stage: FunctionStage, name: str):
    with pytest.raises(errors.InvalidValue, match="Invalid") as refused:
        await stage.made(URL, name=name)
    assert refused.value.param == "name"


async def test_another_address_is_not_told_the_headers_of_the_one_before(stage: FunctionStage):
    made = await stage.made(URL, headers={"Authorization": TOKEN, "X-Team": "a"})
    elsewhere = "http://127.0.0.1:9/elsewhere"
    for change in (
        Change(url=elsewhere),
        Change(url=elsewhere, whole=True),
        Change(url=elsewhere, headers={"authorization": "***REDACTED***"}),
    ):
        with pytest.raises(errors.InvalidValue) as refused:
            await stage.functions.change(caller(), made.kept.id, change)
        assert refused.value.param in ("headers", "headers.authorization")
        assert "sent again" in (refused.value.details or "")
    kept = await stage.functions.change(caller(), made.kept.id, Change(url=elsewhere, headers={"x-new": "value"}))
    [function] = (await stage.functions.named(OURS, ["stock_of"])).values()
    assert (await stage.functions.confided(function)).headers == {"x-new": "value"}
    assert kept.value.header_names == ("x-new",)
    kept = await stage.functions.change(caller(), made.kept.id, Change(url=URL, headers={}))
    assert (kept.value.headers, kept.value.header_names) == (None, ())


async def test_headers_stay_are_replaced_and_stand_in_for_themselves(stage: FunctionStage):
    made = await stage.made(URL, headers={"Authorization": TOKEN, "X-Team": "a"})

    async def headers() -> object:
        [function] = (await stage.functions.named(OURS, ["stock_of"])).values()
        return (await stage.functions.confided(function)).headers

    assert (await stage.functions.change(caller(), made.kept.id, Change(description="New"))).version == 2
    assert await headers() == {"Authorization": TOKEN, "X-Team": "a"}
    mixed = Change(headers={"authorization": "***REDACTED***", "X-Other": "b"})
    await stage.functions.change(caller(), made.kept.id, mixed)
    assert await headers() == {"authorization": TOKEN, "X-Other": "b"}
    same = Change(headers={"authorization": "***REDACTED***", "X-Other": "b"})
    assert (await stage.functions.change(caller(), made.kept.id, same)).version == 3
    with pytest.raises(errors.InvalidValue):
        await stage.functions.change(caller(), made.kept.id, Change(headers={"X-None": "***REDACTED***"}))
    await stage.functions.change(caller(), made.kept.id, Change(whole=True, description="Whole"))
    assert await headers() == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "x"},
        {"webhook-id": "x"},
        {"Content-Type": "x"},
        {"a b": "x"},
        {"": "x"},
        {"x": ""},
        {"x": "a\r\nb: c"},
        {"x": "ü"},
        {"x": "a" * 4097},
        {"X-A": "1", "x-a": "2"},
        {f"x-{n}": "1" for n in range(33)},
    ],
)
async def test_headers_that_cannot_be_are_refused(stage: FunctionStage, headers: dict[str, str]):
    with pytest.raises(errors.InvalidValue) as refused:
        await stage.made(URL, headers=headers)
    assert (refused.value.param or "").startswith("headers")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"type": "object", "properties": 3},
        {"$ref": "https://example.com/schema"},
        {"type": "object", "description": "x" * 32_800},
    ],
)
async def test_parameters_that_are_no_schema_are_refused(stage: FunctionStage, schema: object):
    with pytest.raises(errors.InvalidValue) as refused:
        await stage.made(URL, parameters=schema)
    assert refused.value.param == "parameters"


async def test_members_change_only_what_they_made(stage: FunctionStage):
    made = await stage.made(URL, by=caller(user="usr_1"))
    other, boss = caller(user="usr_2"), caller(user="usr_3", sees_all=True)
    assert (await stage.functions.get(other, made.kept.id)).name == "stock_of"
    for refused in (
        stage.functions.change(other, made.kept.id, Change(enabled=False)),
        stage.functions.delete(other, made.kept.id),
        stage.functions.rotate(other, made.kept.id, overlap_seconds=0),
        stage.functions.test(other, made.kept.id, arguments=msgspec.Raw(b'{"article":"A"}')),
    ):
        with pytest.raises(errors.PermissionDenied):
            await refused
    await stage.functions.change(boss, made.kept.id, Change(enabled=False))


async def test_secrets_that_cannot_be_opened_are_an_answer_and_can_be_replaced(
    stage: FunctionStage, server: FunctionServer, tmp_path
):
    made = await stage.made(server.url, headers={"Authorization": TOKEN})
    lost = stage.opened(sealer=AesSealer((), file=tmp_path / "another_key"))
    [function] = (await lost.named(OURS, ["stock_of"])).values()
    with pytest.raises(errors.StorageUnavailable):
        await lost.confided(function)
    with pytest.raises(errors.InvalidValue):
        await lost.change(caller(), made.kept.id, Change(description="x"))
    await lost.change(caller(), made.kept.id, Change(headers={"Authorization": TOKEN}))
    await lost.rotate(caller(), made.kept.id, overlap_seconds=0)
    [function] = (await lost.named(OURS, ["stock_of"])).values()
    assert (await lost.confided(function)).headers == {"Authorization": TOKEN}


async def test_nothing_that_is_kept_or_told_holds_a_secret(stage: FunctionStage):
    made = await stage.made(URL, headers={"Authorization": TOKEN})
    second = await stage.functions.rotate(caller(), made.kept.id, overlap_seconds=100)
    await stage.functions.change(caller(), made.kept.id, Change(description="New"))
    versions = await stage.records.versions(OURS, made.kept.id)
    assert len(versions) == 3
    kept = b"".join(record.data for record in versions)
    for secret in (TOKEN, made.secret, second.secret, made.secret.removeprefix("whsec_")):
        assert secret.encode() not in kept
        assert secret not in repr(stage.changes)
        assert secret not in repr((made, second, made.kept.value))
