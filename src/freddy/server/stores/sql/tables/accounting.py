"""What was used, call by call and added up."""

import sqlalchemy as sa

from freddy.server.stores.sql.tables.catalog import metadata

# One row for each call of a model or a tool. `cost` is in billionths of a US dollar, null where no price is known.
# `place` counts the calls of a response from 0: a write that is repeated changes nothing. `summed` are those that
# `usage_sums` holds already.
usage = sa.Table(
    "usage",
    metadata,
    sa.Column("response_id", sa.Text, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("key_id", sa.Text),
    sa.Column("user_id", sa.Text),
    sa.Column("thread_id", sa.Text),
    sa.Column("assistant_id", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("cached_tokens", sa.BigInteger, nullable=False),
    sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
    sa.Column("estimated", sa.Boolean, nullable=False),
    sa.Column("cost", sa.BigInteger),
    sa.Column("milliseconds", sa.BigInteger, nullable=False),
    sa.Column("summed", sa.Boolean, nullable=False),
    sqlite_with_rowid=False,
)
UNSUMMED = sa.text("NOT summed")
sa.Index("ix_usage_unsummed", usage.c.organization_id, sqlite_where=UNSUMMED)

# The same, added up by the `hour`, `day` and `month` (its `span`) that begins at `start`, in Unix seconds of UTC. Empty
# strings stand for what is not there; the spans `… of all` have no keys and users. `requests` counts responses: at the
# first of their calls.
usage_sums = sa.Table(
    "usage_sums",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("span", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True),
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("cached_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.BigInteger, nullable=False),
    sa.Column("unpriced", sa.BigInteger, nullable=False),
    sa.Column("milliseconds", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
