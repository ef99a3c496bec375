"""Functions that installed packages bring, by the entry points `freddy.functions`."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, TypeAlias, get_type_hints

import msgspec
from msgspec import Raw, Struct

from freddy.server.core import errors, functions
from freddy.server.core.toolspec import Function
from freddy.server.ports.tools import Answer, Asker, ServerFunction
from freddy.server.tools.functions import answers

GROUP: Final = "freddy.functions"
_THREADS: Final = 16
"""Calls of functions that are not `async` and run at the same time."""
_NAME: Final = "ArgumentsOfTheCall"

_log = logging.getLogger(__name__)

Read: TypeAlias = Callable[[str, Asker], dict[str, Any]]
"""The keyword arguments that JSON text stands for. Raises `msgspec.MsgspecError`."""


class Brought:
    """A function of a package. It is given up after `seconds`; one that is not `async` goes on in its thread."""

    def __init__(
        self,
        spec: Function,
        work: Callable[..., Any],
        *,
        read: Read,
        source: str,
        origin: str | None = None,
        seconds: float,
        threads: ThreadPoolExecutor,
    ) -> None:
        self.spec = spec
        self.source = source
        self.origin = origin or source
        self._work = work
        self._read = read
        self._seconds = seconds
        self._threads = threads

    async def call(self, arguments: str, asker: Asker) -> Answer:
        name = self.spec.name
        try:
            told = self._read(arguments if arguments.strip() else "{}", asker)
        except msgspec.MsgspecError as error:
            return answers.failed(f"the arguments do not fit {name}: {error}", source=self.source)
        try:
            async with asyncio.timeout(self._seconds) as limit:
                return answers.of(await self._result(told), source=self.source)
        except errors.FreddyError as error:
            return answers.failed(f"{name}: {error.message}", source=self.source)
        except ValueError as error:
            return answers.failed(f"{name}: {error}", source=self.source)
        except Exception as error:  # noqa: BLE001
            if limit.expired():
                return answers.failed(f"{name} did not answer within {self._seconds:g} seconds", source=self.source)
            _log.exception("function_fault", extra={"function": name, "source": self.source})
            return answers.failed(
                f"{name} has a fault ({type(error).__name__}), which is in the server's log", source=self.source
            )

    async def _result(self, told: dict[str, Any]) -> object:
        if inspect.iscoroutinefunction(self._work):
            return await self._work(**told)
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._threads, partial(self._work, **told))
        return await result if inspect.isawaitable(result) else result


def brought(*, seconds: float, taken: Collection[str] = ()) -> Sequence[ServerFunction]:
    """All that installed packages bring, imported here; what is faulty is told to the log, and not there.

    `taken` are names that they cannot have.
    """
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="function")
    return list(_loaded(_points(), {*taken}, seconds=seconds, threads=threads))


@cache
def _points() -> Sequence[EntryPoint]:
    """Looked for once: every package of the installation is opened for it."""
    return sorted(entry_points(group=GROUP), key=_where)


def _loaded(
    points: Iterable[EntryPoint], taken: set[str], *, seconds: float, threads: ThreadPoolExecutor
) -> Iterable[ServerFunction]:
    for point in points:
        try:
            functions.check_name(point.name)
            _check_free(point.name, taken)
            work = point.load()
            spec, read = _described(point.name, work)
        except Exception as error:  # noqa: BLE001
            # A package's fault is not the server's: it starts without the function.
            _log.warning(
                "function_not_loaded",
                exc_info=not isinstance(error, ValueError | errors.FreddyError),
                extra={
                    "function": point.name,
                    "entry_point": point.value,
                    "source": _source(point),
                    "reason": str(error),
                },
            )
            continue
        taken.add(point.name)
        yield Brought(
            spec, work, read=read, source=_source(point), origin=_origin(point), seconds=seconds, threads=threads
        )


def _check_free(name: str, taken: Collection[str]) -> None:
    if name in taken:
        raise ValueError("there is another function of that name")


def _where(point: EntryPoint) -> tuple[str, str]:
    return _source(point), point.name


def _source(point: EntryPoint) -> str:
    return f"{_origin(point)} {point.dist.version}" if point.dist else _origin(point)


def _origin(point: EntryPoint) -> str:
    return f"package {point.dist.name if point.dist else point.module}"


def _described(name: str, work: Any) -> tuple[Function, Read]:  # noqa: ANN401
    """Raises ValueError for what is no function that could be described."""
    if not callable(work):
        raise ValueError("it is nothing that can be called")  # noqa: TRY004
    said = inspect.getdoc(work) if inspect.isroutine(work) else inspect.getdoc(type(work))
    description = (said or "")[: functions.LONGEST_DESCRIPTION] or None
    schema = getattr(work, "parameters", None)
    if schema is None:
        parameters, read = _derived(work)
    else:
        parameters, read = Raw(msgspec.json.encode(schema)), _as_told
    functions.check_parameters(parameters)
    return Function(name, description, parameters, once=getattr(work, "idempotent", True) is False), read


def _as_told(arguments: str, _asker: Asker) -> dict[str, Any]:
    return msgspec.json.decode(arguments, type=dict[str, Any])


def _derived(work: Callable[..., Any]) -> tuple[Raw, Read]:
    """JSON Schema of the typed parameters, and how arguments that fit it become values of these types.

    A parameter of the type `Asker` is no argument: it is given on whose behalf the function is called.
    """
    hints = get_type_hints(work if inspect.isroutine(work) else type(work).__call__, include_extras=True)
    fields: list[Any] = []
    askers = []
    for parameter in inspect.signature(work).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ValueError(f"its parameter {parameter.name!r} cannot be given by name")
        hint = hints.get(parameter.name, parameter.empty)
        if hint is parameter.empty:
            raise ValueError(f"its parameter {parameter.name!r} has no type")
        if hint is Asker:
            askers.append(parameter.name)
        elif parameter.default is parameter.empty:
            fields.append((parameter.name, hint))
        else:
            fields.append((parameter.name, hint, _default(parameter.default)))
    struct: type[Struct] = msgspec.defstruct(_NAME, fields, kw_only=True, forbid_unknown_fields=True)
    schema = msgspec.json.schema(struct)
    parts = schema["$defs"]
    top = {key: value for key, value in parts.pop(_NAME).items() if key != "title"}
    decoder = msgspec.json.Decoder(struct)

    def read(arguments: str, asker: Asker) -> dict[str, Any]:
        decoded = decoder.decode(arguments)
        told = {field: getattr(decoded, field) for field in struct.__struct_fields__}
        return told | dict.fromkeys(askers, asker)

    return Raw(msgspec.json.encode(top | {"$defs": parts} if parts else top)), read


def _default(value: Any) -> Any:  # noqa: ANN401
    plain = value is None or isinstance(value, str | int | float | bool)
    return value if plain else msgspec.field(default_factory=lambda: value)
