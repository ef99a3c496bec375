"""The tables of `docs/providers-compatible.md`, from the catalog.

`python tests/wires/compatible/compatible_page.py` writes them anew.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from freddy.server.providers.compatible import catalog
from freddy.server.providers.compatible.row import EFFORTS, SAMPLING, Facts, Parameter, Row

PAGE = Path(__file__).parents[3] / "docs/providers-compatible.md"
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Cells = tuple[str, ...]


def page(text: str) -> str:
    """The page with its tables written anew."""
    return _TABLE.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[3]}", text)


def _table(head: Cells, lines: Sequence[Cells]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, tuple("---" for _ in head), *lines))


def _vendors() -> str:
    head = ("name", "vendor", "address", "its own key variable", "specification")
    return _table(head, [_vendor(row) for row in catalog.CATALOG])


def _vendor(row: Row) -> Cells:
    keys = ", ".join(f"`{key}`" for key in row.keys) or "–"
    return (
        f"`{row.name}`",
        row.title,
        f"`{row.url}`" if row.url else "your own",
        keys,
        f"[{_host(row.docs)}]({row.docs})",
    )


def _host(url: str) -> str:
    return url.split("/")[2].removeprefix("www.")


def _of_facts(head: Cells, cells: Callable[[Facts], Cells]) -> str:
    """A line for each vendor, and one for those of its models that are told otherwise here."""
    lines = []
    for row in catalog.CATALOG:
        lines.append((f"`{row.name}`", *cells(row.facts)))
        others: dict[Cells, list[str]] = {}
        for pattern, facts in row.models:
            others.setdefault(cells(facts), []).append(f"`{pattern}`")
        lines += [(f"↳ {', '.join(names)}", *told) for told, names in others.items() if told != cells(row.facts)]
    return _table(("name", *head), lines)


def _parameters() -> str:
    head = ("output limit", "temperature", "top_p", "penalties", "seed", "stop", "logprobs", "verbosity", "cache key")
    return _of_facts(head, _parameter_cells)


def _parameter_cells(facts: Facts) -> Cells:
    def told(name: Parameter, *, most: bool = False) -> str:
        place = facts.takes.get(name)
        if place is None:
            return "–"
        if name in facts.thinking_excludes:
            return "while it does not think"
        bound = f" up to {facts.within[name][1]:g}" if most and name in facts.within else ""
        return (f"`{place}`" if place != name else "yes") + bound

    penalties = [told(name) for name in SAMPLING if name.endswith("penalty")]
    logprobs = told("top_logprobs", most=True)
    return (
        told("max_output_tokens"),
        told("temperature", most=True),
        told("top_p"),
        penalties[0] if len(set(penalties)) == 1 else "presence only",
        told("seed"),
        told("stop", most=True),
        "without rivals" if logprobs == "–" and "logprobs" in facts.takes else logprobs,
        told("verbosity"),
        told("cache_key"),
    )


def _thinking() -> str:
    return _of_facts(("thinks", "levels", "comes back", "is given back"), _thinking_cells)


def _thinking_cells(facts: Facts) -> Cells:
    levels = ", ".join(level for level in EFFORTS if level in facts.efforts)
    back = facts.given_back
    comes = {
        "apart": "in a field or part of its own",
        "tags": "in a field, or in `<think>` at the start",
        "open": "at the start, up to `</think>`",
    }
    return (
        facts.thinks,
        levels or "none",
        comes[facts.thought],
        "no" if back is None else f"as {_FORMS.get(back.form, f'`{back.form}`')}" + (", always" if back.always else ""),
    )


_FORMS = {
    "chunks": "parts of the content",
    "tags": "tags in the content",
    "details": "`reasoning_details`",
    "signatures": "signatures of the calls",
}


def _forms() -> str:
    head = ("JSON", "a schema", "guaranteed", "beside tools", "streamed", "strict functions", "a tool must be called")
    return _of_facts(head, _form_cells)


def _form_cells(facts: Facts) -> Cells:
    schema = (
        "in words" if not facts.schema else "closed ones; others in words" if facts.closed_schemas else "`json_schema`"
    )
    must = [f"any (`{facts.must_call}`)" if facts.must_call else "", "this one" if facts.named else ""]
    return (
        f"`{facts.json}`" if facts.json else "in words",
        schema,
        ", ".join(kind for kind in ("json", "schema") if kind in facts.guarantees) or "no",
        _yes(facts.form_beside_tools and "form" not in facts.thinking_excludes),
        _yes(facts.form_streams),
        _yes(facts.strict),
        ", ".join(one for one in must if one) or "no",
    )


def _inputs() -> str:
    head = ("images by address", "audio", "files", "system messages", "parallel calls")
    return _of_facts(head, _input_cells)


def _input_cells(facts: Facts) -> Cells:
    return (
        _yes(facts.image_urls),
        _yes(facts.audio is not None),
        "no" if facts.files is None else f"`{facts.files}`" + (", by address too" if facts.file_urls else ""),
        "one, at the start" if facts.system == "first" else "anywhere",
        _yes("parallel_tool_calls" in facts.takes),
    )


def _yes(told: object) -> str:
    return "yes" if told else "no"


TABLES = {
    "vendors": _vendors,
    "parameters": _parameters,
    "thinking": _thinking,
    "forms": _forms,
    "inputs": _inputs,
}

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
