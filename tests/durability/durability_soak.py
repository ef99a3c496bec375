"""Faults at random, for as long as is wished.

`PYTHONPATH=tests:tests/api:tests/durability python -m durability_soak --minutes 30` performs rounds of half a minute,
each on a cluster of its own. What a round does follows from its seed alone: one that fails says its seed and its steps,
and with `--seed` it is performed again. When exactly things happen is the machine's own.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from durability_checks import Crowd, Watched, check, check_accounts
from durability_cluster import PATHS, Cluster, Way, cluster
from durability_stage import Plan
from durability_watch import OVER
from msgspec import Struct

import databases
from valkeys import Valkey, valkey

NAMES = ("one", "two", "three")
PATIENCE = 120.0


class Step(Struct, frozen=True):
    """What happens `after` so many seconds: `what` to the process or the run `which`."""

    after: float
    what: str
    which: int = 0


class Round(Struct, frozen=True):
    """`plans` are begun one after the other, each before the step of the same place."""

    seed: int
    told: bool
    plans: tuple[tuple[str, Plan], ...]
    steps: tuple[Step, ...]


FAULTS = ("kill", "kill", "freeze", "stop", "cut", "close", "cancel", "delete", "valkey", "follow")


def drawn(seed: int) -> Round:
    chance = random.Random(seed)
    plans: list[tuple[str, Plan]] = []
    for number in range(chance.randint(8, 24)):
        dialect = chance.choice([*PATHS])
        letters = "fm" if dialect == "freddy" else "m"
        turns = tuple(
            "".join(chance.choice(letters) for _ in range(chance.randint(1, 3))) for _ in range(chance.randint(0, 3))
        )
        plan = Plan(
            f"s{seed}n{number}",
            turns=turns,
            words=chance.randint(1, 30),
            says=chance.random() < 0.5,
            pause=chance.choice([0.0, 0.01, 0.05, 0.2]),
        )
        plans.append((dialect, plan))
    steps = tuple(
        Step(round(chance.uniform(0, 2.5), 2), chance.choice(FAULTS), chance.randrange(1000))
        for _ in range(chance.randint(4, 10))
    )
    return Round(seed, chance.random() < 0.5, tuple(plans), steps)


class Player:
    """Performs one round."""

    def __init__(self, made: Cluster, crowd: Crowd, way: Way, signals: Valkey) -> None:
        self._made = made
        self._crowd = crowd
        self._way = way
        self._signals = signals
        self._stopped: set[str] = set()
        self._deleted: set[str] = set()

    async def play(self, round_: Round) -> None:
        waiting = list(round_.plans)
        for place, step in enumerate(round_.steps):
            share = -(-len(waiting) // (len(round_.steps) - place))
            for dialect, plan in waiting[:share]:
                await self._crowd.begin(plan, dialect, by=self._made.some())
            del waiting[:share]
            await asyncio.sleep(step.after)
            await self._do(step)
        await self._restore()
        await self._crowd.wait_over(*self._left(), seconds=PATIENCE)
        await self._check()

    def _left(self) -> list[Watched]:
        return [run for run in self._crowd.runs if run.id not in self._deleted]

    async def _do(self, step: Step) -> None:
        name = NAMES[step.which % len(NAMES)]
        member = self._made.members[name]
        run = self._crowd.runs[step.which % len(self._crowd.runs)]
        match step.what:
            case "kill":
                member.kill()
                await self._crowd.lose()
                await self._made.start(name)
            case "freeze":
                await asyncio.to_thread(member.freeze)
                await self._crowd.lose()
                await asyncio.sleep(1 + step.which % 4)
                member.thaw()
            case "stop":
                await asyncio.to_thread(member.stop)
                await self._crowd.lose()
                await self._made.start(name)
            case "cut":
                self._way.cut()
                await self._crowd.lose()
            case "close":
                self._way.close()
                await asyncio.sleep(step.which % 4)
                self._way.open()
                await self._crowd.lose()
            case "valkey":
                self._signals.stop()
                await asyncio.sleep(step.which % 3)
                await asyncio.to_thread(self._signals.start)
            case "cancel" if run.id not in self._deleted:
                self._stopped.add(run.id)
                await self._made.ask("POST", f"{run.path}/cancel")
            case "delete" if run.id not in self._deleted:
                self._deleted.add(run.id)
                await self._made.ask("DELETE", f"/v1/responses/{run.id}")
            case _:
                await self._made.look(run.path)

    async def _restore(self) -> None:
        """What is left is to go on undisturbed."""
        for name in NAMES:
            if not self._made.members[name].up:
                await self._made.start(name)

    async def _check(self) -> None:
        for run in self._left():
            ended = (await run.get())["status"]
            assert ended in OVER
            if run.id not in self._stopped:
                assert ended == "completed", f"{run.plan.run} ended as {ended}"
            await check(run, status=ended)
        await check_accounts(self._made, self._left())
        rows = await self._made.rows("SELECT response_id FROM runs WHERE ended_at IS NULL")
        assert rows == [], f"runs that never end: {rows}"
        self._made.check_logs()
        assert self._made.stage.complaints == []


async def play(round_: Round) -> None:
    postgres = databases.server()
    with tempfile.TemporaryDirectory() as folder, valkey() as signals:
        told = {"FREDDY_REDIS_URL": signals.url} if round_.told else {}
        async with Way(postgres) as way:
            ways = dict.fromkeys(NAMES, way)
            async with cluster(Path(folder), postgres, NAMES, ways=ways, **told) as made, Crowd(made) as crowd:
                try:
                    await Player(made, crowd, way, signals).play(round_)
                except BaseException:
                    for member in made.members.values():
                        _say(f"--- {member.name}\n{member.said()[-3000:]}")
                    raise


def _say(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, help="that of the first round; the next have the numbers behind it")
    parser.add_argument("--rounds", type=int, help="so many and no more")
    asked = parser.parse_args()
    # Whoever is told to stop ends the processes of the round first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    until = time.monotonic() + asked.minutes * 60
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    done = 0
    while time.monotonic() < until and (asked.rounds is None or done < asked.rounds):
        round_ = drawn(seed)
        _say(f"round {seed}: {len(round_.plans)} runs, {' '.join(step.what for step in round_.steps)}")
        try:
            asyncio.run(play(round_))
        except BaseException:
            _say(f"FAILED. Again: --seed {seed} --rounds 1\n{round_}")
            raise
        seed, done = seed + 1, done + 1
    _say(f"{done} rounds went well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
