"""Several candidates for one model, seen from outside."""

import contextlib

import pytest
from gateway import UPSTREAM_KEY, serving, settings, spelled

from freddy.server.config import Upstream as UpstreamSettings
from freddy.server.config import settings as parts
from upstream import Answer, Break, Fault, Upstream, text

DIALECTS = ("freddy", "openai")


@pytest.fixture
async def spare():
    async with Upstream() as spare:
        yield spare
        assert spare.complaints == []


@pytest.fixture
async def two(upstream, spare, tmp_path):
    """A server whose model `stage` is at the upstream, or else at the spare one, under another name."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_(*, url=None, **routing):
            one = UpstreamSettings(name="one", url=url or upstream.url, key=UPSTREAM_KEY, models=("one-*",))
            other = UpstreamSettings(name="two", url=spare.url, key=UPSTREAM_KEY, models=("two-*",))
            served = parts.Served(
                name="stage",
                candidates=(
                    parts.Candidate(upstream="one", model="stage-a"),
                    parts.Candidate(upstream="two", model="stage-b", order=1),
                ),
            )
            told = settings(
                tmp_path, upstream, upstreams=(one, other), models=(served,), routing=parts.Routing(**routing)
            )
            return await stack.enter_async_context(serving(told, upstream))

        yield open_


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", [Fault(500, "oops"), Fault(429, "slow down"), Fault(401, "no"), Break("reset")])
async def test_where_one_fails_the_next_answers(two, upstream, spare, dialect, fault):
    gateway = await two()
    upstream.says(fault)
    spare.says(Answer(*text("From the spare one")))
    reply = await gateway.ask(dialect, model="stage")
    assert "From the spare one" in str(reply["output"])
    assert [call.body["model"] for call in upstream.calls] == ["stage-a"]
    assert [call.body["model"] for call in spare.calls] == ["stage-b"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_that_broke_before_its_first_word_goes_on_elsewhere(two, upstream, spare, dialect):
    gateway = await two()
    upstream.says(Answer(Break("cut")))
    spare.says(Answer(*text("Whole")))
    stream = await gateway.told(dialect, model="stage")
    assert (stream.text, stream.last["type"]) == ("Whole", "response.completed")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_that_broke_after_its_first_word_fails(two, upstream, spare, dialect):
    gateway = await two()
    upstream.says(Answer(*text("Ha"), Break("cut")))
    stream = await gateway.told(dialect, model="stage")
    assert (stream.text, stream.last["type"], spare.calls) == ("Ha", "response.failed", [])


async def test_who_is_not_there_is_tried_again_and_then_left_for_another(two, spare, unused_port):
    gateway = await two(url=f"http://127.0.0.1:{unused_port}/v1", retries=1)
    spare.says(Answer(*text("Here")))
    reply = await gateway.ask("freddy", model="stage", include=["request.logs"])
    assert reply["response"] == "Here"


async def test_who_asks_for_a_moment_is_given_it(two, upstream, spare):
    gateway = await two()
    upstream.says(Fault(429, "slow down", retry_after="0.05"), Answer(*text("Now")))
    reply = await gateway.ask("freddy", model="stage")
    assert (reply["response"], len(upstream.calls), spare.calls) == ("Now", 2, [])


async def test_who_fails_again_and_again_is_left_alone(two, upstream, spare):
    gateway = await two(cooldown_failures=2, cooldown_seconds=60)
    upstream.says(Fault(500, "oops"), Fault(500, "oops"))
    spare.says(*(Answer(*text("Yes")) for _ in range(4)))
    for _ in range(4):
        await gateway.ask("freddy", model="stage")
    assert (len(upstream.calls), len(spare.calls)) == (2, 4)


async def test_when_both_fail_the_caller_hears_when_to_come_back(two, upstream, spare):
    gateway = await two()
    upstream.says(Fault(429, "slow down", retry_after="30"))
    spare.says(Fault(404, "no such model"))
    reply = await gateway.post(*spelled("freddy", model="stage"))
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "30")
