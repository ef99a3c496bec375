"""Calls of registered functions through real sockets: what is said there, and what a model reads of the answer."""

import asyncio
import gzip
import json
import logging
import socket
from typing import Any

import pytest
from functions_stage import FunctionServer, reply, verified
from msgspec.structs import replace

from freddy.server.core import items
from freddy.server.core.networks import Opening
from freddy.server.core.toolspec import Function
from freddy.server.outward import CheckedOutward
from freddy.server.ports.tools import Answer, Asker, Confided, Registered
from freddy.server.tools.functions import answers
from freddy.server.tools.functions.registered import HttpCalls
from freddy_fakes import FixedClock

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "whsec_" + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
TOKEN = "Bearer token-0123456789"
ASKER = Asker("org_a", "usr_1", None, "resp_1", "call_1")
PATIENCE = 20


async def call(
    url: str,
    *,
    arguments: str = '{"article":"A-17"}',
    asker: Asker = ASKER,
    seconds: int = PATIENCE,
    opening: Opening | None = None,
    secrets: tuple[str, ...] = (SECRET,),
) -> Answer:
    function = Registered(
        id="func_1", organization_id="org_a", spec=Function("stock_of"), url=url, timeout_seconds=seconds
    )
    calls = HttpCalls(CheckedOutward(opening or Opening.of([], loopback=True)), FixedClock())
    confided = Confided({"Authorization": TOKEN, "X-Team": "a"}, secrets)
    async with asyncio.timeout(2 * PATIENCE):
        return await calls.call(function, confided, arguments=arguments, asker=asker)


def text(answer: Answer) -> str:
    assert answer.error is None, answer.error
    [part] = answer.parts
    assert isinstance(part, items.Text)
    return part.text


async def test_a_call_is_a_signed_post_of_all_that_there_is_to_know(server: FunctionServer):
    answer = await call(server.url, secrets=(SECRET, OLD))
    assert answer == Answer(parts=(items.Text("42 pieces"),), source="registered func_1")
    [heard] = server.heard
    assert (heard.method, heard.path) == ("POST", "/stock")
    assert heard.told == {
        "id": "call_1",
        "name": "stock_of",
        "arguments": {"article": "A-17"},
        "response_id": "resp_1",
        "organization_id": "org_a",
        "user_id": "usr_1",
    }
    now = FixedClock().now()
    assert heard.headers["webhook-id"].startswith("msg_")
    assert heard.headers["webhook-timestamp"] == str(int(now))
    for secret in (SECRET, OLD):
        assert verified(secret, heard.headers, heard.body, now=now)
    assert not verified("whsec_" + "B" * 32, heard.headers, heard.body, now=now)
    assert not verified(SECRET, heard.headers, heard.body + b" ", now=now)
    assert not verified(SECRET, {**heard.headers, "webhook-id": "call_2"}, heard.body, now=now)
    assert heard.headers["authorization"] == TOKEN
    assert heard.headers["x-team"] == "a"
    assert heard.headers["content-type"] == "application/json"


async def test_a_call_made_again_is_the_same_message_and_no_other_call_is(server: FunctionServer):
    """Some models number the calls of every response anew."""
    askers = [replace(ASKER, response_id=response, call_id=call) for response in ("resp_1", "resp_2") for call in "ab"]
    for asker in (*askers, *askers):
        await call(server.url, asker=asker)
    told = [heard.headers["webhook-id"] for heard in server.heard]
    assert told[:4] == told[4:]
    assert len(set(told)) == 4


