"""Runs that any process may perform and another go on with, their logs, and the processes that live."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("responses", sa.Column("performer", sa.Text))
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("beats", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "runs",
        sa.Column("response_id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("worker_id", sa.Text),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("losses", sa.BigInteger, nullable=False),
        sa.Column("stop", sa.Text),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("plan", sa.LargeBinary),
        sa.PrimaryKeyConstraint("response_id", name="pk_runs"),
        sa.ForeignKeyConstraint(["response_id"], ["responses.id"], name="fk_runs_responses", ondelete="CASCADE"),
    )
    for name, column, condition in (
        ("ix_runs_over", "ended_at", "ended_at IS NOT NULL"),
        ("ix_runs_performed", "worker_id", "worker_id IS NOT NULL AND ended_at IS NULL"),
        ("ix_runs_queued", "seq", "worker_id IS NULL AND ended_at IS NULL"),
    ):
        op.create_index(name, "runs", [column], sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))
    op.create_table(
        "run_log",
        sa.Column("response_id", sa.Text, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("told", sa.BigInteger, nullable=False),
        sa.Column("events", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("response_id", "place", name="pk_run_log"),
        sa.ForeignKeyConstraint(["response_id"], ["runs.response_id"], name="fk_run_log_runs", ondelete="CASCADE"),
    )
