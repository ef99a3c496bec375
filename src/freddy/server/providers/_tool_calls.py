"""Finds calls in what a model writes: text deltas → text and call deltas. Pure.

Small models write a call in `<tool_call>` tags, in a fenced block or bare, whatever they were told. Text that
can still become a call is held back; what cannot is passed on at once.
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from freddy.server.core import deltas, items
from freddy.server.providers._tool_prompt import CALL, CALL_END, canonical

_OPENING = re.compile(r"<tool_call>|^[ \t]*(?:```|[{\[])", re.MULTILINE)
_HALF_OPEN = re.compile(r"(?:<(?:t(?:o(?:o(?:l(?:_(?:c(?:a(?:l(?:l)?)?)?)?)?)?)?)?)?|^[ \t]*`{0,2})\Z", re.MULTILINE)
_FENCE = re.compile(r"[ \t]*```(\w*)[ \t]*\n")
_FENCES = ("", "json", "tool_call", "xml")
_BEFORE_KEY = re.compile(r"\s*(?:\[\s*)?(?:\{\s*)?")
_KEYS = ("name", "function", "type", "arguments", "parameters")
_CUT_CALL = re.compile(r'\s*\[?\s*\{\s*"name"\s*:\s*"([^"]+)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=[{"])')
_MISSING = ("", "}", "}}", "]", "}]", "}}]")
_SPENT = 32
"""Pieces of text after the only call of a turn until nobody waits for the model's own end."""

_decode = json.JSONDecoder(strict=False)
_Verdict: TypeAlias = Literal["wait", "text"]


@dataclass(frozen=True, slots=True)
class _Found:
    calls: tuple[tuple[str, str], ...]
    end: int


