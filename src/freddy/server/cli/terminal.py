"""What the command line says to people: lines, colour, and the environment's few words for a command line."""

import os
import sys
from typing import IO

GREEN, YELLOW, RED, CYAN, DIM = "32", "33", "31", "36", "2"


def say(line: str = "") -> None:
    sys.stdout.write(f"{line}\n")


def note(line: str) -> None:
    """For people, beside the output."""
    sys.stderr.write(f"{line}\n")


def fail(problem: str) -> None:
    """One line, whatever the problem's text is."""
    note(f"freddy: {' '.join(problem.split())}")


def colourful(stream: IO[str]) -> bool:
    """Whether the stream is a terminal whose user wants colour: https://no-color.org"""
    return stream.isatty() and not given("NO_COLOR") and given("TERM") != "dumb"


def paint(text: str, colour: str, stream: IO[str]) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if colourful(stream) else text


def harmless(text: str) -> str:
    """A model's text without the control characters that could drive a terminal."""
    return "".join(sign for sign in text if sign in "\n\t" or (sign >= " " and not "\x7f" <= sign <= "\x9f"))


def given(variable: str) -> str | None:
    """A variable that is no setting of the server."""
    return os.environ.get(variable)  # noqa: TID251 (works without the server, whose settings need its packages)


def abandon_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def version() -> str:
    from importlib import metadata  # noqa: PLC0415 (takes as long to import as all the rest)

    try:
        return metadata.version("freddy-gateway")
    except metadata.PackageNotFoundError:
        return "0"
