"""Functions of packages: an installed distribution is found, described and called, whatever is wrong with others."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

MODULE = '''
import asyncio
import time
from typing import Annotated, Literal

from msgspec import Meta, Struct

from freddy.server.ports.tools import Asker


class Place(Struct):
    city: str
    zip: str | None = None


def ship(
    article: Annotated[str, Meta(description="Its number")],
    to: Place,
    pieces: int = 1,
    speed: Literal["slow", "fast"] = "slow",
    notes: list[str] = ["none"],
) -> dict:
    """Ships an article.

    It takes a day.
    """
    return {"article": article, "city": to.city, "pieces": pieces, "speed": speed, "notes": notes}


async def whoami(asker: Asker, greeting: str = "Hello") -> str:
    await asyncio.sleep(0)
    return f"{greeting} {asker.organization_id} {asker.call_id}"


class Priced:
    """Says what an article costs."""

    parameters = {"type": "object", "properties": {"article": {"type": "string"}}, "required": ["article"]}

    def __call__(self, article):
        return 9.5


priced = Priced()


def refusing(article: str) -> str:
    raise ValueError(f"there is no article {article}")


def broken(article: str) -> str:
    raise RuntimeError("token-of-the-warehouse")


def slow() -> str:
    time.sleep(0.8)
    return "late"


async def slow_async() -> str:
    await asyncio.sleep(30)
    return "late"


def odd() -> object:
    return object()


def huge() -> str:
    return "x" * (1024 * 1024 + 1)


def untyped(article) -> str:
    return article


def many(*articles: str) -> str:
    return ""


nothing = 3
'''
ENTRIES = {
    "ship": "warehouse:ship",
    "whoami": "warehouse:whoami",
    "price": "warehouse:priced",
    "refusing": "warehouse:refusing",
    "broken": "warehouse:broken",
    "slow": "warehouse:slow",
    "slow_async": "warehouse:slow_async",
    "odd": "warehouse:odd",
    "huge": "warehouse:huge",
    # These are faulty, each in its way.
    "untyped": "warehouse:untyped",
    "many": "warehouse:many",
    "nothing": "warehouse:nothing",
    "missing": "warehouse:missing",
    "elsewhere": "no_such_module_at_all:work",
    "dying": "dying_on_import:work",
    "not a name": "warehouse:ship",
    "get_cities": "warehouse:ship",
}
FAULTY = {"untyped", "many", "nothing", "missing", "elsewhere", "dying", "not a name", "get_cities"}
SCRIPT = """
import asyncio, json, logging, sys
sys.path.insert(0, sys.argv[1])
from freddy.server.ports.tools import Asker
from freddy.server.tools.functions.brought import brought

class Told(logging.Handler):
    lines = []
    def emit(self, record):
        self.lines.append({"event": record.getMessage(), "function": record.function,
                           "reason": getattr(record, "reason", None)})

logging.getLogger("freddy").addHandler(Told())
found = {one.spec.name: one for one in brought(seconds=0.3, taken={"get_cities"})}

async def all_calls(calls):
    asker = Asker("org_a", call_id="call_1")
    answers = []
    for name, arguments in calls:
        answer = await found[name].call(arguments, asker)
        answers.append([answer.error, *(part.text for part in answer.parts), answer.source])
    return answers