class Reader:
    """One answer. Feed it every delta but keep the last, `Stop`, for `close`."""

    def __init__(self, names: Iterable[str], *, parallel: bool, answered: Collection[tuple[str, str]] = ()) -> None:
        """`answered`: calls, by name and canonical arguments, that are not made again."""
        self.repeats = False
        """The model makes only calls whose outputs it has: it will not get on by itself."""
        self._names = frozenset(names)
        self._parallel = parallel
        self._answered = answered
        self._held = ""
        self._logprobs: tuple[items.Logprob, ...] = ()
        self._fresh = True
        """Whether what is held stands at the start of a line."""
        self._blank = ""
        """White space at the very start: nothing yet, and nothing at all before a call."""
        self._said = False
        self._calls = 0
        self._after = 0

    @property
    def spent(self) -> bool:
        """The model called, may not call again, and goes on writing."""
        return self._after > _SPENT

    def feed(self, batch: Sequence[deltas.Delta]) -> list[deltas.Delta]:
        told: list[deltas.Delta] = []
        for delta in batch:
            if not isinstance(delta, deltas.Text):
                told.append(delta)
                continue
            if self.repeats or (self._calls and not self._parallel):
                self._after += 1
                continue
            self._held += delta.text
            self._logprobs += delta.logprobs
            told += self._sift(final=False)
        return told

    def close(self, stop: deltas.Stop) -> list[deltas.Delta]:
        told = self._sift(final=True, cut=stop.reason == "length") if self._held else []
        reason = stop.reason
        if self._calls and reason == "stop":
            reason = "tool_calls"
        return [*told, deltas.Stop(reason, stop.usage)]

    def _sift(self, *, final: bool, cut: bool = False) -> list[deltas.Delta]:
        told: list[deltas.Delta] = []
        while self._held:
            start, whole = self._opening(final=final)
            told += self._pass(start)
            if not self._held or not whole:
                break
            found = self._examine(final=final)
            if found == "text" and cut and (call := self._cut_call()):
                told.append(call)
                self._held = ""
            elif found == "wait":
                break
            elif found == "text":
                told += self._pass(self._opening_length())
            else:
                fresh = [call for call in found.calls if (call[0], canonical(call[1])) not in self._answered]
                told += [self._call(name, arguments) for name, arguments in fresh]
                self._held, self._logprobs = self._held[found.end :], ()
                self.repeats = not self._calls
                if not self._parallel or self.repeats:
                    self._held = ""
        return told

    def _opening(self, *, final: bool) -> tuple[int, bool]:
        """Where in the held text a call may begin (its length if nowhere), and whether it has."""
        shift = 0 if self._fresh else 1
        # One character before a text that goes on in a line, so that `^` does not match at its start.
        text = "x" * shift + self._held
        if found := _OPENING.search(text):
            return found.start() - shift, True
        half = None if final else _HALF_OPEN.search(text)
        return (half.start() - shift if half else len(self._held)), False

    def _opening_length(self) -> int:
        found = _OPENING.match(self._held)
        return found.end() if found else len(self._held)

    def _pass(self, length: int) -> list[deltas.Delta]:
        text, self._held = self._held[:length], self._held[length:]
        if not text:
            return []
        self._fresh = text.endswith("\n") or (self._fresh and not text.strip(" \t"))
        if self._calls:
            return []  # What small models write after a call is an output that they make up.
        if not self._said:
            text = self._blank + text
            self._said = not text.isspace()
            self._blank = "" if self._said else text
            if not self._said:
                return []
        logprobs, self._logprobs = self._logprobs, ()
        return [deltas.Text(text, logprobs)]

    def _call(self, name: str, arguments: str) -> deltas.ToolCall:
        self._calls += 1
        return deltas.ToolCall(self._calls - 1, arguments, name)

    def _examine(self, *, final: bool) -> _Found | _Verdict:
        """What stands at an opening: calls, only text, or not yet known."""
        held = self._held
        if held.startswith(CALL):
            return self._read(len(CALL), CALL_END, final=final)
        stripped = held.lstrip(" \t")
        if not stripped.startswith("```"):
            return self._read(0, "", final=final)
        fence = _FENCE.match(held)
        if fence is None:
            language = stripped.removeprefix("```")
            return "wait" if not final and any(f.startswith(language) for f in _FENCES) else "text"
        if fence[1].lower() not in _FENCES:
            return "text"
        start = fence.end()
        inside = held[start:].lstrip()
        if inside.startswith(CALL):
            return self._read(held.index(CALL, start) + len(CALL), CALL_END, final=final)
        if CALL.startswith(inside) and not final:
            return "wait"
        return self._read(start, "```", final=final)

    def _read(self, start: int, closing: str, *, final: bool) -> _Found | _Verdict:
        body = self._held[start:]
        if not self._may_be(body):
            return "text"
        value, end = _value(body)
        if end:
            calls = self._understood(value)
            return _Found(calls, start + end) if calls else "text"
        closed = body.find(closing) if closing else -1
        if closed < 0 and not final:
            return "wait"
        end = closed if closed >= 0 else len(body)
        for missing in _MISSING[1:]:
            value, whole = _value(body[:end].rstrip() + missing)
            if whole and (calls := self._understood(value)):
                return _Found(calls, start + end + len(closing) * (closed >= 0))
        return "text"

    def _may_be(self, body: str) -> bool:
        """Whether this beginning of JSON can become a call of a declared tool."""
        before = _BEFORE_KEY.match(body)
        rest = body[before.end() :] if before else body
        if not rest:
            return True
        key, _, rest = rest.partition(":")
        key = key.strip()
        whole = key.endswith('"') and len(key) > 1
        if not whole:
            return any(f'"{name}"'.startswith(key) for name in _KEYS)
        if key.strip('"') not in _KEYS:
            return False
        value = rest.lstrip()
        if key != '"name"' or not value:
            return True
        named = value[1:].partition('"')
        if value[0] != '"':
            return False
        return named[0] in self._names if named[1] else any(n.startswith(named[0]) for n in self._names)

    def _understood(self, value: object) -> tuple[tuple[str, str], ...]:
        calls = value if isinstance(value, list) else [value]
        understood = [call for one in calls if (call := self._one(one))]
        return tuple(understood) if len(understood) == len(calls) else ()

    def _one(self, value: object) -> tuple[str, str] | None:
        if not isinstance(value, dict):
            return None
        call = value.get("function", value)
        if not isinstance(call, dict) or call.get("name") not in self._names:
            return None
        arguments = call.get("arguments", call.get("parameters", {}))
        if isinstance(arguments, str):
            arguments, end = _value(arguments)
            if not end:
                return None
        if not isinstance(arguments, dict):
            return None
        return call["name"], json.dumps(arguments, ensure_ascii=False)

    def _cut_call(self) -> deltas.ToolCall | None:
        """A call that the limit of the answer cut off: what there is of its arguments."""
        text = self._held.removeprefix(CALL)
        found = _CUT_CALL.match(_FENCE.sub("", text, count=1))
        if found is None or found[1] not in self._names:
            return None
        return self._call(found[1], found.string[found.end() :])


def _value(text: str) -> tuple[object, int]:
    """The JSON value at the start of the text and where it ends; 0 where none is whole."""
    start = len(text) - len(text.lstrip())
    try:
        return _decode.raw_decode(text, start)
    except ValueError:
        return None, 0
