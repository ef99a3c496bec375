"""The documentation's examples that concern plain text, each run unchanged as a reader would run it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from freddy_process import Served, serving, share_models
from freddy_upstream import Upstream
from mcp_servers import node

ALL = sorted(path for path in Path(__file__).with_name("programs").glob("[0-9]*") if path.suffix)
PICTURES = tuple(path for path in ALL if "with-image" in path.name)
"""Those that ask about a picture that was uploaded before: see `test_examples_vendors`."""
PROGRAMS = tuple(path for path in ALL if path not in PICTURES)
RUNNERS = {".sh": "bash", ".py": sys.executable, ".mjs": node()}
WRONG = re.compile(r"Traceback|TypeError|SyntaxError|[\"']error[\"']: ?\{|(^|[ {,])error: \{|undefined", re.M)
FOR_REAL = ("001", "004", "006", "013", "100")
"""Those that the embedded model answers as well: a call of each kind."""


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("examples") / "home"
    with Upstream() as upstream, serving(home, FREDDY_UPSTREAM_URL=upstream.url) as server:
        yield server


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("examples") / "home"
    share_models(home, tmp_path_factory)
    bounds = {"FREDDY_ENGINE_ANSWER_TOKENS": "64", "FREDDY_ENGINE_THREADS": "1"}
    with serving(home, FREDDY_MODEL="smollm2-135m", **bounds) as server:
        yield server


def run(program: Path, server: Served) -> str:
    """What it prints. It must print no error, and end as it should."""
    runner = RUNNERS[program.suffix]
    if shutil.which(runner) is None:
        pytest.skip(f"{runner} is not installed")
    ours = os.environ  # noqa: TID251 (a reader's own)
    done = subprocess.run(
        [runner, program],
        env={**ours, "FREDDY_BASE_URL": server.url, "FREDDY_API_KEY": server.key},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert not WRONG.search(done.stdout), done.stdout
    assert done.stdout.rstrip("\n").rpartition("\n")[2] != "None"
    return done.stdout


@pytest.mark.xdist_group("examples")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_an_example_runs_unchanged(program: Path, scripted: Served):
    said = run(program, scripted)
    calls = program.read_text()
    if program.suffix == ".sh" or "print(" in calls or "console.log(" in calls:
        assert "leaves." in said


@pytest.mark.engine
@pytest.mark.xdist_group("engine")
@pytest.mark.parametrize(
    "program", [path for path in PROGRAMS if path.name.startswith(FOR_REAL)], ids=lambda program: program.stem
)
def test_an_example_is_answered_by_the_embedded_model(program: Path, embedded: Served):
    assert run(program, embedded).strip()
