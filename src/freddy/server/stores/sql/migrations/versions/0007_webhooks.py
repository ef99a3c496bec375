"""Deliveries to webhooks."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_EVERYTHING = {
    "responses:read", "responses:write", "threads:read", "threads:write", "models:read", "files:read", "files:write",
    "vector_stores:read", "vector_stores:write", "assistants:read", "assistants:write", "rules:read", "rules:write",
    "prompts:read", "prompts:write", "mcp:read", "mcp:write", "functions:read", "functions:write", "usage:read",
    "keys:manage", "providers:manage", "members:manage", "organizations:manage", "audit:read",
}  # fmt: skip
_NEW_SCOPES = ("webhooks:read", "webhooks:write")
_keys = sa.table("api_keys", sa.column("id", sa.Text), sa.column("scopes", sa.Text))


def upgrade() -> None:
    _keep_everything(op.get_bind())
    op.create_table(
        "webhook_deliveries",
        sa.Column("webhook_id", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("failure", sa.Text),
        sa.Column("ended_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("webhook_id", "event_id", name="pk_webhook_deliveries"),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["records.id"], name="fk_webhook_deliveries_records", ondelete="CASCADE"
        ),
    )
    for name, columns, condition in (
        ("ix_webhook_deliveries_due", ["next_at"], "status = 'pending'"),
        ("ix_webhook_deliveries_ended_at", ["ended_at"], "ended_at IS NOT NULL"),
        ("ix_webhook_deliveries_over", ["webhook_id", "status", "ended_at"], "ended_at IS NOT NULL"),
        ("ix_webhook_deliveries_undelivered", ["webhook_id", "next_at"], "status = 'pending'"),
    ):
        op.create_index(
            name,
            "webhook_deliveries",
            columns,
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )
    op.create_index(
        "ix_webhook_deliveries_webhook_id_created_at_event_id",
        "webhook_deliveries",
        ["webhook_id", "created_at", "event_id"],
    )


def _keep_everything(connection: sa.Connection) -> None:
    """A key that might do everything still may."""
    for key_id, scopes in connection.execute(sa.select(_keys.c.id, _keys.c.scopes)).fetchall():
        known = json.loads(scopes)
        if set(known) >= _EVERYTHING:
            more = json.dumps([*known, *(scope for scope in _NEW_SCOPES if scope not in known)])
            connection.execute(_keys.update().where(_keys.c.id == key_id).values(scopes=more))
