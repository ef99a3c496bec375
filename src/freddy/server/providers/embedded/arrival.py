"""Brings a better model to a running engine: pulled beside it, then put in its place."""

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from freddy.server.providers.embedded import pull
from freddy.server.providers.embedded.catalog import Weights
from freddy.server.providers.embedded.engine import Engine
from freddy.server.providers.embedded.faults import EngineUnavailable, WeightsUnavailable
from freddy.server.providers.embedded.keeper import Choice

log = logging.getLogger(__name__)


async def improve(engine: Engine, weights: Weights, choice: Choice, *, folder: Path, index: str) -> None:
    """Returns when the model answers, or when it could not be had: that is logged, the present one stays."""
    stopped = threading.Event()
    try:
        await asyncio.to_thread(pull.pull, weights, folder, index=index, progress=_progress(weights.name, stopped))
        await engine.switch(choice)
    except (WeightsUnavailable, EngineUnavailable, OSError) as error:
        log.warning("model_not_pulled", extra={"model": weights.name, "reason": str(error)})
    except Exception:
        # A better model is a favour: its faults never take the server along.
        log.exception("model_pull_fault", extra={"model": weights.name})
    else:
        log.info("model_switched", extra={"model": weights.name})
    finally:
        stopped.set()


class _Stopped(Exception):
    """The server ends; the pull goes on at its next start."""


def _progress(name: str, stopped: threading.Event) -> Callable[[int, int, str], None]:
    told = -1

    def tell(done: int, total: int, source: str) -> None:
        nonlocal told
        if stopped.is_set():
            raise _Stopped
        tenths = done * 10 // max(total, 1)
        if tenths != told:
            told = tenths
            log.info("model_pull", extra={"model": name, "percent": tenths * 10, "source": source})

    return tell