answers = asyncio.run(all_calls(json.loads(sys.stdin.read())))
specs = {
    name: [one.spec.description, json.loads(bytes(one.spec.parameters)), one.source] for name, one in found.items()
}
print(json.dumps({"specs": specs, "answers": answers, "log": Told.lines}))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `pip install --target` leaves it."""
    home = tmp_path_factory.mktemp("site")
    (home / "warehouse.py").write_text(textwrap.dedent(MODULE))
    (home / "dying_on_import.py").write_text("raise SystemError('no')\n")
    info = home / "warehouse_tools-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: warehouse-tools\nVersion: 1.2\n")
    entries = "\n".join(f"{name} = {where}" for name, where in ENTRIES.items())
    (info / "entry_points.txt").write_text(f"[freddy.functions]\n{entries}\n")
    return home


def run(home: Path, calls: list[tuple[str, Any]]) -> dict[str, Any]:
    told = [(name, arguments if isinstance(arguments, str) else json.dumps(arguments)) for name, arguments in calls]
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(home)],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_functions_are_described_by_what_they_are(home):
    specs = run(home, [])["specs"]
    assert set(specs) == set(ENTRIES) - FAULTY
    description, parameters, source = specs["ship"]
    assert source == "package warehouse-tools 1.2"
    assert description == "Ships an article.\n\nIt takes a day."
    assert parameters == {
        "type": "object",
        "properties": {
            "article": {"type": "string", "description": "Its number"},
            "to": {"$ref": "#/$defs/Place"},
            "pieces": {"type": "integer", "default": 1},
            "speed": {"enum": ["fast", "slow"], "default": "slow"},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["article", "to"],
        "additionalProperties": False,
        "$defs": {
            "Place": {
                "title": "Place",
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "zip": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
                },
                "required": ["city"],
            }
        },
    }
    assert list(specs["whoami"][1]["properties"]) == ["greeting"]
    assert specs["price"][:2] == [
        "Says what an article costs.",
        {"type": "object", "properties": {"article": {"type": "string"}}, "required": ["article"]},
    ]


def test_faulty_functions_are_logged_and_left_out(home):
    log = {line["function"]: line for line in run(home, [])["log"]}
    assert set(log) == FAULTY
    assert {line["event"] for line in log.values()} == {"function_not_loaded"}
    assert log["untyped"]["reason"] == "its parameter 'article' has no type"
    assert log["many"]["reason"] == "its parameter 'articles' cannot be given by name"
    assert log["nothing"]["reason"] == "it is nothing that can be called"
    assert "no_such_module_at_all" in log["elsewhere"]["reason"]
    assert log["get_cities"]["reason"] == "there is another function of that name"


def test_functions_are_called_with_values_of_their_types(home):
    answers = run(
        home,
        [
            ("ship", {"article": "A-17", "to": {"city": "Bern"}, "speed": "fast"}),
            ("whoami", {}),
            ("whoami", ""),
            ("price", {"article": "A-17"}),
        ],
    )["answers"]
    source = "package warehouse-tools 1.2"
    assert answers == [
        [None, '{"article":"A-17","city":"Bern","pieces":1,"speed":"fast","notes":["none"]}', source],
        [None, "Hello org_a call_1", source],
        [None, "Hello org_a call_1", source],
        [None, "9.5", source],
    ]


def test_what_goes_wrong_is_an_answer_in_words(home):
    told = run(
        home,
        [
            ("ship", {"article": 3, "to": {"city": "Bern"}}),
            ("ship", {"article": "A", "to": {"city": "Bern"}, "colour": "red"}),
            ("price", {"colour": "red"}),
            ("refusing", {"article": "A-18"}),
            ("broken", {"article": "A"}),
            ("slow", {}),
            ("slow_async", {}),
            ("odd", {}),
            ("huge", {}),
        ],
    )
    errors = [answer[0] for answer in told["answers"]]
    assert all(len(answer) == 2 for answer in told["answers"])
    assert errors[0].startswith("the arguments do not fit ship: Expected `str`, got `int`")
    assert errors[1].startswith("the arguments do not fit ship: Object contains unknown field `colour`")
    assert errors[2] == "price has a fault (TypeError), which is in the server's log"
    assert errors[3] == "refusing: there is no article A-18"
    assert errors[4] == "broken has a fault (RuntimeError), which is in the server's log"
    assert errors[5] == "slow did not answer within 0.3 seconds"
    assert errors[6] == "slow_async did not answer within 0.3 seconds"
    assert errors[7] == "the function's result is neither a text nor anything that JSON can say"
    assert errors[8] == "the function's result is larger than 1,048,576 bytes"
