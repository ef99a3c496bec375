"""Uploaded files."""

import sqlalchemy as sa

from freddy.server.stores.sql.tables.catalog import metadata

# Ids sort by their time of birth. `orphan_blobs` are names of blobs that no file has: being written, or to be removed.
files = sa.Table(
    "files",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("key_id", sa.Text),
    sa.Index(None, "organization_id", "id"),
)
EXPIRING = files.c.expires_at.is_not(None)
sa.Index("ix_files_expires_at", files.c.expires_at, sqlite_where=EXPIRING)
orphan_blobs = sa.Table("orphan_blobs", metadata, sa.Column("name", sa.Text, primary_key=True))