async def test_the_signature_is_that_of_the_specification():
    """The example of https://github.com/standard-webhooks/standard-webhooks has these bytes."""
    from freddy.server.core import signing

    headers = signing.headers(
        [SECRET], message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (reply({"output": "a text"}), "a text"),
        (reply({"output": {"pieces": 3}}), '{"pieces":3}'),
        (reply({"output": None}), "null"),
        (reply({"pieces": 3, "more": [1, 2]}), '{"pieces": 3, "more": [1, 2]}'),
        (reply([1, 2]), "[1, 2]"),
        (reply("plain words", kind="text/plain"), "plain words"),
        (reply("Grüße", kind="text/plain; charset=utf-8"), "Grüße"),
        (reply("", status=204), ""),
        (reply({"output": "a\0b"}, status=201), "a\ufffdb"),
    ],
)
async def test_an_answer_is_read_as_it_is_meant(server: FunctionServer, said: bytes, read: str):
    server.answers = [said]
    assert text(await call(server.url)) == read


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (reply("<h1>Oops</h1>", status=500), "answered with status 500"),
        (reply({"error": "no such article"}, status=404), "answered with status 404: no such article"),
        (reply({"error": {"message": "too many"}}, status=429), "answered with status 429: too many"),
        (reply("", status=302, location="/elsewhere"), "redirects with status 302, which loses the call"),
        (reply("", status=307, location="http://other.example/"), "answered with status 307"),
        (reply(b"\xff\xfe\xff"), "answered with bytes that are no UTF-8 text"),
        (reply(gzip.compress(b"{}"), content_encoding="gzip"), "answered compressed"),
        (reply("x" * (answers.LARGEST + 1)), "answered with more than 1,048,576 bytes"),
        (b"not HTTP at all\r\n\r\n", "broke off the connection"),
    ],
)
async def test_what_is_no_answer_is_said_in_words(server: FunctionServer, said: bytes, reason: str):
    server.answers = [said, reply("followed", kind="text/plain")] if b" 302 " in said else [said]
    answer = await call(server.url)
    assert answer.parts == ()
    assert answer.error is not None
    assert answer.error.startswith("the function stock_of ")
    assert reason in answer.error


async def test_an_answer_may_be_as_large_as_a_mebibyte(server: FunctionServer):
    server.answers = [reply("x" * answers.LARGEST)]
    assert len(text(await call(server.url))) == answers.LARGEST


async def test_a_redirect_that_keeps_the_call_is_followed(server: FunctionServer):
    server.answers = [reply("", status=307, location="/stock/"), reply("here", kind="text/plain")]
    assert text(await call(server.url)) == "here"
    first, second = server.heard
    assert (second.method, second.path, second.body) == ("POST", "/stock/", first.body)
    assert verified(SECRET, second.headers, second.body, now=FixedClock().now())


async def test_a_function_that_says_nothing_is_given_up_and_not_asked_again(server: FunctionServer):
    server.answers = [None]
    answer = await call(server.url, seconds=1)
    assert answer.error == "the function stock_of did not answer within 1 seconds"
    assert len(server.heard) == 1


async def test_an_answer_that_never_ends_is_given_up(server: FunctionServer):
    server.answers = [b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly so much"]
    answer = await call(server.url, seconds=1)
    assert answer.error == "the function stock_of did not answer within 1 seconds"
    assert len(server.heard) == 1


async def test_a_call_that_was_sent_is_never_sent_again():
    times = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal times
        await reader.readuntil(b"\r\n\r\n")
        times += 1
        writer.close()

    listening = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    answer = await call(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
    listening.close()
    assert answer.error == "the function stock_of broke off the connection before it had answered"
    assert times == 1


async def test_a_server_that_is_not_there_is_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        answer = await call(f"http://127.0.0.1:{free.getsockname()[1]}/")
    assert answer.error == "the function stock_of cannot be reached"


async def test_private_addresses_are_not_called(server: FunctionServer):
    answer = await call(server.url, opening=Opening())
    assert answer.error is not None
    assert "cannot be called" in answer.error
    assert "network.allow_private" in answer.error
    assert server.connections == 0


async def test_every_call_has_a_connection_of_its_own(server: FunctionServer):
    for _ in range(3):
        text(await call(server.url))
    assert server.connections == 3


async def test_a_call_without_arguments_has_an_empty_object(server: FunctionServer):
    text(await call(server.url, arguments="", asker=Asker("org_a", call_id="call_2")))
    assert server.heard[0].told == {
        "id": "call_2",
        "name": "stock_of",
        "arguments": {},
        "response_id": None,
        "organization_id": "org_a",
        "user_id": None,
    }


async def test_what_was_confided_comes_back_neither_in_answers_nor_in_logs(
    server: FunctionServer, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    echo = f"you said {TOKEN} and {SECRET}"
    told: list[Any] = []
    for said in (reply({"output": echo}), reply(echo, kind="text/plain"), reply({"error": echo}, status=500)):
        server.answers = [said]
        answer = await call(server.url)
        told.append(answer.error or text(answer))
    assert all("you said ***REDACTED*** and ***REDACTED***" in one for one in told)
    logged = caplog.text + json.dumps([str(vars(record)) for record in caplog.records])
    assert "token-0123456789" not in logged
    assert SECRET not in logged
    assert SECRET not in repr(Confided({"a": TOKEN}, (SECRET,)))
