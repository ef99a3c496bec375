"""Turns vector stores, their files and batches into rows, and rows into them."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from freddy.server.core.vector_stores import Attribute, Batch, Chunking, Expiry, FileFailure, StoreFile, VectorStore
from freddy.server.stores.sql import tables
from freddy.server.stores.sql.statements import Row, Value

DAY = 86_400
_encoder = msgspec.json.Encoder()
_metadata = msgspec.json.Decoder(dict[str, str])
_attributes: msgspec.json.Decoder[dict[str, Attribute]] = msgspec.json.Decoder(dict[str, Attribute])

_stores = tables.vector_stores
_files = tables.vector_store_files
STORE_COLUMNS: list[sa.Column[Any]] = [_stores.c[name] for name in (
    "id", "organization_id", "name", "description", "metadata", "access_mode", "embedder", "dimensions", "expiry_days",
    "created_at", "updated_at", "used_at", "created_by", "bytes", "in_progress", "completed", "failed", "cancelled",
)]  # fmt: skip
FILE_COLUMNS: list[sa.Column[Any]] = [_files.c[name] for name in (
    "store_id", "file_id", "organization_id", "filename", "status", "attributes", "chunk_tokens", "overlap_tokens",
    "batch_id", "failure_code", "failure_message", "progress", "chunks", "bytes", "attempts", "begun", "created_at",
    "updated_at", "created_by",
)]  # fmt: skip


def text(of: Mapping[str, object]) -> str:
    return _encoder.encode(of).decode()


def attributes(kept: str) -> dict[str, Attribute]:
    return _attributes.decode(kept)


def store(row: Row) -> VectorStore:
    """Of `STORE_COLUMNS`."""
    (
        store_id, organization_id, name, description, metadata, access_mode, embedder, dimensions, days, created_at,
        updated_at, used_at, created_by, size, in_progress, completed, failed, cancelled,
    ) = row  # fmt: skip
    return VectorStore(
        id=store_id,
        organization_id=organization_id,
        name=name,
        description=description,
        metadata=_metadata.decode(metadata),
        access_mode=access_mode,
        embedder=embedder,
        dimensions=dimensions,
        expiry=None if days is None else Expiry(days),
        created_at=created_at,
        updated_at=updated_at,
        used_at=used_at,
        created_by=created_by,
        bytes=size,
        in_progress=in_progress,
        completed=completed,
        failed=failed,
        cancelled=cancelled,
    )


def store_changes(store: VectorStore) -> dict[str, Value]:
    """What may be altered of a store."""
    return {
        "name": store.name,
        "description": store.description,
        "metadata": text(store.metadata),
        "access_mode": store.access_mode,
        "expiry_days": None if store.expiry is None else store.expiry.days,
        "expires_at": store.expires_at,
        "updated_at": store.updated_at,
        "used_at": store.used_at,
    }


def store_values(store: VectorStore) -> dict[str, Value]:
    """The row of a new store, which has no files."""
    return store_changes(store) | {
        "id": store.id,
        "organization_id": store.organization_id,
        "embedder": store.embedder,
        "dimensions": store.dimensions,
        "created_at": store.created_at,
        "created_by": store.created_by,
        "version": 0,
        "bytes": 0,
        "chunks": 0,
        "in_progress": 0,
        "completed": 0,
        "failed": 0,
        "cancelled": 0,
        "deleted": False,
    }


def file(row: Row) -> StoreFile:
    """Of `FILE_COLUMNS`."""
    (
        store_id, file_id, organization_id, filename, status, kept, chunk_tokens, overlap_tokens, batch_id,
        failure_code, failure_message, progress, chunks, size, attempts, begun, created_at, updated_at, created_by,
    ) = row  # fmt: skip
    return StoreFile(
        store_id=store_id,
        file_id=file_id,
        organization_id=organization_id,
        filename=filename,
        status=status,
        attributes=attributes(kept),
        chunking=Chunking(chunk_tokens, overlap_tokens),
        batch_id=batch_id,
        failure=None if failure_code is None else FileFailure(failure_code, failure_message),
        progress=progress,
        chunks=chunks,
        bytes=size,
        attempts=attempts,
        begun=begun,
        created_at=created_at,
        updated_at=updated_at,
        created_by=created_by,
    )


def file_values(file: StoreFile) -> dict[str, Value]:
    return {
        "store_id": file.store_id,
        "file_id": file.file_id,
        "organization_id": file.organization_id,
        "filename": file.filename,
        "status": file.status,
        "attributes": text(file.attributes),
        "chunk_tokens": file.chunking.tokens,
        "overlap_tokens": file.chunking.overlap,
        "batch_id": file.batch_id,
        "failure_code": None if file.failure is None else file.failure.code,
        "failure_message": None if file.failure is None else file.failure.message,
        "progress": file.progress,
        "chunks": file.chunks,
        "bytes": file.bytes,
        "attempts": file.attempts,
        "begun": file.begun,
        "created_at": file.created_at,
        "updated_at": file.updated_at,
        "created_by": file.created_by,
    }


def batch_values(batch: Batch) -> dict[str, Value]:
    return {
        "id": batch.id,
        "store_id": batch.store_id,
        "organization_id": batch.organization_id,
        "created_at": batch.created_at,
        "cancelled": batch.cancelled,
    }
