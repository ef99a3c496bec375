"""Vector stores, and the chunks, words and vectors of their files."""

import sqlalchemy as sa

from freddy.server.stores.sql.tables.catalog import metadata

# `number` stands for the store in the tables of its chunks. `version` grows whenever something else can be found in
# it than before. `bytes`, `chunks` and the counts are sums over its files. One that is `deleted` is there for nobody;
# its row goes when the last of its chunks has gone.
vector_stores = sa.Table(
    "vector_stores",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("access_mode", sa.Text, nullable=False),
    sa.Column("embedder", sa.Text, nullable=False),
    sa.Column("dimensions", sa.Integer, nullable=False),
    sa.Column("expiry_days", sa.Integer),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("chunks", sa.BigInteger, nullable=False),
    sa.Column("in_progress", sa.Integer, nullable=False),
    sa.Column("completed", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("cancelled", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sqlite_autoincrement=True,
)
STANDING = sa.text("NOT deleted")
DELETED = sa.text("deleted")
sa.Index(
    "ix_vector_stores_standing",
    vector_stores.c.organization_id,
    vector_stores.c.created_at,
    vector_stores.c.id,
    sqlite_where=STANDING,
)
sa.Index("ix_vector_stores_deleted", vector_stores.c.number, sqlite_where=DELETED)
PASSING = vector_stores.c.expires_at.is_not(None)
sa.Index("ix_vector_stores_expires_at", vector_stores.c.expires_at, sqlite_where=PASSING)

# `begun` tells the times apart that the file was put in line; `attempts` counts how often somebody took it since then,
# and `leased_until` is how long it is theirs.
vector_store_files = sa.Table(
    "vector_store_files",
    metadata,
    sa.Column("store_id", sa.Text, primary_key=True),
    sa.Column("file_id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.Column("chunk_tokens", sa.Integer, nullable=False),
    sa.Column("overlap_tokens", sa.Integer, nullable=False),
    sa.Column("batch_id", sa.Text),
    sa.Column("failure_code", sa.Text),
    sa.Column("failure_message", sa.Text),
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("begun", sa.BigInteger, nullable=False),
    sa.Column("leased_until", sa.BigInteger, nullable=False),
    sa.Index(None, "store_id", "created_at", "file_id"),
    sa.Index(None, "organization_id", "file_id"),
)
WAITING = sa.text("status = 'in_progress'")
sa.Index(
    "ix_vector_store_files_waiting",
    vector_store_files.c.created_at,
    vector_store_files.c.file_id,
    sqlite_where=WAITING,
)
BATCHED = vector_store_files.c.batch_id.is_not(None)
sa.Index(
    "ix_vector_store_files_batch_id",
    vector_store_files.c.batch_id,
    sqlite_where=BATCHED,
)
vector_store_batches = sa.Table(
    "vector_store_batches",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("store_id", sa.Text, nullable=False),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("cancelled", sa.Boolean, nullable=False),
    sa.Index(None, "store_id"),
)

# Up to 256 chunks of a file, which were written together, see `segments`. Those of a completed file whose `begun` and
# `attempt` are the file's are found, all others are in nobody's way. `store` is the number of the store;
# `lengths` are the words of each chunk, as little-endian 32-bit numbers. What is `dead` is about to be removed.
vector_segments = sa.Table(
    "vector_segments",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("store", sa.BigInteger, nullable=False),
    sa.Column("file_id", sa.Text, nullable=False),
    sa.Column("begun", sa.BigInteger, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("lengths", sa.LargeBinary, nullable=False),
    sa.Column("dead", sa.Boolean, nullable=False),
    sa.Index(None, "store", "file_id"),
    # What is in memory goes by the number: it is never given again.
    sqlite_autoincrement=True,
)
DEAD = sa.text("dead")
sa.Index("ix_vector_segments_dead", vector_segments.c.number, sqlite_where=DEAD)

# The vectors of a segment one behind the other: a row that is changed is written again as a whole, these never are.
vector_blobs = sa.Table(
    "vector_blobs",
    metadata,
    sa.Column("segment", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("vectors", sa.LargeBinary, nullable=False),
)
# `id` is the segment times 256, and the chunk's offset in it.
vector_chunks = sa.Table(
    "vector_chunks",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("segment", sa.BigInteger, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("tokens", sa.Integer, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)
# In which chunks of a segment a word is: little-endian 16-bit numbers, each the offset times 256 and how often it is
# there, up to 255.
vector_words = sa.Table(
    "vector_words",
    metadata,
    sa.Column("store", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("word", sa.Text, primary_key=True),
    sa.Column("segment", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("postings", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
