"""Clients that go away: what nobody waits for any more is stopped, and what was said is kept."""

import asyncio
import contextlib

import pytest
from gateway import spelled

from upstream import PATIENCE, Answer, Gate, text

DIALECTS = ("freddy", "openai")
PATHS = {"freddy": "/v1/model/response", "openai": "/v1/responses"}


@contextlib.asynccontextmanager
async def waiting(gateway, path: str, body: dict):
    """A request whose answer nobody has read yet; leaving the context hangs up."""
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(gateway.post(path, body))
        yield
        asking.cancel()


def running() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("resp_")]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_leaving_a_stream_stops_the_model_and_keeps_what_it_said(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(text("Half"), gate, text(" never")))
    async with gateway.listening(*spelled(dialect, stream=True)) as stream:
        await stream.next("response.output_text.delta")
        (response_id,) = running()
    await upstream.last.let_go()
    ended = await gateway.ended(response_id)
    assert (ended["status"], ended["response"]) == ("cancelled", "Half")
    assert ended["output"][0]["status"] == "incomplete"
    assert (await gateway.get(f"/v1/responses/{response_id}")).json()["status"] == "cancelled"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_leaving_before_the_whole_answer_stops_the_model(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(gate, text("never")))
    async with waiting(gateway, *spelled(dialect)):
        await gate.reached()
        (response_id,) = running()
    await upstream.last.let_go()
    assert (await gateway.ended(response_id))["status"] == "cancelled"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_leaving_before_the_first_word_of_a_stream_stops_the_model(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(gate, text("never")))
    async with waiting(gateway, *spelled(dialect, stream=True)):
        await gate.reached()
        (response_id,) = running()
    await upstream.last.let_go()
    assert (await gateway.ended(response_id))["status"] == "cancelled"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_is_not_stored_is_stopped_too(gateway, upstream, dialect):
    gate = Gate()
    upstream.says(Answer(text("Half"), gate))
    async with gateway.listening(*spelled(dialect, stream=True, store=False)) as stream:
        await stream.next("response.output_text.delta")
    await upstream.last.let_go()


async def test_a_second_listener_keeps_the_response_going(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("One"), gate, text(" two")))
    async with contextlib.AsyncExitStack() as stack:
        async with gateway.listening(*spelled("openai", stream=True)) as first:
            response_id = (await first.next())["response"]["id"]
            await first.next("response.output_text.delta")
            second = await stack.enter_async_context(gateway.listening(f"/v1/responses/{response_id}?stream=true"))
            await second.next("response.output_text.delta")
        gate.open()
        completed = await second.next("response.completed")
    assert completed["response"]["output"][0]["content"][0]["text"] == "One two"
    assert not upstream.last.gone.is_set()


async def test_the_last_listener_to_leave_stops_the_response(gateway, upstream):
    gate = Gate()
    upstream.says(Answer(text("One"), gate))
    async with gateway.listening(*spelled("openai", stream=True)) as first:
        response_id = (await first.next())["response"]["id"]
        async with gateway.listening(f"/v1/responses/{response_id}?stream=true") as second:
            await second.next("response.output_text.delta")
        assert not upstream.last.gone.is_set()
    await upstream.last.let_go()
    assert (await gateway.ended(response_id))["status"] == "cancelled"


async def test_one_client_that_leaves_takes_no_other_along(gateway, upstream):
    gates = [Gate(), Gate()]
    upstream.says(*(Answer(text("One"), gate, text(" two")) for gate in gates))
    async with gateway.listening(*spelled("freddy", stream=True)) as stays:
        await stays.next("response.output_text.delta")
        async with gateway.listening(*spelled("freddy", stream=True)) as leaves:
            await leaves.next("response.output_text.delta")
        await upstream.calls[1].let_go()
        gates[0].open()
        assert (await stays.next("response.completed"))["response"]["response"] == "One two"


async def test_a_client_that_leaves_in_the_middle_of_its_request_starts_nothing(gateway, upstream):
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b'POST /v1/model/response HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"inputs":')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await gateway.ask("freddy")
    assert len(upstream.calls) == 1


async def test_many_clients_that_leave_at_once_leave_nothing_running(gateway, upstream):
    gate = Gate()
    upstream.says(*(Answer(text("One"), gate) for _ in range(20)))
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(gateway.post(*spelled("freddy", stream=number % 2 == 0))) for number in range(20)]
        await upstream.called(20)
        await gate.reached()
        for one in asking:
            one.cancel()
    for one in upstream.calls:
        await one.let_go()
    async with asyncio.timeout(PATIENCE):
        while running():
            await gateway.get("/health/live")
    metrics = (await gateway.get("/metrics")).text
    assert "freddy_runs_in_progress 0.0" in metrics
