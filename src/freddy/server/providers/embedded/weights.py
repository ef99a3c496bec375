"""The models folder: which models are there, where a name leads, the floor model's one-time rewrite."""

import contextlib
import importlib.util
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from freddy.server.providers.embedded import catalog, locks
from freddy.server.providers.embedded.catalog import CATALOG, Installed, Weights
from freddy.server.providers.embedded.faults import WeightsUnavailable
from freddy.server.providers.embedded.keeper import Choice
from freddy.server.providers.embedded.pull import check, partial

log = logging.getLogger(__name__)

RECODE = Path(__file__).with_name("recode.py")
RECODE_SECONDS = 600
MAGIC = b"GGUF"
SUFFIX = ".gguf"


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as the operator sees it. `path` is None while it is not there."""

    name: str
    size: int
    path: Path | None
    note: str = ""
    licence: str = ""

    @property
    def present(self) -> bool:
        return self.path is not None


def available(folder: Path, known: tuple[Weights, ...] = CATALOG) -> tuple[Listed, ...]:
    """Every known model, and the other GGUF files in the folder."""
    listed = [
        Listed(weights.name, weights.size, _found(weights, folder), weights.note, weights.licence) for weights in known
    ]
    ours = {name for weights in known for name in (weights.file, _recoded(weights, folder).name)}
    listed += [
        Listed(path.stem, path.stat().st_size, path, "A file of yours.")
        for path in sorted(folder.glob("*.gguf"))
        if path.name not in ours
    ]
    return tuple(listed)


def preferred(folder: Path, known: tuple[Weights, ...] = CATALOG) -> str | None:
    """The best known model that is there."""
    for weights in known:
        if _found(weights, folder):
            return weights.name
    return None


def resolve(name: str, folder: Path, known: tuple[Weights, ...] = CATALOG) -> Path:
    """A name, an alias or a path → a file that the engine can load.

    Blocks for some seconds when the floor model is met for the first time; run it in a thread.
    """
    weights = catalog.find(name, known)
    if weights is None:
        return _model(_file(name, folder, known))
    ready = _recoded(weights, folder)
    if weights.recoded and _whole(ready, weights.recoded):
        return ready
    found = _found(weights, folder)
    if found is None:
        raise WeightsUnavailable(
            f"the model {weights.name!r} is not on this machine", f"run: freddy models pull {weights.name}"
        )
    return _recode(weights, found, ready) if weights.recoded else found


def choose(name: str, folder: Path, known: tuple[Weights, ...] = CATALOG) -> Choice:
    """The model for an engine. Its file is looked for when the engine starts, each time it does."""
    weights = catalog.find(name, known)

    def locate() -> Path:
        return resolve(name, folder, known)

    if weights is None:
        return Choice(Path(name).stem if name.endswith(SUFFIX) else name, locate)
    return Choice(weights.name, locate, weights.note, weights.context)


def remove(name: str, folder: Path, known: tuple[Weights, ...] = CATALOG) -> tuple[Path, ...]:
    """Deletes what the folder holds of a model, unfinished pulls too. A file elsewhere is never touched."""
    weights = catalog.find(name, known)
    if weights is None:
        path = _file(name, folder, known)
        if path.parent.resolve() != folder.resolve():
            raise WeightsUnavailable(f"{str(path)!r} is not in the models folder", "delete it by hand")
        doomed = [path]
    else:
        doomed = [folder / weights.file, _recoded(weights, folder), *partial(folder, weights)]
        doomed.append(folder / f".{weights.file}.lock")
    gone = tuple(path for path in doomed if path.exists())
    for path in gone:
        path.unlink()
    return tuple(path for path in gone if path.suffix != ".lock")


def _model(path: Path) -> Path:
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            return path
    raise WeightsUnavailable(f"{str(path)!r} is not a GGUF file", "name a model's file in the GGUF format")


def _file(name: str, folder: Path, known: tuple[Weights, ...]) -> Path:
    for path in (Path(name).expanduser(), folder / name, folder / f"{name}.gguf"):
        if path.is_file():
            return path
    names = ", ".join(weights.name for weights in known)
    raise WeightsUnavailable(f"no model is called {name!r}", f"use one of {names}, or the path of a GGUF file")


def _found(weights: Weights, folder: Path) -> Path | None:
    ready, pulled = _recoded(weights, folder), folder / weights.file
    if weights.recoded and _whole(ready, weights.recoded):
        return ready
    if _whole(pulled, weights.size):
        return pulled
    installed = _installed(weights.installed) if weights.installed else None
    return installed if installed and _whole(installed, weights.size) else None


def _installed(place: Installed) -> Path | None:
    spec = importlib.util.find_spec(place.module)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(location) / place.file
        if path.is_file():
            return path
    return None


def _recoded(weights: Weights, folder: Path) -> Path:
    """Named after the source's hash: other weights or another recoding never meet an old file."""
    return folder / f"{weights.name}.q8_0.{weights.sha256[:8]}.gguf"


def _whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _recode(weights: Weights, source: Path, ready: Path) -> Path:
    """Once, however many processes start together; without the means for it the source serves as it is."""
    with locks.held(ready.with_name(f".{weights.file}.lock")):
        if weights.recoded is None or _whole(ready, weights.recoded):
            return ready
        if not check(source, weights):
            raise WeightsUnavailable(
                f"the file of {weights.name!r} is damaged (its sha256 is another)",
                f"delete {str(source)!r}, then run: freddy models pull {weights.name}",
            )
        part = ready.with_name(f"{weights.file}.recode.part")
        if not _rewrite(source, part) or not _whole(part, weights.recoded):
            part.unlink(missing_ok=True)
            log.warning("model_not_recoded", extra={"model": weights.name})
            return source
        part.replace(ready)
        if source.parent == ready.parent:
            with contextlib.suppress(OSError):  # Windows keeps a file that an engine has open.
                source.unlink()
        log.info("model_recoded", extra={"model": weights.name})
        return ready


def _rewrite(source: Path, target: Path) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 (our own script, our own paths)
            [sys.executable, "-P", str(RECODE), str(source), str(target)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=RECODE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
