"""Writes log lines: one event a line, JSON or readable text, with the request's id and without secrets.

`logs.get(__name__).info("run_finished", run_id=run.id)`; the standard `logging` with `extra={…}` works, too.
"""

import contextlib
import contextvars
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO, Literal, TypeAlias

import msgspec

Form: TypeAlias = Literal["json", "text"]

HIDDEN = "***"
_SECRET_NAMES = re.compile(
    r"(^|_)(key|apikey|secret|password|passwd|authorization|credentials?|cookie|token|signature)$"
)
# What looks like a credential is hidden wherever it stands: in a message, in a traceback, in an address.
_SECRET_VALUES = re.compile(r"\bsk-[\w-]{6,}|\bBearer\s+[\w.~+/=-]{6,}|(?<=://)[^/\s@\"']+:[^/\s@\"']+(?=@)", re.I)
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
_FIELDS = "freddy_fields"
QUIET = ("aiohttp", "alembic", "asyncio", "httpx2", "httpcore2", "sqlalchemy", "uvicorn")

_request_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("freddy_request_id", default=None)


class Log:
    """A logger whose lines are an event's name and its fields."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **fields: object) -> None:
        if self._logger.isEnabledFor(logging.DEBUG):
            self._logger.debug(event, extra={_FIELDS: fields})

    def info(self, event: str, /, **fields: object) -> None:
        if self._logger.isEnabledFor(logging.INFO):
            self._logger.info(event, extra={_FIELDS: fields})

    def warning(self, event: str, /, **fields: object) -> None:
        if self._logger.isEnabledFor(logging.WARNING):
            self._logger.warning(event, extra={_FIELDS: fields})

    def error(self, event: str, /, **fields: object) -> None:
        if self._logger.isEnabledFor(logging.ERROR):
            self._logger.error(event, extra={_FIELDS: fields})

    def exception(self, event: str, /, **fields: object) -> None:
        """An error with the traceback of the exception being handled."""
        self._logger.error(event, exc_info=sys.exc_info(), extra={_FIELDS: fields})


def get(name: str) -> Log:
    return Log(logging.getLogger(name))


@contextlib.contextmanager
def request(request_id: str) -> Iterator[None]:
    """Every line written within, also by tasks started within, has this request id."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


def configure(level: str = "info", form: Literal["auto", "json", "text"] = "auto") -> None:
    """Sends every logger of the process to stderr. uvicorn needs `log_config=None`, or it undoes this."""
    stream = sys.stderr
    if form == "auto":
        form = "text" if stream.isatty() else "json"
    handler = make_handler(stream, form)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        library = logging.getLogger(name)
        library.setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.captureWarnings(capture=True)


def make_handler(stream: IO[str], form: Form) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines(form))
    return handler


class _Lines(logging.Formatter):
    def __init__(self, form: Form) -> None:
        super().__init__()
        self._write = _as_json if form == "json" else _as_text

    def format(self, record: logging.LogRecord) -> str:
        line = self._write(record, _fields(record))
        small = line.lower()
        # Looking for the signs first costs a hundredth of the expression, which few lines need.
        if "sk-" in small or "bearer" in small or "://" in small:
            return _SECRET_VALUES.sub(HIDDEN, line)
        return line


_formatter = logging.Formatter()


def _fields(record: logging.LogRecord) -> dict[str, object]:
    found: dict[str, object] = {}
    if (request_id := _request_id.get()) is not None:
        found["request_id"] = request_id
    for name, value in record.__dict__.items():
        if name == _FIELDS:
            found.update(value)
        elif name not in _STANDARD:
            found[name] = value
    if record.exc_info and record.exc_info[0]:
        found["error"] = record.exc_info[0].__name__
        found["traceback"] = _formatter.formatException(record.exc_info)
    return {name: _safe(name, value) for name, value in found.items()}


def _safe(name: str, value: object) -> object:
    if value is not None and _is_secret(name):
        return HIDDEN
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, Mapping):
        return {str(key): _safe(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_safe("", inner) for inner in value]
    return value


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name.lower().replace("-", "_")) is not None


def _time(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _as_json(record: logging.LogRecord, fields: dict[str, object]) -> str:
    said = "event" if record.name.startswith("freddy") else "message"
    line = {
        "time": _time(record),
        "level": record.levelname.lower(),
        said: record.getMessage(),
        "logger": record.name,
    }
    whole = line | {name: value for name, value in fields.items() if name not in line}
    try:
        return msgspec.json.encode(whole, enc_hook=str).decode()
    except (UnicodeError, TypeError):
        # Half a character, or a mapping's key of an odd type: rare, and still worth a line.
        return json.dumps(whole, default=str, skipkeys=True)


def _as_text(record: logging.LogRecord, fields: dict[str, object]) -> str:
    traceback = fields.pop("traceback", None)
    pairs = "".join(f" {name}={_plain(value)}" for name, value in fields.items())
    line = f"{_time(record)} {record.levelname.lower():<7} {_plain(record.getMessage(), spaces=True)}{pairs}"
    return f"{line}\n{traceback}" if traceback else line


def _plain(value: object, *, spaces: bool = False) -> str:
    """The value as one word, so that no value can pretend to be a line or a field of its own."""
    text = value if isinstance(value, str) else str(value)
    if text.isprintable() and text and (spaces or not any(sign in text for sign in ' "=')):
        return text
    return json.dumps(text, ensure_ascii=False)
