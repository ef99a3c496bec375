"""Reads the `[[models]]` tables: who may answer to a name, and what the operator knows of the model."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from freddy.server.config.sections.models import Candidate, Price, Served
from freddy.server.config.tables import Table

_FLAGS = (
    "tools", "parallel_tool_calls", "images", "image_urls", "audio", "files",
    "reasoning", "sampling", "schemas", "json",
)  # fmt: skip
_TOKENS = ("context_tokens", "output_tokens")
_MONEY = ("input", "output", "cached", "cache_write")
_KEYS = ("name", "candidates", "description", *_FLAGS, *_TOKENS, "max_temperature", "price")
_EXAMPLE = '[{ upstream = "azure", model = "gpt-4o" }]'
_MOST_TOKENS = 1_000_000_000


class Models:
    """One reading. `upstreams` are the names that a candidate may have."""

    def __init__(self, file: Path | None, upstreams: Collection[str]) -> None:
        self.problems: list[str] = []
        self._file = file
        self._upstreams = upstreams

    def read(self, tables: object) -> tuple[Served, ...]:
        if not isinstance(tables, list):
            self._say(f"{self._file}: models must be written as [[models]], with two brackets")
            return ()
        found: dict[str, Served] = {}
        for number, values in enumerate(tables, 1):
            where = f"{self._file}: models {number}"
            if not isinstance(values, dict):
                self._say(f"{where} must be a table")
                continue
            before = len(self.problems)
            served = self._served(Table(where, values, self._say))
            if len(self.problems) > before or served is None:
                continue
            if served.name in found:
                self._say(f"{where} has the same name {served.name!r} as another; give one model more candidates")
            found[served.name] = served
        return tuple(found.values())

    def _served(self, table: Table) -> Served | None:
        table.only(_KEYS)
        name = table.text("name", needed=True)
        facts: dict[str, Any] = {key: table.flag(key) for key in _FLAGS}
        facts |= {key: table.whole(key, 1, _MOST_TOKENS) for key in _TOKENS}
        facts |= {"description": table.text("description"), "max_temperature": table.number("max_temperature", 0, 2)}
        facts["price"] = self._price(table)
        if "candidates" not in table:
            self._say(f"{table.where} needs candidates such as {_EXAMPLE}")
        told = [self._candidate(one) for one in table.tables("candidates", _EXAMPLE) or ()]
        candidates = tuple(one for one in told if one is not None)
        return Served(name=name, candidates=candidates, **facts) if name else None

    def _candidate(self, table: Table) -> Candidate | None:
        table.only(("upstream", "model", "order", "weight"))
        upstream, model = table.text("upstream", needed=True), table.text("model", needed=True)
        order, weight = table.whole("order", 0, 1000), table.number("weight", 0, 1_000_000)
        if upstream is None or model is None:
            return None
        if upstream not in self._upstreams:
            there = ", ".join(sorted(self._upstreams)) or "none"
            self._say(f"{table.where}: there is no upstream {upstream!r}; there is {there}")
        return Candidate(upstream=upstream, model=model, order=order or 0, weight=1.0 if weight is None else weight)

    def _price(self, table: Table) -> Price | None:
        inner = table.table("price", "{ input = 2.5, output = 10 }")
        if inner is None:
            return None
        inner.only(_MONEY)
        told = {key: inner.number(key, 0, 1_000_000, needed=key in ("input", "output")) for key in _MONEY}
        if told["input"] is None or told["output"] is None:
            return None
        return Price(input=told["input"], output=told["output"], cached=told["cached"], cache_write=told["cache_write"])

    def _say(self, problem: str) -> None:
        self.problems.append(problem)
