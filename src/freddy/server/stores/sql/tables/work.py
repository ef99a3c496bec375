"""What is under way: runs, who performs them, and what must not happen twice."""

import sqlalchemy as sa

from freddy.server.stores.sql.tables.catalog import metadata

# Runs that any worker may perform. `seq` is that of the response: the order in which they were queued. `fence` counts
# the claims; whoever made the last one has the run while `worker_id` names it, and made the end where there is one.
# `plan` is null from then on. It comes last: what SQLite does not read of a long row costs nothing.
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("response_id", sa.Text, sa.ForeignKey("responses.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("worker_id", sa.Text),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("losses", sa.BigInteger, nullable=False),
    sa.Column("stop", sa.Text),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("plan", sa.LargeBinary),
)
# Written out for the reason that `conversations.UNFINISHED` is.
QUEUED = sa.text("worker_id IS NULL AND ended_at IS NULL")
PERFORMED = sa.text("worker_id IS NOT NULL AND ended_at IS NULL")
OVER = sa.text("ended_at IS NOT NULL")
sa.Index("ix_runs_queued", runs.c.seq, sqlite_where=QUEUED)
sa.Index("ix_runs_performed", runs.c.worker_id, sqlite_where=PERFORMED)
sa.Index("ix_runs_over", runs.c.ended_at, sqlite_where=OVER)

# What happened in a run, in batches. `fence` is that of the claim with which a batch was written; the rest is
# `ports.runs.Entry`.
run_log = sa.Table(
    "run_log",
    metadata,
    sa.Column("response_id", sa.Text, sa.ForeignKey("runs.response_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("place", sa.BigInteger, primary_key=True),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("told", sa.BigInteger, nullable=False),
    sa.Column("events", sa.LargeBinary, nullable=False),
)

# Processes that live, and how often their hearts have beaten.
workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("beats", sa.BigInteger, nullable=False),
)

# Who answered a request for approval: the response that went on with it.
approval_claims = sa.Table(
    "approval_claims",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("response_id", sa.Text, nullable=False),
    sa.Column("approve", sa.Boolean, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

# Answers to POST requests with an idempotency key. `answer` is the body, or null where `response_id` names what
# the answer is made of again.
repeats = sa.Table(
    "repeats",
    metadata,
    sa.Column("organization_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("answer", sa.LargeBinary),
    sa.Column("response_id", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Index(None, "expires_at"),
)
