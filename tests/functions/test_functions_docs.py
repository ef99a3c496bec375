"""The examples of the page of functions, run."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

from freddy.server.core.networks import Opening
from freddy.server.core.toolspec import Function
from freddy.server.outward import CheckedOutward
from freddy.server.ports.tools import Answer, Asker, Confided, Registered
from freddy.server.tools.functions import brought
from freddy.server.tools.functions.registered import HttpCalls
from freddy.server.world import SystemClock
from upstream import PATIENCE

PAGE = (Path(__file__).parents[2] / "docs/functions.md").read_text()
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def block(holding: str) -> str:
    [found] = [each for each in re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S) if holding in each]
    return found


async def test_the_function_of_the_page_verifies_and_answers():
    program = block("ThreadingHTTPServer").replace("whsec_...", SECRET).replace("9000", "0")
    program = program.replace("\nThreadingHTTPServer(", "\nserver = ThreadingHTTPServer(").replace(
        ".serve_forever()", ""
    )
    program += "print(server.server_port, flush=True)\nserver.serve_forever()\n"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        port = int(await process.stdout.readline())
    calls = HttpCalls(CheckedOutward(Opening.of([], loopback=True)), SystemClock())
    function = Registered(
        id="func_1",
        organization_id="org_a",
        spec=Function("stock_of"),
        url=f"http://127.0.0.1:{port}/stock",
        timeout_seconds=20,
    )

    async def call(article: str, secret: str = SECRET) -> Answer:
        return await calls.call(
            function,
            Confided({}, (secret,)),
            arguments=json.dumps({"article": article}),
            asker=Asker("org_a", call_id="call_1"),
        )

    try:
        answer = await call("A-17")
        assert answer.parts[0].text == "42 pieces"
        assert (await call("A-18")).error == (
            "the function stock_of answered with status 404: there is no article A-18"
        )
        wrong = await call("A-17", "whsec_" + "A" * 32)
        assert wrong.error == "the function stock_of answered with status 401: the signature is wrong"
    finally:
        process.terminate()
        await process.wait()


async def test_the_function_of_the_page_that_a_package_brings_is_one():
    names: dict[str, Any] = {"__name__": "my_package.dates"}
    exec(block("days_between"), names)
    spec, read = brought._described("days_between", names["days_between"])
    assert spec.description == "Counts the days between two days."
    told = read('{"first":"2026-01-01","last":"2026-01-31","inclusive":true}', Asker("org_a"))
    assert names["days_between"](**told) == 31
