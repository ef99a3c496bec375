"""Events on their way to webhooks."""

import sqlalchemy as sa

from freddy.server.stores.sql.tables.catalog import metadata

# Events on their way to webhooks, which are records. `next_at` is when somebody may take a delivery that is pending:
# whoever has it moves that on.
webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("webhook_id", sa.Text, sa.ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
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
    sa.Index(None, "webhook_id", "created_at", "event_id"),
)
UNDELIVERED = sa.text("status = 'pending'")
sa.Index(
    "ix_webhook_deliveries_due",
    webhook_deliveries.c.next_at,
    sqlite_where=UNDELIVERED,
)
sa.Index(
    "ix_webhook_deliveries_undelivered",
    webhook_deliveries.c.webhook_id,
    webhook_deliveries.c.next_at,
    sqlite_where=UNDELIVERED,
)
DELIVERY_OVER = webhook_deliveries.c.ended_at.is_not(None)
sa.Index(
    "ix_webhook_deliveries_ended_at",
    webhook_deliveries.c.ended_at,
    sqlite_where=DELIVERY_OVER,
)
sa.Index(
    "ix_webhook_deliveries_over",
    webhook_deliveries.c.webhook_id,
    webhook_deliveries.c.status,
    webhook_deliveries.c.ended_at,
    sqlite_where=DELIVERY_OVER,
)
