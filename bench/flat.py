"""Whether a request costs the same however much is kept: small databases and threads beside large ones.

    python bench/flat.py [--responses 2000000] [--postgres] [--rounds 7] [--keep FOLDER]

One server over a small database and one over a large one answer the same requests in turns, A B A B, so that whatever
else the machine does meets both. The rows are made by SQL, as copies of what real requests have left. `cpu` is the
processor time of the server, and of PostgreSQL with it, for a request; `ms` is the median of what a caller waits.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import measure_gateway  # noqa: E402
import run as bench  # noqa: E402

import server  # noqa: E402
from databases import PostgresServer, postgres_server  # noqa: E402
from freddy.server.core.accounts import ApiKey, Organization  # noqa: E402
from freddy.server.core.vector_stores import Chunk, StoreFile, VectorStore  # noqa: E402
from freddy.server.stores.sql.accounts import SqlAccounts  # noqa: E402
from freddy.server.stores.sql.connection import Database  # noqa: E402
from freddy.server.stores.sql.opening import opened  # noqa: E402
from freddy.server.stores.sql.vector_stores import SqlVectorStores  # noqa: E402

SMALL = 2_000
"""Responses in the small database: 10,000 items."""
BATCH = 50_000
UNUSED = 30.0
"""Seconds after which a connection is left alone: the server may close one that is idle."""
SAID = "Explain photosynthesis in one paragraph, for somebody who has never heard of it."
INPUT = [
    {"role": "user", "content": "What do plants live on?"},
    {"role": "assistant", "content": "On water, air and light; and on a little of what is in the ground."},
    {"role": "user", "content": "And what comes of the air?"},
    {"role": "user", "content": SAID},
]
"""With the answer, five items a response."""


@dataclass
class Place:
    """A database of either kind, with the means to fill it."""

    address: str
    home: Path
    say: Callable[[str], object]
    ask: Callable[[str], list[dict[str, object]]]
    postgres: bool

    def new_id(self, prefix: str, number: str) -> str:
        """SQL for an id of a number: it sorts by it, as ids sort by their time."""
        at, rest = f"1600000000000 + 1000 * ({number})", f"({number}) * 2654435761"
        if self.postgres:
            at, rest = f"1600000000000 + 1000::bigint * ({number})", f"({number})::bigint * 2654435761"
            return f"'{prefix}_' || lpad(to_hex({at}), 12, '0') || lpad(to_hex({rest}), 16, '0')"
        return f"printf('{prefix}_%012x%016x', {at}, {rest})"

    def numbers(self, low: int, high: int) -> str:
        if self.postgres:
            return f"(SELECT generate_series({low}, {high - 1}) AS i) AS n"
        return (
            f"(WITH RECURSIVE c(i) AS (SELECT {low} UNION ALL SELECT i + 1 FROM c WHERE i + 1 < {high}) "
            "SELECT i FROM c) AS n"
        )

    def settle(self) -> None:
        self.say("VACUUM ANALYZE" if self.postgres else "PRAGMA wal_checkpoint(TRUNCATE)")


def literal(value: object, *, postgres: bool) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea" if postgres else f"x'{value.hex()}'"
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def copies(place: Place, table: str, row: dict[str, object], changed: dict[str, str], low: int, high: int) -> None:
    """Copies of a row for each number from `low` to below `high`. `changed` is SQL over `n.i`, by column."""
    values = [changed.get(name) or literal(value, postgres=place.postgres) for name, value in row.items()]
    names = ", ".join(f'"{name}"' for name in row)
    place.say(f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM {place.numbers(low, high)}")


@dataclass
class Side:
    """A server over one of the databases."""

    name: str
    place: Place
    address: str = ""
    pids: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    connection: http.client.HTTPConnection | None = None
    used: float = 0.0
    count: int = 0
    last: str = ""

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        if self.connection is None or time.monotonic() - self.used > UNUSED:
            self.connection = http.client.HTTPConnection(self.address)
        data = None if body is None else json.dumps(body)
        self.connection.request(method, path, data, {**self.headers, "content-type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        self.used = time.monotonic()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        told: dict[str, object] = json.loads(text)
        return told

    def cpu(self) -> float:
        """Seconds of processor time of all its processes, to the nanosecond."""
        used = 0
        for root in self.pids:
            for pid in server.tree(root):
                for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                    with contextlib.suppress(OSError):
                        used += int(task.read_text().split()[0])
        return used / 1e9


def create(side: Side, **more: object) -> dict[str, object]:
    return side.call("POST", "/v1/model/response", {"model": "mock", "inputs": SAID, **more})


def fill(side: Side, responses: int, *, threads: int) -> None:
    """Copies of one kept response, and two threads: of 100 items and of 10,000."""
    place = side.place
    kept = side.call("POST", "/v1/responses", {"model": "mock", "input": INPUT})
    threaded = create(side, thread_id="template")
    time.sleep(6)  # until the calls are in their sums
    (response,) = place.ask(f"SELECT * FROM responses WHERE id = '{kept['id']}'")
    items = place.ask(f"SELECT * FROM items WHERE owner_id = '{kept['id']}'")
    (usage,) = place.ask(f"SELECT * FROM usage WHERE response_id = '{kept['id']}'")
    sums = place.ask("SELECT * FROM usage_sums WHERE span = 'hour'")
    began = time.monotonic()
    first = 10
    for low in range(first, first + responses, BATCH):
        high = min(low + BATCH, first + responses)
        new = place.new_id("resp", "n.i")
        at = "1600000000 + n.i"
        copies(place, "responses", response, {"id": new, "seq": "n.i", "created_at": at, "completed_at": at}, low, high)
        for number, item in enumerate(items):
            named = place.new_id("msg", f"n.i * 8 + {number}")
            copies(place, "items", item, {"owner_id": new, "id": named}, low, high)
        copies(place, "usage", usage, {"response_id": new, "at": at}, low, high)
        print(f"\r  {high - first:,} of {responses:,} responses, {time.monotonic() - began:.0f} s", end="", flush=True)
    print()
    if place.postgres:
        place.say(f"SELECT setval(pg_get_serial_sequence('responses', 'seq'), {first + responses + 1000})")
    hours = 8_760 if responses > SMALL else 24
    for row in sums:
        copies(place, "usage_sums", row, {"start": f"{row['start']} - 3600 * n.i"}, 1, hours)
    (thread,) = place.ask("SELECT * FROM threads WHERE id = 'template'")
    copies(place, "threads", thread, {"id": place.new_id("thrd", "n.i"), "created_at": "1600000000 + n.i"}, 1, threads)
    (answered,) = place.ask(f"SELECT * FROM responses WHERE id = '{threaded['id']}'")
    said = place.ask(f"SELECT * FROM items WHERE owner_id = '{threaded['id']}'")
    (entry,) = place.ask(f"SELECT * FROM entries WHERE owner_id = '{threaded['id']}'")
    base = first + responses + 2_000_000
    for name, entries in (("short", 50), ("long", 5_000)):
        of = {"message_count": str(entries * 2), "places": str(entries), "id": f"'{name}'"}
        copies(place, "threads", thread, of, 0, 1)
        new = place.new_id("resp", "n.i")
        low, high = base, base + entries
        copies(place, "responses", answered, {"id": new, "seq": "n.i", "thread_id": f"'{name}'"}, low, high)
        for number, item in enumerate(said):
            named = place.new_id("msg", f"n.i * 8 + {number}")
            copies(place, "items", item, {"owner_id": new, "id": named}, low, high)
        where = {"owner_id": new, "thread_id": f"'{name}'", "place": f"n.i - {base} + 1"}
        copies(place, "entries", entry, where, low, high)
        base += 10_000
    if place.postgres:
        place.say(f"SELECT setval(pg_get_serial_sequence('responses', 'seq'), {base + 1000})")
    place.settle()


OPERATIONS: dict[str, Callable[[Side], object]] = {
    "response, kept": lambda side: create(side),
    "response, kept, OpenAI's path": lambda side: side.call("POST", "/v1/responses", {"model": "mock", "input": SAID}),
    "response in a new thread": lambda side: create(side, thread_id=f"fresh{random.random()}"),
    "response that continues another": lambda side: create(side, previous_response_id=side.last),
    "response got, of the newest 1,000": lambda side: side.call("GET", f"/v1/responses/{some(side, 1000)}"),
    "response got, any of all": lambda side: side.call("GET", f"/v1/responses/{some(side)}"),
    "items of any": lambda side: side.call("GET", f"/v1/responses/{some(side)}/input_items"),
    "responses, first page": lambda side: side.call("GET", "/v1/model/response?limit=20"),
    "threads, first page": lambda side: side.call("GET", "/v1/threads?limit=20"),
    "usage of 30 days by day": lambda side: side.call("GET", "/v1/usage?range=30d"),
}
THREADS: dict[str, Callable[[Side, str], object]] = {
    "response in the thread, its tail read": lambda side, thread: create(side, thread_id=thread),
    "first page of its messages": lambda side, thread: side.call("GET", f"/v1/threads/{thread}/messages?limit=20"),
    "items of the conversation, newest": lambda side, thread: side.call(
        "GET", f"/v1/conversations/{thread}/items?limit=20&order=desc"
    ),
    "items added by hand": lambda side, thread: side.call(
        "POST", f"/v1/conversations/{thread}/items", {"items": [{"role": "user", "content": SAID}]}
    ),
    "the thread itself": lambda side, thread: side.call("GET", f"/v1/threads/{thread}"),
}


def some(side: Side, newest: int | None = None) -> str:
    """The id of any of the copies."""
    number = random.randrange(10 + side.count - (newest or side.count), 10 + side.count)
    return f"resp_{1600000000000 + 1000 * number:012x}{number * 2654435761:016x}"


def measure(
    rows: Sequence[tuple[str, Sequence[tuple[Side, Callable[[], object]]]]], *, rounds: int, calls: int
) -> None:
    print(f"\n{'':42}{'small ms':>9}{'large ms':>9}{'ratio':>7}{'small cpu':>11}{'large cpu':>11}{'ratio':>7}")
    for name, pair in rows:
        waited: list[list[float]] = [[], []]
        spent: list[list[float]] = [[], []]
        for _, act in pair:
            for _ in range(5):
                act()
        for _ in range(rounds):
            for which, (side, act) in enumerate(pair):
                before = side.cpu()
                for _ in range(calls):
                    began = time.perf_counter()
                    act()
                    waited[which].append((time.perf_counter() - began) * 1000)
                spent[which].append((side.cpu() - before) * 1000 / calls)
        small, large = (statistics.median(each) for each in waited)
        used, more = (statistics.median(each) for each in spent)
        print(
            f"{name:42}{small:9.2f}{large:9.2f}{large / small:7.2f}{used:11.3f}{more:11.3f}{more / used:7.2f}",
            flush=True,
        )


@contextlib.contextmanager
def served(side: Side, upstream: str) -> Iterator[None]:
    settings = {
        "FREDDY_DEV_MODE": "off",
        "FREDDY_MODEL": "none",
        "FREDDY_UPSTREAM_URL": f"http://{upstream}/v1",
        "FREDDY_LOG_LEVEL": "warning",
        "FREDDY_DATABASE": side.place.address,
        "FREDDY_CONTEXT_TOKENS": "2000",
    }
    key = server.make_key(side.place.home, FREDDY_DATABASE=side.place.address)
    with server.serving(side.place.home, **settings) as freddy:
        side.address, side.pids = freddy.address, [freddy.pid, *side.pids]
        side.headers = {"authorization": f"Bearer {key}"}
        yield


@contextlib.contextmanager
def places(folder: Path, *, postgres: bool) -> Iterator[list[Side]]:
    """The small database and the large one."""
    sides = []
    with contextlib.ExitStack() as stack:
        for name in ("small", "large"):
            home = folder / name
            home.mkdir(exist_ok=True)
            if postgres:
                settings = ("shared_buffers=512MB", "autovacuum=off", "max_wal_size=8GB", "synchronous_commit=on")
                database = stack.enter_context(postgres_server(*settings))
                sides.append(Side(name, _postgres(database, home), pids=[_pid(database)]))
            else:
                sides.append(Side(name, _sqlite(home)))
        yield sides


def _sqlite(home: Path) -> Place:
    file = home / "freddy.db"

    def connected() -> sqlite3.Connection:
        connection = sqlite3.connect(file, isolation_level=None, timeout=60)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        connection.row_factory = sqlite3.Row
        return connection

    held: list[sqlite3.Connection] = []

    def one() -> sqlite3.Connection:
        if not held:
            held.append(connected())
        return held[0]

    return Place(
        str(file),
        home,
        lambda sql: one().execute(sql).fetchall(),
        lambda sql: [dict(row) for row in one().execute(sql)],
        postgres=False,
    )


def _postgres(database: PostgresServer, home: Path) -> Place:
    import asyncpg  # noqa: PLC0415 only where asked

    loop = asyncio.new_event_loop()
    held: list[asyncpg.Connection] = []

    def asked(sql: str) -> list[dict[str, object]]:
        async def work() -> list[dict[str, object]]:
            if not held:
                held.append(await asyncpg.connect(database.url()))
            return [dict(row) for row in await held[0].fetch(sql, timeout=3600)]

        return loop.run_until_complete(work())

    return Place(database.url(), home, asked, asked, postgres=True)


def _pid(database: PostgresServer) -> int:
    return int((database.folder / "data" / "postmaster.pid").read_text().splitlines()[0])


async def apart(folder: Path, rounds: int) -> None:
    """What a request asks of its stores before it is performed: its key among many, its vector store among many."""
    chance = random.Random(1)
    print(f"\n{'':42}{'small µs':>9}{'large µs':>9}{'ratio':>7}")
    async with contextlib.AsyncExitStack() as stack:
        accounts, vectors = [], []
        for name, keys, stores in (("few", 10, 1), ("many", 10_000, 1_000)):
            database: Database = await stack.enter_async_context(opened(folder / f"{name}.db"))
            accounts.append(await _keys(database, keys))
            vectors.append(await _stores(database, stores, chance))
        asked = array("f", [chance.gauss(0, 1) for _ in range(384)]).tobytes()

        async def find(which: int) -> None:
            store, digests = accounts[which]
            assert await store.find_key(chance.choice(digests)) is not None

        async def meaning(which: int) -> None:
            store, ids = vectors[which]
            assert await store.nearest("org_a", [ids[0]], asked, limit=10)

        async def words(which: int) -> None:
            store, ids = vectors[which]
            assert await store.matching("org_a", [ids[0]], "light sugar", limit=10)

        for name, act in (
            ("a key, of 10 and of 10,000", find),
            ("one vector store of 1,000: by meaning", meaning),
            ("one vector store of 1,000: by words", words),
        ):
            spent: list[list[float]] = [[], []]
            for _ in range(rounds * 3):
                for which in (0, 1):
                    await act(which)
                    began = time.process_time()
                    for _ in range(50):
                        await act(which)
                    spent[which].append((time.process_time() - began) / 50 * 1e6)
            few, many = (statistics.median(each) for each in spent)
            print(f"{name:42}{few:9.0f}{many:9.0f}{many / few:7.2f}", flush=True)


async def _keys(database: Database, count: int) -> tuple[SqlAccounts, list[bytes]]:
    store = SqlAccounts(database)
    await store.add_organization(Organization(id="org_a", name="A", created_at=1))
    digests = [random.Random(number).randbytes(32) for number in range(count)]
    for low in range(0, count, 500):
        async with asyncio.TaskGroup() as tasks:
            for number, digest in enumerate(digests[low : low + 500], low):
                key = ApiKey(
                    id=f"key_{number:05}", name="k", prefix="sk-…", digest=digest, organization_ids=("org_a",),
                    scopes=(), created_at=number,
                )  # fmt: skip
                tasks.create_task(store.add_key(key))
    return store, digests


async def _stores(database: Database, count: int, chance: random.Random) -> tuple[SqlVectorStores, list[str]]:
    store = SqlVectorStores(database, memory=2**28)
    ids = [f"vs_{number:05}" for number in range(count)]
    for store_id in ids:
        made = VectorStore(
            id=store_id, organization_id="org_a", name="n", embedder="e", dimensions=384,
            created_at=1, updated_at=1, used_at=1,
        )  # fmt: skip
        await store.add(made, most=10**6)
        file = StoreFile(
            store_id=store_id, file_id=f"file_{store_id}", organization_id="org_a", filename="a.txt",
            attributes={}, created_at=1, updated_at=1,
        )  # fmt: skip
        await store.add_files([file], most=10**6)
        (claimed,) = await store.claim(10, lease=60, limit=1)
        chunks = [
            Chunk(place, f"Plants turn light into sugar, part {place}", _vector(chance), 10) for place in range(20)
        ]
        await store.index(claimed, chunks, 12)
    return store, ids


def _vector(chance: random.Random) -> bytes:
    return array("f", [chance.gauss(0, 1) for _ in range(384)]).tobytes()


def growth(folder: Path, upstream: str, *, postgres: bool, count: int = 2_000) -> None:
    """How many bytes the database grows by for each kept response."""
    print("\nbytes a kept response, request and answer of usual size")
    openai = {"model": "mock", "input": SAID}
    kinds: dict[str, Callable[[Side], object]] = {
        "/v1/responses, in no thread": lambda side: side.call("POST", "/v1/responses", openai),
        "in a thread of its own": create,
        "in one long thread": lambda side: create(side, thread_id="one"),
    }
    for number, (name, act) in enumerate(kinds.items()):
        with contextlib.ExitStack() as stack:
            home = folder / f"growth-{number}"
            home.mkdir()
            if postgres:
                place = _postgres(stack.enter_context(postgres_server("autovacuum=off")), home)
            else:
                place = _sqlite(home)
            side = Side(name, place)
            with served(side, upstream):
                sizes, told = [], 0
                for _ in range(2):
                    for _ in range(count):
                        told = len(json.dumps(act(side)))
                    place.settle()
                    sizes.append(_size(place))
                print(f"  {name:30}{(sizes[1] - sizes[0]) / count:8.0f}   (the answer as JSON: {told})", flush=True)


def _size(place: Place) -> int:
    if place.postgres:
        (row,) = place.ask("SELECT pg_database_size(current_database()) AS size")
        return int(str(row["size"]))
    return Path(place.address).stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--responses", type=int, default=2_000_000, help="in the large database; each has five items")
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL of its own instead of SQLite")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=30, help="requests to one server before it is the other's turn")
    parser.add_argument("--only", action="store_true", help="neither what keys and vector stores cost, nor the growth")
    parser.add_argument("--folder", type=Path, help="where the databases are made (default: a temporary folder)")
    told = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="freddy-flat-", dir=told.folder)))
        tools = bench.build(folder)
        upstream = stack.enter_context(measure_gateway.upstream(tools))
        if not told.only:
            asyncio.run(apart(folder, told.rounds))
            growth(folder, upstream, postgres=told.postgres)
        small, large = sides = stack.enter_context(places(folder, postgres=told.postgres))
        for side, responses, threads in ((small, SMALL, 10), (large, told.responses, 10_000)):
            stack.enter_context(served(side, upstream))
            fill(side, responses, threads=threads)
            side.count = responses
            side.last = str(create(side)["id"])
            for _ in range(4):
                side.last = str(create(side, previous_response_id=side.last)["id"])
            print(f"  {side.name}: {_size(side.place) / 1e9:.2f} GB")
        print(f"\n{SMALL * 5:,} items kept, and {told.responses * 5:,}; 10 threads, and 10,000")
        measure(
            [
                (name, [(side, lambda side=side, act=act: act(side)) for side in sides])
                for name, act in OPERATIONS.items()
            ],
            rounds=told.rounds,
            calls=told.calls,
        )
        print("\na thread of 100 items, and one of 10,000")
        measure(
            [
                (name, [(large, lambda act=act, thread=thread: act(large, thread)) for thread in ("short", "long")])
                for name, act in THREADS.items()
            ],
            rounds=told.rounds,
            calls=told.calls,
        )


if __name__ == "__main__":
    main()
