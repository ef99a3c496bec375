"""What was said: threads, responses, and the items of both."""

import sqlalchemy as sa

from freddy.server.stores.sql.tables.catalog import metadata

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
    sa.Column("assistant_id", sa.Text),
    sa.Column("user_id", sa.Text),
    sa.Column("visible", sa.Boolean, nullable=False),
    sa.Column("message_count", sa.Integer, nullable=False),
    sa.Column("places", sa.BigInteger, nullable=False),
    sa.Index(None, "organization_id", "created_at", "id"),
)
PINNED = threads.c.pinned_at.is_not(None)
sa.Index(
    "ix_threads_pinned",
    threads.c.organization_id,
    threads.c.pinned_at,
    threads.c.id,
    sqlite_where=PINNED,
)
OWNED = threads.c.user_id.is_not(None)
sa.Index(
    "ix_threads_user",
    threads.c.organization_id,
    threads.c.user_id,
    threads.c.created_at,
    threads.c.id,
    sqlite_where=OWNED,
)

# What was added to a thread, in the order in which it was: a response that succeeded, or items put there by hand.
# `place` counts from 1, up to the thread's `places`; `owner_id` is what the items name.
entries = sa.Table(
    "entries",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("thread_id", sa.Text, primary_key=True),
    sa.Column("place", sa.BigInteger, primary_key=True),
    sa.Column("owner_id", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(
        ["organization_id", "thread_id"], ["threads.organization_id", "threads.id"], ondelete="CASCADE"
    ),
    sa.Index(None, "owner_id", "organization_id", "thread_id"),
)

# Pairs of the metadata of threads and responses, to find them by. `id` is that of the thread or response.
labels = sa.Table(
    "labels",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Index(None, "organization_id", "kind", "id"),
)

# `seq` is the order in which responses began. `request` is the JSON of the core request with an empty input
# (the input is in `items`), `outcome` that of `rows.Outcome`. `performer` is the worker that makes a response of which
# there is no row in `runs`: nobody else goes on with it.
responses = sa.Table(
    "responses",
    metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text),
    sa.Column("user_id", sa.Text),
    sa.Column("thread_id", sa.Text),
    sa.Column("previous_response_id", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("completed_at", sa.BigInteger),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("performer", sa.Text),
    sa.ForeignKeyConstraint(
        ["organization_id", "thread_id"], ["threads.organization_id", "threads.id"], ondelete="CASCADE"
    ),
    sa.Index(None, "organization_id", "seq"),
)
THREADED = responses.c.thread_id.is_not(None)
# Written out, because SQLite uses a partial index only where a query repeats its condition in so many words.
UNFINISHED = sa.text("status IN ('queued', 'in_progress')")
sa.Index(
    "ix_responses_thread",
    responses.c.organization_id,
    responses.c.thread_id,
    responses.c.seq,
    sqlite_where=THREADED,
)
sa.Index("ix_responses_unfinished", responses.c.status, sqlite_where=UNFINISHED)

# `owner_id` is a response or an entry put into a thread by hand. `direction` is `in` or `out`; `position` counts from
# 0 in each. `data` is the JSON of the core item. What is `hidden` was edited away or branched off: its response still
# has it, its thread does not.
items = sa.Table(
    "items",
    metadata,
    sa.Column("owner_id", sa.Text, primary_key=True),
    sa.Column("direction", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("hidden", sa.Boolean, nullable=False),
    sa.Index(None, "id"),
)
