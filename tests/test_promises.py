"""Every promise of the API is proved by a test that names it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from promises import LATER, PROMISES

FOLDER = Path(__file__).parent


def named(path: Path) -> Iterator[tuple[str, int]]:
    """The tests of a file with the promises they name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "promise":
                for number in mark.args:
                    assert isinstance(number, ast.Constant), f"{path.name}: {node.name} must name plain numbers"
                    yield node.name, number.value


@cache
def everything() -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for path in FOLDER.rglob("*.py"):
        for test, number in named(path):
            # What is not collected proves nothing.
            assert path.name.startswith("test_"), path.name
            assert test.startswith("test_"), f"{path.name}: {test}"
            found.setdefault(number, set()).add(test)
    return found


def test_every_promise_is_proved_by_a_test():
    unproved = PROMISES.keys() - everything().keys()
    assert not unproved, {number: PROMISES[number] for number in unproved}


def test_every_number_that_a_test_names_is_promised():
    assert everything().keys() <= PROMISES.keys()


def test_a_number_is_promised_now_or_later():
    assert not PROMISES.keys() & LATER
    assert PROMISES.keys() | LATER == set(range(1, 287))


def test_a_promise_is_one_sentence():
    for number, sentence in PROMISES.items():
        assert sentence[0].isupper() or sentence[0] in "`0123456789", number
        assert sentence.endswith("."), number
