"""A question set that every machine has: the docstrings of Python's standard library.

The question is a docstring's first sentence; the answer is what follows it.
"""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_MODULES = (
    "argparse", "ast", "asyncio/base_events", "asyncio/events", "asyncio/queues", "asyncio/streams", "asyncio/tasks",
    "bdb", "calendar", "cmd", "collections/__init__", "concurrent/futures/_base", "configparser", "contextlib", "copy",
    "csv", "dataclasses", "datetime", "decimal", "difflib", "dis", "doctest", "email/message", "enum", "fractions",
    "ftplib", "functools", "gettext", "heapq", "http/client", "http/cookiejar", "imaplib", "inspect", "ipaddress",
    "json/__init__", "logging/__init__", "logging/handlers", "mailbox", "optparse", "os", "pathlib", "pdb", "pickle",
    "platform", "plistlib", "pprint", "profile", "random", "sched", "selectors", "shelve", "shutil", "smtplib",
    "socket", "socketserver", "statistics", "string", "subprocess", "tarfile", "tempfile", "textwrap", "threading",
    "timeit", "trace", "turtle", "types", "typing", "unittest/case", "unittest/mock", "urllib/parse",
    "urllib/request", "uuid", "warnings", "weakref", "webbrowser", "zipfile",
)  # fmt: skip
_SENTENCE = re.compile(r"(.{20,200}?[.!?])\s+(?=\S)", re.DOTALL)
SHORTEST, LONGEST = 200, 1_200
"""Characters of an answer."""


class Asked(NamedTuple):
    """A question, its answer, and the module that the answer is in."""

    question: str
    answer: str
    module: str


def asked(most: int) -> list[Asked]:
    """Spread over the modules, the same each time."""
    every = list(_asked())
    step = max(1, len(every) // most)
    return every[::step][:most]


def documents(several: list[Asked]) -> dict[str, str]:
    """The answers of each module in one text, which has no question."""
    texts: dict[str, str] = {}
    for one in several:
        texts[one.module] = texts.get(one.module, "") + one.answer + "\n\n"
    return texts


def _asked() -> Iterator[Asked]:
    folder = Path(sysconfig.get_paths()["stdlib"])
    seen: set[str] = set()
    for module in _MODULES:
        path = folder / f"{module}.py"
        if not path.exists():
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            told = " ".join((ast.get_docstring(node) or "").split())
            match = _SENTENCE.match(told)
            if match is None or match[1] in seen:
                continue
            answer = told[match.end() :]
            if SHORTEST <= len(answer) <= LONGEST:
                seen.add(match[1])
                yield Asked(match[1], answer, module)
