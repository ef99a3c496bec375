"""Puts this folder on the import path, where tests find `freddy_fakes` and `simulators`, and that of `gateway`.

Says how hard hypothesis looks.
"""

import gc
import logging
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from freddy.server import logs
from in_memory import write_in_memory

sys.path.append(str(Path(__file__).with_name("api")))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job: what the tests start must hear Ctrl-C all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time. `pytest --hypothesis-profile=search` looks for others.
settings.register_profile("freddy", max_examples=50, deadline=None, database=None, derandomize=True)
settings.register_profile("search", max_examples=500, deadline=None, database=None)
settings.load_profile("freddy")


def pytest_configure(config: pytest.Config) -> None:
    # Memory would fill up where what a test wrote is kept when it has passed.
    if config.getini("tmp_path_retention_policy") == "failed":
        write_in_memory()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The tests themselves are no garbage, and many: nobody looks at them for it, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of one `xdist_group` go to one worker.

    pytest-xdist 3.8 writes the group where pytest 9.2 no longer reads it.
    """
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        if mark and not item.nodeid.endswith(f"@{mark.args[0]}"):
            item._id = type(item.id).parse(f"{item.nodeid}@{mark.args[0]}")


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Where the process logs to is afterwards as it was before the test configured it."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield
    root.handlers[:], root.level = before
    logging.captureWarnings(capture=False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
