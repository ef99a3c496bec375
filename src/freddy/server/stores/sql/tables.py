"""What is kept: every table, described once for all databases."""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("organization_ids", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.BigInteger),
)

# Users choose the ids of threads: the same id in two organizations is two threads.
threads = sa.Table(
    "threads",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("last_message_at", sa.BigInteger),
    sa.Column("title", sa.Text),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("last_model", sa.Text),
    sa.Column("pinned_at", sa.BigInteger),
    sa.Index(None, "organization_id", "created_at", "id"),
)

# `seq` is the order in which responses began. `request` is the JSON of the core request with an empty input
# (the input is in `items`), `outcome` that of `rows.Outcome`.
responses = sa.Table(
    "responses",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text),
    sa.Column("thread_id", sa.Text),
    sa.Column("previous_response_id", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("completed_at", sa.BigInteger),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(
        ["organization_id", "thread_id"], ["threads.organization_id", "threads.id"], ondelete="CASCADE"
    ),
)
SUCCEEDED = ("completed", "incomplete", "requires_action")
"""The states of the responses whose items are part of their thread."""
THREADED = responses.c.thread_id.is_not(None)
# Written out, because SQLite uses a partial index only where a query repeats its condition in so many words.
UNFINISHED = sa.text("status IN ('queued', 'in_progress')")
sa.Index(
    "ix_responses_thread",
    responses.c.organization_id,
    responses.c.thread_id,
    responses.c.seq,
    sqlite_where=THREADED,
    postgresql_where=THREADED,
)
sa.Index("ix_responses_unfinished", responses.c.status, sqlite_where=UNFINISHED, postgresql_where=UNFINISHED)

# `direction` is `in` or `out`; `position` counts from 0 in each. `data` is the JSON of the core item.
items = sa.Table(
    "items",
    metadata,
    sa.Column("response_id", sa.Text, sa.ForeignKey("responses.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("direction", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index(None, "id"),
)
MESSAGES = sa.text("type = 'message'")
sa.Index("ix_items_messages", items.c.response_id, sqlite_where=MESSAGES, postgresql_where=MESSAGES)

# Keys that organizations bring for upstreams. `sealed` is ciphertext, `hint` what people may see of the key.
provider_keys = sa.Table(
    "provider_keys",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("upstream", sa.Text, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("hint", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)

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
sa.Index("ix_files_expires_at", files.c.expires_at, sqlite_where=EXPIRING, postgresql_where=EXPIRING)
orphan_blobs = sa.Table("orphan_blobs", metadata, sa.Column("name", sa.Text, primary_key=True))
