"""Threads that are longer than the model can read, as a caller sees it."""

import pytest

from freddy.server.config import settings as parts
from promises import promise

WORDS = " ".join(["word"] * 30)


async def long_thread(gateway) -> str:
    """Twenty messages of about forty tokens each."""
    thread = None
    for start in (0, 10):
        items = [
            {"role": "user" if n % 2 == 0 else "assistant", "content": f"m{n} {WORDS}"}
            for n in range(start, start + 10)
        ]
        if thread is None:
            thread = (await gateway.post("/v1/conversations", {"items": items})).json()["id"]
        else:
            await gateway.post(f"/v1/conversations/{thread}/items", {"items": items})
    return thread


def first_words(upstream) -> list[str]:
    return [said.split()[0] for _, said in upstream.last.messages]


@promise(65, 66)
@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ({}, ["m12", "m13", "m14", "m15", "m16", "m17", "m18", "m19", "now"]),
        ({"thread_context_mode": "recent"}, ["m12", "m13", "m14", "m15", "m16", "m17", "m18", "m19", "now"]),
        ({"threadContextMode": "smart"}, ["m0", "m1", "m2", "m14", "m15", "m16", "m17", "m18", "m19", "now"]),
        ({"thread_context_mode": "full"}, [*(f"m{n}" for n in range(20)), "now"]),
    ],
    ids=["default", "recent", "smart", "full"],
)
async def test_a_mode_says_what_of_a_long_thread_is_told(opened, upstream, mode, told):
    gateway = await opened(routing=parts.Routing(context_tokens=400))
    thread = await long_thread(gateway)
    answer = await gateway.ask("freddy", input="now", thread=thread, **mode)
    assert first_words(upstream) == told
    assert len(answer["warnings"]) == (len(told) < 21)
    kept = (await gateway.get(f"/v1/conversations/{thread}/items?limit=100")).json()["data"]
    assert len(kept) == 22


@promise(66)
@pytest.mark.parametrize("mode", ["recent", "smart", "full"])
async def test_a_thread_that_fits_is_told_whole_in_every_mode(gateway, upstream, mode):
    thread = await long_thread(gateway)
    answer = await gateway.ask("freddy", input="now", thread=thread, thread_context_mode=mode)
    assert first_words(upstream) == [*(f"m{n}" for n in range(20)), "now"]
    assert answer["warnings"] == []


async def test_the_other_dialect_leaves_nothing_out_by_itself(opened, upstream):
    gateway = await opened(routing=parts.Routing(context_tokens=400))
    thread = await long_thread(gateway)
    await gateway.ask("openai", input="now", conversation=thread)
    assert first_words(upstream) == [*(f"m{n}" for n in range(20)), "now"]
