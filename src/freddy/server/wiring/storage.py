"""Where everything is kept: the home folder, the database and its stores, files."""

from contextlib import AsyncExitStack
from pathlib import Path

import sqlalchemy as sa
from msgspec import Struct

from freddy.server.config import Settings
from freddy.server.ports.blobs import Blobs
from freddy.server.stores.blobs.local import LocalBlobs
from freddy.server.stores.sql.accounts import SqlAccounts
from freddy.server.stores.sql.approvals import SqlApprovals
from freddy.server.stores.sql.attachments import SqlAttachments
from freddy.server.stores.sql.audit import SqlAudit
from freddy.server.stores.sql.claim import claimed
from freddy.server.stores.sql.connection import Database
from freddy.server.stores.sql.opening import opened
from freddy.server.stores.sql.provider_keys import SqlProviderKeys
from freddy.server.stores.sql.records import SqlRecords
from freddy.server.stores.sql.repeats import SqlRepeats
from freddy.server.stores.sql.responses import SqlResponses
from freddy.server.stores.sql.runs import SqlRuns
from freddy.server.stores.sql.statements import Statement
from freddy.server.stores.sql.threads import SqlThreads
from freddy.server.stores.sql.uploads import SqlFiles
from freddy.server.stores.sql.usage import SqlUsage
from freddy.server.stores.sql.users import SqlUsers

_ANYTHING = Statement(sa.select(sa.literal_column("1")))


class Stores(Struct, frozen=True):
    """Every store over one database."""

    database: Database
    responses: SqlResponses
    runs: SqlRuns
    threads: SqlThreads
    accounts: SqlAccounts
    users: SqlUsers
    audit: SqlAudit
    provider_keys: SqlProviderKeys
    records: SqlRecords
    attachments: SqlAttachments
    files: SqlFiles
    usage: SqlUsage
    repeats: SqlRepeats
    approvals: SqlApprovals


async def stores(settings: Settings, stack: AsyncExitStack, worker_id: str) -> Stores:
    """`worker_id` is what this process is called.

    Raises `errors.StorageUnavailable` when the database cannot be opened, and OSError for the home folder.
    """
    _make_home(settings.home)
    if isinstance(settings.store.database, Path):
        stack.enter_context(claimed(settings.store.database))
    database = await stack.enter_async_context(opened(settings.store.database))
    return Stores(
        database,
        SqlResponses(database, worker_id),
        SqlRuns(database),
        SqlThreads(database),
        SqlAccounts(database),
        SqlUsers(database),
        SqlAudit(database),
        SqlProviderKeys(database),
        SqlRecords(database),
        SqlAttachments(database),
        SqlFiles(database),
        SqlUsage(database),
        SqlRepeats(database),
        SqlApprovals(database),
    )


async def readable(database: Database) -> str:
    await database.read(lambda connection: connection.all(_ANYTHING))
    return "ok"


def blobs(settings: Settings) -> Blobs:
    told = settings.files
    if told.s3_bucket is None:
        return LocalBlobs(settings.files_path)
    from freddy.server.stores.blobs.s3 import S3Blobs  # noqa: PLC0415 — imports obstore

    return S3Blobs(
        told.s3_bucket,
        region=told.s3_region,
        endpoint=told.s3_endpoint,
        prefix=told.s3_prefix,
        access_key=told.s3_access_key,
        secret_key=told.s3_secret_key,
    )


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"the home folder {str(home)!r} cannot be made: {error.strerror}; choose another with FREDDY_HOME"
        ) from error
