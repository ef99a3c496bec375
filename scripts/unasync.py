"""Writes src/freddy/_sync from src/freddy/_async; with --check, only says whether it differs."""

import argparse
import difflib
import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "freddy" / "_async"
TARGET = SOURCE.with_name("_sync")
HEADER = "# Generated from freddy._async by scripts/unasync.py; edit that instead.\n"

# In this order: each pattern sees what the ones before it have left.
REPLACEMENTS = [
    (r"StopAsyncIteration", "StopIteration"),
    (r"AsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"),
    (r"\bAsync([A-Z])", r"\1"),
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAwaitable\[(\w+(?:\[\w+\])?)\]", r"\1"),
    (r"\bAwaitable, ", ""),
    (r"\b__a(enter|exit|iter|next)__", r"__\1__"),
    (r"\ba(close|read)\b", r"\1"),
    (r"\baiter_bytes\b", "iter_bytes"),
    (r"\banext\(", "next("),
    (r"\basyncio\b", "time"),
    (r"\b_async\b", "_sync"),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if it differs")
    wanted = generated()
    if parser.parse_args().check:
        return report(wanted)
    TARGET.mkdir(exist_ok=True)
    for stale in sorted(present().keys() - wanted.keys()):
        (TARGET / stale).unlink()
    for name, text in wanted.items():
        (TARGET / name).write_text(text, encoding="utf-8")
    return 0


def generated() -> dict[str, str]:
    return {
        file.name: formatted(HEADER + unasync(file.read_text(encoding="utf-8"))) for file in sorted(SOURCE.glob("*.py"))
    } | {"__init__.py": HEADER + '"""The synchronous client."""\n'}


def present() -> dict[str, str]:
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(TARGET.glob("*.py"))}


def unasync(text: str) -> str:
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    return text


def formatted(text: str) -> str:
    """With the project's formatter, since shorter names change where lines break."""
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET / "x.py"), "-"]
    done = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True)
    return done.stdout


def report(wanted: dict[str, str]) -> int:
    found = present()
    differences = [
        line
        for name in sorted(wanted.keys() | found.keys())
        for line in difflib.unified_diff(
            found.get(name, "").splitlines(keepends=True),
            wanted.get(name, "").splitlines(keepends=True),
            f"_sync/{name} (as it is)",
            f"_sync/{name} (as it should be)",
        )
    ]
    sys.stdout.writelines(differences)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
