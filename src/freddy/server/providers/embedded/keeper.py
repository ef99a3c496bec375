"""Keeps one model served: starts its engine process, starts it again when it dies, gives up."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from freddy.server.providers.embedded import diagnosis, libgomp
from freddy.server.providers.embedded.child import Address, Child, Death, Launch, Limits
from freddy.server.providers.embedded.faults import EngineUnavailable, WeightsUnavailable

log = logging.getLogger(__name__)

Phase = Literal["absent", "starting", "ready", "restarting", "failed"]


@dataclass(frozen=True, slots=True)
class State:
    phase: Phase
    model: str = ""
    reason: str = ""
    """Why it is not ready, for the operator."""
    cure: str = ""
    starts: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """A model by name, and how to find its file; `locate` may take its time, in a thread."""

    name: str
    locate: Callable[[], Path]
    note: str = ""
    context: int | None = None
    """Tokens that the model was made for, where known."""


@dataclass(frozen=True, slots=True)
class Patience:
    tries: int = 5
    """Deaths in a row, each soon after being ready, before the engine counts as failed."""
    first: float = 0.5
    """Seconds before the first new start; each next one waits twice as long."""
    longest: float = 30.0
    steady: float = 60.0
    """Ready for so long, earlier deaths are forgotten."""
    rest: float = 300.0
    """Failed for so long, it is tried once more."""
    start: float = 600.0
    """How long one start may take."""


@dataclass(frozen=True, slots=True)
class Means:
    """What every engine process of one server shares."""

    directory: Path | None
    """Where sockets are; `None` for loopback TCP."""
    limits: Limits
    patience: Patience
    environment: Mapping[str, str] | None


@dataclass(slots=True)
class Keeper:
    choice: Choice
    means: Means
    serial: int
    state: State = field(init=False)
    address: Address | None = field(default=None, init=False)
    pid: int | None = field(default=None, init=False)
    leases: int = field(default=0, init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _environment: Mapping[str, str] | None = field(init=False)
    _ready_at: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.state = State("starting", self.choice.name)
        self._environment = self.means.environment

    async def run(self) -> None:
        """Until cancelled, or until it is sure that no other start can succeed."""
        deaths = 0
        while True:
            found = await self._serve()
            if self._ready_at and self._now() - self._ready_at > self.means.patience.steady:
                deaths = 0
            deaths += 1
            if found.lasting:
                self._tell("failed", found)
                return
            tired = deaths >= self.means.patience.tries
            self._tell("failed" if tired else "restarting", found)
            await asyncio.sleep(self._pause(deaths))

    async def wait(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    async def wait_ready(self) -> Address:
        await self.wait(lambda: self.address is not None or self.state.phase == "failed")
        if self.address is None:
            raise EngineUnavailable(self.state.reason, self.state.cure)
        return self.address

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[Address]:
        """The address for one request; a retired engine goes when its last lease is over."""
        self.leases += 1
        try:
            yield await self.wait_ready()
        finally:
            self.leases -= 1
            self._notify()

    async def _serve(self) -> diagnosis.Diagnosis:
        """One start, one life, one death."""
        self._ready_at = None
        try:
            model = await asyncio.to_thread(self.choice.locate)
        except WeightsUnavailable as error:
            return diagnosis.Diagnosis(error.reason, error.cure, lasting=True)
        except OSError as error:
            return diagnosis.Diagnosis(
                f"the model's file cannot be read ({error.strerror})", "check the models folder", lasting=True
            )
        death = await self._live(model)
        if death.stage == "import" and "libgomp" in death.detail:
            death = await self._with_libgomp(model, death)
        return diagnosis.diagnose(death, self.choice.name)

    async def _live(self, model: Path) -> Death:
        self.state = State("starting", self.choice.name, starts=self.state.starts + 1)
        self._notify()
        child = Child(self._launch(model))
        try:
            return await child.run(lambda address: self._announce(child, address))
        except OSError as error:
            return Death(None, "launch", str(error))
        finally:
            self.address = self.pid = None

    async def _with_libgomp(self, model: Path, death: Death) -> Death:
        library = libgomp.find()
        if library is None or self.means.directory is None:
            return death
        folder = await asyncio.to_thread(libgomp.link, library, self.means.directory)
        self._environment = {**(self._environment or {}), "LD_LIBRARY_PATH": str(folder)}
        return await self._live(model)

    def _launch(self, model: Path) -> Launch:
        socket = f"{self.serial}-{self.state.starts}.sock"
        return Launch(
            name=self.choice.name,
            model=model,
            limits=self.means.limits,
            socket=self.means.directory / socket if self.means.directory else None,
            environment=self._environment,
            timeout=self.means.patience.start,
        )

    def _announce(self, child: Child, address: Address) -> None:
        self.address, self.pid = address, child.pid
        self._ready_at = self._now()
        self.state = State("ready", self.choice.name, starts=self.state.starts)
        self._notify()
        log.info("engine_ready", extra={"model": self.choice.name, "starts": self.state.starts})

    def _tell(self, phase: Phase, found: diagnosis.Diagnosis) -> None:
        starts = self.state.starts
        self.state = State(phase, self.choice.name, found.reason, found.cure, starts)
        self._notify()
        told = {"model": self.choice.name, "reason": found.reason, "cure": found.cure}
        log.warning("engine_ended", extra={**told, "phase": phase, "starts": starts})

    def _pause(self, deaths: int) -> float:
        patience = self.means.patience
        if deaths >= patience.tries:
            return patience.rest
        return min(patience.longest, patience.first * 2.0 ** (deaths - 1))

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
