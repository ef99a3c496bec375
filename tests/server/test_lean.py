"""What is imported before it is needed takes time from every start and memory from every server."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "alembic",
    "asyncpg",
    "cryptography",
    "freddy.server.http.openapi",
    "jsonschema_rs",
    "jwt",
    "mcp",
    "numpy",
    "obstore",
    "openpyxl",
    "pydantic",
    "pypdfium2",
    "redis",
    "rich",
    "xllamacpp",
}
"""What a plain request has no need of."""


def loaded(program: str) -> set[str]:
    """The names of all modules that the program has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport json, sys; print(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_the_client_is_loaded_when_it_is_asked_for():
    assert not loaded("import freddy") & {"httpx2", "msgspec", "asyncio", "freddy.server"}
    client = loaded("import freddy; freddy.FreddyClient")
    assert "httpx2" in client
    assert not client & {"freddy.server", "freddy._async.client", "starlette", "sqlalchemy"}


def test_the_server_loads_nothing_that_a_plain_request_has_no_need_of():
    assert not loaded("import freddy.server.cli.serve, freddy.server.serving") & HEAVY


def test_the_process_that_keeps_workers_loads_nothing_of_what_they_serve():
    served = {"uvicorn", "starlette", "sqlalchemy", "httpx2", "freddy.server.wiring", "freddy.server.runtime"}
    assert not loaded("import freddy.server.cli.serve, freddy.server.crew") & (HEAVY | served)


@pytest.mark.parametrize("command", ["keys", "db", "doctor", "ask"])
def test_the_command_line_loads_a_command_only_when_it_is_run(command: str):
    assert f"freddy.server.cli.{command}" not in loaded("import freddy.server.cli.serve")
