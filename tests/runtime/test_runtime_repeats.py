"""Requests with one idempotency key that come to two processes at once."""

import asyncio

import pytest
from runtime_stage import CALLER, Stage

from freddy.server.core import deltas, errors, items, request
from freddy_fakes import PATIENCE, MemoryStores, Remembered, ScriptedModel

SAID = items.Message("msg_0", "user", (items.Text("Hi"),))


def processes(stores: MemoryStores, *lines) -> tuple[Stage, Stage]:
    """Two that have all stores in common."""
    repeats = Remembered()
    one, two = [
        Stage({"scripted": ScriptedModel(*lines)}, stores, PATIENCE, repeats=repeats, shared=True) for _ in range(2)
    ]
    for _ in range(1000):
        two.ids.new("taken")
    return one, two


async def ask(built: Stage, *, background: bool):
    wanted = request.Request(model="scripted", input=(SAID,), background=background)
    return (await built.responses.start_once(wanted, CALLER, key="once", body=b"Hi")).response


@pytest.mark.parametrize("background", [True, False])
async def test_what_another_process_is_about_to_keep_is_not_begun_again(stores, background):
    one, two = processes(stores, deltas.Text("Once."), deltas.Stop("stop"))
    place = "put" if background else "open"
    async with one.host, two.host, asyncio.timeout(PATIENCE):
        gate = stores.gates[place] = asyncio.Event()
        first = asyncio.ensure_future(ask(one, background=background))
        await stores.asked.wait()
        # It is said which response the key leads to, and there is none yet.
        for _ in range(2):
            with pytest.raises(errors.Conflict) as caught:
                await ask(two, background=background)
            assert (caught.value.code, caught.value.retry_after) == ("idempotency_in_progress", 1)
        gate.set()
        begun = await first
        assert (await ask(two, background=background)).id == begun.id
        assert (await ask(one, background=background)).id == begun.id
        assert (await one.hear(begun))[-1].response.text == "Once."
    assert two.model.turns == []
    assert len(stores.kept) == 1


async def test_what_failed_is_begun_anew_by_one_of_them(stores):
    one, two = processes(stores, errors.ProviderFailed("no"))
    async with one.host, two.host, asyncio.timeout(PATIENCE):
        failed = await ask(one, background=True)
        assert (await one.hear(failed))[-1].response.status == "failed"
        gate = stores.gates["put"] = asyncio.Event()
        both = [asyncio.ensure_future(ask(built, background=True)) for built in (one, two)]
        await stores.asked.wait()
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        gate.set()
        told = await asyncio.gather(*both, return_exceptions=True)
        begun = [one for one in told if not isinstance(one, BaseException)]
        refused = [one for one in told if isinstance(one, errors.Conflict)]
        assert (len(begun), len(refused)) == (1, 1)
        for built in (one, two):
            await built.hear(begun[0])
    assert len(stores.kept) == 2


async def test_a_key_whose_request_came_to_nothing_is_free_for_the_other(stores):
    one, two = processes(stores, deltas.Text("Once."), deltas.Stop("stop"))
    async with one.host, two.host:
        stores.faults["put"] = errors.StorageUnavailable("away")
        with pytest.raises(errors.StorageUnavailable):
            await ask(one, background=True)
        del stores.faults["put"]
        begun = await ask(two, background=True)
        assert (await ask(one, background=True)).id == begun.id
        await two.hear(begun)
