"""Vector stores with their files and chunks, and answers to requests for approval."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_EVERYTHING = {
    "responses:read", "responses:write", "threads:read", "threads:write", "models:read", "files:read", "files:write",
    "keys:manage", "providers:manage", "assistants:read", "assistants:write", "rules:read", "rules:write",
    "prompts:read", "prompts:write", "usage:read", "members:manage", "organizations:manage", "audit:read",
}  # fmt: skip
_NEW_SCOPES = (
    "vector_stores:read", "vector_stores:write", "mcp:read", "mcp:write", "functions:read", "functions:write",
)  # fmt: skip
_keys = sa.table("api_keys", sa.column("id", sa.Text), sa.column("scopes", sa.Text))


def upgrade() -> None:
    _keep_everything(op.get_bind())
    op.create_table(
        "approval_claims",
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("response_id", sa.Text, nullable=False),
        sa.Column("approve", sa.Boolean, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "request_id", name="pk_approval_claims"),
    )
    op.create_table(
        "vector_stores",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
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
        sa.PrimaryKeyConstraint("number", name="pk_vector_stores"),
        sa.UniqueConstraint("id", name="uq_vector_stores_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_vector_stores_deleted",
        "vector_stores",
        ["number"],
        sqlite_where=sa.text("deleted"),
        postgresql_where=sa.text("deleted"),
    )
    op.create_index(
        "ix_vector_stores_expires_at",
        "vector_stores",
        ["expires_at"],
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_vector_stores_standing",
        "vector_stores",
        ["organization_id", "created_at", "id"],
        sqlite_where=sa.text("NOT deleted"),
        postgresql_where=sa.text("NOT deleted"),
    )
    op.create_table(
        "vector_store_files",
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text, nullable=False),
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
        sa.PrimaryKeyConstraint("store_id", "file_id", name="pk_vector_store_files"),
    )
    op.create_index(
        "ix_vector_store_files_batch_id",
        "vector_store_files",
        ["batch_id"],
        sqlite_where=sa.text("batch_id IS NOT NULL"),
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(
        "ix_vector_store_files_organization_id_file_id", "vector_store_files", ["organization_id", "file_id"]
    )
    op.create_index(
        "ix_vector_store_files_store_id_created_at_file_id", "vector_store_files", ["store_id", "created_at", "file_id"]
    )
    op.create_index(
        "ix_vector_store_files_waiting",
        "vector_store_files",
        ["created_at", "file_id"],
        sqlite_where=sa.text("status = 'in_progress'"),
        postgresql_where=sa.text("status = 'in_progress'"),
    )
    op.create_table(
        "vector_store_batches",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vector_store_batches"),
    )
    op.create_index("ix_vector_store_batches_store_id", "vector_store_batches", ["store_id"])
    op.create_table(
        "vector_segments",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("store", sa.BigInteger, nullable=False),
        sa.Column("file_id", sa.Text, nullable=False),
        sa.Column("begun", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("lengths", sa.LargeBinary, nullable=False),
        sa.Column("dead", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_vector_segments"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_vector_segments_dead",
        "vector_segments",
        ["number"],
        sqlite_where=sa.text("dead"),
        postgresql_where=sa.text("dead"),
    )
    op.create_index("ix_vector_segments_store_file_id", "vector_segments", ["store", "file_id"])
    op.create_table(
        "vector_blobs",
        sa.Column("segment", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=False, nullable=False),
        sa.Column("vectors", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("segment", name="pk_vector_blobs"),
    )
    op.create_table(
        "vector_chunks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=False, nullable=False),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vector_chunks"),
    )
    op.create_table(
        "vector_words",
        sa.Column("store", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("word", sa.Text, nullable=False),
        sa.Column("segment", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("postings", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("store", "word", "segment", name="pk_vector_words"),
        sqlite_with_rowid=False,
    )


def _keep_everything(connection: sa.Connection) -> None:
    """A key that might do everything still may."""
    for key_id, scopes in connection.execute(sa.select(_keys.c.id, _keys.c.scopes)).fetchall():
        known = json.loads(scopes)
        if set(known) >= _EVERYTHING:
            more = json.dumps([*known, *(scope for scope in _NEW_SCOPES if scope not in known)])
            connection.execute(_keys.update().where(_keys.c.id == key_id).values(scopes=more))
