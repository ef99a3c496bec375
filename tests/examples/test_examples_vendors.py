"""The examples that concern reasoning, instructions and pictures, with vendors behind the server that watch."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_examples import ALL, PICTURES, run

from freddy_process import Served, serving
from heard import heard
from promises import promise
from simulators.aside import Aside
from simulators.messages import Messages
from simulators.responses import Responses
from simulators.script import Answer, Call, text, thought

REASONING = tuple(path for path in ALL if "reasoning" in path.name)
INSTRUCTIONS = tuple(path for path in ALL if "system-prompt" in path.name and path.name < "090")
SETTINGS = """
[[upstream]]
name = "openai"
kind = "openai"
url = "{openai}"
models = ["gpt-*"]

[[upstream]]
name = "anthropic"
kind = "anthropic"
url = "{anthropic}"
models = ["claude-*"]

[[models]]
name = "gpt-4.1-vision"
candidates = [{{ upstream = "openai", model = "gpt-4.1-vision" }}]
images = true
reasoning = false
"""


class Vendors:
    """OpenAI and Anthropic, simulated, and a server that asks them."""

    def __init__(self, server: Served, openai: Responses, anthropic: Messages) -> None:
        self.server = server
        self.openai = openai
        self.anthropic = anthropic

    def run(self, program: Path) -> str:
        printed = run(program, self.server)
        assert self.openai.complaints == self.anthropic.complaints == []
        return printed


@contextmanager
def vendors(home: Path) -> Iterator[Vendors]:
    openai, anthropic = Responses(answering=_said), Messages(answering=_said)
    home.mkdir(parents=True, exist_ok=True)
    file = home / "freddy.toml"
    with Aside(openai, anthropic):
        file.write_text(SETTINGS.format(openai=openai.url, anthropic=anthropic.url))
        with serving(home, FREDDY_CONFIG=str(file)) as server:
            yield Vendors(server, openai, anthropic)


def _said(_: Call) -> Answer:
    return Answer(thought("Hm."), text("Light ", "leaves."))


@promise(109)
@pytest.mark.parametrize("program", REASONING, ids=lambda program: program.stem)
def test_reasoning_is_asked_for_in_the_words_of_each_vendor(program: Path, tmp_path: Path):
    with vendors(tmp_path / "home") as both:
        both.run(program)
        (asked,) = both.openai.calls
        assert asked.body["model"] == "gpt-5"
        assert asked.body["reasoning"] == {"effort": "high", "summary": "detailed"}
        (asked,) = both.anthropic.calls
        assert asked.body["model"] == "claude-sonnet-4-20250514"
        assert asked.body["thinking"]["budget_tokens"] == 25_000


@pytest.mark.parametrize("program", INSTRUCTIONS, ids=lambda program: program.stem)
def test_a_system_message_instructs_the_vendors_model(program: Path, tmp_path: Path):
    with vendors(tmp_path / "home") as both:
        both.run(program)
        told = heard("openai", both.openai.last.body)
        assert told["system"] == "You are a helpful Python expert. Always include code examples."
        assert told["said"] == [("user", "text", "How do I sort a list?")]


@promise(46)
@pytest.mark.parametrize("program", PICTURES, ids=lambda program: program.stem)
def test_a_picture_by_its_file_id_reaches_a_model_that_sees(program: Path, tmp_path: Path):
    with vendors(tmp_path / "home") as both:
        printed = both.run(program)
        (question, picture) = heard("openai", both.openai.last.body)["said"]
        assert question == ("user", "text", "What is in this image?")
        assert picture[:2] == ("user", "image")
        data = picture[2].removeprefix("data:image/png;base64,")
        assert base64.b64decode(data, validate=True).startswith(b"\x89PNG\r\n")
    if program.suffix == ".sh":
        assert "leaves." in printed
