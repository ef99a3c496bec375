"""What is asked of each vendor and how it answers, as data: a file of `vendors/` for each row of the catalog.

`python tests/wires/compatible/compatible_golden.py` writes bodies, warnings and deltas anew: read the difference.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from freddy.server.core import deltas
from freddy.server.core.profile import Profile
from freddy.server.core.turn import Turn
from freddy.server.providers._sse import DataLines
from freddy.server.providers.compatible import catalog, request
from freddy.server.providers.compatible.row import Row, fitted
from freddy.server.providers.compatible.stream import Reader

VENDORS = Path(__file__).parent / "vendors"
ABLE = {"images": True, "audio": True, "files": True, "reasoning": True}
"""The model of an ask can all this, where its `profile` does not say otherwise."""

Json = dict[str, Any]


def files() -> dict[str, Json]:
    return {row.name: json.loads((VENDORS / f"{row.name}.json").read_text()) for row in catalog.CATALOG}


def asked(row: Row, ask: Json) -> tuple[Json, list[str]]:
    """The body and the warnings."""
    turn = msgspec.json.decode(json.dumps({"items": [], **ask["turn"], "model": ask["model"]}), type=Turn)
    told = {"name": ask["model"], "provider": row.name, **ABLE, **ask.get("profile", {})}
    profile = fitted(msgspec.convert(told, Profile), row.of(ask["model"]))
    return json.loads(request.body(turn, profile, row)), list(request.warnings(turn, profile, row))


def events(answer: Json) -> bytes:
    """The stream: each chunk an event; a text is one as it stands."""
    told = [one if isinstance(one, str) else f"data: {json.dumps(one)}" for one in answer["stream"]]
    return "".join(f"{one}\n\n" for one in told).encode()


def said(row: Row, answer: Json, *cuts: int) -> list[Json]:
    """The deltas, those of one kind that follow each other in one; the stream is cut in pieces."""
    stream = events(answer)
    reader, lines = Reader(row.name, row.of(answer["model"])), DataLines()
    told: list[deltas.Delta] = []
    for begin, end in zip((0, *cuts), (*cuts, len(stream)), strict=True):
        told += reader.read(lines.feed(stream[begin:end]))
    told += reader.read(lines.close())
    try:
        told.append(reader.close())
    except Exception as error:  # noqa: BLE001 (how it failed is what is compared)
        return [*joined(told), {"failed": f"{type(error).__name__}: {error}"}]
    return joined(told)


def joined(told: list[deltas.Delta]) -> list[Json]:
    whole: list[deltas.Delta] = []
    for one in told:
        before = whole[-1] if whole else None
        match before, one:
            case deltas.Text(), deltas.Text():
                whole[-1] = deltas.Text(before.text + one.text, before.logprobs + one.logprobs)
            case deltas.Reasoning(), deltas.Reasoning() if (before.kind, before.part) == (one.kind, one.part):
                whole[-1] = deltas.Reasoning(before.text + one.text, one.kind, one.part)
            case _:
                whole.append(one)
    return json.loads(msgspec.json.encode(whole))


def written(row: Row, file: Json) -> Json:
    for ask in file["asks"]:
        ask["body"], ask["warnings"] = asked(row, ask)
    for answer in file["answers"]:
        answer["deltas"] = said(row, answer)
    return file


def page(file: Json) -> str:
    """A line for each field."""
    kinds = []
    for kind, entries in file.items():
        told = [
            "  {\n"
            + ",\n".join(f'   "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in one.items())
            + "\n  }"
            for one in entries
        ]
        kinds.append(f' "{kind}": [\n' + ",\n".join(told) + "\n ]")
    return "{\n" + ",\n".join(kinds) + "\n}\n"


if __name__ == "__main__":
    for name, file in files().items():
        row = catalog.find(name)
        assert row
        (VENDORS / f"{name}.json").write_text(page(written(row, file)))
