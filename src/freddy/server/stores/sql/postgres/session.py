"""Owns one connection to PostgreSQL: opens it, opens it again when it was lost, and runs works in its transactions."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, Protocol

import asyncpg

from freddy.server.core import errors
from freddy.server.stores.sql.connection import Taken, Work
from freddy.server.stores.sql.postgres import faults
from freddy.server.stores.sql.postgres.address import Address, unreadable
from freddy.server.stores.sql.statements import Row, Statement, Value

_log = logging.getLogger(__name__)

WRITERS = 0x46726564647900
"""The key of the advisory lock (a word in ASCII) that transactions share, and that one has for itself."""
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BEGIN = "BEGIN ISOLATION LEVEL SERIALIZABLE"
_JOIN = f"SELECT pg_current_xact_id()::text, pg_advisory_xact_lock_shared({WRITERS})"
# Nobody else writes then: nothing can fail for the sake of others, and each statement sees all that was written.
_BEGIN_ALONE = "BEGIN ISOLATION LEVEL READ COMMITTED"
_JOIN_ALONE = f"SELECT pg_current_xact_id()::text, pg_advisory_xact_lock({WRITERS})"
_STATUS = "SELECT pg_xact_status($1::text::xid8), pg_postmaster_start_time()::text"
_STARTED = "SELECT pg_postmaster_start_time()::text"
_APPLICATION = "freddy"
# Who stands still between two messages of one command counts as active, not as idle: no time limit of PostgreSQL holds
# for it before version 17, and none that leaves long transactions alone after it.
_END_STILL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND usename = current_user AND application_name = $1 AND state = 'active' AND wait_event = 'ClientRead'"
    " AND state_change < clock_timestamp() - make_interval(secs => $2)"
)
_LOOKS = 50
_BETWEEN_LOOKS = 0.1
_BETWEEN_CONNECTS = 0.2


class Raw(Protocol):
    """An `asyncpg.Connection`, as far as it is used. `timeout` is in seconds."""

    async def fetch(self, query: str, *values: object, timeout: float | None = None) -> list[Sequence[Any]]: ...  # noqa: ASYNC109

    async def fetchrow(self, query: str, *values: object) -> Sequence[Any] | None: ...

    async def fetchval(self, query: str, *values: object) -> Any: ...  # noqa: ANN401

    async def execute(self, query: str, *values: object, timeout: float | None = None) -> str: ...  # noqa: ASYNC109

    async def executemany(self, query: str, values: Sequence[Sequence[object]]) -> None: ...

    async def prepare(self, query: str, *, timeout: float | None = None) -> Any: ...  # noqa: ANN401, ASYNC109

    async def close(self, *, timeout: float) -> None: ...  # noqa: ASYNC109

    async def set_type_codec(
        self, name: str, *, schema: str, encoder: Callable[[Any], str], decoder: Callable[[str], Any]
    ) -> None: ...

    def is_closed(self) -> bool: ...

    def terminate(self) -> None: ...


class Away(Exception):
    """There is no connection to be had, or no knowing what became of a commit. The cause says it to the caller."""

    def __init__(self, told: Exception) -> None:
        super().__init__(str(told))
        self.told = told


class Failed(Exception):
    """A transaction that was rolled back. `again` says whether others may be to blame."""

    def __init__(self, cause: Exception, *, again: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.again = again


class Transaction:
    """The port `Connection`."""

    __slots__ = ("_raw", "taken")

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self.taken = False
        """Whether a unique key or a reference stood against a statement."""

    async def all(self, statement: Statement, **values: Value) -> list[Row]:
        text = statement.postgresql
        try:
            return [tuple(record) for record in await self._raw.fetch(text.sql, *text.bind(values))]
        except asyncpg.IntegrityConstraintViolationError as error:
            self._refuse(error)

    async def one(self, statement: Statement, **values: Value) -> Row | None:
        text = statement.postgresql
        try:
            record = await self._raw.fetchrow(text.sql, *text.bind(values))
        except asyncpg.IntegrityConstraintViolationError as error:
            self._refuse(error)
        return None if record is None else tuple(record)

    async def run(self, statement: Statement, **values: Value) -> int:
        text = statement.postgresql
        try:
            done = await self._raw.execute(text.sql, *text.bind(values))
        except asyncpg.IntegrityConstraintViolationError as error:
            self._refuse(error)
        # `INSERT 0 1`, `UPDATE 3`, or a command without a number.
        count = done.rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    async def many(self, statement: Statement, values: Sequence[Mapping[str, Value]]) -> None:
        text = statement.postgresql
        try:
            await self._raw.executemany(text.sql, [text.bind(each) for each in values])
        except asyncpg.IntegrityConstraintViolationError as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> NoReturn:
        if not faults.taken(error):
            raise error
        self.taken = True
        raise Taken(str(error)) from error


class Reach:
    """What the sessions of a database know together: whether the last one that wanted a connection waited in vain."""

    def __init__(self) -> None:
        self.away = False


class Session:
    """`patience` is how many seconds it waits for a connection, or for the answer to a statement.

    Of several that share a `reach` one waits so long; after that each tries once, until one succeeds.
    """

    def __init__(self, address: Address, *, patience: float, reach: Reach | None = None) -> None:
        self._address = address
        self._patience = patience
        self._reach = reach or Reach()
        self._raw: Raw | None = None
        self._started = ""
        """When the server was, to which the connection led last."""

    async def open(self) -> Raw:
        """Raises `Away`."""
        return await self._connected()

    async def close(self) -> None:
        raw, self._raw = self._raw, None
        if raw is None:
            return
        try:
            await raw.close(timeout=self._patience)
        except Exception:  # noqa: BLE001 — it is closed all the same, and nothing was under way
            raw.terminate()

    async def write(self, works: Sequence[Work[Any]], *, alone: bool) -> list[Any]:
        """What the works return, committed in one transaction. Raises `Failed` or `Away`.

        A transaction that is `alone` waits until no other writes, and holds the others up.
        """
        raw = await self._connected()
        started = self._started
        transaction = Transaction(raw)
        values = []
        try:
            # Who stands still in a transaction would keep its locks, and with them everybody else.
            idle = f"SET LOCAL idle_in_transaction_session_timeout = {round(self._patience * 1000)}"
            await raw.execute(f"{_BEGIN_ALONE if alone else _BEGIN}; {idle}")
            name: str = await raw.fetchval(_JOIN_ALONE if alone else _JOIN)
            for work in works:
                values.append(await work(transaction))  # noqa: PERF401 — one after the other
        except Exception as error:
            await self._roll_back(raw, error)
            if isinstance(error, TimeoutError):
                await self._end_who_stands_still()
            raise Failed(error, again=transaction.taken or faults.passing(error) or faults.lost(error)) from error
        try:
            await raw.execute("COMMIT")
        except Exception as error:
            await self._roll_back(raw, error)
            if not faults.lost(error) or not await self._was_committed(name, started):
                raise Failed(error, again=faults.passing(error) or faults.lost(error)) from error
        return values

    async def begin_read(self) -> Transaction:
        """A transaction that sees one moment. Raises `Failed` or `Away`."""
        raw = await self._connected()
        try:
            await raw.execute(_BEGIN_READ)
        except Exception as error:
            raise await self.failed(error) from error
        return Transaction(raw)

    async def end_read(self) -> None:
        if self._raw is not None:
            with suppress(Exception):  # what was read was read
                await self._raw.execute("COMMIT")
                return
            self._drop()

    async def failed(self, error: Exception) -> Failed:
        """What to raise for what stood against a statement of a read, whose transaction is over then."""
        if self._raw is not None:
            await self._roll_back(self._raw, error)
        return Failed(error, again=faults.lost(error))

    async def _connected(self) -> Raw:
        if self._raw is not None and not self._raw.is_closed():
            return self._raw
        until = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                raw = await connect(self._address, timeout=self._patience)
                self._started = await raw.fetchval(_STARTED)
                self._raw = raw
            except Exception as error:
                if not faults.worth_waiting(error):
                    raise Away(faults.translated(error)) from error
                if self._reach.away or asyncio.get_running_loop().time() > until:
                    self._reach.away = True
                    raise Away(faults.translated(error)) from error
            else:
                self._reach.away = False
                return self._raw
            await asyncio.sleep(_BETWEEN_CONNECTS)

    async def _roll_back(self, raw: Raw, error: Exception) -> None:
        if faults.lost(error):
            self._drop()
            return
        try:
            await raw.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 — a connection that ends rolls back as well
            self._drop()

    async def _end_who_stands_still(self) -> None:
        """Of the connections of any server to this database: they may hold what a statement waited for in vain."""
        try:
            raw = await self._connected()
            ended = await raw.fetch(_END_STILL, _APPLICATION, self._patience)
        except Exception:  # noqa: BLE001 — what waited tries again, and tells its own failure
            self._drop()
        else:
            if ended:
                _log.warning("connections_ended", extra={"count": len(ended), "seconds": self._patience})

    def _drop(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.terminate()

    async def _was_committed(self, name: str, started: str) -> bool:
        """What became of the transaction with this name, whose connection was lost while it committed.

        A server that was `started` again may have given the name to another transaction: what had not come to its disk
        it does not know of.
        """
        status: str | None = "in progress"
        for _ in range(_LOOKS):
            raw = await self._connected()
            try:
                record = await raw.fetchrow(_STATUS, name)
                assert record is not None
                status = record[0] if record[1] == started else None
            except Exception as error:  # noqa: BLE001 — what stood against the look is of no interest
                await self._roll_back(raw, error)
            if status != "in progress":
                break
            # The server has yet to notice that we were gone.
            await asyncio.sleep(_BETWEEN_LOOKS)
        if status in ("committed", "aborted"):
            return status == "committed"
        raise Away(
            errors.StorageUnavailable(
                "The connection to the database was lost while it wrote, and it cannot say what became of that.",
                details="Look whether it is there before you send it again.",
            )
        )


async def connect(address: Address, *, timeout: float) -> Raw:  # noqa: ASYNC109 — asyncpg's, for each statement as well
    try:
        raw: Raw = await asyncpg.connect(
            address.dsn,
            timeout=timeout,
            command_timeout=timeout,
            statement_cache_size=address.cached_statements,
            server_settings={"application_name": _APPLICATION},
        )
    except ValueError:
        raise unreadable() from None
    # Sums of whole numbers have a type of their own.
    await raw.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_number)
    return raw


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
