"""The secret key of a server is changed: whatever was kept in confidence is used with the new one alone."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import openai
from webhooks_stage import Heard, Receiver, answer, unwrapped

from freddy_process import environment, serving, wait_until
from mcp_servers import PythonServer, python_server
from simulators.aside import Aside
from simulators.chat import Chat
from simulators.script import Answer, Call, Gate, Reply, call, text

OLD, NEW = "o" * 40, "n" * 40
TOKEN = "token-of-the-tools-0123456789"
HEADER = "Bearer of-the-function-0123456789"
STOCK = {"output": "42 pieces"}


class Script:
    """Calls the function once. Who says that it waits is answered when the old server is gone."""

    def __init__(self) -> None:
        self.gone = False

    def __call__(self, asked: Call) -> Reply:
        last = asked.body["messages"][-1]
        if last["role"] == "tool":
            return Answer(text("It said ", last["content"]))
        if last["content"] == "wait":
            return Answer(text("Done") if self.gone else Gate())
        return Answer(call("stock_of", "{}", call_id="call_1"))


def reseal(home: Path, keys: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "freddy", "providers", "reseal", "--json"],
        env=environment(home, FREDDY_SECRET_KEY=keys),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ended(http: httpx2.Client, response_id: str) -> dict[str, Any]:
    where = f"/v1/responses/{response_id}"
    wait_until(lambda: http.get(where).json()["status"] not in ("queued", "in_progress"))
    return http.get(where).json()


def signed(secret: str, heard: Heard) -> None:
    """Raises unless it is, as the official client verifies it."""
    with openai.OpenAI(api_key="none") as client:
        client.webhooks.verify_signature(heard.body, heard.headers, secret=secret)


async def test_all_that_is_kept_sealed_is_used_with_the_new_secret_key_alone(tmp_path: Path):
    home = tmp_path / "home"
    async with Receiver() as receiver, Receiver() as function, python_server(token=TOKEN) as tools:
        function.answers = [answer(200, "content-type: application/json", body=json.dumps(STOCK).encode())]
        script = Script()
        with Aside(upstream := Chat(answering=script)):
            before = await asyncio.to_thread(_before, home, upstream.url, receiver.url, function.url, tools)
            script.gone = True
            wrong = await asyncio.to_thread(reseal, home, NEW)
            assert wrong.returncode == 1
            assert "a secret of the webhook " in wrong.stderr
            done = await asyncio.to_thread(reseal, home, f"{NEW},{OLD}")
            assert (done.returncode, done.stderr) == (0, "")
            told = json.loads(done.stdout)
            one = {"resealed": 1, "unreadable": []}
            assert {name: told[name] for name in ("functions", "webhooks", "runs", "mcp_configurations")} == {
                "functions": one,
                "webhooks": one,
                "runs": one,
                "mcp_configurations": one,
            }
            assert told["answers"]["resealed"] >= 1
            after = await asyncio.to_thread(_after, home, upstream.url, before)
        assert after["again"] == before["made"]
        assert after["tools"] == before["tools"]
        assert after["waited"]["status"] == "completed"
        called = function.heard[0]
        assert called.headers["authorization"] == HEADER
        signed(before["function"]["secret"], called)
        events = [unwrapped(before["webhook"]["signing_secret"], one) for one in receiver.heard]
        assert {event.data.id for event in events} == {before["waited"], after["asked"]["id"]}
        # The secret before the last rotation signs, too, until its time is over.
        for heard in receiver.heard:
            signed(before["made"]["signing_secret"], heard)


def _before(home: Path, upstream: str, webhook: str, function: str, tools: PythonServer) -> dict[str, Any]:
    """What organizations confide in a server, and a response that it leaves unfinished."""
    variables = {"FREDDY_UPSTREAM_URL": upstream, "FREDDY_SECRET_KEY": OLD}
    once = {"idempotency-key": "webhook-1"}
    with serving(home, **variables) as server, server.client() as http:
        made = http.post("/v1/webhooks", json={"url": webhook}, headers=once).raise_for_status().json()
        rotated = http.post(f"/v1/webhooks/{made['id']}/rotate", json={"overlap_seconds": 86_400}).raise_for_status()
        stock = {"name": "stock_of", "description": "Stock", "url": function, "headers": {"Authorization": HEADER}}
        registered = http.post("/v1/functions", json=stock).raise_for_status().json()
        saved = {"name": "Sums", "server_url": tools.url, "credentials": {"token": TOKEN}}
        saved = {**saved, "auth_type": "bearer_token"}
        configured = http.post("/v1/mcp-configurations", json=saved).raise_for_status()
        tested = http.post(f"/v1/mcp-configurations/{configured.json()['id']}/test").raise_for_status().json()
        mcp = {"type": "mcp", "server_label": "sums", "server_url": tools.url, "authorization": TOKEN}
        asked = {"model": "m", "background": True, "input": "wait", "tools": [{**mcp, "require_approval": "never"}]}
        waited = http.post("/v1/responses", json=asked).raise_for_status().json()
        wait_until(lambda: http.get(f"/v1/responses/{waited['id']}").json()["status"] == "in_progress")
        server.kill()
    return {
        "made": made,
        "webhook": rotated.json(),
        "function": registered,
        "configuration": configured.json()["id"],
        "tools": tested["available_tools"],
        "waited": waited["id"],
    }


def _after(home: Path, upstream: str, before: dict[str, Any]) -> dict[str, Any]:
    variables = {"FREDDY_UPSTREAM_URL": upstream, "FREDDY_SECRET_KEY": NEW}
    with serving(home, **variables) as server, server.client() as http:
        body = {"url": before["made"]["url"]}
        again = http.post("/v1/webhooks", json=body, headers={"idempotency-key": "webhook-1"})
        assert again.headers["idempotent-replayed"] == "true"
        tested = http.post(f"/v1/mcp-configurations/{before['configuration']}/test").raise_for_status().json()
        body = {"inputs": "Hi", "background": True, "functions": [{"name": "stock_of"}]}
        asked = http.post("/v1/model/response", json=body).raise_for_status().json()
        asked = ended(http, asked["id"])
        waited = ended(http, before["waited"])
        where = f"/v1/webhooks/{before['webhook']['id']}/deliveries?status=delivered"
        wait_until(lambda: len(http.get(where).json()["data"]) == 2)
    return {
        "again": again.json(),
        "tools": tested["available_tools"],
        "asked": asked,
        "waited": waited,
    }
