"""A history that is longer than a model reads: told from its end, in pieces, on every database."""

import pytest
from contract_examples import ACME, OTHERS, begun, completed, continues, message
from msgspec.structs import replace

from freddy.server.core.accounts import SCOPES, Caller
from freddy.server.core.request import Request, ThreadRef
from freddy.server.core.response import Response
from freddy.server.core.threads import Thread
from freddy.server.ports.stores import ResponseStore, ThreadStore
from freddy.server.runtime.history import History

CALLER = Caller(ACME, (ACME,), frozenset(SCOPES), "key_1")


async def _chain(responses: ResponseStore, length: int) -> list[Response]:
    chain = [completed(begun("q0"), "a0")]
    for number in range(1, length):
        chain.append(completed(continues(chain[-1], f"q{number}"), f"a{number}"))
    for response in chain:
        await responses.keep(response)
    return chain


async def test_the_end_of_a_chain_is_told_without_the_rest(responses: ResponseStore) -> None:
    chain = await _chain(responses, 6)
    assert await responses.chain(ACME, chain[5].id, limit=2) == chain[4:]
    assert await responses.chain(ACME, chain[3].id, limit=1) == [chain[3]]
    assert await responses.chain(ACME, chain[3].id, limit=100) == chain[:4]
    assert await responses.chain(OTHERS, chain[3].id, limit=2) == []


async def test_the_start_of_a_chain_is_told_without_the_rest(responses: ResponseStore) -> None:
    chain = await _chain(responses, 6)
    assert await responses.chain_start(ACME, chain[5].id, limit=2) == chain[:2]
    assert await responses.chain_start(ACME, chain[1].id, limit=9) == chain[:2]
    assert await responses.chain_start(OTHERS, chain[5].id, limit=2) == []
    assert await responses.chain_start(ACME, "resp_none", limit=2) == []


@pytest.mark.parametrize("mode", ["recent", "smart", "full"])
@pytest.mark.parametrize("kept_as", ["thread", "chain"])
async def test_a_long_history_is_read_in_its_mode(
    responses: ResponseStore, threads: ThreadStore, mode: str, kept_as: str
) -> None:
    words = " ".join(["word"] * 40)
    if kept_as == "thread":
        thread = Thread(id="thrd_long", organization_id=ACME, created_at=1, updated_at=1)
        said = [message(f"q{number} {words}", id=f"msg_{number}") for number in range(300)]
        said = [replace(one, role="assistant") if place % 2 else one for place, one in enumerate(said)]
        await threads.create(thread, said, entry_id="entry_1")
        request = Request("m", (message("now"),), thread=ThreadRef("thrd_long", must_exist=True))
        first, last, count = said[0], said[-1], 300
    else:
        chain = [completed(begun(f"q0 {words}"), f"a0 {words}")]
        for number in range(1, 150):
            chain.append(completed(continues(chain[-1], f"q{number} {words}"), f"a{number} {words}"))
        for response in chain:
            await responses.keep(response)
        request = Request("m", (message("now"),), previous_response_id=chain[-1].id)
        first, last, count = chain[0].request.input[0], chain[-1].output[-1], 300
    history = History(responses, threads)
    before = await history.before(CALLER, replace(request, context_mode=mode), 2000, largest=100_000)
    assert before.said[-1] == last
    assert (before.said[0] == first) == (mode != "recent")
    if mode == "full":
        assert (len(before.said), before.warnings) == (count, ())
    else:
        assert 3 < len(before.said) < 60
        assert "left out" in before.warnings[0]
