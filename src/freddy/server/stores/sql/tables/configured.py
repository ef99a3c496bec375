"""What organizations configure: assistants, rules, prompts and other records."""

import sqlalchemy as sa

from freddy.server.stores.sql.tables.catalog import metadata

# Configured things: assistants, rules, prompts. `data` is the JSON of the kind's own struct; `version` counts from 1.
records = sa.Table(
    "records",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Index(None, "organization_id", "kind", "created_at", "id"),
)
record_versions = sa.Table(
    "record_versions",
    metadata,
    sa.Column("id", sa.Text, sa.ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
)

# Which rule is attached to what: an assistant, a user, a model, a vector store, an organization.
attachments = sa.Table(
    "attachments",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("rule_id", sa.Text, sa.ForeignKey("records.id", ondelete="CASCADE"), nullable=False),
    sa.Column("entity_type", sa.Text, nullable=False),
    sa.Column("entity_id", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("character_limit", sa.Integer),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.UniqueConstraint("rule_id", "entity_type", "entity_id"),
    sa.Index(None, "organization_id", "entity_type", "entity_id"),
)
