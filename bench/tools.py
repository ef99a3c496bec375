"""What the loop costs: the server's CPU time for each call of a tool, beside that of a plain request.

    .venv/bin/python bench/tools.py [requests]

A simulated model calls a built-in function a number of times, one call a turn, and then answers. The cost of a call is
what a request with twenty of them takes more than one without, by twenty: the call, its two items in the store, and
the turn of the model that reads its output.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import httpx2

from freddy_process import Served, serving
from simulators.aside import Aside
from simulators.chat import Chat
from simulators.script import Answer, Call, call, text

REQUESTS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
CALLS = 20
CITIES = {
    "type": "function",
    "name": "get_cities",
    "parameters": {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]},
}


def model(asked: Call) -> Answer:
    """Calls as often as the question says."""
    said = asked.body["messages"]
    wanted = int(next(one["content"] for one in said if one["role"] == "user").split()[0])
    made = sum(one["role"] == "tool" for one in said)
    if made < wanted:
        return Answer(call("get_cities", '{"region": "europe"}', call_id=f"call_{made}"))
    return Answer(text("Light leaves."))


def cpu(server: Served) -> float:
    """Seconds that the server's process has worked."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(server: Served, client: httpx2.Client, calls: int, *, store: bool, requests: int) -> tuple[float, float]:
    """Milliseconds of the server's CPU a request, and the median of what a request takes."""
    body = {"model": "stage", "inputs": f"{calls} calls", "functions": [CITIES], "store": store, "max_tool_calls": 50}
    took: list[float] = []
    began = cpu(server)
    for _ in range(requests):
        at = time.perf_counter()
        answer = client.post("/v1/model/response", json=body)
        took.append(time.perf_counter() - at)
        assert answer.status_code == 200, answer.text
        outputs = [item for item in answer.json()["output"] if item["type"] == "function_call_output"]
        assert len(outputs) == calls
    return (cpu(server) - began) / requests * 1000, statistics.median(took) * 1000


def main() -> None:
    upstream = Chat(answering=model, keep_alive=True)
    with tempfile.TemporaryDirectory() as folder, Aside(upstream):
        home = Path(folder) / "home"
        with serving(home, FREDDY_UPSTREAM_URL=upstream.url) as server:
            headers = {"authorization": f"Bearer {server.key}"}
            with httpx2.Client(base_url=server.url, headers=headers, timeout=60, trust_env=False) as client:
                for store in (True, False):
                    measure(server, client, 1, store=store, requests=20)
                    plain, plain_took = measure(server, client, 0, store=store, requests=REQUESTS * 5)
                    many, many_took = measure(server, client, CALLS, store=store, requests=REQUESTS)
                    told = {
                        "store": store,
                        "plain_cpu_ms": round(plain, 3),
                        "plain_ms": round(plain_took, 2),
                        "call_cpu_ms": round((many - plain) / CALLS, 3),
                        "call_ms": round((many_took - plain_took) / CALLS, 2),
                    }
                    print(json.dumps(told))


if __name__ == "__main__":
    main()
